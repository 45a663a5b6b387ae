"""Vocabularies: class names and prompt templates to a matrix of text features (Sec. 4 of the paper)."""

from __future__ import annotations

import colorsys
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s4token_model import config as configs
from s4token_model import constants, word_checks, word_files, word_lists, words
from s4token_model.config import Config, VocabularyConfig

if TYPE_CHECKING:
    from s4token_model.pipeline.clip import FrozenClip

COLORS = {
    "wall": (174, 199, 232), "floor": (196, 181, 150), "ceiling": (220, 220, 225), "cabinet": (31, 119, 180),
    "bed": (255, 152, 150), "chair": (188, 189, 34), "sofa": (140, 86, 75), "table": (255, 127, 14),
    "door": (214, 39, 40), "window": (23, 190, 207), "bookshelf": (148, 103, 189), "picture": (247, 129, 191),
    "counter": (44, 120, 90), "desk": (255, 187, 60), "curtain": (152, 223, 138), "refrigerator": (90, 60, 170),
    "shower curtain": (120, 255, 214), "toilet": (44, 160, 44), "sink": (112, 128, 244), "bathtub": (227, 119, 194),
    "other furniture": (110, 110, 120), "lamp": (255, 235, 59), "plant": (0, 130, 20), "box": (205, 133, 63),
    "person": (255, 40, 120), "television": (40, 40, 110), "monitor": (70, 70, 200), "pillow": (255, 200, 220),
    "road": (128, 64, 128), "pavement": (244, 35, 232), "sidewalk": (244, 35, 232), "building": (230, 150, 0),
    "car": (60, 120, 255), "truck": (30, 60, 140), "tree": (20, 140, 60), "vegetation": (20, 140, 60),
    "fence": (255, 120, 50), "pole": (255, 240, 150), "bicycle": (100, 230, 245),
}  # fmt: skip


@dataclass(frozen=True)
class Vocabulary:
    """Class names and their text features."""

    names: tuple[str, ...]  # C class names, as they were written
    templates: tuple[str, ...]  # T prompts, each with one {}
    thresholds: np.ndarray  # (C,) float32 in [0, 1], smallest confidence of a label
    colors: np.ndarray  # (C, 3) uint8, sRGB
    text: np.ndarray  # (C, E) float32 unit rows in CLIP's joint space
    version: int = 1  # counts the vocabulary changes of a live node
    known: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))  # (C,), see KnownWords; NaN without
    unknown: tuple[str, ...] = ()  # the names whose score is too low
    warnings: tuple[str, ...] = ()  # sentences about names that the model does not know or reads in part
    bias: np.ndarray | float = 0.0  # (C,) float32, added to the cosines when they are compared, see `build`
    taken_for: dict[str, str] = field(default_factory=dict)  # {known name: the trained word that it is read as}

    def report(self) -> dict[str, Any]:
        """Return what the model knows of the names, ready for JSON: scores, None without any, and what it reads."""
        scores = {name: round(float(score), 3) for name, score in zip(self.names, self.known, strict=True)}
        known = scores if np.isfinite(self.known).all() else None
        return {"known": known, "unknown": list(self.unknown), "taken_for": dict(self.taken_for)}

    def note(self) -> str:
        """Return a sentence on what the model takes untrained names for; "" if there is none."""
        found = self.taken_for
        listed = word_checks.listed(list(found), lambda name: f"{word_checks.shown(name)} as {found[name]!r}")
        return f"the model reads {listed}" if listed else ""


