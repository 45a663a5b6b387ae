"""The disturbances that are measured, as a table: what is done to a cloud, how far, and what has to be left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from s4token_model.evaluation import disturbances as made

ROOMS, ALL = ("room", "scans"), ("room", "scans", "sweeps")
ROOM_PITCH = (5.4, 7.5)  # m, of the sample room


@dataclass(frozen=True)
class Disturbance:
    """One row: `apply` makes the cloud; accuracy, or agreement of labels, is compared with the clean cloud's."""

    family: str
    name: str
    level: float  # where it stands in the plot of its family
    apply: Callable[[np.ndarray, np.random.Generator], made.Disturbed]
    target: float | None = None  # fraction of the clean accuracy, or of the labels, that must be left
    random: bool = False  # several draws are averaged
    stability: bool = False  # compare labels with labels instead of the truth
    frames: int = 0  # compare each of so many draws with the one before; 0: with the clean cloud
    up: str = ""  # the value of input.up, if it matters
    must_warn: bool = False
    measures_memory: bool = False
    kinds: tuple[str, ...] = ALL  # of the scenes it makes sense for


# Family -> (what is done, label of the axis in its plot)
FAMILIES = {
    "strays": ("stray points, drawn from a cube around the center", "stray points, %"),
    "far": ("points far from the cloud", "distance, m"),
    "rooms": ("copies of the cloud side by side as one map", "rooms"),
    "copies": ("every point several times", "times"),
    "missing": ("missing returns written as (0, 0, 0), in a cloud whose mean is the origin", "% of the points"),
    "frames": ("frames in which z is not up, with input.up=z and input.up=auto", "frame"),
    "precision": ("float32 map coordinates", "step of float32, m"),
    "frame-to-frame": ("the same label from frame to frame, of ten frames with Gaussian noise", "noise, mm"),
    "rotation": ("the same label after a rotation about the vertical", "degrees"),
    "thinning": ("a random part of the points", "% of the points kept"),
    "noise": ("Gaussian noise on every coordinate", "noise, cm"),
    "crops": ("a part of the cloud cut away", "crop"),
}


def _strays() -> list[Disturbance]:
    levels = ((0.01, 20, 0.95), (0.05, 20, 0.90), (50, 100, 0.95))
    rows = []
    for count, radius, target in levels:
        name = f"{100 * count:g} % within {radius} m" if count < 1 else f"{count} points within {radius} m"
        level = 100 * count if count < 1 else 0.2
        rows.append(Disturbance("strays", name, level, partial(made.strays, count=count, radius=radius), target, True))
    pairs = partial(made.paired_strays, fraction=0.01, radius=20)
    return [*rows, Disturbance("strays", "1 % within 20 m, in pairs", 1.5, pairs, 0.95, True)]


def _far() -> list[Disturbance]:
    rows = [
        Disturbance("far", f"one point at {d / 1000:,g} km", d, partial(made.far_point, distance=d), 0.99, True)
        for d in (1e3, 1e4, 1e6)
    ]
    clump = partial(made.far_clump, count=50, distance=1e3)
    return [*rows, Disturbance("far", "a clump of 50 points at 1 km", 2e3, clump, 0.99, True)]


def _rooms() -> list[Disturbance]:
    rows = []
    for grid, points, kinds in (((1, 1), 10_000, ROOMS), ((2, 2), 10_000, ROOMS), ((4, 4), 10_000, ROOMS),
                                ((6, 6), 10_000, ROOMS), ((10, 12), 20_000, ("room",))):  # fmt: skip
        for kind in kinds:
            count, pitch = grid[0] * grid[1], ROOM_PITCH if kind == "room" else None
            apply, target = partial(made.tiled, grid=grid, points=points, pitch=pitch), 0.95 if count > 1 else None
            name = f"{count} of {points:,} points"
            rows.append(Disturbance("rooms", name, count, apply, target, measures_memory=True, kinds=(kind,)))
    return rows


def _frames() -> list[Disturbance]:
    rows = []
    for k, frame in enumerate([*made.FRAMES, "tilted by 20 degrees"]):
        tilt = frame not in made.FRAMES
        apply = partial(made.tilted, degrees=20) if tilt else partial(made.in_frame, frame=frame)
        rows.append(Disturbance("frames", frame, k, apply, random=tilt, up="z", must_warn=True))
        rows.append(Disturbance("frames", f"{frame}, auto", k, apply, 0.97, tilt, up="auto"))
    rows.append(Disturbance("frames", "z up, auto", len(made.FRAMES) + 1, made.unchanged, 0.97, up="auto"))
    return rows


def _stability() -> list[Disturbance]:
    same = partial(Disturbance, stability=True)
    rows = []
    for mm, target in ((0.5, None), (1, 0.95), (2, None)):
        noise = partial(made.jittered, sigma=mm / 1000)
        rows.append(same("frame-to-frame", f"{mm:g} mm", mm, noise, target, frames=10))
    for degrees in (5, 30, 90):
        turn = partial(made.turned, degrees=degrees)
        rows.append(same("rotation", f"{degrees} degrees", degrees, turn, 0.95))
    return rows


CATALOG = (
    *_strays(),
    *_far(),
    *_rooms(),
    *(Disturbance("copies", f"{n} times", n, partial(made.repeated, times=n), 0.97) for n in (2, 3, 6)),
    Disturbance("missing", "40 %", 40, partial(made.missing_returns, fraction=0.4), 0.97),
    *_frames(),
    *(
        Disturbance("precision", f"steps of {m} m", m, partial(made.coarse, step=m), must_warn=m >= 0.5)
        for m in (0.0625, 0.5)
    ),
    *_stability(),
    *(
        Disturbance("thinning", f"to 1/{n}", 100 / n, partial(made.thinned, fraction=1 / n), random=True)
        for n in (2, 10)
    ),
    *(Disturbance("noise", f"{cm} cm", cm, partial(made.jittered, sigma=cm / 100), random=True) for cm in (1, 3)),
    Disturbance("crops", "a third cut away", 0, partial(made.cut_away, fraction=1 / 3), random=True),
    Disturbance("crops", "one wall missing", 1, partial(made.without_wall, thickness=0.25), random=True, kinds=ROOMS),
)  # fmt: skip
