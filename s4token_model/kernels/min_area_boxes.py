"""The smallest upright boxes around groups of points."""

from __future__ import annotations

import numpy as np

from s4token_model.kernels.kernel_cache import njit

FAST = {"nogil": True}
DIRECTIONS, SAMPLED = 16, 128  # of the polygon whose inside needs no sorting; points of a group it is made of


@njit(**FAST)
def min_area_boxes(xyz, order, starts):
    """Return (N, 7) float64, the upright box of minimum volume around each of N groups of points; z is up.

    One side of it lies along an edge of the convex hull, seen from above. A row is the center x, y, the longer and the
    shorter side, the angle of the longer one against x, in [-pi/2, pi/2), and the lowest and the highest z. xyz (H, 3);
    group k is order[starts[k] : starts[k + 1]].
    """
    out = np.zeros((len(starts) - 1, 7))
    for k in range(len(out)):
        members = order[starts[k] : starts[k + 1]]
        if len(members):
            points, out[k, 5], out[k, 6] = _outer(xyz, members)
            out[k, :5] = _rectangle(_hull(points))
    return out


@njit(**FAST)
def _outer(xyz, members):
    """Those of the points that may be corners of their convex hull, (n, 2) float64, and the lowest and highest z.

    They are not inside of a polygon: that of the extreme points, along DIRECTIONS, of a sample of the points.
    """
    angles = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    cosine, sine = np.cos(angles), np.sin(angles)
    best, corner = np.full(DIRECTIONS, -np.inf), np.zeros((DIRECTIONS, 2))
    for i in range(0, len(members), len(members) // SAMPLED + 1):
        x, y = np.float64(xyz[members[i], 0]), np.float64(xyz[members[i], 1])
        for d in range(DIRECTIONS):
            along = x * cosine[d] + y * sine[d]
            if along > best[d]:
                best[d], corner[d, 0], corner[d, 1] = along, x, y
    # A point is inside if it is to the left of every side: nx x + ny y > offset
    nx, ny, offset = np.empty(DIRECTIONS), np.empty(DIRECTIONS), np.empty(DIRECTIONS)
    for d in range(DIRECTIONS):
        nx[d], ny[d] = corner[d - 1, 1] - corner[d, 1], corner[d, 0] - corner[d - 1, 0]
        offset[d] = nx[d] * corner[d, 0] + ny[d] * corner[d, 1] if nx[d] != 0 or ny[d] != 0 else -1.0
    kept, count, low, high = np.empty((len(members), 2)), 0, np.inf, -np.inf
    single = (nx == 0).all() and (ny == 0).all()  # the sample is at one position
    for i in range(len(members)):
        x, y = np.float64(xyz[members[i], 0]), np.float64(xyz[members[i], 1])
        low, high, outside = min(low, xyz[members[i], 2]), max(high, xyz[members[i], 2]), 0
        for d in range(DIRECTIONS):
            outside += nx[d] * x + ny[d] * y <= offset[d]
        if outside or single:
            kept[count, 0], kept[count, 1] = x, y
            count += 1
    return kept[:count], low, high


@njit(**FAST, inline="always")
def _turn(a, b, c):
    """Twice the area of the triangle a, b, c: positive if it turns left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


@njit(**FAST)
def _hull(points):
    """The corners (h, 2) of the convex hull, counterclockwise, by Andrew's monotone chain."""
    points = points[np.argsort(points[:, 1], kind="mergesort")]
    points = points[np.argsort(points[:, 0], kind="mergesort")]
    corners, size = np.empty((2 * len(points) + 1, 2)), 0
    for half in range(2):
        first = size
        for i in range(len(points)):
            point = points[i] if half == 0 else points[len(points) - 1 - i]
            while size - first >= 2 and _turn(corners[size - 2], corners[size - 1], point) <= 0:
                size -= 1
            corners[size] = point
            size += 1
        size -= 1  # the last corner of a half is the first of the other
    return corners[: max(size, 1)]


@njit(**FAST)
def _rectangle(hull):
    """The row of `min_area_boxes`, without z, for the convex hull (h, 2)."""
    best, found = np.inf, np.zeros(5)
    for k in range(len(hull)):
        other = (k + 1) % len(hull)
        ux, uy = hull[other, 0] - hull[k, 0], hull[other, 1] - hull[k, 1]
        length = np.hypot(ux, uy)
        ux, uy = (ux / length, uy / length) if length > 0 else (1.0, 0.0)
        low_u, high_u, low_v, high_v = np.inf, -np.inf, np.inf, -np.inf
        for i in range(len(hull)):
            u, v = hull[i, 0] * ux + hull[i, 1] * uy, hull[i, 1] * ux - hull[i, 0] * uy
            low_u, high_u, low_v, high_v = min(low_u, u), max(high_u, u), min(low_v, v), max(high_v, v)
        width, depth = high_u - low_u, high_v - low_v
        if width * depth < best:
            best, u, v = width * depth, (low_u + high_u) / 2, (low_v + high_v) / 2
            angle = np.arctan2(uy, ux) + (np.pi / 2 if depth > width else 0.0)
            angle = (angle + np.pi / 2) % np.pi - np.pi / 2
            found[:] = (u * ux - v * uy, u * uy + v * ux, max(width, depth), min(width, depth), angle)
    return found
