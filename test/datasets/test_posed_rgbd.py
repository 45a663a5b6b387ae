"""Posed RGB-D frames: both layouts, frames that are of no use, and the real ones."""

from __future__ import annotations

import numpy as np
import posed_frames as posed
import pytest
from PIL import Image
from real_data import real

from s4token_model.datasets import posed_rgbd


@pytest.mark.parametrize("layout", ["7-scenes", "scannet"])
def test_both_layouts(tmp_path, layout):
    posed.write(tmp_path / "rooms" / "one", layout)
    (tmp_path / "rooms" / "notes").mkdir()
    assert (
        posed_rgbd.list_scenes(tmp_path)
        == [tmp_path / "rooms" / "one"]
        == posed_rgbd.list_scenes(tmp_path / "rooms" / "one")
    )
    frames, skipped = posed_rgbd.frames(tmp_path / "rooms" / "one")
    assert len(frames) == 3 and not skipped
    depth, color = posed.picture(posed.EYES[1])
    np.testing.assert_allclose(frames[1].depth(), depth, atol=1e-3)
    np.testing.assert_allclose(frames[1].pose, posed.pose(posed.EYES[1]))
    times = 1 if layout == "7-scenes" else 2
    assert frames[1].color().shape == (48 * times, 64 * times, 3)
    assert np.abs(frames[1].color()[::times, ::times].astype(int) - color).mean() < 12  # jpg
    np.testing.assert_allclose(frames[1].color_matrix[:2], times * posed.MATRIX[:2])
    assert len(posed_rgbd.frames(tmp_path / "rooms" / "one", every=2)[0]) == 2


def test_useless_frames_are_counted(tmp_path):
    posed.write(tmp_path / "s", "scannet")
    np.savetxt(tmp_path / "s" / "pose" / "0.txt", np.full((4, 4), -np.inf))  # ScanNet's mark of a lost camera
    (tmp_path / "s" / "color" / "1.jpg").unlink()
    frames, skipped = posed_rgbd.frames(tmp_path / "s")
    assert [f.name for f in frames] == ["2"] and len(skipped) == 2 and "1.jpg is missing" in skipped[1]
    Image.fromarray(np.zeros((48, 64), np.uint16)).save(tmp_path / "s" / "depth" / "2.png")
    with pytest.raises(ValueError, match=r"2\.png has no depth"):
        frames[0].depth()
    (tmp_path / "s" / "depth" / "2.png").write_bytes(b"\x89PNG cut")
    with pytest.raises(ValueError, match=r"2\.png.*cannot be read"):
        frames[0].depth()
    (tmp_path / "s" / "pose" / "2.txt").write_text("1 0 0")
    with pytest.raises(ValueError, match="no frame of .* can be used"):
        posed_rgbd.frames(tmp_path / "s")


def test_wrong_folders_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"frame-\*\.pose\.txt.*ScanNet"):
        posed_rgbd.list_scenes(tmp_path)
    posed.write(tmp_path / "s")
    (tmp_path / "s" / "camera-intrinsics.txt").rename(tmp_path / "camera-intrinsics.txt")
    assert len(posed_rgbd.frames(tmp_path / "s")[0]) == 3  # one matrix above several sequences
    (tmp_path / "camera-intrinsics.txt").unlink()
    with pytest.raises(ValueError, match=r"camera-intrinsics\.txt is missing.*585 0 320"):
        posed_rgbd.frames(tmp_path / "s")


def test_real_frames():
    frames, skipped = posed_rgbd.frames(real("rgbd_7scenes"), every=13)
    assert len(frames) == 4 and not skipped
    assert frames[3].color().shape == (480, 640, 3) and 0.3 < np.nanmedian(frames[3].depth()) < 5
