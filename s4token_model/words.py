"""Words as people write them: the plain phrase that CLIP's text tower is given for a class name.

Class names come from many hands: "Chairs", "the_floor", '"night-stand",'. The text tower knows them in one form, in
small letters and the singular, which is also what prompts such as "a photo of a {}" need.
"""

from __future__ import annotations

import re
import unicodedata

from s4token_model import constants

# Soft hyphen, zero-width blank, byte order mark, and what turns the direction of writing
INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
CONTROL = {"Cc", "Cs"}  # Unicode categories of characters that steer a terminal, and of halves of characters
PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">", "“": "”", "‘": "’", "«": "»", "„": "“"} | {q: q for q in "\"'`"}
PUNCTUATION = " \t.,;:!?…"
ARTICLES = {"a", "an", "the", "some", "any", "these", "those", "this", "that"}
NUMBERS = set("one two three four five six seven eight nine ten twelve many several few both all".split())
PREPOSITIONS = set("of on in with without for from at to under over above below behind near by beside inside".split())

# Words that end in s and are no plurals, or that are used in the plural where one thing is meant
INVARIABLE = set(
    "gas canvas atlas alias bias pancreas pampas pajamas pyjamas christmas texas chaos cosmos thermos asbestos kudos "
    "rhinoceros triceratops tyrannosaurus lens news series species means swiss bellows gallows barracks headquarters "
    "crossroads mews premises surroundings belongings furnishings remains goods groceries "
    "books shoes clothes garments stairs steps blinds drapes glasses sunglasses eyeglasses spectacles goggles "
    "binoculars scissors shears pliers tweezers tongs clippers trousers pants jeans shorts leggings tights overalls "
    "dungarees headphones earphones earbuds bleachers bagpipes stilts suspenders "
    "athletics acoustics economics electronics graphics gymnastics logistics mathematics mechanics optics physics "
    "politics robotics hydraulics yes thus always".split()
) | {"window shades"}
# The singular of words that the rules below would get wrong
IRREGULAR = {
    "people": "person", "men": "man", "women": "woman", "children": "child", "teeth": "tooth", "feet": "foot",
    "geese": "goose", "mice": "mouse", "lice": "louse", "oxen": "ox", "cacti": "cactus", "fungi": "fungus",
    "octopi": "octopus", "radii": "radius", "nuclei": "nucleus", "lives": "life", "wives": "wife", "elves": "elf",
    "selves": "self", "leaves": "leaf", "loaves": "loaf", "scarves": "scarf", "wolves": "wolf", "thieves": "thief",
    "halves": "half", "calves": "calf", "hooves": "hoof", "sheaves": "sheaf", "wharves": "wharf", "dwarves": "dwarf",
    "shelves": "shelf", "knives": "knife", "lenses": "lens", "gases": "gas", "canvases": "canvas", "atlases": "atlas",
    "aliases": "alias", "irises": "iris", "trellises": "trellis", "thermoses": "thermos", "quizzes": "quiz",
    "vertices": "vertex", "matrices": "matrix", "indices": "index", "appendices": "appendix", "bureaux": "bureau",
    "plateaux": "plateau", "chateaux": "chateau", "antennae": "antenna", "criteria": "criterion", "bases": "base",
    "axes": "axe", "analyses": "analysis", "crises": "crisis", "oases": "oasis", "tvs": "tv", "pcs": "pc",
    "cds": "cd", "dvds": "dvd", "menus": "menu", "emus": "emu", "gurus": "guru", "tutus": "tutu",
}  # fmt: skip
COMPOUNDS = ("shelves", "knives", "women", "men", "children", "people", "leaves", "wolves", "mice")  # bookshelves
NO_COMPOUNDS = {"specimen", "abdomen", "regimen", "omen", "semen", "ramen", "hymen", "stamen", "acumen", "cyclamen"}
KEEP_E = set(  # they lose "s" alone, though other words of their ending lose "es"
    "aches headaches toothaches backaches caches niches avalanches quiches cliches moustaches mustaches brioches "
    "psyches creches douches toes canoes hoes oboes floes foes woes throes aloes tiptoes fuses muses refuses excuses "
    "uses abuses".split()
)
KEEP_IE = set(
    "movies cookies pies ties lies dies zombies brownies hoodies selfies smoothies birdies calories genies rookies "
    "prairies sorties magpies neckties bowties pixies goalies veggies budgies beanies onesies boogies collies hippies "
    "junkies eyries aeries bogies caddies laddies lassies menageries camaraderies eeries coteries lingeries".split()
)
SINGULAR_IS = re.compile(r"(?:sk|tax|kiw|bikin|safar|alib|sush|rabb|zucchin|panin|tsunam|jacuzz|ch?ill|sar|yet|kep)is$")


