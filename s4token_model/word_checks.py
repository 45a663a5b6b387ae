"""What a model cannot tell apart, does not read to the end, or does not know among the words of a vocabulary."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from s4token_model.pipeline.clip import FrozenClip
    from s4token_model.pipeline.known_words import KnownWords

SAME_FEATURES = 1e-5  # components of unit rows that differ by less are equal up to rounding
SHOWN_NAMES, SHOWN_LETTERS = 8, 60  # in a warning
CLOSE = 0.8  # ratio of equal letters from which another spelling is suggested
ALIKE = 0.93  # cosine of words that a model hardly tells apart: nine of ten of its synonyms have more with their class,
# and of its classes only lamp and traffic light
BLOCK = 1024  # rows of text features that are compared at once


def names_read_in_part(
    names: Sequence[str], phrases: Sequence[str], templates: Sequence[str], clip: FrozenClip,
    check: Callable[[], None] = lambda: None,
) -> dict[str, str]:  # fmt: skip
    """Return {name: the beginning of its phrase that is read} for the names that the text tower cuts in a template.

    `check`, called before every one of them, may raise to give up.
    """
    before = max((template.partition("{}")[0] for template in templates), key=len)
    fits = clip.fits_context([before + phrase for phrase in phrases])
    found = {}
    for name, phrase, fit in zip(names, phrases, fits, strict=True):
        if not fit:
            check()
            found[name] = _longest_start(before, phrase, clip)
    return found


def _longest_start(before: str, phrase: str, clip: FrozenClip) -> str:
    """The longest start of a phrase, in whole words if it has several, that fits behind `before`; by bisection."""
    parts = phrase.split(" ") if " " in phrase else list(phrase)
    joint = " " if " " in phrase else ""
    low, high = 0, len(parts)  # `low` parts fit, `high` do not
    while high - low > 1:
        middle = (low + high) // 2
        fits = clip.fits_context([before + joint.join(parts[:middle])])[0]
        low, high = (middle, high) if fits else (low, middle)
    return joint.join(parts[:low])


def check_distinct(names: Sequence[str], text: np.ndarray, read: dict[str, str]) -> None:
    """Raise ValueError if two rows of text (C, E) are equal: only one of the two names would ever be a label."""
    # Equal rows are neighbors in the order of their projection on any direction
    order = np.argsort(text @ np.random.default_rng(0).normal(size=text.shape[1]), kind="stable")
    same = (np.abs(text[order[1:]] - text[order[:-1]]) < SAME_FEATURES).all(axis=1)
    for k in np.flatnonzero(same):
        first, second = (names[i] for i in sorted(order[k : k + 2]))
        why = f": only {_shown(read[second])} of them is read" if second in read else ""
        fix = "put the difference first" if second in read else "leave one out"
        raise ValueError(f"{_shown(first)} and {_shown(second)} are the same to the text tower{why}; {fix}")


class Understood(NamedTuple):
    """What a model with known words makes of the names of a vocabulary."""

    unknown: tuple[str, ...]  # names whose score is too low
    taken_for: dict[str, str]  # known names that are not trained: the nearest trained word
    alike: Sequence[Sequence[str]]  # known names that are nearly the same, in groups


def understood(
    names: Sequence[str], phrases: Sequence[str], text: np.ndarray, known_words: KnownWords, score: np.ndarray,
    nearest: np.ndarray,
) -> Understood:  # fmt: skip
    """Sort names, encoded as `phrases` to text (C, E), by their score and nearest trained word (C,)."""
    is_known, trained = score >= known_words.threshold, known_words.words
    unknown = tuple(names[k] for k in np.flatnonzero(~is_known))
    known = np.flatnonzero(is_known)
    taken_for = {names[k]: trained[nearest[k]] for k in known if phrases[k] not in trained}
    return Understood(unknown, taken_for, groups_of_alike([names[k] for k in known], text[known]))


def warnings(names: Sequence[str], read: dict[str, str], trained: Sequence[str], words: Understood) -> tuple[str, ...]:
    """Return sentences about names that are unknown, read in part, alike, or look like several."""
    found = [
        f"{_shown(name)} is longer than the text tower reads: only {_shown(start)} counts"
        for name, start in read.items()
    ]
    found += [
        f"{_shown(name)} is read as one phrase; if it is several words, give each by itself"
        for name in names
        if "," in name or "/" in name
    ]
    if unknown := words.unknown:
        shown = listed(unknown, lambda name: _with_suggestion(name, trained))
        verb, them = ("is", "it") if len(unknown) == 1 else ("are", "them")
        found.append(f"{shown} {verb} unknown to this model, which labels arbitrary points with {them}")
    for group in words.alike[:SHOWN_NAMES]:
        found.append(f"{listed(group)} are nearly the same to this model, chance decides between them; ask for one")
    if len(words.alike) > SHOWN_NAMES:
        found.append(f"so it is with the words of {len(words.alike) - SHOWN_NAMES} more things")
    return tuple(found)


def groups_of_alike(names: Sequence[str], text: np.ndarray) -> list[list[str]]:
    """Return the names whose rows of text (C, E) have a cosine above ALIKE with that of an earlier one, beside it."""
    if not len(names):
        return []
    blocks = np.split(text, range(BLOCK, len(text), BLOCK))
    first = np.concatenate([(block @ text.T > ALIKE).argmax(axis=1) for block in blocks])
    groups: dict[int, list[str]] = {}
    roots: list[int] = []  # of a chain of words, each like the one before, the first
    for k, name in enumerate(names):
        roots.append(k if first[k] == k else roots[first[k]])
        groups.setdefault(roots[k], []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def listed(names: Sequence[str], show: Callable[[str], str] | None = None) -> str:
    """Return the first SHOWN_NAMES names and the count of the others, as text."""
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(map(show or _shown, names[:SHOWN_NAMES])) + more


def _with_suggestion(name: str, trained: Sequence[str]) -> str:
    close = difflib.get_close_matches(name.lower(), trained, 1, CLOSE)
    return f"{_shown(name)} (close to {close[0]!r})" if close else _shown(name)


def _shown(name: str) -> str:
    half = SHOWN_LETTERS // 2
    return repr(name if len(name) <= SHOWN_LETTERS else f"{name[:half]}...{name[-half:]}")
