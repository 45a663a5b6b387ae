import numpy as np
import pytest
from scipy.spatial import cKDTree

from s4token_model.kernels.voxel_components import component_sizes, count_filled, nearby_hosts, occupied_voxels
from s4token_model.pipeline import cleaning
from s4token_model.pipeline.preprocess import lexicographic_order


def plane(count: int = 3000, size: float = 4.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.c_[rng.uniform(0, size, (count, 2)), 0.005 * rng.normal(size=count)]


def rings(count: int = 24) -> np.ndarray:
    """Ground as a LiDAR 1.7 m above it sees it: rings that are farther and farther from each other."""
    radius = 1.7 / np.tan(np.radians(np.linspace(25, 1.6, count)))
    angle = np.radians(np.arange(0, 360, 0.4))
    return np.stack(np.broadcast_arrays(*(radius[:, None] * f(angle) for f in (np.cos, np.sin)), -1.7), -1).reshape(
        -1, 3
    )


def cells(xyz, center, size):
    return np.floor((np.asarray(xyz, np.float64) - center) / size).astype(np.int64)


@pytest.mark.parametrize("size", [0.05, 0.3])
def test_components_are_those_of_touching_voxels(size):
    rng = np.random.default_rng(1)
    xyz = rng.uniform(-1, 1, (600, 3))
    found = component_sizes(occupied_voxels(xyz, np.full(3, 0.1), size))
    # Brute force: flood fill over the voxels within Chebyshev distance 1
    voxels, of_point = np.unique(cells(xyz, 0.1, size), axis=0, return_inverse=True)
    of_point = of_point.reshape(-1)
    near = cKDTree(voxels).query_ball_point(voxels, 1.01, p=np.inf)
    label = np.full(len(voxels), -1)
    for start in range(len(voxels)):
        todo = [start] if label[start] < 0 else []
        while todo:
            v = todo.pop()
            if label[v] < 0:
                label[v] = start
                todo += near[v]
    expected = np.bincount(label[of_point], minlength=len(voxels))[label[of_point]]
    np.testing.assert_array_equal(found, expected)
    counts = np.bincount(of_point)
    assert [count_filled(xyz, np.full(3, 0.1), size, k) for k in (1, 2, 3)] == [(counts >= k).sum() for k in (1, 2, 3)]


def test_hosts_are_in_the_nearest_voxel_at_most_two_away():
    xyz = np.array([[0.5, 0.5, 0.5], [2.5, 0.5, 0.5], [3.5, 0.5, 0.5], [1.5, 1.5, 0.5], [9.5, 0, 0], [1e9, 0, 0]])
    isolated = np.array([False, True, True, True, True, True])
    assert nearby_hosts(occupied_voxels(xyz, np.zeros(3), 1.0), isolated).tolist() == [0, -1, 0, -1, -1]


def test_clean_clouds_lose_nothing():
    for xyz in (plane(), plane(300), plane(20000), rings(), rings(64), np.random.default_rng(0).random((3000, 3))):
        isolated, hosts = cleaning.find_isolated(xyz)
        assert not isolated.any() and len(hosts) == 0


@pytest.mark.parametrize("count, reach", [(30, 20), (150, 20), (50, 100), (1, 1e3), (1, 1e6)])
@pytest.mark.parametrize("cloud", [plane, rings])
def test_strays_are_found_and_nothing_else(cloud, count, reach):
    rng, xyz = np.random.default_rng(2), cloud()
    strays = np.c_[rng.uniform(-1, 1, (count, 2)), rng.uniform(0.3, 1, count)] * reach
    strays = strays[cKDTree(xyz).query(strays)[0] > 4]
    isolated, hosts = cleaning.find_isolated(np.concatenate([xyz, strays]))
    assert not isolated[: len(xyz)].any() and isolated[len(xyz) :].mean() >= 0.95
    assert (hosts == -1).all()


def test_a_far_clump_is_a_stray_and_a_near_one_is_not():
    clump = 0.1 * np.random.default_rng(3).random((25, 3))
    for distance, far in ((1.0, False), (200.0, True), (1e6, True)):
        isolated, _ = cleaning.find_isolated(np.concatenate([plane(), clump + [2, 2, distance]]))
        assert isolated[-25:].all() == far and not isolated[:-25].any()


def test_strays_do_not_depend_on_scale_and_translation():
    xyz = np.concatenate([plane(), np.random.default_rng(4).uniform(-20, 20, (100, 3))])
    expected = cleaning.find_isolated(xyz)[0]
    assert expected.sum() > 80
    for scale, shift in ((1 / 1024, 0.0), (4096.0, 8192.0)):
        np.testing.assert_array_equal(cleaning.find_isolated(xyz * scale + shift)[0], expected)


def test_positions_that_repeat_are_missing_returns_unless_all_repeat():
    xyz = plane(2000)
    xyz[5] = 0

    def missing(repeats):
        return np.flatnonzero(cleaning.missing_returns(xyz, repeats)).tolist()

    once = np.ones(len(xyz), np.int64)
    assert missing(once) == missing(6 * once) == missing(np.arange(len(xyz)) % 8 + 1) == []
    assert missing(np.where(np.arange(len(xyz)) == 5, 9, once)) == [5], "a few at the origin"
    assert missing(np.where(np.arange(len(xyz)) == 7, 9, once)) == [], "a few elsewhere"
    assert missing(np.where(np.arange(len(xyz)) == 7, 900, once)) == [7]
    assert missing(np.where(np.arange(len(xyz)) == 7, 900, 300 * once)) == []


def test_points_of_one_position_share_it():
    rng = np.random.default_rng(6)
    points = np.repeat(plane(500), rng.integers(1, 5, 500), axis=0)
    points = np.concatenate([points, np.zeros((60, 3)), [[0, 0, 500.0]]])[rng.permutation(len(points) + 61)]
    order = lexicographic_order(points)
    cleaned = cleaning.clean(points, order)
    assert len(cleaned.first) == 500 and cleaned.set_aside == {cleaning.MISSING: 60, cleaning.STRAY: 1}
    labeled = order[cleaned.labeled]
    np.testing.assert_array_equal(points[labeled], points[cleaned.first][cleaned.position])
    assert set(map(tuple, points[np.setdiff1d(order, labeled)])) == {(0, 0, 0), (0, 0, 500)}


def test_gaps_are_closed_and_each_part_keeps_its_shape():
    parts = [plane(500), plane(700, seed=1) + [900.0, 0, 0], plane(400, seed=2) + [900.0, -5e5, 3.0]]
    closed = cleaning.close_gaps(np.concatenate(parts))
    assert np.ptp(closed, axis=0).max() < 30
    for part, found in zip(parts, np.split(closed, [500, 1200]), strict=True):
        np.testing.assert_allclose(found - found[0], part - part[0], atol=1e-9)
    for xyz in (plane(), rings(), np.concatenate([plane(), plane(seed=1) + [0, 0, 2.5]]), plane(3), np.zeros((5, 3))):
        assert cleaning.close_gaps(xyz) is xyz, "floor and ceiling, and the rings of a LiDAR, are one part"


def test_strays_between_the_walls_of_a_room_are_found():
    rng = np.random.default_rng(7)
    walls = [rng.permuted(np.c_[rng.uniform(0, 5, (9000, 2)), np.full(9000, k % 2 * 5.0)], axis=1) for k in range(4)]
    room = np.concatenate(walls) + 0.004 * rng.normal(size=(36000, 3))
    assert not cleaning.find_isolated(room)[0].any()
    strays = rng.normal(2.5, 0.7, (700, 3))
    isolated, _ = cleaning.find_isolated(np.concatenate([room, strays]))
    assert isolated[-700:].mean() >= 0.7 and isolated[:-700].mean() <= 0.01
