"""What a model cannot tell apart, does not read to the end, or does not know among the words of a vocabulary."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from s4token_model.pipeline.clip import FrozenClip
    from s4token_model.pipeline.known_words import KnownWords

SAME_FEATURES = 1e-5  # components of unit rows that differ by less are equal up to rounding
SHOWN_NAMES, SHOWN_LETTERS = 8, 60  # in a warning
CLOSE = 0.8  # ratio of equal letters from which another spelling is suggested
ALIKE = 0.93  # cosine of words that a model hardly tells apart; in s4token-mini, lamp and traffic light have it, too
SYNONYMS = 0.97  # cosine from which a trained word stands for an earlier one: those of a class begin with its name
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
        why = f": only {shown(read[second])} of them is read" if second in read else ""
        fix = "put the difference first" if second in read else "leave one out"
        raise ValueError(f"{shown(first)} and {shown(second)} are the same to the text tower{why}; {fix}")


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
    stands_for = (known_words.features @ known_words.features[nearest].T > SYNONYMS).argmax(axis=0)
    taken_for = {names[k]: trained[stands_for[k]] for k in known if phrases[k] not in trained}
    return Understood(unknown, taken_for, groups_of_alike([names[k] for k in known], text[known]))


def warnings(names: Sequence[str], read: dict[str, str], trained: Sequence[str], words: Understood) -> tuple[str, ...]:
    """Return sentences about names that are unknown, read in part, alike, or look like several."""
    found = [
        f"{shown(name)} is longer than the text tower reads: only {shown(start)} counts" for name, start in read.items()
    ]
    found += [
        f"{shown(name)} is read as one phrase; if it is several words, give each by itself"
        for name in names
        if "," in name or "/" in name
    ]
    if unknown := words.unknown:
        names_unknown = listed(unknown, lambda name: _with_suggestion(name, trained))
        verb, them = ("is", "it") if len(unknown) == 1 else ("are", "them")
        found.append(f"{names_unknown} {verb} unknown to this model, which labels arbitrary points with {them}")
    for group in words.alike[:SHOWN_NAMES]:
        found.append(f"this model hardly tells {listed(group)} apart; if they are the same to you, ask for one")
    if len(words.alike) > SHOWN_NAMES:
        found.append(f"nor the words of {len(words.alike) - SHOWN_NAMES} more groups")
    return tuple(found)


def groups_of_alike(names: Sequence[str], text: np.ndarray) -> list[list[str]]:
    """Return the groups of names, rows of text (C, E), that are linked by cosines above ALIKE."""
    count = len(names)
    root = np.arange(count)  # the first name of each name's group, as far as the links have been followed
    while count:
        blocks = np.split(text, range(BLOCK, count, BLOCK))
        linked = np.concatenate([np.where(block @ text.T > ALIKE, root, count).min(axis=1) for block in blocks])
        if (linked == root).all():
            break
        root = linked
    groups: dict[int, list[str]] = {}
    for name, first in zip(names, root.tolist(), strict=True):
        groups.setdefault(first, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def meanings(unknown: Sequence[str], taken_for: Mapping[str, str]) -> dict[str, str]:
    """Return what to say beside the names that are not trained words: unknown ones, and what others are taken for."""
    return dict.fromkeys(unknown, "unknown word") | {name: f"read as {word}" for name, word in taken_for.items()}


def listed(names: Sequence[str], show: Callable[[str], str] | None = None) -> str:
    """Return the first SHOWN_NAMES names and the count of the others, as text."""
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(map(show or shown, names[:SHOWN_NAMES])) + more


def _with_suggestion(name: str, trained: Sequence[str]) -> str:
    close = difflib.get_close_matches(name.lower(), trained, 1, CLOSE)
    return f"{shown(name)} (spelled like {close[0]!r})" if close else shown(name)


def shown(name: str) -> str:
    """Return a name in quotes, without its middle if it is long."""
    half = SHOWN_LETTERS // 2
    return repr(name if len(name) <= SHOWN_LETTERS else f"{name[:half]}...{name[-half:]}")
