"""Neighbors, eigen-features and normals of a cloud (method: Sec. 3.2, App. A.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from s4token_model.kernels import simd, spatial_index
from s4token_model.kernels.parallel import parallel_for

CHUNK = 64  # points whose shapes are computed together


@dataclass(frozen=True)
class Geometry:
    """Local shape of every point.

    normals (H, 3) float32 unit vectors of arbitrary sign; eigen (H, 3) float32: linearity, planarity, scattering, 0
    to 1; edges (E, 2) int32, undirected graph of nearest neighbors, each pair once with i < j.
    """

    normals: np.ndarray
    eigen: np.ndarray
    edges: np.ndarray


def describe(
    xyz: np.ndarray,
    anchors: np.ndarray | None,
    feature_neighbors: int,
    graph_neighbors: int,
    index: spatial_index.Blocks | None = None,
) -> Geometry:
    """Compute normals, eigen-features and the neighbor graph.

    xyz (H, 3) finite; anchors (A,) indices of the points that neighborhoods are taken from, None for all points.
    Fewer points than neighbors are fine: all there are get used. `index` spares building it, where the cloud is in its
    order already (`blocks.Blocks.sorted`); everything is faster then, as neighbors lie side by side.
    """
    xyz = np.ascontiguousarray(xyz, np.float32)
    if len(xyz) == 0:
        none = np.zeros((0, 3), np.float32)
        return Geometry(none, none, np.zeros((0, 2), np.int32))
    most = graph_neighbors + 1 if anchors is not None else max(graph_neighbors + 1, feature_neighbors)
    linked = (
        spatial_index.nearest_all(spatial_index.build(xyz), most)
        if index is None
        else spatial_index.nearest_places(index, most)
    )
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
    """Turn neighbor lists (H, k) int, k <= 64, into unique undirected edges (E, 2) int32, i < j, sorted; self links
    vanish."""
    neighbors = np.asarray(neighbors, np.int32)
    first = np.empty(len(neighbors), np.int64)
    parallel_for(lambda a, b: _mark_first(a, b, neighbors, first), len(neighbors))
    return _unique_edges(neighbors, first)


@njit(cache=True, nogil=True)
def _mark_first(begin, end, neighbors, first):
    """Bit a of first[i]: whether entry a of row i is the first place where this pair stands."""
    for i in range(begin, end):
        first[i] = 0
        for a in range(neighbors.shape[1]):
            first[i] |= np.int64(_is_first(neighbors, i, a)) << a


@njit(cache=True, nogil=True)
def _unique_edges(neighbors, first):
    """A counting sort by the lower end, then a small sort by the upper end: edges in lexicographic order."""
    count = len(neighbors)
    start = np.zeros(count + 1, np.int64)
    for i in range(count):
        left = first[i]
        while left:
            start[min(i, neighbors[i, simd.lowest(left)]) + 1] += 1
            left &= left - 1
    start = np.cumsum(start)
    cursor, edges = start[:-1].copy(), np.empty((start[-1], 2), np.int32)
    for i in range(count):
        left = first[i]
        while left:
            j = neighbors[i, simd.lowest(left)]
            left &= left - 1
            low, high = min(i, j), max(i, j)
            place = cursor[low]
            cursor[low] += 1
            edges[place, 0] = low
            while place > start[low] and edges[place - 1, 1] > high:
                edges[place, 1] = edges[place - 1, 1]
                place -= 1
            edges[place, 1] = high
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


def encode_unoriented_normals(normals: np.ndarray) -> np.ndarray:
    """Encode unit normals (H, 3) as (H, 6) float32 so that n and -n agree.

    The encoding lists the entries of n n^T, off-diagonals times sqrt(2), over sqrt(2); the squared distance of two
    codes is sin^2 of the angle between the lines they span, whatever the frame.
    """
    code = np.empty((len(normals), 6), np.float32)
    parallel_for(lambda a, b: _encode(a, b, np.asarray(normals, np.float32), code), len(normals), 65536)
    return code


@njit(cache=True, nogil=True)
def _encode(begin, end, normals, code):
    root = np.float32(np.sqrt(0.5))
    for i in range(begin, end):
        x, y, z = normals[i, 0], normals[i, 1], normals[i, 2]
        code[i, 0], code[i, 1], code[i, 2] = root * x * x, root * y * y, root * z * z
        code[i, 3], code[i, 4], code[i, 5] = x * y, x * z, y * z


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
    normals, eigen = np.empty((len(xyz), 3), np.float32), np.empty((len(xyz), 3), np.float32)
    parallel_for(lambda a, b: _decompose(a, b, xyz, support, around, normals, eigen), len(xyz))
    return normals, eigen


@njit(cache=True, nogil=True)
def _decompose(begin, end, xyz, support, around, normals, eigen):
    """Of the points begin..end-1: features from the scatter about the point, and the normal from the covariance about
    the neighbors' mean. In chunks that stay in the cache and fill whole vectors."""
    moments, shapes = np.zeros(9 * CHUNK), np.empty(7 * CHUNK)
    matrix, vectors = np.empty((3, 3)), np.empty((3, 3))
    for first in range(begin, end, CHUNK):
        size = min(CHUNK, end - first)
        _moments(first, size, xyz, support, around, moments)
        _shapes(moments, shapes)
        for i in range(size):
            if shapes[6 * CHUNK + i] == 0:
                _flattest(moments, i, matrix, vectors, shapes)
            for a in range(3):
                eigen[first + i, a] = shapes[a * CHUNK + i]
                normals[first + i, a] = shapes[(3 + a) * CHUNK + i]


