"""The samples: what the maker writes comes back, and what ships is what demo and tests need."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from s4token_model.io import samples
from s4token_model.io.files import read_cloud
from s4token_model.io.samples import Sample

MAKER = runpy.run_path(str(Path(__file__).resolve().parents[2] / "scripts" / "make_samples.py"))


def a_room(count: int = 500) -> Sample:
    rng = np.random.default_rng(3)
    xyz = rng.uniform(-4, 5, (count, 3)).astype(np.float32)
    label = rng.integers(0, 3, count).astype(np.uint8)
    return Sample(xyz, rng.random((count, 3), dtype=np.float32), label, ("a", "b", "traffic sign 2"))


def test_what_is_stored_comes_back(tmp_path):
    before = a_room()
    MAKER["save"](tmp_path / "room.laz", before)
    after = samples.load(tmp_path / "room.laz")
    order = np.lexsort(before.xyz.round(3).T), np.lexsort(after.xyz.round(3).T)
    np.testing.assert_allclose(after.xyz[order[1]], before.xyz[order[0]], atol=0.6e-3)
    np.testing.assert_allclose(after.rgb[order[1]], before.rgb[order[0]], atol=0.51 / 255)
    assert (after.label[order[1]] == before.label[order[0]]).all()
    assert after.names == before.names


def test_the_same_room_gives_the_same_bytes(tmp_path):
    for name in ("one.laz", "two.laz"):
        MAKER["save"](tmp_path / name, a_room())
    assert (tmp_path / "one.laz").read_bytes() == (tmp_path / "two.laz").read_bytes()


def test_rooms_that_the_file_cannot_hold_are_refused(tmp_path):
    good = a_room()
    unfinite = np.where(good.xyz > 4, np.nan, good.xyz)
    for bad, reason in (
        (Sample(unfinite, good.rgb, good.label, good.names), "not finite"),
        (Sample(good.xyz, good.rgb, good.label, ("a", "b", "a name of 17 chars")), "a name of 17 chars"),
        (Sample(good.xyz, good.rgb, good.label, ("a", "b", "t-shirt")), "t-shirt"),
        (Sample(good.xyz, good.rgb, good.label, tuple(map(str, range(257)))), "257 class names"),
    ):
        with pytest.raises(ValueError, match=reason):
            MAKER["save"](tmp_path / "room.laz", bad)
    assert not (tmp_path / "room.laz").exists()


def test_a_missing_or_broken_file_says_how_to_make_it(tmp_path):
    with pytest.raises(ValueError, match=r"none\.laz: no such file; make it with scripts/make_samples\.py"):
        samples.load(tmp_path / "none.laz")
    (tmp_path / "room.laz").write_bytes(b"no sample")
    with pytest.raises(ValueError, match=r"room\.laz: found a file that begins with b'no sample'"):
        samples.load(tmp_path / "room.laz")
    laspy = pytest.importorskip("laspy")
    las = laspy.LasData(laspy.LasHeader(version="1.4", point_format=7))
    las.x = las.y = las.z = np.arange(5.0)
    las.write(tmp_path / "room.laz")
    with pytest.raises(ValueError, match="no classification lookup table; make it"):
        samples.load(tmp_path / "room.laz")


def test_a_sample_without_color_has_none(tmp_path):
    before = replace(a_room(), rgb=None)
    MAKER["save"](tmp_path / "street.laz", before)
    after = samples.load(tmp_path / "street.laz")
    assert after.rgb is None and np.bincount(after.label).tolist() == np.bincount(before.label).tolist()


@pytest.mark.parametrize(
    ("path", "extent", "classes"),
    [(samples.ROOM, 20, {"wall", "floor", "chair"}), (samples.STREET, 92, {"road", "building", "car", "vegetation"})],
)
def test_the_shipped_samples_are_small_and_complete(path, extent, classes):
    sample = samples.load(path)
    assert path.stat().st_size <= 400_000
    assert 20_000 <= len(sample.xyz) <= MAKER["MAX_POINTS"] == 80_000
    assert np.isfinite(sample.xyz).all() and np.ptp(sample.xyz, axis=0).max() < extent
    assert classes < set(sample.names) and int(sample.label.max()) == len(sample.names) - 1


def test_the_shipped_room_is_a_cloud_file_like_any_other():
    cloud, room = read_cloud(samples.ROOM), samples.load()
    assert np.array_equal(cloud.xyz.astype(np.float32), room.xyz) and np.array_equal(cloud.rgb, room.rgb)
    assert room.xyz.dtype == room.rgb.dtype == np.float32 and room.label.dtype == np.uint8
