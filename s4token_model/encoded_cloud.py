"""What the network says of a cloud, and its labels: arrays in the order of the cloud's points."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from s4token_model import constants
from s4token_model.pipeline import propagation
from s4token_model.pipeline.patched_cloud import PatchedCloud
from s4token_model.pipeline.windows import Window
from s4token_model.vocabulary import Vocabulary

UP_POINTS = 1024  # of a cloud, to find out what is up in it


@dataclass(frozen=True)
class EncodedCloud:
    """Token features of one cloud of H points; any vocabulary can label it without running the network again."""

    valid: np.ndarray  # (H,) bool, points that are on a surface
    superpoints: np.ndarray  # (H,) uint32, constants.NO_SUPERPOINT on points that are not valid
    superpoint_count: int  # number of superpoints
    tokens: np.ndarray  # (N, E) float32 unit rows in CLIP's joint space
    cls: np.ndarray  # (E,) float32, unit global feature
    stages_ms: dict[str, float]  # milliseconds of each stage
    geometry: PatchedCloud  # what the network read
    repeats: tuple[EncodedCloud, ...] = ()  # the other passes of sampling.passes

    @property
    def set_aside(self) -> dict[str, int]:
        """Why points are not valid: {reason: number of points}."""
        return self.geometry.working.set_aside

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes the labels of the cloud worse, and the fix."""
        return self.geometry.warnings

    @property
    def unlabeled_reason(self) -> str:
        """Why no point can be labeled; empty if points can."""
        if self.valid.any():
            return ""
        return "; ".join(f"{count} points: {why}" for why, count in self.set_aside.items()) or "the cloud has no points"

    def up(self, xyz: np.ndarray) -> np.ndarray:
        """Return what is up in the cloud xyz (H, 3) that was encoded: a unit vector (3,) float64 in its frame.

        It is z of the rotation, by Kabsch, from some points to where they are in the working cloud, which is upright.
        """
        working = self.geometry.working
        if not len(working.xyz):
            return np.array([0.0, 0.0, 1.0])
        rows = np.linspace(0, len(working.xyz) - 1, min(len(working.xyz), UP_POINTS)).astype(np.int64)
        here, upright = (p.astype(np.float64) for p in (xyz[working.original_index[rows]], working.xyz[rows]))
        left, _, right = np.linalg.svd((upright - upright.mean(0)).T @ (here - here.mean(0)))
        left[:, 2] *= np.sign(np.linalg.det(left @ right))
        return (left @ right)[2]

    def centers(self, window: Window) -> propagation.TokenCenters:
        """Center, superpoint and radius of the tokens of a window, for propagation."""
        groups, tokens = self.geometry.patches, window.tokens
        return propagation.TokenCenters(groups.centers[tokens], groups.superpoint[tokens], groups.radius)

    def superpoint_features(self) -> np.ndarray:
        """Return (S, E) float32, the mean unit feature of each superpoint's points: its cosines are their votes."""
        seen = [(window.points, self.centers(window), self.tokens[window.tokens]) for window in self.geometry.windows]
        return propagation.superpoint_features(self.geometry.working.xyz, self.geometry.superpoints, seen)

    def part(self, rows: np.ndarray) -> EncodedCloud:
        """Return the same features over some positions (D,), each a point of its own: labels of them cost less."""
        number = np.full(len(self.geometry.superpoints), -1, np.int32)
        number[rows] = every = np.arange(len(rows), dtype=np.int32)
        parts = [w._replace(points=number[w.points][number[w.points] >= 0]) for w in self.geometry.windows]
        ids, xyz = self.geometry.superpoints[rows], self.geometry.working.xyz[rows]
        working = dataclasses.replace(self.geometry.working, labeled_index=every, position=every, xyz=xyz)
        windows = [part for part in parts if len(part.points)]
        geometry = dataclasses.replace(self.geometry, working=working, superpoints=ids, windows=windows)
        repeats = tuple(repeat.part(rows) for repeat in self.repeats)
        valid, ids = np.ones(len(rows), bool), ids.astype(np.uint32)
        return dataclasses.replace(self, valid=valid, superpoints=ids, geometry=geometry, repeats=repeats)

    def scattered(self, values: np.ndarray, missing: float) -> np.ndarray:
        """Return values (F, ...) of the positions as values (H, ...) of the points, `missing` on those set aside."""
        out = np.full((len(self.valid), *values.shape[1:]), missing, values.dtype)
        out[self.geometry.working.labeled_index] = values[self.geometry.working.position]
        return out


@dataclass(frozen=True)
class Segmentation:
    """Labels of one cloud of H points."""

    labels: np.ndarray  # (H,) uint32, index into vocabulary.names, or constants.UNLABELED
    confidence: np.ndarray  # (H,) float32 in [0, 1], 0 on points that are set aside
    superpoints: np.ndarray  # (H,) uint32, constants.NO_SUPERPOINT on points that are set aside
    vocabulary: Vocabulary  # the class names the points were labeled with
    encoding: EncodedCloud  # the token features; label them again with `Segmenter.label`
    stages_ms: dict[str, float] = field(default_factory=dict)  # milliseconds of each stage

    @property
    def unlabeled_reasons(self) -> dict[str, int]:
        """Why points have no label: {reason: number of points}; the numbers sum to the unlabeled points."""
        set_aside = self.encoding.set_aside
        below = int((self.labels == constants.UNLABELED).sum()) - sum(set_aside.values())
        return set_aside | ({"below the threshold": below} if below else {})

    @property
    def unlabeled_reason(self) -> str:
        """The same as text; empty if all points have labels."""
        if len(self.labels) == 0:
            return "the cloud has no points"
        return "; ".join(f"{count} points: {reason}" for reason, count in self.unlabeled_reasons.items())

    @property
    def tokens(self) -> int:
        """Number of tokens the cloud was cut into."""
        return len(self.encoding.tokens)

    @property
    def superpoint_count(self) -> int:
        """Number of superpoints."""
        return self.encoding.superpoint_count


def encoded_cloud(
    geometry: PatchedCloud, tokens: np.ndarray, cls: np.ndarray, count: int, stages_ms: dict[str, float]
) -> EncodedCloud:
    """Scatter the superpoints of the positions back to a cloud of `count` points."""
    working, ids = geometry.working, np.full(count, constants.NO_SUPERPOINT, np.uint32)
    ids[working.labeled_index] = geometry.superpoints[working.position]
    superpoint_count = int(geometry.superpoints.max(initial=-1)) + 1
    return EncodedCloud(ids != constants.NO_SUPERPOINT, ids, superpoint_count, tokens, cls, stages_ms, geometry)
