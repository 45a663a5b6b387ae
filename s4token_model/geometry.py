"""Neighbours, eigen-features and normals of a cloud (method: Sec. 3.2, App. A.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from s4token_model import blocks


@dataclass(frozen=True)
class Geometry:
    """Local shape of every point.

    normals (H, 3) float32 unit vectors of arbitrary sign; eigen (H, 3) float32: linearity, planarity, scattering, 0
    to 1; edges (E, 2) int32, undirected graph of nearest neighbours, each pair once with i < j.
    """

    normals: np.ndarray
    eigen: np.ndarray
    edges: np.ndarray


def describe(xyz: np.ndarray, anchors: np.ndarray | None, feature_neighbors: int, graph_neighbors: int) -> Geometry:
    """Compute normals, eigen-features and the neighbour graph.

    xyz (H, 3) finite; anchors (A,) indices of the points that neighbourhoods are taken from, None for all points.
    Fewer points than neighbours are fine: all there are get used.
    """
    xyz = np.ascontiguousarray(xyz, np.float32)
    if len(xyz) == 0:
        none = np.zeros((0, 3), np.float32)
        return Geometry(none, none, np.zeros((0, 2), np.int32))
    most = graph_neighbors + 1 if anchors is not None else max(graph_neighbors + 1, feature_neighbors)
    linked = blocks.nearest_all(blocks.build(xyz), most)
    if anchors is None:
        support, around = xyz, linked[:, :feature_neighbors]
    else:
        support = np.ascontiguousarray(xyz[anchors])
        around = nearest(support, xyz, feature_neighbors)
    normals, eigen = _eigen(xyz, support, around)
    return Geometry(normals, eigen, undirected(linked[:, : graph_neighbors + 1]))


def nearest(points: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Return (Q, min(k, P)) int32 indices of the nearest `points` (P, 3) of each query (Q, 3), nearest first."""
    k = min(k, len(points))
    found = cKDTree(points, leafsize=12, balanced_tree=False).query(queries, k=k, workers=-1)[1]
    return np.ascontiguousarray(found.reshape(len(queries), k), np.int32)


def undirected(neighbors: np.ndarray) -> np.ndarray:
    """Turn neighbour lists (H, k) int into unique undirected edges (E, 2) int32, i < j, sorted; self links vanish."""
    return _unique_edges(np.ascontiguousarray(neighbors, np.int32))


@njit(cache=True, nogil=True)
def _unique_edges(neighbors):
    """A counting sort by the lower end, then a small sort by the upper end: edges in lexicographic order."""
    count, k = neighbors.shape
    start = np.zeros(count + 1, np.int64)
    for i in range(count):
        for a in range(k):
            if _is_first(neighbors, i, a):
                start[min(i, neighbors[i, a]) + 1] += 1
    start = np.cumsum(start)
    cursor, edges = start[:-1].copy(), np.empty((start[-1], 2), np.int32)
    for i in range(count):
        for a in range(k):
            if not _is_first(neighbors, i, a):
                continue
            low, high = min(i, neighbors[i, a]), max(i, neighbors[i, a])
            place = cursor[low]
            cursor[low] += 1
            while place > start[low] and edges[place - 1, 1] > high:
                edges[place, 1] = edges[place - 1, 1]
                place -= 1
            edges[place, 1] = high
    for i in range(count):
        edges[start[i] : start[i + 1], 0] = i
    return edges


@njit(cache=True, nogil=True, inline="always")
def _is_first(neighbors, i, a):
    """Whether entry a of row i is the first place where this pair stands: no self link, no repeat, not from i > j when
    j lists i too."""
    j = neighbors[i, a]
    if i == j:
        return False
    for b in range(a):
        if neighbors[i, b] == j:
            return False
    if i < j:
        return True
    for b in range(neighbors.shape[1]):
        if neighbors[j, b] == i:
            return False
    return True


