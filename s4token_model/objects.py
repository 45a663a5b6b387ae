"""Objects of a labeled cloud: the connected parts of each class, with a score and an upright box around each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from s4token_model import words
from s4token_model.kernels.group_statistics import group_boxes
from s4token_model.kernels.rectangles import min_area_rectangles
from s4token_model.kernels.sorting import sort_by_group
from s4token_model.kernels.voxel_components import (
    OccupiedVoxels,
    components,
    grids_beside_each_other,
    occupied_voxels,
)

MIN_POINTS = 30  # of an object, by default
MAX_OBJECTS = 1000  # of a cloud; the best ones are kept
GAP_SPACINGS = 2.0  # the automatic gap, in spacings of the points of a class
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
    # The points of things; classes are numbered among those that occur
    is_object = np.append(np.asarray(things, bool), False)
    chosen = np.flatnonzero(is_object[np.minimum(labels, len(is_object) - 1)])
    points = xyz[chosen].astype(np.float64)
    if not np.isfinite(points.sum()):
        finite = np.isfinite(points).all(axis=1)
        chosen, points = chosen[finite], points[finite]
    occurs = np.bincount(labels[chosen], minlength=1) > 0
    kinds, kind = np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[labels[chosen]]
    # Components, and those of them that are large enough, by score
    parts, count = _components(points, kind, config.gap)
    sizes = np.bincount(parts, minlength=count)
    score = np.bincount(parts, confidence[chosen], minlength=count) / np.maximum(sizes, 1)
    large = np.flatnonzero(sizes >= config.min_points)
    ranked = large[np.lexsort((-sizes[large], -score[large]))][:MAX_OBJECTS]
    number, label = np.full(count, -1, np.int32), np.zeros(count, np.uint32)
    number[ranked], label[parts] = np.arange(len(ranked)), kinds[kind]
    of_chosen, of_point = number[parts], np.full(len(xyz), -1, np.int32)
    of_point[chosen] = of_chosen
    kept = of_chosen >= 0
    boxes = upright_boxes(points[kept], of_chosen[kept], len(ranked), up)
    return Objects(label[ranked], score[ranked].astype(np.float32), sizes[ranked], *boxes, of_point)


def upright_boxes(
    points: np.ndarray, groups: np.ndarray, count: int, up: Sequence[float] = (0.0, 0.0, 1.0)
) -> tuple[np.ndarray, ...]:
    """Return center, size (N, 3) and rotation (N, 4) of the smallest upright box around each group, as in `Objects`.

    points (n, 3) float64, finite; groups (n,) 0..count-1; up (3,).
    """
    turn = _from_z(np.asarray(up, np.float64))
    local = points if turn[3] == 1 else points @ _matrix(turn)  # in a frame whose z is up
    order, starts = sort_by_group(groups, count)
    rectangles = min_area_rectangles(local, order, starts)
    low, high = (corner[:, 2] for corner in group_boxes(local, groups, count))
    center = np.column_stack([rectangles[:, :2], (low + high) / 2]) @ _matrix(turn).T
    size = np.column_stack([rectangles[:, 2:4], high - low])
    half = rectangles[:, 4] / 2
    x, y, z, w = turn  # followed, from the right, by a turn about z
    sine, cosine = np.sin(half), np.cos(half)
    rotation = [x * cosine + y * sine, y * cosine - x * sine, w * sine + z * cosine, w * cosine - z * sine]
    return center, size, np.stack(rotation, axis=1)


def corners(objects: Objects) -> np.ndarray:
    """Return (N, 8, 3), the corners of the boxes; bit 4, 2 and 1 of a corner's index: at the end of x, y and z."""
    signs = np.array([[a, b, c] for a in (-0.5, 0.5) for b in (-0.5, 0.5) for c in (-0.5, 0.5)])
    turns = np.array([_matrix(quaternion) for quaternion in objects.rotation]).reshape(-1, 3, 3)
    return objects.center[:, None] + np.einsum("nij,nkj->nki", turns, signs * objects.size[:, None])


def _components(points: np.ndarray, kind: np.ndarray, gap: float) -> tuple[np.ndarray, int]:
    """Number the components 0, 1, ... of points (n, 3) of kinds (n,): returns (n,) int32 and how many there are."""
    if not len(points):
        return np.zeros(0, np.int32), 0
    kinds = int(kind.max()) + 1
    low, high = group_boxes(points, kind, kinds)
    edges = np.full(kinds, gap) if gap else GAP_SPACINGS * _spacings(points, kind, low, high)
    return components(_voxels(points, kind, low, edges))


def _spacings(points: np.ndarray, kind: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Spacing of the points (n, 3) of each kind, (kinds,): the root of the area per point, at the median point.

    Surfaces of spacing s have (e / s)^2 points in a voxel of edge e. The first guess of s, which is the edge, spreads
    the points over the side of their box, from `low` to `high` (kinds, 3).
    """
    sizes = np.bincount(kind)
    edges = np.linalg.norm(high - low, axis=1) / np.sqrt(sizes)
    edges = np.maximum(edges, 1e-9 * max(np.abs(low).max(), np.abs(high).max(), 1e-300))  # of points at one position
    voxel = _voxels(points, kind, low, edges).voxel
    order, starts = sort_by_group(kind, len(edges))
    around = np.bincount(voxel)[voxel][order]
    middle = [np.median(around[a:b]) for a, b in zip(starts[:-1], starts[1:], strict=True)]
    return edges / np.sqrt(middle)


def _voxels(points: np.ndarray, kind: np.ndarray, low: np.ndarray, edges: np.ndarray) -> OccupiedVoxels:
    """The occupied voxels of points (n, 3), in a grid per kind: of edge edges[kind], from the corner low[kind] on."""
    return occupied_voxels(grids_beside_each_other(points, kind, low, edges), np.zeros(3), 1.0)


def _from_z(up: np.ndarray) -> np.ndarray:
    """The shortest rotation from z to the direction `up` (3,), as a quaternion x, y, z, w."""
    up = up / np.linalg.norm(up)
    axis = np.eye(3)[np.abs(up).argmax()] * np.sign(up[np.abs(up).argmax()])
    up = axis if np.abs(up - axis).max() < ALIGNED else up
    turn = np.array([-up[1], up[0], 0.0, 1 + up[2]])
    return turn / np.linalg.norm(turn) if up[2] > -1 else np.array([1.0, 0.0, 0.0, 0.0])


def _matrix(quaternion: np.ndarray) -> np.ndarray:
    """The matrix (3, 3) of a unit quaternion x, y, z, w."""
    x, y, z, w = quaternion
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + 2 * (w * cross + cross @ cross)