def written(name: str) -> str:
    """Return a class name as it was written, without what surrounds it: blanks, quotes, brackets, list punctuation.

    "The_Chairs" stays; ' "chair", ' and "[chair]" are "chair". ValueError on what is no text, is too long, or would
    steer a terminal.
    """
    if not isinstance(name, str):
        raise ValueError(f"the word {name!r} is no text; give a list of words")
    if len(name) > constants.MAX_NAME_LETTERS:
        shown = f"{name[:30]!r}... has {len(name)} letters"
        raise ValueError(f"the word {shown}; a word has at most {constants.MAX_NAME_LETTERS}")
    name, before = " ".join(unicodedata.normalize("NFC", INVISIBLE.sub("", name)).split()), None
    if any(unicodedata.category(letter) in CONTROL for letter in name):
        raise ValueError(f"the word {name!r} holds a control character; remove it")
    while name != before:
        before = name
        name = re.sub(r"^[-*•·]\s+", "", name.rstrip(PUNCTUATION).lstrip(" \t,;"))
        first, last = name[:1], name[-1:]
        if len(name) > 1 and PAIRS.get(first) == last and name.count(first) == (2 if first == last else 1):
            name = name[1:-1].strip()
        elif first in PAIRS and not any(mark in name[1:] for mark in PAIRS[first]):
            name = name[1:].strip()
        elif any(last == closing and opening not in name[:-1] for opening, closing in PAIRS.items() if last):
            name = name[:-1].strip()
    return name


def normalized(name: str) -> str:
    """Return the phrase that the text tower is given: "The_Dining-Tables" -> "dining table"."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z][a-z]{2})", " ", written(name)) if _is_camel_case(name) else written(name)
    words = _without_hyphens(text.lower().replace("_", " ")).split()
    while len(words) > 1 and words[0] in ARTICLES:
        words = words[1:]
    return _singular_phrase(words)


def repeat_key(name: str) -> str:
    """Return what two class names have in common that mean the same thing, such as "Shoes" and "a shoe"."""
    text = normalized(name)
    head, blank, last = text.rpartition(" ")
    if last in INVARIABLE and f"{last[:-1]}" in {"book", "shoe", "garment", "step", "stair", "blind", "drape"}:
        last = last[:-1]
    return (head + blank + last).replace("-", " ")


def singular(word: str) -> str:
    """Return the singular of one English noun in small letters; other words, also those that only end in s, as is.

    Rules and lists of our own: the packages inflect and inflection turn "bus" into "bu" and "canvas" into "canva".
    """
    for compound in COMPOUNDS:
        if word.endswith(compound) and word not in NO_COMPOUNDS:
            return word[: -len(compound)] + IRREGULAR[compound]
    if word in IRREGULAR:
        return IRREGULAR[word]
    if not (word.isascii() and word.isalpha()) or len(word) < 4 or word in INVARIABLE:
        return word
    if not word.endswith("s") or word.endswith(("ss", "us")):
        return word
    if word.endswith("is"):
        return word[:-1] if SINGULAR_IS.search(word) else word
    if word.endswith("ies"):
        return word[:-1] if word in KEEP_IE or len(word) == 4 else word[:-3] + "y"
    keeps_e = word in KEEP_E or word.endswith(("shoes", "ouses", "auses"))
    if word.endswith(("ches", "shes", "xes", "sses", "zzes", "oes", "uses")) and not keeps_e:
        return word[:-2]
    return word[:-1]


def _singular_phrase(words: list[str]) -> str:
    """Turn the heads of a phrase to the singular: the last noun before "of", "with", ...; in "a and b" those of both.

    "boxes of books" -> "box of books"; "two chairs" -> "chair", while "two door fridge" and "12 inch pipes" stay.
    """
    for joint in ("and", "or"):
        if joint in words[1:-1]:
            at = words.index(joint, 1)
            return f"{_singular_phrase(words[:at])} {joint} {_singular_phrase(words[at + 1 :])}"
    phrase = " ".join(words)
    if len(words) == 2 and _is_number(words[0]) and singular(words[1]) != words[1]:
        return singular(words[1])
    if not words or _is_number(words[0]) or phrase in INVARIABLE:
        return phrase
    ends = [k for k, word in enumerate(words) if k and (word in PREPOSITIONS or word.startswith("("))]
    head = (ends[0] if ends else len(words)) - 1
    before, hyphen, last = words[head].rpartition("-")  # of "t-shirts"
    return " ".join([*words[:head], before + hyphen + singular(last), *words[head + 1 :]])


def _is_number(word: str) -> bool:
    return word in NUMBERS or word.isdigit()


def _without_hyphens(text: str) -> str:
    """Turn hyphens between words to blanks: "night-stand", not "t-shirt", "x-ray", "3-seater" or "two-wheeler"."""

    def part(match: re.Match) -> str:
        sides = match.group().split("-")
        kept = any(len(side) == 1 or _is_number(side) for side in sides)
        return match.group() if kept else " ".join(sides)

    return re.sub(r"\w+(?:-\w+)+", part, text)


def _is_camel_case(name: str) -> bool:
    """Whether a name is one word of several that begin with capitals, such as DiningTable; iPhone and LiDAR are not."""
    return bool(re.fullmatch(r"[A-Za-z]?[a-z]{2,}(?:[A-Z][a-z]{2,})+", written(name)))
