"""Normals and eigen-features of neighborhoods, from closed-form eigenvalues of 3x3 matrices.

Eigenvalues: O. K. Smith, Eigenvalues of a symmetric 3x3 matrix, Communications of the ACM 4(4), 1961. Eigenvectors: the
cross product of two rows of M - lambda I, which is orthogonal to both, hence in the null space.
"""

from __future__ import annotations

import numpy as np

from s4token_model.kernels.kernel_cache import njit
from s4token_model.kernels.parallel import parallel_for

CHUNK = 64  # points computed together: they stay in the cache and fill whole vectors
FAST = {"nogil": True}
# Rows of the moments of a chunk: means of products and of offsets
XX, YY, ZZ, XY, XZ, YZ, X, Y, Z = (row * CHUNK for row in range(9))
# Rows of its shapes; CERTAIN is 1 if the normal is well defined
LINEARITY, PLANARITY, SCATTERING, NX, NY, NZ, CERTAIN = (row * CHUNK for row in range(7))


def normals_and_eigenfeatures(
    xyz: np.ndarray, support: np.ndarray, neighbors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return normals (H, 3) of arbitrary sign and linearity, planarity, scattering (H, 3), float32.

    xyz (H, 3) float32, neighbors (H, K >= 1) indices into `support` (A, 3) float32. The features follow from the
    eigenvalues of the scatter of the neighbors about the point, the normal from their covariance about their own mean.
    """
    normals, eigen = np.empty((len(xyz), 3), np.float32), np.empty((len(xyz), 3), np.float32)
    parallel_for(lambda a, b: _decompose(a, b, xyz, support, neighbors, normals, eigen), len(xyz))
    return normals, eigen


@njit(**FAST)
def _decompose(begin, end, xyz, support, neighbors, normals, eigen):
    moments, shapes = np.zeros(9 * CHUNK), np.empty(7 * CHUNK)
    matrix, vectors = np.empty((3, 3)), np.empty((3, 3))
    for first in range(begin, end, CHUNK):
        size = min(CHUNK, end - first)
        _moments(first, size, xyz, support, neighbors, moments)
        _shapes(moments, shapes)
        for i in range(size):
            if shapes[CERTAIN + i] == 0:
                _jacobi_normal(moments, i, matrix, vectors, shapes)
            for a in range(3):
                eigen[first + i, a] = shapes[a * CHUNK + i]
                normals[first + i, a] = shapes[(3 + a) * CHUNK + i]


@njit(**FAST, fastmath={"contract"})
def _moments(first, size, xyz, support, neighbors, moments):
    """Means over the neighbors of the products and of the coordinates of their offsets from the point."""
    weight = 1 / neighbors.shape[1]
    for i in range(size):
        px, py, pz = xyz[first + i, 0], xyz[first + i, 1], xyz[first + i, 2]
        xx = yy = zz = xy = xz = yz = mx = my = mz = 0.0
        for j in range(neighbors.shape[1]):
            k = neighbors[first + i, j]
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
        moments[XX + i], moments[YY + i], moments[ZZ + i] = xx * weight, yy * weight, zz * weight
        moments[XY + i], moments[XZ + i], moments[YZ + i] = xy * weight, xz * weight, yz * weight
        moments[X + i], moments[Y + i], moments[Z + i] = mx * weight, my * weight, mz * weight


@njit(**FAST, fastmath={"contract", "nsz"})
def _shapes(m, out):
    """Eigen-features and normals of a chunk, without branches so that the compiler emits vector instructions."""
    for i in range(CHUNK):
        # 1. Features: eigenvalues of the scatter about the point, relative to the largest
        xx, yy, zz, xy, xz, yz = m[XX + i], m[YY + i], m[ZZ + i], m[XY + i], m[XZ + i], m[YZ + i]
        high, mid, low = _eigenvalues(xx, yy, zz, xy, xz, yz)
        scale = 1 / high if high > 0 else 0.0
        out[LINEARITY + i], out[PLANARITY + i] = (high - mid) * scale, (mid - low) * scale
        out[SCATTERING + i] = low * scale
        # 2. Covariance about the mean of the neighbors, and its eigenvalues
        x, y, z = m[X + i], m[Y + i], m[Z + i]
        xx, yy, zz, xy, xz, yz = xx - x * x, yy - y * y, zz - z * z, xy - x * y, xz - x * z, yz - y * z
        high, mid, low = _eigenvalues(xx, yy, zz, xy, xz, yz)
        # 3. Cross products of the rows (a, xy, xz), (xy, b, yz), (xz, yz, c) of the covariance - low * I
        a, b, c = xx - low, yy - low, zz - low
        x0, y0, z0 = xy * yz - xz * b, xz * xy - a * yz, a * b - xy * xy  # rows 0 and 1
        x1, y1, z1 = xy * c - xz * yz, xz * xz - a * c, a * yz - xy * xz  # rows 0 and 2
        x2, y2, z2 = b * c - yz * yz, yz * xz - xy * c, xy * yz - b * xz  # rows 1 and 2
        # 4. The longest of the three is the most accurate
        n0, n1, n2 = x0 * x0 + y0 * y0 + z0 * z0, x1 * x1 + y1 * y1 + z1 * z1, x2 * x2 + y2 * y2 + z2 * z2
        second = n1 > n0
        x0, y0, z0, n0 = x1 if second else x0, y1 if second else y0, z1 if second else z0, n1 if second else n0
        third = n2 > n0
        x0, y0, z0, n0 = x2 if third else x0, y2 if third else y0, z2 if third else z0, n2 if third else n0
        # 5. Normalize; if the two smallest eigenvalues nearly agree, Jacobi rotations have to decide
        certain = (mid - low > 1e-4 * high) & (n0 > 0)
        scale = 1 / np.sqrt(n0 if n0 > 0 else 1.0)
        out[NX + i], out[NY + i], out[NZ + i] = x0 * scale, y0 * scale, z0 * scale
        out[CERTAIN + i] = 1.0 if certain else 0.0


@njit(**FAST, inline="always")
def _eigenvalues(xx, yy, zz, xy, xz, yz):
    """Eigenvalues of a positive semi-definite 3x3 matrix M, largest first (Smith 1961)."""
    # 1. M = mean * I + B: the mean eigenvalue, and the spread p = sqrt(trace(B^2) / 6)
    off = xy * xy + xz * xz + yz * yz
    mean = (xx + yy + zz) / 3
    a, b, c = xx - mean, yy - mean, zz - mean
    spread = np.sqrt((a * a + b * b + c * c + 2 * off) / 6)
    # 2. cos(3 phi) = det(B / p) / 2, clipped to [-1, 1] against rounding
    half = a * (b * c - yz * yz) - xy * (xy * c - yz * xz) + xz * (xy * yz - b * xz)
    cube = 2 * spread * spread * spread
    half = half / (cube if cube > 0 else 1.0)
    half = half if half < 1 else 1.0
    half = half if half > -1 else -1.0
    # 3. Largest: mean + 2 p cos(phi); smallest: mean - 2 p cos(pi / 3 - phi), by symmetry; the middle from the trace
    high = mean + 2 * spread * _cos_of_third(np.sqrt(0.5 + 0.5 * half))
    low = mean - 2 * spread * _cos_of_third(np.sqrt(0.5 - 0.5 * half))
    # 4. Rounding must not make them negative or change their order
    low = low if low > 0 else 0.0
    mid = 3 * mean - high - low
    return high, mid if mid > low else low, low


def _chebyshev_coefficients() -> np.ndarray:
    """Coefficients of a polynomial equal to cos(2/3 arccos(u)) on 0 <= u <= 1, to 2e-12."""
    series = np.polynomial.chebyshev.chebinterpolate(lambda t: np.cos(2 / 3 * np.arccos((t + 1) / 2)), 12)
    shifted = np.polynomial.Polynomial(np.polynomial.chebyshev.cheb2poly(series))
    return shifted(np.polynomial.Polynomial([-1, 2])).coef


C0, C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12 = _chebyshev_coefficients().tolist()


@njit(**FAST, inline="always")
def _cos_of_third(u):
    """cos(arccos(2u^2 - 1) / 3) for u in [0, 1]: a polynomial, since vector units have no arccos."""
    high = (((C12 * u + C11) * u + C10) * u + C9) * u + C8
    return ((((((((high * u + C7) * u + C6) * u + C5) * u + C4) * u + C3) * u + C2) * u + C1) * u) + C0


@njit(**FAST)
def _jacobi_normal(m, i, matrix, vectors, out):
    """Write the eigenvector of the smallest eigenvalue of covariance i of a chunk to its normal, by Jacobi rotations.

    Ties go to z, so that a lone point gets an upright normal.
    """
    x, y, z = m[X + i], m[Y + i], m[Z + i]
    matrix[0, 0], matrix[1, 1], matrix[2, 2] = m[XX + i] - x * x, m[YY + i] - y * y, m[ZZ + i] - z * z
    matrix[0, 1] = matrix[1, 0] = m[XY + i] - x * y
    matrix[0, 2] = matrix[2, 0] = m[XZ + i] - x * z
    matrix[1, 2] = matrix[2, 1] = m[YZ + i] - y * z
    _jacobi(matrix, vectors)
    flat = 1 if matrix[1, 1] < matrix[2, 2] else 2
    flat = 0 if matrix[0, 0] < matrix[flat, flat] else flat
    out[NX + i], out[NY + i], out[NZ + i] = vectors[0, flat], vectors[1, flat], vectors[2, flat]


@njit(**FAST)
def _jacobi(matrix, vectors):
    """Diagonalize a symmetric 3x3 matrix in place by Jacobi rotations; columns of `vectors` are its eigenvectors."""
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
                # The rotation by the smaller angle that zeroes matrix[p, q], applied from both sides
                theta = (matrix[q, q] - matrix[p, p]) / (2.0 * matrix[p, q])
                t = (1.0 if theta >= 0 else -1.0) / (abs(theta) + np.sqrt(theta * theta + 1.0))
                c = 1.0 / np.sqrt(t * t + 1.0)
                s = t * c
                _rotate_columns(matrix, p, q, c, s)
                _rotate_columns(matrix.T, p, q, c, s)
                _rotate_columns(vectors, p, q, c, s)


@njit(**FAST, inline="always")
def _rotate_columns(matrix, p, q, c, s):
    for k in range(3):
        left, right = matrix[k, p], matrix[k, q]
        matrix[k, p], matrix[k, q] = c * left - s * right, s * left + c * right
