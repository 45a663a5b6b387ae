"""Targets from posed frames: depth-tested visibility, best frames, crops, and what a CLIP that sees colors says."""

from __future__ import annotations

import numpy as np
import posed_frames as posed
import pytest
import torch

from s4token_model.datasets import posed_rgbd
from s4token_model.training import targets_posed_rgbd


class Colors:
    """Stands in for a CLIP: the global feature of a picture is its mean color."""

    image_size, dim = 16, 3

    def encode_images(self, images, dense=False):
        return None, torch.from_numpy(images.reshape(len(images), -1, 3).mean(axis=1) + 1e-3)


@pytest.fixture
def frames(tmp_path):
    posed.write(tmp_path / "s")
    return posed_rgbd.frames(tmp_path / "s")[0]


def test_what_is_behind_is_not_seen(frames):
    xyz, part = posed.cloud()
    for frame, eye in zip(frames, posed.EYES, strict=True):
        seen = np.zeros(len(xyz), bool)
        seen[targets_posed_rgbd.visible(xyz, frame, frame.depth())] = True
        through = (xyz - eye) * (
            posed.BOARD / (xyz[:, 2:] - eye[2])
        ) + eye  # where the sight line meets the board's plane
        hidden = (part == 0) & (np.abs(through[:, :2]) < posed.HALF - 0.03).all(axis=1)
        inside = (np.abs((xyz - eye)[:, :2] / xyz[:, 2:]) < np.array([31, 23]) / 60).all(axis=1)
        free = inside & ~((part == 0) & (np.abs(through[:, :2]) < posed.HALF + 0.03).all(axis=1))
        assert hidden.sum() > 50 and not seen[hidden].any()
        edge = (part == 1) & (np.abs(xyz[:, :2]) > posed.HALF - 0.03).any(axis=1)
        assert seen[free & ~edge].all() and not seen[~inside & (np.abs(xyz[:, 0] - eye[0]) > 1.2)].any()


def test_the_best_frames_see_most_points():
    rows = np.array([[0, f, n, 0, 0, 1, 1] for f, n in enumerate((10, 40, 20, 40))] + [[3, 2, 9, 0, 0, 1, 1]])
    best = targets_posed_rgbd.best_sightings(rows, 2)
    assert best[:, :3].tolist() == [[0, 1, 40], [0, 3, 40], [3, 2, 9]]


def test_crops_are_square_and_inside():
    rng = np.random.default_rng(0)
    for _ in range(200):
        low = rng.integers(-20, 90, 2)
        box = np.array([*low, *(low + rng.integers(0, 80, 2))])
        left, top, right, bottom = targets_posed_rgbd.square(box, float(rng.choice(targets_posed_rgbd.SCALES)), 100, 60)
        assert right - left == bottom - top >= targets_posed_rgbd.MIN_CROP and 0 <= left and 0 <= top
        assert right <= 100 and bottom <= 60
    assert targets_posed_rgbd.square(np.array([40, 20, 70, 40]), 1.0, 100, 60) == (40, 15, 70, 45)


def test_superpoints_take_their_colors(frames):
    xyz, part = posed.cloud()
    seen, skipped = targets_posed_rgbd.sightings(xyz, part, frames)
    (ids, features, mean), unread = targets_posed_rgbd.encode_sightings(seen, frames, Colors())
    assert ids.tolist() == [0, 1] and not skipped and not unread
    assert features[1, 1] > 0.75 > features[1, 0] and features[0, 0] > 0.75 > features[0, 1]  # green board, red wall
    assert mean[0] > mean[1] > mean[2]
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    with pytest.raises(ValueError, match="no frame sees a superpoint"):
        targets_posed_rgbd.encode_sightings(targets_posed_rgbd.sightings(xyz + 50, part, frames)[0], frames, Colors())


def test_crops_of_several_frames_are_encoded_together(frames, monkeypatch):
    xyz, part = posed.cloud()
    seen, _ = targets_posed_rgbd.sightings(xyz, part, frames)
    sizes = []

    class Counting(Colors):
        def encode_images(self, images, dense=False):
            sizes.append(len(images))
            return super().encode_images(images)

    one, _ = targets_posed_rgbd.encode_sightings(seen, frames, Counting())
    assert sizes == [len(targets_posed_rgbd.best_sightings(seen)) * len(targets_posed_rgbd.SCALES) + len(frames)]
    monkeypatch.setattr(targets_posed_rgbd, "BATCH", 1)
    two, _ = targets_posed_rgbd.encode_sightings(seen, frames, Counting())
    assert len(sizes) == 1 + len(frames)
    for ours, theirs in zip(one, two, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_dark_frames_are_counted(frames, tmp_path):
    frames[1].depth_path.unlink()
    frames[2].color_path.write_bytes(b"no picture")
    xyz, part = posed.cloud()
    seen, skipped = targets_posed_rgbd.sightings(xyz, part, frames)
    (_, features, _), unread = targets_posed_rgbd.encode_sightings(seen, frames, Colors())
    assert len(skipped) == 1 and len(unread) == 1 and len(features) == 2


def test_the_fused_cloud_lies_on_wall_and_board(frames):
    xyz, rgb = targets_posed_rgbd.fuse(frames)
    board = np.abs(xyz[:, 2] - posed.BOARD) < 0.011
    assert (board | (np.abs(xyz[:, 2] - posed.WALL) < 0.011)).all() and 20 < board.sum() < len(xyz) / 2
    assert (rgb[board, 1] > rgb[board, 0]).all()
