"""Vector instructions against numpy, one lane after the other."""

from __future__ import annotations

import numpy as np
from numba import njit

from s4token_model.kernels import simd

RNG = np.random.default_rng(0)
XYZ = RNG.normal(size=(3, 40)).astype(np.float32)
CENTER = tuple(RNG.normal(size=3).astype(np.float32))


def mask(condition: np.ndarray) -> int:
    return sum(1 << j for j, holds in enumerate(condition) if holds)


def squared(start: int) -> np.ndarray:
    dx, dy, dz = (XYZ[a, start : start + simd.LANES] - CENTER[a] for a in range(3))
    return dx * dx + dy * dy + dz * dz


@njit
def _distances(xyz, start, x, y, z, out, at, limit):
    simd.distances(xyz, start, x, y, z, out, at)
    return simd.at_most(out, at, limit), simd.below(out, at, limit)


def test_distances_round_as_scalars_do_and_compare():
    out = np.zeros(24, np.float32)
    limit = squared(7)[3]
    at_most, below = _distances(XYZ, 7, *CENTER, out, 5, limit)
    np.testing.assert_array_equal(out, np.r_[np.zeros(5), squared(7), np.zeros(3)].astype(np.float32))
    assert at_most == mask(squared(7) <= limit) and below == mask(squared(7) < limit)
    assert at_most == below | 1 << 3


@njit
def _boxes(xyz, start, low, high, node, limits, own):
    return simd.reached(xyz, start, low, high, node, limits), simd.near_boxes(low, high, own, start, limits[0])


def test_boxes_are_reached_where_a_corner_or_side_is_near():
    low = RNG.normal(size=(3, 40)).astype(np.float32)
    high = low + RNG.random((3, 40)).astype(np.float32)
    limits = np.full(simd.LANES, 1.5, np.float32)
    reached, near = _boxes(XYZ, 2, low, high, 30, limits, 9)
    points = XYZ[:, 2:18]
    outside = np.maximum(np.maximum(low[:, 30:31] - points, points - high[:, 30:31]), 0)
    assert reached == mask((outside**2).sum(axis=0) <= 1.5)
    apart = np.maximum(np.maximum(low[:, 9:10] - high[:, 2:18], low[:, 2:18] - high[:, 9:10]), 0)
    assert near == mask((apart**2).sum(axis=0) <= 1.5) and 0 < near < 2**16 - 1


@njit
def _lower(xyz, start, x, y, z, least, weights):
    far = simd.lower_distances(xyz, start, x, y, z, least)
    return far, simd.largest_product(least, weights, start)


def test_lowered_distances_and_the_largest_product():
    least, weights = np.full(40, 2.0, np.float32), RNG.random(40).astype(np.float32)
    weights[[4, 11]] = 9.0
    least[[4, 11]] = 1e-3
    expected = np.minimum(squared(3), least[3:19])
    far, (best, reached) = _lower(XYZ, 3, *CENTER, least, weights)
    np.testing.assert_array_equal(least[3:19], expected)
    product = expected * weights[3:19]
    assert far == expected.max() and best == product.max() and reached == mask(product == product.max())


@njit
def _sums(xyz, x, y, z, rows, factors, out):
    simd.inverse_distances(xyz, 1, x, y, z, np.float32(2), np.float32(0.1), out, 0)
    simd.weighted_sum(rows, 3, factors, 1, 2, out, 16)
    simd.row_products(rows, rows, 3, out, 32)


def test_inverse_distances_and_sums_of_rows():
    rows, factors = RNG.normal(size=48).astype(np.float32), RNG.normal(size=(2, 6)).astype(np.float32)
    out = np.zeros(48, np.float32)
    _sums(XYZ, *CENTER, rows, factors, out)
    np.testing.assert_allclose(out[:16], 1 / (2 * np.sqrt(squared(1)) + 0.1), rtol=1e-5)
    np.testing.assert_allclose(out[16:32], factors[1, 2:5] @ rows.reshape(3, 16), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(out[32:], (rows.reshape(3, 16) ** 2).sum(axis=0), rtol=1e-5)


@njit
def _three(points, centers, candidate, count, near, nearest, x, y, z, limit):
    simd.nearest_three(points, centers, candidate, count, near, nearest)
    return simd.within(centers, 5, x, y, z, limit)


def test_nearest_three_and_those_within():
    points, candidate = RNG.normal(size=(3, 16)).astype(np.float32), np.array([3, 4, 9, 17, 30, 39, 1], np.int32)
    centers = XYZ.copy()
    centers[:, 9] = centers[:, 3]  # equally near: the first
    for count in (1, 2, 3, 6):
        near, nearest = np.zeros(48, np.float32), np.ones(48, np.int32)
        within = _three(points, centers, candidate, count, near, nearest, *CENTER, np.float32(2))
        away = ((points[:, :, None] - centers[:, None, candidate[:count]]) ** 2).sum(axis=0)
        order = np.argsort(away, axis=1, kind="stable")[:, :3]
        found = min(count, 3)
        np.testing.assert_array_equal(nearest.reshape(3, 16)[:found].T, candidate[order])
        np.testing.assert_allclose(near.reshape(3, 16)[:found].T, np.take_along_axis(away, order, 1), rtol=1e-5)
        assert (nearest.reshape(3, 16)[found:] == 0).all() and (near.reshape(3, 16)[found:] > 1e38).all()
    assert within == mask(((centers[:, 5:21] - np.array(CENTER)[:, None]) ** 2).sum(axis=0) <= 2)


@njit
def _blend(rows, out):
    simd.blend(rows, 2, 0, 3, np.float32(0.5), np.float32(-2), np.float32(3), 1, out, 1)


def test_blend_of_three_rows():
    rows, out = RNG.normal(size=(4, 20)).astype(np.float32), np.zeros((3, 20), np.float32)
    _blend(rows, out)
    np.testing.assert_allclose(out[1, 1:17], (0.5 * rows[2] - 2 * rows[0] + 3 * rows[3])[1:17], rtol=1e-5, atol=1e-5)
    out[1, 1:17] = 0
    assert not out.any()


@njit
def _numbers(out, value):
    simd.count_up(out, 2, 7)
    return simd.lowest(value), simd.bits(value)


def test_bits_and_numbers():
    out = np.zeros(20, np.int32)
    assert _numbers(out, 0b101000) == (3, 2)
    assert out.tolist() == [0, 0, *range(7, 23), 0, 0]