def build(
    names: Sequence[str], templates: Sequence[str], thresholds: Sequence[float] | float,
    encode_text: Callable[[list[str]], np.ndarray], clip: FrozenClip | None = None,
    check: Callable[[], None] = lambda: None, prior: float = 0.0,
) -> Vocabulary:  # fmt: skip
    """Encode every name, in the form of `words.normalized`, in every template, and average over the templates.

    Templates hold one {}; `thresholds` are the smallest confidences of a label in [0, 1], one for all or one per name;
    `encode_text` turns texts to (T, E) unit rows; `clip` tells which words it knows, and how much of a name it reads;
    `check` may raise to give up. `prior` times the logarithm of how frequent a name is in the training is its bias
    (logit adjustment, Menon et al. 2021), if there are several. ValueError on names, templates or thresholds that are
    missing, repeated or wrong.
    """
    names, templates = checked_names(names), checked_templates(templates)
    limits = checked_thresholds(thresholds, len(names))
    # Encode, in the spelling that the model was trained with
    known_words = clip.known_words if clip else None
    trained = known_words.words if known_words else ()
    phrases = trained_phrases(names, trained)
    features = encode_phrases(phrases, templates, encode_text)
    text = average_templates(features)
    # Refuse what cannot be told apart, warn about what the model does not read or know
    read = word_checks.names_read_in_part(names, phrases, templates, clip, check) if clip else {}
    word_checks.check_distinct(names, text, read)
    known, bias = np.full(len(names), np.nan, np.float32), np.zeros(len(names), np.float32)
    found = word_checks.Understood((), {}, ())
    if clip and known_words:
        rows = _of_template(known_words.template, phrases, templates, features, clip)
        known, nearest = known_words.nearest(rows)
        bias = np.float32(prior) * known_words.log_prior(known, nearest) * (len(names) > 1)
        found = word_checks.understood(names, phrases, text, known_words, known, nearest)
    warnings = word_checks.warnings(names, read, trained, found)
    if prior and (known_words is None or known_words.frequency is None):
        warnings += ("vocabulary.prior has no effect: how frequent words were in training is not on record",)
    colors = np.array([color(phrase) for phrase in phrases], np.uint8)
    return Vocabulary(names, templates, limits, colors, text, 1, known, found.unknown, warnings, bias, found.taken_for)


def _of_template(
    template: str, phrases: Sequence[str], templates: tuple[str, ...], features: np.ndarray, clip: FrozenClip
) -> np.ndarray:
    """Rows (C, E) of phrases in one template, those of the features (C, T, E) if they have it.

    Further texts do not join those of the templates: features depend on the size of a batch, if only in the last digit.
    """
    if template in templates:
        return features[:, templates.index(template)]
    return encode_phrases(phrases, [template], clip.encode_text)[:, 0]


def trained_phrases(names: Sequence[str], trained: tuple[str, ...]) -> list[str]:
    """Return the phrases of `names`: of two spellings of one word the trained one, as "shoes" for "shoe"."""
    spellings = _spellings(trained)
    phrases = [words.normalized(name) for name in names]
    return [phrase if phrase in trained else spellings.get(words.repeat_key(phrase), phrase) for phrase in phrases]


@lru_cache(maxsize=4)
def _spellings(trained: tuple[str, ...]) -> dict[str, str]:
    return {words.repeat_key(word): word for word in reversed(trained)}


def encode_phrases(
    phrases: Sequence[str], templates: Sequence[str], encode_text: Callable[[list[str]], np.ndarray]
) -> np.ndarray:
    """Return (C, T, E), the unit rows of every phrase, as it is, in every template."""
    rows = encode_text([template.replace("{}", phrase) for phrase in phrases for template in templates])
    return rows.reshape(len(phrases), len(templates), -1)


def average_templates(features: np.ndarray) -> np.ndarray:
    """Average (C, T, E) over the templates, to unit rows (C, E) float32."""
    text = features.mean(axis=1)
    text /= np.maximum(np.linalg.norm(text, axis=1, keepdims=True), 1e-12)
    return text.astype(np.float32)


