"""Objects of a labeled cloud: the connected parts of each class, with a score and an upright box around each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from s4token_model import words
from s4token_model.kernels.group_statistics import GroupPoints, points_of_groups
from s4token_model.kernels.min_area_boxes import min_area_boxes
from s4token_model.kernels.sorting import sort_by_group
from s4token_model.kernels.voxel_components import (
    BITS,
    OccupiedVoxels,
    components,
    grids_beside_each_other,
    occupied_voxels,
)

MIN_POINTS = 30  # of an object, by default
MAX_OBJECTS = 1000  # of a cloud; the best ones are kept
GAP_SPACINGS = 2.5  # the automatic gap, in spacings of the points of a class
SAMPLED = 1000  # points of a class that its spacing is measured at, or up to twice as many
ALIGNED = 1e-3  # of a direction to an axis, which is then taken for it: less than the noise of a fitted direction
# Names, or last words of names, of what surrounds the objects of a scene and does not come in pieces.
STUFF = frozenset(
    "floor wall ceiling roof partition facade building ground terrain earth soil dirt sand gravel mud rock grass lawn "
    "vegetation foliage road street highway lane crosswalk sidewalk pavement path footpath curb kerb parking track "
    "rail guardrail railing fence tunnel bridge water sea river lake snow ice sky fog smoke background clutter stuff "
    "surface unlabeled unknown nothing".split()
)


class ObjectConfig(NamedTuple):
    """What counts as one object."""

    gap: float = 0.0  # points of a class that are nearer than this belong together [unit of the cloud]; 0: automatic
    min_points: int = MIN_POINTS  # smaller parts are no objects


class Objects(NamedTuple):
    """The N <= MAX_OBJECTS objects of a cloud of H points, best score first; boxes in the frame of the cloud."""

    label: np.ndarray  # (N,) uint32
    score: np.ndarray  # (N,) float32, mean confidence of the points
    points: np.ndarray  # (N,) int64, how many
    center: np.ndarray  # (N, 3) float64, of the box
    size: np.ndarray  # (N, 3) float64, sides of the box: the longer and the shorter horizontal one, the height
    rotation: np.ndarray  # (N, 4) float64, unit quaternions x, y, z, w from the axes of the box to the cloud's frame
    of_point: np.ndarray  # (H,) int32, the object of each point, -1 for none


def is_thing(name: str) -> bool:
    """Return whether a class name means things that can be counted, unlike floor, brick wall or road."""
    phrase = words.repeat_key(name).split()
    ends = [k for k, word in enumerate(phrase) if k and word in words.PREPOSITIONS]  # "wall of bricks"
    return not {re.sub(r"\W", "", word) for word in phrase[: ends[0] if ends else None][-1:]} & STUFF


def find_objects(
    xyz: np.ndarray,
    labels: np.ndarray,
    confidence: np.ndarray,
    things: Sequence[bool],
    config: ObjectConfig = ObjectConfig(),  # noqa: B008 - a tuple cannot change
    up: Sequence[float] = (0.0, 0.0, 1.0),
) -> Objects:
    """Find the objects of a labeled cloud: connected components of the points of one class.

    Args:
        xyz: (H, 3) in any unit.
        labels: (H,) indices into the class names; others, such as 65535, are no object's.
        confidence: (H,) float32.
        things: (C,) whether a class has objects, see `is_thing`.
        up: (3,) unit vector; boxes stand upright along it.
    """
    # The points of things, whose classes are numbered among those that occur
    occurs = np.bincount(np.minimum(labels, len(things)), minlength=len(things))[: len(things)] > 0
    kinds = np.flatnonzero(occurs & np.asarray(things, bool))
    kind_of_label = np.full(len(things), -1, np.int32)
    kind_of_label[kinds] = np.arange(len(kinds))
    chosen = points_of_groups(xyz, labels, kind_of_label, len(kinds))
    # Components, and those of them that are large enough, by score
    parts, count = _components(chosen, config.gap)
    sizes = np.bincount(parts, minlength=count)
    score = np.bincount(parts, confidence[chosen.index], minlength=count) / np.maximum(sizes, 1)
    large = np.flatnonzero(sizes >= config.min_points)
    ranked = large[np.lexsort((-sizes[large], -score[large]))][:MAX_OBJECTS]
    number, label = np.full(count, len(ranked), np.int32), np.zeros(count, np.uint32)
    number[ranked], label[parts] = np.arange(len(ranked)), kinds[chosen.group]
    # Boxes; the last group is what is no object
    group = number[parts]
    of_point = np.full(len(xyz), -1, np.int32)
    of_point[chosen.index] = np.where(group < len(ranked), group, -1)
    boxes = (values[:-1] for values in upright_boxes(chosen.xyz, group, len(ranked) + 1, up))
    return Objects(label[ranked], score[ranked].astype(np.float32), sizes[ranked], *boxes, of_point)


def upright_boxes(
    points: np.ndarray, groups: np.ndarray, count: int, up: Sequence[float] = (0.0, 0.0, 1.0)
) -> tuple[np.ndarray, ...]:
    """Return center, size (N, 3) and rotation (N, 4) of the smallest upright box around each group, as in `Objects`.

    points (n, 3) float64, finite; groups (n,) 0..count-1; up (3,).
    """
    turn = _from_z(np.asarray(up, np.float64))
    local = points if turn[3] == 1 else points @ rotation_matrix(turn)  # in a frame whose z is up
    order, starts = sort_by_group(groups, count)
    boxes = min_area_boxes(local, order, starts)
    center = np.column_stack([boxes[:, :2], boxes[:, 5:].mean(axis=1)]) @ rotation_matrix(turn).T
    size = np.column_stack([boxes[:, 2:4], boxes[:, 6] - boxes[:, 5]])
    half = boxes[:, 4] / 2
    x, y, z, w = turn  # followed, from the right, by a turn about z
    sine, cosine = np.sin(half), np.cos(half)
    rotation = [x * cosine + y * sine, y * cosine - x * sine, w * sine + z * cosine, w * cosine - z * sine]
    return center, size, np.stack(rotation, axis=1)


def corners(objects: Objects) -> np.ndarray:
    """Return (N, 8, 3), the corners of the boxes; bit 4, 2 and 1 of a corner's index: at the end of x, y and z."""
    signs = np.array([[a, b, c] for a in (-0.5, 0.5) for b in (-0.5, 0.5) for c in (-0.5, 0.5)])
    turns = np.array([rotation_matrix(quaternion) for quaternion in objects.rotation]).reshape(-1, 3, 3)
    return objects.center[:, None] + np.einsum("nij,nkj->nki", turns, signs * objects.size[:, None])