def sign_free(normals: np.ndarray) -> np.ndarray:
    """Encode unit normals (H, 3) as (H, 6) float32 so that n and -n agree.

    The encoding lists the entries of n n^T, off-diagonals times sqrt(2), over sqrt(2); the squared distance of two
    codes is sin^2 of the angle between the lines they span, whatever the frame.
    """
    x, y, z = (normals[:, axis].astype(np.float32) for axis in range(3))
    half = np.float32(np.sqrt(0.5))
    return np.stack([half * x * x, half * y * y, half * z * z, x * y, x * z, y * z], axis=1)


def eigen_features(values: np.ndarray) -> np.ndarray:
    """Turn eigenvalues (H, 3), largest first, into (linearity, planarity, scattering); 0 where all are 0 (App. A.1)."""
    largest = np.maximum(values[:, :1], np.finfo(values.dtype).tiny)
    parts = np.concatenate([values[:, :1] - values[:, 1:2], values[:, 1:2] - values[:, 2:], values[:, 2:]], axis=1)
    return np.where(values[:, :1] > 0, parts / largest, 0)


def voxel_representatives(xyz: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pick one point per occupied voxel, the voxel size chosen so that about `count` voxels are occupied.

    The size follows from the cloud's own extent, so the choice does not change with scale or translation.
    Returns (V,) int32 indices of the first point of each voxel and (H,) int32, the voxel of every point.
    """
    low = xyz.min(axis=0)
    extent = float((xyz - low).max()) or 1.0
    size = extent / 128
    for _ in range(3):  # occupied voxels grow like size^-2 on surfaces: three steps land within a few percent
        keys = _voxel_keys(xyz - low, size)
        occupied = len(np.unique(keys))
        if 0.9 * count <= occupied <= 1.1 * count or occupied == len(xyz):
            break
        size *= float(np.sqrt(occupied / count))
    keys = _voxel_keys(xyz - low, size)
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return first.astype(np.int32), inverse.reshape(-1).astype(np.int32)


def _voxel_keys(offsets: np.ndarray, size: float) -> np.ndarray:
    cells = np.minimum(np.floor(offsets / size), 2**20 - 1).astype(np.int64)
    return (cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2]


def _eigen(xyz: np.ndarray, support: np.ndarray, around: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    normals, values = np.empty((len(xyz), 3), np.float32), np.empty((len(xyz), 3), np.float64)
    blocks.in_threads(lambda a, b: _decompose(a, b, xyz, support, around, normals, values), len(xyz))
    return normals, eigen_features(values).astype(np.float32)


@njit(cache=True, nogil=True)
def _decompose(begin, end, xyz, support, around, normals, values):
    """Of the points begin..end-1: eigenvalues of the scatter about the point, and the normal from the covariance about
    the neighbours' mean."""
    scatter, covariance, vectors = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    mean, offset = np.empty(3), np.empty(3)
    count = around.shape[1]
    for i in range(begin, end):
        scatter[:] = 0.0
        mean[:] = 0.0
        for j in range(count):
            for a in range(3):
                offset[a] = np.float64(support[around[i, j], a]) - xyz[i, a]
                mean[a] += offset[a] / count
            for a in range(3):
                for b in range(3):
                    scatter[a, b] += offset[a] * offset[b] / count
        for a in range(3):
            for b in range(3):
                covariance[a, b] = scatter[a, b] - mean[a] * mean[b]
        values[i, 0], values[i, 1], values[i, 2] = _eigenvalues(scatter)
        _flattest(covariance, vectors, normals[i])


@njit(cache=True, nogil=True, inline="always")
def _eigenvalues(m):
    """Eigenvalues of a positive semi-definite 3x3 matrix, largest first, in closed form (Smith 1961)."""
    off = m[0, 1] ** 2 + m[0, 2] ** 2 + m[1, 2] ** 2
    mean = (m[0, 0] + m[1, 1] + m[2, 2]) / 3
    a, b, c = m[0, 0] - mean, m[1, 1] - mean, m[2, 2] - mean
    spread = np.sqrt((a * a + b * b + c * c + 2 * off) / 6)
    if not spread > 0:
        return mean, mean, mean
    half = a * (b * c - m[1, 2] ** 2) - m[0, 1] * (m[0, 1] * c - m[1, 2] * m[0, 2])
    half = (half + m[0, 2] * (m[0, 1] * m[1, 2] - b * m[0, 2])) / (2 * spread**3)
    angle = np.arccos(min(max(half, -1.0), 1.0)) / 3
    high, low = mean + 2 * spread * np.cos(angle), mean + 2 * spread * np.cos(angle + 2 * np.pi / 3)
    low = max(low, 0.0)
    return high, max(3 * mean - high - low, low), low


@njit(cache=True, nogil=True, inline="always")
def _flattest(m, vectors, out):
    """The unit eigenvector of the least eigenvalue of a covariance: the cross product of two rows of m - lambda I.

    Where the two least eigenvalues are too close for that, by Jacobi rotations; ties there go to z, so that a lone
    point gets an upright normal.
    """
    high, mid, low = _eigenvalues(m)
    if mid - low > 1e-4 * high:
        a, b, c = m[0, 0] - low, m[1, 1] - low, m[2, 2] - low
        d, e, f = m[0, 1], m[0, 2], m[1, 2]
        x0, y0, z0 = d * f - e * b, e * d - a * f, a * b - d * d  # rows 0 and 1
        x1, y1, z1 = d * c - e * f, e * e - a * c, a * f - d * e  # rows 0 and 2
        x2, y2, z2 = b * c - f * f, f * e - d * c, d * f - b * e  # rows 1 and 2
        n0, n1, n2 = x0 * x0 + y0 * y0 + z0 * z0, x1 * x1 + y1 * y1 + z1 * z1, x2 * x2 + y2 * y2 + z2 * z2
        if n1 > n0:
            x0, y0, z0, n0 = x1, y1, z1, n1
        if n2 > n0:
            x0, y0, z0, n0 = x2, y2, z2, n2
        if n0 > 0:
            scale = 1 / np.sqrt(n0)
            out[0], out[1], out[2] = x0 * scale, y0 * scale, z0 * scale
            return
    _jacobi(m, vectors)
    flat = 2
    if m[1, 1] < m[flat, flat]:
        flat = 1
    if m[0, 0] < m[flat, flat]:
        flat = 0
    for a in range(3):
        out[a] = vectors[a, flat]


@njit(cache=True, nogil=True)
def _jacobi(matrix, vectors):
    """Diagonalise a symmetric 3x3 matrix in place by Jacobi rotations; columns of `vectors` are its eigenvectors."""
    vectors[:] = 0.0
    for a in range(3):
        vectors[a, a] = 1.0
    for _ in range(12):
        off = matrix[0, 1] ** 2 + matrix[0, 2] ** 2 + matrix[1, 2] ** 2
        if off <= 1e-22 * (matrix[0, 0] ** 2 + matrix[1, 1] ** 2 + matrix[2, 2] ** 2):
            break
        for p in range(2):
            for q in range(p + 1, 3):
                if matrix[p, q] == 0.0:
                    continue
                theta = (matrix[q, q] - matrix[p, p]) / (2.0 * matrix[p, q])
                t = (1.0 if theta >= 0 else -1.0) / (abs(theta) + np.sqrt(theta * theta + 1.0))
                c = 1.0 / np.sqrt(t * t + 1.0)
                s = t * c
                for k in range(3):
                    left, right = matrix[k, p], matrix[k, q]
                    matrix[k, p], matrix[k, q] = c * left - s * right, s * left + c * right
                for k in range(3):
                    left, right = matrix[p, k], matrix[q, k]
                    matrix[p, k], matrix[q, k] = c * left - s * right, s * left + c * right
                for k in range(3):
                    left, right = vectors[k, p], vectors[k, q]
                    vectors[k, p], vectors[k, q] = c * left - s * right, s * left + c * right
