"""What the page asks of a session, and what a session answers: arrays, rows and sentences, nothing of the browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

LABELS, HEAT, SUPERPOINTS, SCAN = COLORINGS = ("words", "heat map", "superpoints", "scan")
CLOUD_SUFFIXES = (".ply", ".npy")


@dataclass(frozen=True)
class Choice:
    """What the user has set on the page."""

    words: str = ""  # class names, separated by commas, semicolons or lines
    threshold: float = 0.0  # smallest confidence of a label
    vote: bool = False  # one label per superpoint
    coloring: str = LABELS  # one of COLORINGS
    text: str = ""  # of the heat map
    cloud: int = 0  # which one of a bag


class About(NamedTuple):
    """What there is to choose from."""

    source: str
    first: Choice
    clouds: int  # how many there are
    can_vote: bool  # whether the vote can be changed from here


@dataclass(frozen=True)
class Drawn:
    """The D points of a cloud of H that are drawn, z up."""

    points: np.ndarray  # (D, 3) float32, in the unit of the cloud, the middle of it at the origin
    index: np.ndarray  # (D,) int64, rows of the cloud
    total: int  # H
    spacing: float  # typical distance to the nearest drawn point
    eye: np.ndarray  # (3,) where a camera sees the cloud from
    look_at: np.ndarray  # (3,)
    open: np.ndarray  # (D,) bool, False on what hides a room from this camera: ceiling and near walls
    shade: np.ndarray  # (D,) float32, brightness of each point by its normal, 1 = unchanged


class Row(NamedTuple):
    """A class in the legend."""

    name: str
    color: tuple[int, int, int]
    points: int | None  # None while they are being counted
    note: str = ""  # what the model makes of the word


class Bar(NamedTuple):
    """The color bar of a heat map."""

    text: str
    low: float  # cosine of the first color
    high: float  # of the last one


@dataclass(frozen=True)
class View:
    """A colored cloud and its legend."""

    drawn: Drawn
    colors: np.ndarray  # (D, 3) uint8
    rows: tuple[Row, ...] = ()
    bar: Bar | None = None
    caption: str = ""  # what the colors mean if not classes or cosines
    notes: tuple[str, ...] = ()  # what to know about the words and the cloud


class Match(NamedTuple):
    """A word and the cosine of a superpoint's feature with it."""

    name: str
    cosine: float


@dataclass(frozen=True)
class Inspection:
    """What is known about the point that was clicked on, and its superpoint."""

    label: str  # class name, or "unlabeled"
    confidence: float
    superpoint: int | None  # None: the point has none
    members: np.ndarray  # (m,) int64, rows of Drawn of that superpoint
    points: int  # of the superpoint
    words: tuple[Match, ...] = ()  # the best ones of the vocabulary
    known_words: tuple[Match, ...] = ()  # the best ones of those that the model was trained with
    note: str = ""
