"""What is up: axes, names of frames, the floor, known rotations. The oracle is the upright cloud itself."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model import config as configs
from s4token_model.checkpoint import read_config
from s4token_model.io import samples
from s4token_model.pipeline import upright
from s4token_model.pipeline.floor import MIN_SUPERPOINTS, floor_off_z
from s4token_model.pipeline.preprocess import rotate_up
from s4token_model.sensors.depth_noise import rotations

AXES = ("x", "-x", "y", "-y", "z", "-z")


def build(xyz: np.ndarray, up: str, **options):
    config = configs.replace(read_config("s4token-mini"), {"input.up": up, "sampling.tokens": 64})
    return upright.build_upright(xyz, None, config, 16, **options)


@pytest.fixture(scope="module")
def room() -> np.ndarray:
    return samples.load().xyz[::4]


@pytest.fixture(scope="module")
def clean(room):
    return build(room, "z")


def to_axis(xyz: np.ndarray, up: str) -> np.ndarray:
    """A cloud with z up in a frame with `up` up."""
    return np.ascontiguousarray(xyz @ rotate_up(np.eye(3), up).T.astype(xyz.dtype))


def tilted(degrees: float, azimuth: float = 0.7) -> np.ndarray:
    return rotations(np.radians([[degrees * np.cos(azimuth), degrees * np.sin(azimuth), 0.0]]))[0]


def angle(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b, -1, 1))))


@pytest.mark.parametrize("up", AXES)
def test_auto_is_the_axis_that_the_floor_shows(room, clean, up):
    found = build(to_axis(room, up), "auto")
    np.testing.assert_array_equal(found.working.original_index, clean.working.original_index)
    np.testing.assert_array_equal(found.superpoints, clean.superpoints)
    np.testing.assert_array_equal(found.patches.centers, clean.patches.centers)
    assert found.warnings == ()


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "u8", "f2", ">i2"])
@pytest.mark.parametrize("up", AXES)
def test_integers_turn_like_real_numbers(up, kind):
    floor = np.stack([*np.meshgrid(np.arange(8), np.arange(8)), np.full((8, 8), 3)], axis=-1).reshape(-1, 3)
    xyz = np.concatenate([floor, floor + [0, 0, 100], [[0, 0, 0]]]).astype(kind)
    if kind in ("i1", "i2"):
        xyz[-1] = np.iinfo(kind).min  # its negative is not of its type
    exact = build(xyz.astype(np.float64), up)
    found = build(xyz, up)
    np.testing.assert_array_equal(found.working.xyz, exact.working.xyz)
    np.testing.assert_array_equal(found.superpoints, exact.superpoints)


@pytest.mark.parametrize("up", [axis for axis in AXES if axis != "z"])
def test_a_fixed_axis_is_kept_and_the_warning_names_the_right_one(room, up):
    (warning,) = build(to_axis(room, up), "z").warnings
    assert warning == f"the floor shows that {up} is up, but input.up is z: set input.up to {up} or auto"
    assert build(to_axis(room, up), up).warnings == ()
    (warning,) = build(room, up).warnings
    assert warning == f"the floor shows that z is up, but input.up is {up}: set input.up to z or auto"


@pytest.mark.parametrize("degrees", [5, 20, 40, 70, 110, 150])
def test_auto_makes_the_floor_level_from_any_tilt(room, degrees):
    working = build(room @ tilted(degrees).T, "auto").working
    order = np.argsort(working.original_index)
    z = working.xyz[order, 2] * working.extent
    floor = room[np.sort(working.original_index), 2] < 0.05
    assert np.ptp(np.percentile(z[floor], (5, 95))) < 0.25 and np.median(z[~floor]) > np.median(z[floor])


def test_a_floor_that_is_tilted_further_than_leveling_goes_is_warned_about(room):
    (warning,) = build(room @ tilted(40).T, "z").warnings
    assert warning == "the floor is tilted by 40 degrees against input.up: set input.up to auto"


@pytest.mark.parametrize("frame", ["camera_depth_optical_frame", "left_optical"])
def test_the_name_of_an_optical_frame_says_that_y_is_down(room, clean, frame):
    chair = room[:1500]  # too little to find a floor
    named = build(to_axis(chair, "-y"), "auto", frame=frame)
    np.testing.assert_array_equal(named.working.xyz, build(chair, "z").working.xyz)
    (warning,) = build(to_axis(room, "-y"), "z", frame=frame).warnings
    assert warning.startswith(f"{frame} is a camera's optical frame") and "set input.up to -y or auto" in warning
    assert build(room, "auto", frame="camera_link").warnings == ()


def test_a_known_rotation_counts_and_not_input_up(room, clean):
    turn = tilted(130)
    found = build(room @ turn, "-y", frame="a_optical_frame", rotation=turn)
    assert found.warnings == ()
    order, wanted = np.argsort(found.working.original_index), np.argsort(clean.working.original_index)
    np.testing.assert_allclose(found.working.xyz[order], clean.working.xyz[wanted], atol=1e-3)
    (warning,) = build(room, "z", rotation=tilted(180, 0.0)).warnings
    assert warning == "the floor shows that -z is up in input.gravity_frame: name a frame whose z points up"


def test_a_known_rotation_keeps_points_that_are_missing(room):
    holes = room.copy()
    holes[::3] = np.nan
    holes[1::7] = 0
    found = build(holes, "z", rotation=tilted(10))
    flat = build(holes, "z")
    assert found.working.set_aside == flat.working.set_aside


def box(rng: np.random.Generator, count: int, size, middle) -> tuple[np.ndarray, np.ndarray]:
    """Points on the faces of a box, and their normals."""
    size = np.asarray(size, float)
    areas = np.tile([size[1] * size[2], size[0] * size[2], size[0] * size[1]], 2)
    face = rng.choice(6, count, p=areas / areas.sum())
    points = rng.uniform(-0.5, 0.5, (count, 3))
    points[np.arange(count), face % 3] = np.where(face < 3, -0.5, 0.5)
    return points * size + middle, np.eye(3)[face % 3]


def test_walls_objects_and_clutter_leave_z_up():
    rng = np.random.default_rng(0)
    wall = np.c_[rng.uniform(0, 5, (5000, 2)), 0.01 * rng.normal(size=5000)][:, [0, 2, 1]]
    normals = np.tile([0.0, 1.0, 0.0], (5000, 1)) + rng.normal(0, 0.02, (5000, 3))
    assert floor_off_z(wall, normals, 200) is None
    assert floor_off_z(*box(rng, 5000, (1, 0.4, 0.7), 0), 200) is None
    ball = rng.normal(size=(5000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    assert floor_off_z(ball, ball, 200) is None
    assert floor_off_z(ball[:1], ball[:1], MIN_SUPERPOINTS) is None


def test_few_superpoints_are_an_object(room):
    rng = np.random.default_rng(0)
    table = [
        box(rng, 4000, (2, 2, 0.05), 0),
        *(box(rng, 400, (0.1, 0.1, 1), (x, y, 0.5)) for x in (-1, 1) for y in (-1, 1)),
    ]
    points, normals = (np.concatenate(parts) * (1, -1, -1) for parts in zip(*table, strict=True))  # on its top
    assert floor_off_z(points, normals, MIN_SUPERPOINTS - 1) is None


def test_nearest_axis_and_rotation():
    rng = np.random.default_rng(0)
    for direction in rng.normal(size=(20, 3)):
        direction /= np.linalg.norm(direction)
        turn = upright.rotation_from(direction)
        np.testing.assert_allclose(turn @ direction, [0, 0, 1], atol=1e-12)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) > 0
        axis, off = upright.nearest_axis(direction)
        vectors = {name: (-1) ** ("-" in name) * np.eye(3)["xyz".index(name[-1])] for name in AXES}
        angles = {name: angle(direction, vector) for name, vector in vectors.items()}
        assert axis == min(angles, key=angles.get) and off == pytest.approx(angles[axis])