@njit(cache=True, nogil=True, fastmath={"contract"})
def _moments(first, size, xyz, support, around, moments):
    """Means over the neighbors of xx, yy, zz, xy, xz, yz, x, y, z of their offsets, in nine rows of a chunk."""
    share = 1 / around.shape[1]
    for i in range(size):
        px, py, pz = xyz[first + i, 0], xyz[first + i, 1], xyz[first + i, 2]
        xx = yy = zz = xy = xz = yz = mx = my = mz = 0.0
        for j in range(around.shape[1]):
            k = around[first + i, j]
            x, y, z = np.float64(support[k, 0]) - px, np.float64(support[k, 1]) - py, np.float64(support[k, 2]) - pz
            xx += x * x
            yy += y * y
            zz += z * z
            xy += x * y
            xz += x * z
            yz += y * z
            mx += x
            my += y
            mz += z
        moments[i], moments[CHUNK + i], moments[2 * CHUNK + i] = xx * share, yy * share, zz * share
        moments[3 * CHUNK + i], moments[4 * CHUNK + i], moments[5 * CHUNK + i] = xy * share, xz * share, yz * share
        moments[6 * CHUNK + i], moments[7 * CHUNK + i], moments[8 * CHUNK + i] = mx * share, my * share, mz * share


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _shapes(m, out):
    """Linearity, planarity, scattering, normal and whether the normal is certain, in seven rows of a chunk; without
    branches, so that it becomes vector instructions.

    The normal is the cross product of two rows of m - lambda I, the longest of three; uncertain where the two least
    eigenvalues are too close for that.
    """
    for i in range(CHUNK):
        xx, yy, zz = m[i], m[CHUNK + i], m[2 * CHUNK + i]
        xy, xz, yz = m[3 * CHUNK + i], m[4 * CHUNK + i], m[5 * CHUNK + i]
        high, mid, low = _eigenvalues(xx, yy, zz, xy, xz, yz)
        share = 1 / high if high > 0 else 0.0
        out[i], out[CHUNK + i], out[2 * CHUNK + i] = (high - mid) * share, (mid - low) * share, low * share
        x, y, z = m[6 * CHUNK + i], m[7 * CHUNK + i], m[8 * CHUNK + i]
        xx, yy, zz, xy, xz, yz = xx - x * x, yy - y * y, zz - z * z, xy - x * y, xz - x * z, yz - y * z
        high, mid, low = _eigenvalues(xx, yy, zz, xy, xz, yz)
        a, b, c = xx - low, yy - low, zz - low
        x0, y0, z0 = xy * yz - xz * b, xz * xy - a * yz, a * b - xy * xy  # rows 0 and 1
        x1, y1, z1 = xy * c - xz * yz, xz * xz - a * c, a * yz - xy * xz  # rows 0 and 2
        x2, y2, z2 = b * c - yz * yz, yz * xz - xy * c, xy * yz - b * xz  # rows 1 and 2
        n0, n1, n2 = x0 * x0 + y0 * y0 + z0 * z0, x1 * x1 + y1 * y1 + z1 * z1, x2 * x2 + y2 * y2 + z2 * z2
        second = n1 > n0
        x0, y0, z0, n0 = x1 if second else x0, y1 if second else y0, z1 if second else z0, n1 if second else n0
        third = n2 > n0
        x0, y0, z0, n0 = x2 if third else x0, y2 if third else y0, z2 if third else z0, n2 if third else n0
        certain = (mid - low > 1e-4 * high) & (n0 > 0)
        scale = 1 / np.sqrt(n0 if n0 > 0 else 1.0)
        out[3 * CHUNK + i], out[4 * CHUNK + i], out[5 * CHUNK + i] = x0 * scale, y0 * scale, z0 * scale
        out[6 * CHUNK + i] = 1.0 if certain else 0.0


