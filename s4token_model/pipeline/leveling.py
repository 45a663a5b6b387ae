"""Leveling: turn a cloud so that the floor it holds is horizontal.

Trackers do not know the direction of gravity well: four of eleven ScanNet scans are tilted by 3 to 15 degrees, enough
to lift the far end of a floor to the height of a table.
"""

from __future__ import annotations

import numpy as np

SAMPLE = 8192  # normals looked at
WIDTHS = (30, 20, 12, 8, 6, 5, 5, 5)  # degrees, of the kernel from the first to the last step
NEAR = 10  # degrees; normals as close as this to an axis count as its surfaces'
LEAST = 0.1  # share of the normals that lie near the axis of a floor


def vertical(normals: np.ndarray, most: float) -> np.ndarray:
    """Return the unit vector (3,) float64 that surfaces which lie nearly flat point to: the mode of their normals.

    normals (H, 3) unit, signs arbitrary. Mean shift on the sphere from +z with a kernel that narrows, over the normals
    within `most` degrees of z. (0, 0, 1) where fewer than a tenth of all lie near the mode, or it is farther off.
    """
    z = np.array([0.0, 0.0, 1.0])
    some = normals[np.linspace(0, len(normals) - 1, min(SAMPLE, len(normals))).astype(np.int64)].astype(np.float64)
    flat = some[np.abs(some[:, 2]) >= np.cos(np.radians(most))]
    axis = z
    for width in WIDTHS:
        cosine = flat @ axis
        weight = np.exp(-2 * (_degrees(np.abs(cosine)) / width) ** 2) * np.sign(cosine)
        mean = weight @ flat
        if not (length := np.linalg.norm(mean)) > 0:
            return z
        axis = mean / length
    found = (np.abs(some @ axis) >= np.cos(np.radians(NEAR))).mean()
    return axis if found >= LEAST and _degrees(axis[2]) <= most else z


def turn_upright(axis: np.ndarray) -> np.ndarray:
    """Return the smallest rotation (3, 3) float64 that takes the unit vector `axis` (3,), z > 0, to +z (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0.0, 0.0, -x], [0.0, 0.0, -y], [x, y, 0.0]])
    return np.eye(3) + cross + cross @ cross / (1 + z)


def _degrees(cosine: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
