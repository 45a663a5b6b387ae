"""WordNet's nouns, from the files data.noun and index.noun of its database (format: man wndb)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

ARTIFACT = 6
# Animals, artifacts, body parts, food, objects, people, plants, substances: what a sensor can see
PHYSICAL = frozenset({5, ARTIFACT, 8, 13, 17, 18, 20, 27})


class Synset(NamedTuple):
    """A set of nouns with one meaning."""

    file: int  # number of the lexicographer's file, a coarse topic
    lemmas: tuple[str, ...]  # in small letters, with blanks
    hypernyms: tuple[int, ...]  # keys of its general terms
    gloss: str  # definition, without examples


class Nouns(NamedTuple):
    """All synsets but those of proper names by their key, and those of every lemma, its most frequent sense first."""

    synsets: dict[int, Synset]
    senses: dict[str, tuple[int, ...]]
    frequent: frozenset[str]  # lemmas that occur in texts whose words WordNet's makers assigned to senses

    def descendants(self, root: int) -> list[int]:
        """Return the key `root` and those of everything that is a kind of it."""
        below: dict[int, list[int]] = {}
        for key, synset in self.synsets.items():
            for parent in synset.hypernyms:
                below.setdefault(parent, []).append(key)
        found = {root: None}
        waiting = [root]
        while waiting:
            new = [key for key in below.get(waiting.pop(), ()) if key not in found]
            found |= dict.fromkeys(new)
            waiting += new
        return list(found)


def read(folder: Path) -> Nouns:
    """Read a folder with data.noun and index.noun, such as /usr/share/wordnet."""
    synsets = {}
    for fields, gloss in _lines(folder / "data.noun"):
        count = int(fields[3], 16)
        lemmas = tuple(fields[4 + 2 * k].replace("_", " ").lower() for k in range(count))
        pointers = fields[5 + 2 * count :]
        if "@i" in pointers:  # an instance, such as a city
            continue
        hypernyms = tuple(int(pointers[k + 1]) for k in range(0, len(pointers), 4) if pointers[k] == "@")
        synsets[int(fields[0])] = Synset(int(fields[1]), lemmas, hypernyms, _definition(gloss))
    senses, frequent = {}, set()
    for fields, _ in _lines(folder / "index.noun"):
        lemma, count = fields[0].replace("_", " "), int(fields[2])
        if found := tuple(key for key in map(int, fields[-count:]) if key in synsets):
            senses[lemma] = found
        if int(fields[-count - 1]):
            frequent.add(lemma)
    return Nouns(synsets, senses, frozenset(frequent))


def read_adjectives(folder: Path) -> tuple[str, ...]:
    """Adjectives of one word that WordNet's makers met in texts, from a folder with index.adj."""
    found = [(fields[0], int(fields[-int(fields[2]) - 1])) for fields, _ in _lines(folder / "index.adj")]
    return tuple(word for word, count in found if count and word.isascii() and word.isalpha())


def _lines(path: Path) -> list[tuple[list[str], str]]:
    """Fields before the bar and text behind it, of all lines but those of the license."""
    lines = [line.partition("|") for line in path.read_text(encoding="latin-1").splitlines() if line[:1] != " "]
    return [(before.split(), after.strip()) for before, _, after in lines]


def _definition(gloss: str) -> str:
    """The gloss up to its first example, without remarks in brackets."""
    text = gloss.split('"')[0].split(";")[0]
    while "(" in text and ")" in text[text.index("(") :]:
        start = text.index("(")
        text = text[:start] + text[text.index(")", start) + 1 :]
    return " ".join(text.split())