@njit(cache=True, nogil=True, inline="always")
def _eigenvalues(xx, yy, zz, xy, xz, yz):
    """Eigenvalues of a positive semi-definite 3x3 matrix, largest first, in closed form (Smith 1961)."""
    off = xy * xy + xz * xz + yz * yz
    mean = (xx + yy + zz) / 3
    a, b, c = xx - mean, yy - mean, zz - mean
    spread = np.sqrt((a * a + b * b + c * c + 2 * off) / 6)
    half = a * (b * c - yz * yz) - xy * (xy * c - yz * xz) + xz * (xy * yz - b * xz)
    cube = 2 * spread * spread * spread
    half = half / (cube if cube > 0 else 1.0)
    half = half if half < 1 else 1.0
    half = half if half > -1 else -1.0
    high = mean + 2 * spread * _third(np.sqrt(0.5 + 0.5 * half))
    low = mean - 2 * spread * _third(np.sqrt(0.5 - 0.5 * half))
    low = low if low > 0 else 0.0
    mid = 3 * mean - high - low
    return high, mid if mid > low else low, low


def _interpolated() -> np.ndarray:
    """Coefficients of cos(2/3 arccos(u)), 0 <= u <= 1, exact to 2e-12."""
    series = np.polynomial.chebyshev.chebinterpolate(lambda t: np.cos(2 / 3 * np.arccos((t + 1) / 2)), 12)
    shifted = np.polynomial.Polynomial(np.polynomial.chebyshev.cheb2poly(series))
    return shifted(np.polynomial.Polynomial([-1, 2])).coef


C0, C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12 = _interpolated().tolist()


@njit(cache=True, nogil=True, inline="always")
def _third(u):
    """cos(arccos(2u^2 - 1) / 3) for u in [0, 1]: a polynomial, because vector units have no arccos."""
    high = (((C12 * u + C11) * u + C10) * u + C9) * u + C8
    return ((((((((high * u + C7) * u + C6) * u + C5) * u + C4) * u + C3) * u + C2) * u + C1) * u) + C0


@njit(cache=True, nogil=True)
def _flattest(m, i, matrix, vectors, out):
    """The unit eigenvector of the least eigenvalue of covariance i of a chunk, by Jacobi rotations, into rows 3-5 of
    `out`; ties go to z, so that a lone point gets an upright normal."""
    x, y, z = m[6 * CHUNK + i], m[7 * CHUNK + i], m[8 * CHUNK + i]
    matrix[0, 0], matrix[1, 1], matrix[2, 2] = m[i] - x * x, m[CHUNK + i] - y * y, m[2 * CHUNK + i] - z * z
    matrix[0, 1] = matrix[1, 0] = m[3 * CHUNK + i] - x * y
    matrix[0, 2] = matrix[2, 0] = m[4 * CHUNK + i] - x * z
    matrix[1, 2] = matrix[2, 1] = m[5 * CHUNK + i] - y * z
    _jacobi(matrix, vectors)
    flat = 2
    if matrix[1, 1] < matrix[flat, flat]:
        flat = 1
    if matrix[0, 0] < matrix[flat, flat]:
        flat = 0
    for a in range(3):
        out[(3 + a) * CHUNK + i] = vectors[a, flat]


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
