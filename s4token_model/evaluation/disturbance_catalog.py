"""The disturbances that are measured, as a table: what is done to a cloud, how far, and what has to be left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from s4token_model.evaluation import disturbances as made

ROOMS, ALL = ("room", "scans"), ("room", "scans", "sweeps")
ROOM_PITCH = (5.4, 7.5)  # m, of the sample room
SCAN_POINTS = 50_000  # of a scan in a map: all


@dataclass(frozen=True)
class Target:
    """What is asked of a disturbed cloud; None asks for nothing."""

    kept: float | None = None  # fraction of the clean accuracy, or of the labels, that must be left
    warned: bool | None = None  # whether a warning must be given, or must not
    added_unlabeled: bool | None = None  # points that were added must get no label
    seconds: float | None = None  # to encode and label it
    bytes_per_point: float | None = None  # peak memory

    def text(self) -> str:
        """The target as a cell of a table."""
        parts = [f"{100 * self.kept:g} %"] if self.kept is not None else []
        parts += ["warned" if self.warned else "not warned"] if self.warned is not None else []
        parts += ["added points unlabeled"] if self.added_unlabeled else []
        parts += [f"{self.seconds:g} s"] if self.seconds is not None else []
        parts += [f"{self.bytes_per_point:g} bytes a point"] if self.bytes_per_point is not None else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Disturbance:
    """One row: `apply` makes the cloud; accuracy, or agreement of labels, is compared with the clean cloud's."""

    family: str
    name: str
    apply: Callable[[np.ndarray, np.random.Generator], made.Disturbed]
    target: Target = Target()
    random: bool = False  # several draws are averaged
    stability: bool = False  # compare labels with labels instead of the truth
    frames: int = 0  # compare each of so many draws with the one before; 0: with the clean cloud
    up: str = ""  # the value of input.up, if it matters
    passes: int = 1  # the value of sampling.passes
    measures_memory: bool = False
    kinds: tuple[str, ...] = ALL  # of the scenes it makes sense for


@dataclass(frozen=True)
class Family:
    """Disturbances of one kind, in the order of their strength if `ordered`, which a plot joins by a line."""

    about: str
    ordered: bool = True


FAMILIES = {
    "strays": Family("stray points, drawn from a cube around the center with the given half edge", False),
    "far": Family("points far from the cloud", False),
    "rooms": Family("copies of the cloud side by side as one map"),
    "copies": Family("every point several times"),
    "missing": Family("missing returns written as (0, 0, 0), in a cloud whose mean is the origin"),
    "frames": Family("frames in which z is not up, with input.up=z", False),
    "frames-auto": Family("the same frames with input.up=auto", False),
    "precision": Family("float32 map coordinates"),
    "frame-to-frame": Family("the same label from frame to frame, in ten frames with Gaussian noise"),
    "rotation": Family("the same label after a rotation about the vertical"),
    "passes": Family("the same with sampling.passes, which averages several partitions and draws"),
    "downsampling": Family("a random part of the points"),
    "noise": Family("Gaussian noise on every coordinate"),
    "crops": Family("a part of the cloud cut away", False),
}


def _strays() -> list[Disturbance]:
    row = partial(Disturbance, "strays", random=True)
    return [
        row("50 within 100 m", partial(made.strays, count=50, radius=100), Target(0.95)),
        row("1 % within 20 m", partial(made.strays, count=0.01, radius=20), Target(0.95)),
        row("5 % within 20 m", partial(made.strays, count=0.05, radius=20), Target(0.90)),
        row("1 % within 20 m, in pairs", partial(made.paired_strays, fraction=0.01, radius=20), Target(0.95)),
    ]


def _far() -> list[Disturbance]:
    row = partial(Disturbance, "far", target=Target(0.99), random=True)
    points = [row(f"one at {d // 1000:,} km", partial(made.far_point, distance=d)) for d in (1000, 10_000, 1_000_000)]
    return [*points, row("50 together at 1 km", partial(made.far_clump, count=50, distance=1000))]


def _rooms() -> list[Disturbance]:
    rows = []
    for columns, lines, points, kinds in (
        (1, 1, 10_000, ROOMS), (2, 2, 10_000, ROOMS), (4, 4, 10_000, ROOMS), (6, 6, 10_000, ROOMS),
        (10, 12, 20_000, ROOMS[:1]),
    ):  # fmt: skip
        count = columns * lines
        target = Target(0.95, seconds=30 if count == 36 else None, bytes_per_point=1000) if count > 1 else Target()
        for kind in kinds:
            pitch, points = (ROOM_PITCH, points) if kind == "room" else (None, SCAN_POINTS)
            apply = partial(made.tiled, grid=(columns, lines), points=points, pitch=pitch)
            name = f"{count} of {points:,} points"
            rows.append(Disturbance("rooms", name, apply, target, measures_memory=True, kinds=(kind,)))
    return rows


def _frames(family: str, up: str, target: Target, target_upright: Target) -> list[Disturbance]:
    row = partial(Disturbance, family, up=up)
    rows = [row("z up", made.unchanged, target_upright)]
    rows += [row(frame, partial(made.in_frame, frame=frame), target) for frame in made.FRAMES]
    tilted = target if target.kept else Target()  # input.level levels it, whatever is up
    return [*rows, row("tilted by 20 degrees", partial(made.tilted, degrees=20), tilted, random=True)]


def _stability() -> list[Disturbance]:
    row = partial(Disturbance, stability=True)
    rows = [
        row("frame-to-frame", f"{mm:g} mm", partial(made.jittered, sigma=mm / 1000), target, frames=10)
        for mm, target in ((0.5, Target()), (1, Target(0.95)), (2, Target()))
    ]
    rows += [
        row("rotation", f"{angle} degrees", partial(made.turned, degrees=angle), Target(0.95)) for angle in (5, 30, 90)
    ]
    return rows


def _passes() -> list[Disturbance]:
    rows = []
    for n in (2, 4):
        row = partial(Disturbance, "passes", passes=n)
        noise = partial(made.jittered, sigma=0.001)
        rows += [
            row(f"{n} passes, clean", made.unchanged),
            row(f"{n} passes, frame to frame, 1 mm", noise, stability=True, frames=10),
        ]
    return rows


def _measured_only() -> list[Disturbance]:
    rows = [
        *(Disturbance("downsampling", f"to 1/{n}", partial(made.downsampled, fraction=1 / n)) for n in (2, 10)),
        *(Disturbance("noise", f"{cm} cm", partial(made.jittered, sigma=cm / 100)) for cm in (0.1, 1, 3)),
        Disturbance("crops", "a third cut away", partial(made.cut_away, fraction=1 / 3)),
        Disturbance("crops", "one wall missing", partial(made.without_wall, thickness=0.25), kinds=ROOMS),
    ]
    return [replace(row, random=True) for row in rows]


CATALOG = (
    *_strays(),
    *_far(),
    *_rooms(),
    *(Disturbance("copies", f"{n} times", partial(made.repeated, times=n), Target(0.97)) for n in (2, 3, 6)),
    Disturbance("missing", "40 %", partial(made.missing_returns, fraction=0.4), Target(0.97, added_unlabeled=True)),
    *_frames("frames", "z", Target(warned=True), Target(warned=False)),
    *_frames("frames-auto", "auto", Target(0.97), Target(0.97, warned=False)),
    Disturbance("precision", "steps of 0.0625 m", partial(made.coarse, step=0.0625)),
    Disturbance("precision", "steps of 0.5 m", partial(made.coarse, step=0.5), Target(warned=True)),
    *_stability(),
    *_passes(),
    *_measured_only(),
)
