"""The sample room: what is stored comes back, and what ships is what the demo needs."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.datasets import sample


def a_sample(count: int = 500) -> sample.Sample:
    rng = np.random.default_rng(3)
    xyz = rng.uniform(-4, 5, (count, 3)).astype(np.float32)
    return sample.Sample(
        xyz, rng.random((count, 3), dtype=np.float32), rng.integers(0, 3, count).astype(np.uint8), ("a", "b", "c")
    )


def test_what_is_stored_comes_back(tmp_path):
    before = a_sample()
    sample.save(tmp_path / "room.npz", before)
    after = sample.load(tmp_path / "room.npz")
    order = np.lexsort(before.xyz.round(3).T), np.lexsort(after.xyz.round(3).T)
    np.testing.assert_allclose(after.xyz[order[1]], before.xyz[order[0]], atol=0.6e-3)
    np.testing.assert_allclose(after.rgb[order[1]], before.rgb[order[0]], atol=0.51 / 255)
    assert (after.label[order[1]] == before.label[order[0]]).all()
    assert after.names == before.names


def test_the_same_sample_gives_the_same_bytes(tmp_path):
    for name in ("one.npz", "two.npz"):
        sample.save(tmp_path / name, a_sample())
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_too_large_or_unfinite_scans_are_refused(tmp_path):
    good = a_sample()
    for bad in (good.xyz * 20, np.where(good.xyz > 4, np.nan, good.xyz)):
        with pytest.raises(ValueError, match="65 m"):
            sample.save(tmp_path / "room.npz", sample.Sample(bad, good.rgb, good.label, good.names))


def test_a_missing_or_broken_file_says_how_to_make_it(tmp_path):
    with pytest.raises(ValueError, match="python -m s4token_model.datasets.sample"):
        sample.load(tmp_path / "none.npz")
    (tmp_path / "room.npz").write_bytes(b"no sample")
    with pytest.raises(ValueError, match="no sample"):
        sample.load(tmp_path / "room.npz")


def test_the_shipped_room_is_small_and_complete():
    room = sample.load()
    assert sample.ROOM.stat().st_size <= 1_500_000
    assert 20_000 <= len(room.xyz) <= sample.POINTS == 80_000
    assert np.isfinite(room.xyz).all() and np.ptp(room.xyz, axis=0).max() < 20
    assert {"wall", "floor"} < set(room.names) and int(room.label.max()) == len(room.names) - 1