def checked_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names as `words.written`; ValueError if there is none, or one is empty, a list or repeated.

    Names that differ only in case, number, article, underscores or hyphens are one name: their features are equal.
    """
    if isinstance(names, str):
        raise ValueError(f"the vocabulary is the text {names!r}; give a list of words")
    if not len(names):
        raise ValueError("the vocabulary is empty; give at least one word")
    if len(names) > constants.UNLABELED:
        raise ValueError(f"{len(names)} words; a vocabulary holds at most {constants.UNLABELED}")
    seen: dict[str, str] = {}
    for given in names:
        name = words.written(given)
        key = words.repeat_key(name)
        if not key:
            raise ValueError(f"the vocabulary holds an empty word ({given!r}); remove it")
        if several := word_lists.hidden_list(given):
            raise ValueError(f"the word {given!r} is a list; give each word by itself: {list(several)}")
        if key in seen:
            other = "" if seen[key] == name else f" (as {seen[key]!r}, the same to the model)"
            raise ValueError(f"the word {name!r} is repeated{other}; give each word once")
        seen[key] = name
    return tuple(seen.values())


def checked_templates(templates: Sequence[str]) -> tuple[str, ...]:
    """Return the templates; ValueError if there is none, or one does not hold {} once."""
    for template in tuple(templates) or ("",):
        if template.count("{}") != 1:
            raise ValueError(f"template {template!r} must contain {{}} once, e.g. 'a photo of a {{}}'")
    return tuple(templates)


def checked_thresholds(thresholds: Sequence[float] | float, count: int) -> np.ndarray:
    """Return (count,) float32 from one number or one per name, each in [0, 1], or raise ValueError."""
    values = np.asarray(thresholds, np.float32).reshape(-1)
    if len(values) == 1:
        values = np.repeat(values, count)
    if len(values) != count:
        raise ValueError(f"{len(values)} thresholds for {count} words; give one for all or one per word")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"thresholds {values.tolist()} must lie in [0, 1]")
    return values


def color(name: str) -> tuple[int, int, int]:
    """Return the sRGB color of a class name, the same in every vocabulary and run.

    Common names have chosen colors that are easy to tell apart; the others get one from a hash.
    """
    name = name.strip().lower()
    if name in COLORS:
        return COLORS[name]
    digest = hashlib.sha256(name.encode()).digest()
    hue, saturation = digest[0] / 256 + digest[1] / 65536, 0.55 + digest[2] / 255 * 0.4
    rgb = colorsys.hsv_to_rgb(hue, saturation, 0.65 + digest[3] / 255 * 0.35)
    return tuple(round(255 * c) for c in rgb)  # type: ignore[return-value]


def read_names(labels: str | Path) -> tuple[str, ...]:
    """Read class names from a file or the name of one in config/labels; # starts a comment.

    One name per line, or the other forms of `word_lists.parse_lines`. Labels index the names in the order of the file.
    """
    return word_lists.parse_lines(_read_lines(labels, "labels"), str(labels))


def read_templates(templates: str | Path) -> tuple[str, ...]:
    """Read prompt templates, one per line (# starts a comment), from a file or the name of one in config/templates."""
    return _read_lines(templates, "templates")


def _read_lines(name: str | Path, kind: str) -> tuple[str, ...]:
    path = word_files.find(str(name), kind)
    lines = word_files.read_text(path).splitlines()
    found = tuple(filter(None, (line.split("#")[0].strip() for line in lines)))
    if not found:
        raise ValueError(f"{path} holds no {kind}; write one per line")
    return found


def configure(config: Config, changes: dict[str, str], names: str | None, labels: str | None) -> Config:
    """Return a config with `changes`, and with class names in one text or those of a labels file, unless None."""
    changed: dict[str, Any] = {**changes}
    if names is not None and "vocabulary.names" in changes:
        raise ValueError(
            f"the class names are given twice: {names!r} and {changes['vocabulary.names']!r}; leave one out"
        )
    if names is not None:
        changed["vocabulary.names"] = word_lists.split_list(names)
    if labels is not None:
        changed = {"vocabulary.names": ()} | changed | {"vocabulary.labels": labels}
    config = configs.replace(config, changed)
    if "vocabulary.labels" in changed:
        check_labels_have_effect(config.vocabulary)
    return config


def check_labels_have_effect(config: VocabularyConfig) -> None:
    """Raise ValueError if there are class names, so that the labels file that was just chosen would not be read."""
    if config.names:
        names = ", ".join(config.names[:3]) + (", ..." if len(config.names) > 3 else "")
        raise ValueError(
            f"vocabulary.labels={config.labels!r} has no effect: vocabulary.names ({names}) takes precedence; "
            "empty it first"
        )
