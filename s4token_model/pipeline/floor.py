"""Where the floor of a cloud is, if it is clearly not where z says.

A floor is a large plane at one end of the cloud, with what stands upright at its other side, across the direction in
which the cloud is thin. Ceilings have nothing standing on them, and a wall has another wall opposite.
"""

from __future__ import annotations

import numpy as np

# Sample of the surfaces: one point per voxel, so that a LiDAR's density does not weigh
SAMPLED, CELLS, KEPT = 8192, 40, 2048  # points looked at; voxels along the longest side; at most so many of these
# Candidates: where many normals meet
DIRECTIONS, WIDTH, CANDIDATES = 128, 12.0, 4  # on the half sphere; degrees; at most so many
MIN_FRACTION, SEPARATION = 0.03, 25.0  # of the normals near a candidate; degrees between two
STEP_WIDTHS = (10.0, 10.0, 8.0, 6.0)  # degrees, of the steps of mean shift
# Decision
PARALLEL, UPRIGHT = 12.0, 15.0  # degrees; from the candidate, and from what is perpendicular to it
MIN_SCORE, MIN_SCORE_SIMPLE, MIN_SCORE_UPRIGHT = 0.01, 0.03, 0.05  # of a floor off z; of clouds with few superpoints;
UPRIGHT_FRACTION, SIMPLE = 0.65, 50  # if more than this is upright as z says; fewer superpoints are few
MIN_RATIO = 2.5  # of its score to that of any other direction
MAX_TILT = 25.0  # degrees; floors tilted less are not along another axis
MIN_SUPERPOINTS, MIN_POINTS = 12, 200  # fewer are an object, or a wall
MIN_EXTENT = 0.03  # of the largest; flatter clouds are not more of a floor


def floor_off_z(points: np.ndarray, normals: np.ndarray, superpoints: int) -> np.ndarray | None:
    """Return the unit vector (3,) float64 that points up from the floor if that is clearly not +z, else None.

    points (W, 3), normals (W, 3) of arbitrary sign, and the number of superpoints of the cloud.
    """
    if superpoints < MIN_SUPERPOINTS or len(points) < MIN_POINTS:
        return None
    some, around = _even_sample(points, normals)
    z = np.array([0.0, 0.0, 1.0])
    tried = np.array([*_candidates(around), z])
    scores, upright = _floor_scores(some, around, tried)
    # The best of both signs of each candidate, if no other comes near
    both, scores = np.concatenate([tried, -tried]), np.concatenate([scores, -scores])
    best = scores.argmax()
    if both[best, 2] >= np.cos(np.radians(MAX_TILT)):
        return None
    needed = MIN_SCORE if superpoints >= SIMPLE else MIN_SCORE_SIMPLE
    if upright[np.abs(tried[:, 2]) >= np.cos(np.radians(MAX_TILT))].max() > UPRIGHT_FRACTION:
        needed = MIN_SCORE_UPRIGHT
    others = both @ both[best] < np.cos(np.radians(MAX_TILT))
    return both[best] if scores[best] >= max(needed, MIN_RATIO * scores[others].max()) else None


def _even_sample(points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One point per voxel and its normal, (n, 3) float64 each, n <= KEPT."""
    rows = np.linspace(0, len(points) - 1, min(SAMPLED, len(points))).astype(np.int64)
    some = points[rows].astype(np.float64)
    low, high = np.sort(some, axis=0)[[len(some) // 100, -1 - len(some) // 100]]
    cell = np.floor((some - low) / ((high - low).max() / CELLS or 1.0)).clip(-CELLS, 2 * CELLS).astype(np.int64)
    _, first = np.unique(cell @ [(4 * CELLS) ** 2, 4 * CELLS, 1], return_index=True)
    first = first[:: -(-len(first) // KEPT)]
    return some[first], normals[rows[first]].astype(np.float64)


def _candidates(normals: np.ndarray) -> list[np.ndarray]:
    """Up to CANDIDATES unit vectors (3,) that many of the normals (n, 3) are parallel to, by mean shift."""
    k = np.arange(DIRECTIONS) + 0.5
    height, angle = k / DIRECTIONS, np.pi * (1 + 5**0.5) * k  # a Fibonacci lattice
    radius = np.sqrt(1 - height**2)
    directions = np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)
    near = (np.abs(normals[::2] @ directions.T) > np.cos(np.radians(WIDTH))).mean(axis=0)
    found: list[np.ndarray] = []
    while len(found) < CANDIDATES and near.max() >= MIN_FRACTION:
        axis = directions[near.argmax()]
        for width in np.radians(STEP_WIDTHS):
            cosine = normals @ axis
            weight = np.exp(-4 * (1 - np.abs(cosine)) / width**2) * np.sign(cosine)
            mean = weight @ normals
            axis = mean / np.linalg.norm(mean)
        near[np.abs(directions @ axis) > np.cos(np.radians(SEPARATION))] = 0
        found.append(axis)
    return found


def _floor_scores(points: np.ndarray, normals: np.ndarray, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much each unit vector (A, 3) points up from a floor, (A,), and the fraction of upright surfaces, (A,).

    With ranks t of the heights, from 0 to 1, the score is the mean of 1/2 - t over what is horizontal, times its
    fraction of the surfaces, times the fraction of upright surfaces^1.5, over the relative extent; the opposite
    direction has its negative.
    """
    cosine = np.abs(normals @ axes.T)
    flat, upright = cosine > np.cos(np.radians(PARALLEL)), (cosine < np.sin(np.radians(UPRIGHT))).mean(axis=0)
    heights = points @ axes.T
    rank = np.empty_like(heights)
    np.put_along_axis(rank, heights.argsort(axis=0), np.linspace(0, 1, len(points))[:, None], axis=0)
    low, high = np.sort(heights, axis=0)[[len(points) // 50, -1 - len(points) // 50]]
    extent = np.maximum((high - low) / max((high - low).max(), 1e-9), MIN_EXTENT)
    return ((0.5 - rank) * flat).mean(axis=0) * upright**1.5 / extent, upright
