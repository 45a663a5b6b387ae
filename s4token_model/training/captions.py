"""English captions of procedural objects, pairs of objects and scenes, all true, in many forms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from s4token_model.procedural.classes import GROUND, STREET
from s4token_model.procedural.types import Instance
from s4token_model.training.synonyms import (
    HELD_OUT,
    HYPERNYMS,
    MASS,
    PLURAL_ONLY,
    SYNONYMS,
    number,
    plural,
    with_article,
)

__all__ = ["HELD_OUT", "HYPERNYMS", "SYNONYMS", "TEMPLATES", "caption", "noun_phrase", "relation", "scene_caption"]

TEMPLATES = (
    "a photo of {}", "a picture of {}", "an image of {}", "a rendering of {}", "a close-up of {}", "a snapshot of {}",
    "a photo of {} in a room", "a bad photo of {}", "a good photo of {}", "a bright photo of {}", "a dark photo of {}",
    "a low resolution photo of {}", "a cropped photo of {}", "a point cloud of {}", "a scan of {}",
    "a depth view of {}", "a 3d model of {}", "{} in the scene", "{} seen from afar", "{}", "{} in a room",
    "{} indoors", "a view of {}",
    "a photo of {}, partly hidden", "an indoor photo with {}", "a robot sees {}", "a side view of {}",
    "one can see {} here",
)  # fmt: skip

# What a template says of a room is said otherwise of things that stand outdoors.
_OUTDOORS = {"in a room": "on a street", "indoors": "outdoors", "an indoor photo": "an outdoor photo"}

# English puts size before shape and age, then color, material, purpose: "a small round red wooden dining table".
_ORDER = tuple(
    frozenset(words.split())
    for words in (
        "small large big tall low long short wide narrow thin thick tiny huge high deep shallow",
        "",  # shape, state and whatever else is unknown
        "red blue green yellow orange purple pink white black grey brown beige dark light colorful golden",
        "wooden metal fabric leather plastic glass stone ceramic marble paper wicker upholstered concrete steel",
        "office dining desk floor ceiling table bunk double single corner kitchen swivel sliding sash wall bar",
    )
)
_SCENE_TEMPLATES = (
    "{} with {}", "a photo of {} with {}", "a view of {} with {}", "{} containing {}", "the inside of {} with {}",
    "a scan of {} with {}", "{} furnished with {}", "a robot in {} sees {}",
)  # fmt: skip
# Rooms are named after what only they hold; the first that applies.
_ROOMS = (
    ("bathroom", frozenset({"toilet", "bathtub", "shower curtain"})),
    ("kitchen", frozenset({"oven", "refrigerator", "counter"})),
    ("bedroom", frozenset({"bed"})),
    ("living room", frozenset({"sofa"})),
    ("office", frozenset({"whiteboard", "monitor", "printer"})),
)
_STREET_TEMPLATES = (
    "{} with {}", "a photo of {} with {}", "a view of {} with {}", "{} where there are {}", "a scan of {} with {}",
    "a robot on {} sees {}",
)  # fmt: skip
# Things whose rest surface lies below their top, and things that hold others inside.
_LOW_SUPPORT = frozenset({"bed", "sofa", "chair", "bench", "sink", "counter", "desk", "piano", "stool", "ottoman"})
_HOLDERS = frozenset({"bookshelf", "shelf", "cabinet", "bathtub", "box"})
_HANGING = frozenset({"picture", "mirror", "whiteboard", "television", "radiator", "lamp", "shelf", "cabinet"})


def caption(
    name: str,
    attributes: Sequence[str],
    rng: np.random.Generator,
    count: int = 1,
    synonyms: float = 0.4,
    hypernyms: float = 0.04,
) -> str:
    """A sentence about an object such as "a photo of a small red chair".

    `attributes` are true adjectives (or "with ..." phrases), of which some are used. `count` > 1 gives a plural.
    `synonyms` and `hypernyms` are the chances that another word or a general one ("appliance") stands for the class
    name.
    """
    phrase = noun_phrase(name, attributes, rng, count, synonyms, hypernyms)
    template = TEMPLATES[rng.integers(len(TEMPLATES))]
    if name in STREET:
        for inside, outside in _OUTDOORS.items():
            template = template.replace(inside, outside)
    return template.format(phrase)


def noun_phrase(
    name: str,
    attributes: Sequence[str],
    rng: np.random.Generator,
    count: int = 1,
    synonyms: float = 0.4,
    hypernyms: float = 0.0,
) -> str:
    """Article, some attributes in English order, a word for the class: "a small red chair", "two chairs"."""
    word = _word(name, rng, synonyms, hypernyms)
    used = [a for a in dict.fromkeys(attributes) if a not in word.split() and rng.random() < 0.5][:3]
    before = sorted((a for a in used if not a.startswith("with ")), key=_rank)
    after = [a for a in used if a.startswith("with ")][:1]
    if count > 1 and word not in MASS:
        amount = number(count) if word not in PLURAL_ONLY else "many"
        return " ".join([amount, *before, plural(word), *after])
    return " ".join([with_article(" ".join([*before, word]), word), *after])


def scene_caption(names: Sequence[str], rng: np.random.Generator, limit: int = 5) -> str:
    """A sentence about a whole scene such as "a bedroom with a bed, a lamp and two chairs".

    `names` are the classes of its objects, one entry per object; at most `limit` kinds are mentioned, walls, floor
    and ceiling never are. The kind of room follows from what it holds; with a road or a sidewalk it is a street.
    """
    counts = Counter(name for name in names if name not in ("wall", "floor", "ceiling", "other furniture"))
    room = _room(counts, rng)
    if not counts:
        return f"an empty {room}" if room == "room" else with_article(room, room)
    if room == "street":  # its ground is no news
        counts = Counter({k: n for k, n in counts.items() if k not in GROUND}) or counts
    kinds = [str(kind) for kind in rng.permutation(sorted(counts))[:limit]]
    things = [noun_phrase(kind, (), rng, counts[kind], 0.3) for kind in kinds]
    listed = things[0] if len(things) == 1 else f"{', '.join(things[:-1])} and {things[-1]}"
    templates = _STREET_TEMPLATES if room == "street" else _SCENE_TEMPLATES
    return templates[rng.integers(len(templates))].format(with_article(room, room), listed)


def relation(a: Instance, b: Instance, rng: np.random.Generator | None = None) -> tuple[str, ...]:
    """All phrases that hold for a and b by their bounds, such as "a lamp on a table" or "a chair beside a desk".

    With `rng`, words and attributes vary; without, they are the bare class names. Empty when the two have nothing to
    do with each other, or when a is part of the building or either is the ground of a street.
    """
    if a.name in ("wall", "floor", "ceiling") or not GROUND.isdisjoint((a.name, b.name)):
        return ()
    first, second = (_plain(x) if rng is None else noun_phrase(x.name, x.attributes, rng) for x in (a, b))
    return tuple(f"{first} {word} {second}" for word in _prepositions(a, b))


def _prepositions(a: Instance, b: Instance) -> list[str]:
    if b.name == "ceiling":
        return []
    gap = np.maximum(np.maximum(a.low - b.high, b.low - a.high), 0)[:2]
    if b.name == "wall":
        return ["on"] if a.name in _HANGING and a.low[2] > 0.4 and _hangs(a, b) else []
    if b.name in ("floor", "rug"):
        return ["on"] if abs(a.low[2] - b.high[2]) < 0.03 and _inside(a, b) and a.name != "rug" else []
    above = _inside(a, b) and _footprint(a) < _footprint(b)
    if above and abs(a.low[2] - b.high[2]) < 0.04:
        return ["on", "on top of"]
    if above and b.name in _LOW_SUPPORT and b.low[2] + 0.3 * (b.high[2] - b.low[2]) < a.low[2] < b.high[2]:
        return ["on"]
    if above and b.name in _HOLDERS and b.low[2] <= a.low[2] and a.high[2] <= b.high[2] + 0.05:
        return ["in"]
    if _inside(a, b) and a.low[2] > b.high[2] + 0.04:
        return ["above"]
    if _inside(a, b) and a.high[2] < b.high[2] and b.name in ("table", "desk"):
        return ["under", "below"]
    level = a.low[2] < b.high[2] and b.low[2] < a.high[2]
    if level and 0 < np.linalg.norm(gap) < 0.5:
        return ["beside", "next to", "near"]
    return ["near"] if level and 0 < np.linalg.norm(gap) < 1.0 else []


def _inside(a: Instance, b: Instance) -> bool:
    """Whether the middle of a lies over the ground that b covers."""
    middle = (a.low + a.high)[:2] / 2
    return bool((middle >= b.low[:2]).all() and (middle <= b.high[:2]).all())


def _hangs(a: Instance, b: Instance) -> bool:
    """Whether a flat side of a is within 8 cm of one of the vertical faces of b's bounds, and within its length."""
    within = bool((a.low >= b.low - 0.08).all() and (a.high <= b.high + 0.08).all())
    sides = [abs(x - y) for k in (0, 1) for x in (a.low[k], a.high[k]) for y in (b.low[k], b.high[k])]
    return within and min(sides) < 0.08


def _footprint(a: Instance) -> float:
    return float(np.prod((a.high - a.low)[:2]))


def _plain(a: Instance) -> str:
    return with_article(a.name, a.name)


def _word(name: str, rng: np.random.Generator, synonyms: float, hypernyms: float) -> str:
    """A word for a class: its name, a synonym, or a general term."""
    if name not in SYNONYMS:
        raise ValueError(f"no words are known for the class {name!r}; add it to SYNONYMS in synonyms.py")
    chance = rng.random()
    general = [word for word, members in HYPERNYMS.items() if name in members] if chance < hypernyms else []
    if general:
        return general[rng.integers(len(general))]
    others = SYNONYMS[name][1:]
    return others[rng.integers(len(others))] if others and chance > 1 - synonyms else name


def _rank(attribute: str) -> int:
    """Place of an adjective before the noun."""
    head = attribute.split("-")[-1].split()[-1]
    return next((k for k, words in enumerate(_ORDER) if head in words), 1)


def _room(counts: Counter, rng: np.random.Generator) -> str:
    if not counts.keys().isdisjoint(STREET):
        return "street"
    for room, marks in _ROOMS:
        if marks & set(counts):
            return room if rng.random() < 0.8 else "room"
    return "room"
