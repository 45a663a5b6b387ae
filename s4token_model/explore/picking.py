"""Which point a click means: the first one that lies close enough to its ray."""

from __future__ import annotations

import numpy as np

TOLERANCE = 0.004  # distance from the ray over that from the eye; a few pixels


def pick(points: np.ndarray, origin: np.ndarray, direction: np.ndarray, radius: float) -> int | None:
    """Return the row of the nearest point (D, 3) along a ray that lies within `radius` or TOLERANCE of it, or None."""
    if len(points) == 0:
        return None
    direction = np.asarray(direction, np.float32) / np.float32(np.linalg.norm(direction))
    offset = points - np.asarray(origin, np.float32)
    depth = offset @ direction
    distance = np.sqrt(np.maximum(np.einsum("ij,ij->i", offset, offset) - depth**2, 0))
    close = np.flatnonzero((depth > 0) & (distance <= np.maximum(radius, TOLERANCE * depth)))
    if not len(close):
        return None
    # Of the points on the surface in front, the one nearest to the ray
    front = close[depth[close] <= depth[close].min() + 4 * radius]
    return int(front[distance[front].argmin()])