def rotation_matrix(quaternion: np.ndarray) -> np.ndarray:
    """Return the matrix (3, 3) of a unit quaternion x, y, z, w."""
    x, y, z, w = quaternion
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + 2 * (w * cross + cross @ cross)


def _components(chosen: GroupPoints, gap: float) -> tuple[np.ndarray, int]:
    """Number the components 0, 1, ... of the points of each group: returns (n,) int32 and how many there are."""
    if not len(chosen.index):
        return np.zeros(0, np.int32), 0
    edges = np.full(len(chosen.low), gap) if gap else GAP_SPACINGS * _spacings(chosen)
    return components(_voxels(chosen, edges))


def _spacings(chosen: GroupPoints) -> np.ndarray:
    """Spacing of the points of each group, (G,): the root of the area per point, at the median point; 1 without points.

    Surfaces of spacing s have (e / s)^2 points in a voxel of edge e. The first guess of s, which is the edge, spreads
    the points over the side of their box. Groups of many points are represented by every k-th.
    """
    order, starts = sort_by_group(chosen.group, len(chosen.low))
    sizes = np.diff(starts)
    steps = np.maximum(sizes // SAMPLED, 1)
    rows = [order[a:b:step] for a, b, step in zip(starts[:-1], starts[1:], steps, strict=True)]
    sample = chosen._replace(xyz=chosen.xyz[np.concatenate(rows)], group=chosen.group[np.concatenate(rows)])
    counts = np.array([len(row) for row in rows])
    corner = max(np.abs(chosen.low).max(initial=0, where=sizes[:, None] > 0), 1e-300)
    side = np.where(sizes > 0, np.linalg.norm(np.subtract(chosen.high, chosen.low), axis=1), 1.0)
    edges = np.maximum(side / np.sqrt(np.maximum(counts, 1)), 1e-9 * corner)  # 0 for points at one position
    voxel = _voxels(sample, edges).voxel
    around = np.split(np.bincount(voxel)[voxel], np.cumsum(counts)[:-1])
    middle = np.array([np.median(part) if len(part) else 1.0 for part in around])
    return edges / np.sqrt(middle * np.maximum(sizes, 1) / np.maximum(counts, 1))


def _voxels(points: GroupPoints, edges: np.ndarray) -> OccupiedVoxels:
    """The occupied voxels of points of groups, which have grids of their own, of the edges (G,).

    Edges grow to what numbers of voxels have room for: beyond, the grids of two groups would run into one.
    """
    room = (2**BITS - 4) / np.ceil(np.cbrt(len(edges))) - 4  # voxels of a group along each axis
    side = np.subtract(points.high, points.low).max(axis=1)  # -inf without points
    edges = np.maximum(edges, side / room)
    return occupied_voxels(grids_beside_each_other(points.xyz, points.group, points.low, edges), np.zeros(3), 1.0)


def _from_z(up: np.ndarray) -> np.ndarray:
    """The shortest rotation from z to the direction `up` (3,), as a quaternion x, y, z, w."""
    up = up / np.linalg.norm(up)
    axis = np.eye(3)[np.abs(up).argmax()] * np.sign(up[np.abs(up).argmax()])
    up = axis if np.abs(up - axis).max() < ALIGNED else up
    turn = np.array([-up[1], up[0], 0.0, 1 + up[2]])
    return turn / np.linalg.norm(turn) if up[2] > -1 else np.array([1.0, 0.0, 0.0, 0.0])
