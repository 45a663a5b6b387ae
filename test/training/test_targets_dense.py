"""Dense targets: tiles cover frames, pixels take bilinear features, and points those of the frames that see them."""

from __future__ import annotations

import dataclasses

import numpy as np
import posed_frames as posed
import pytest
import torch
from PIL import Image

from s4token_model.datasets import posed_rgbd
from s4token_model.training import targets_dense, targets_posed_rgbd

GRID = 8


class Patches:
    """Stands in for a CLIP: the dense feature of a patch is its mean color, the global one that of the picture."""

    image_size, dim, device = 8 * GRID, 3, torch.device("cpu")

    def __init__(self):
        self.batches = []

    def encode_images(self, images, dense=False):
        assert dense
        self.batches.append(len(images))
        row, column = (np.arange(self.image_size) * edge // self.image_size for edge in images.shape[1:3])
        images = images[:, row[:, None], column]
        cells = images.reshape(len(images), GRID, 8, GRID, 8, 3).mean(axis=(2, 4)) + 1e-3
        return torch.from_numpy(cells).float(), torch.from_numpy(images.reshape(len(images), -1, 3).mean(axis=1) + 1e-3)


@pytest.fixture
def frames(tmp_path):
    posed.write(tmp_path / "s")
    return posed_rgbd.frames(tmp_path / "s")[0]


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (64, 48), (100, 100), (1296, 968), (3, 2)])
def test_tiles_are_square_cover_the_picture_and_overlap(size):
    boxes = targets_dense.tiles(*size)
    for edge in {right - left for left, _, right, _ in boxes}:
        ours = [box for box in boxes if box[2] - box[0] == edge]
        count = np.zeros(size[::-1], int)
        for left, top, right, bottom in ours:
            assert bottom - top == edge and 0 <= left and 0 <= top and right <= size[0] and bottom <= size[1]
            count[top:bottom, left:right] += 1
        assert count.min() >= 1
        steps = np.diff(sorted({box[0] for box in ours}))
        assert (steps <= 0.5 * edge + 1).all()
    assert len({box[2] - box[0] for box in boxes}) == 2 and boxes[0][3] == min(size)


def test_pixels_take_the_bilinear_mean_of_the_tiles_that_hold_them():
    """A feature that is linear in the picture's coordinates is found again exactly, but for the outer half patches."""
    boxes = targets_dense.tiles(640, 480)
    grids = []
    for left, top, right, _ in boxes:
        center = (np.arange(GRID) + 0.5) / GRID * (right - left)
        x, y = np.meshgrid(left + center, top + center)
        grids.append(np.stack([x, y, np.full_like(x, 100.0)]))
    rng = np.random.default_rng(0)
    pixel = rng.uniform((45, 45), (590, 430), (200, 2))
    found = targets_dense.sample_tiles(torch.tensor(np.stack(grids)).float(), boxes, pixel)
    covering = np.array([[b[0] <= u + 0.5 <= b[2] and b[1] <= v + 0.5 <= b[3] for b in boxes] for u, v in pixel])
    assert covering.sum(axis=1).min() >= 2
    # Only tiles whose outer half patch does not hold the pixel are linear there
    half = np.array([(b[2] - b[0]) / GRID / 2 for b in boxes])
    inner = np.array(
        [
            [
                b[0] + h <= u + 0.5 <= b[2] - h and b[1] + h <= v + 0.5 <= b[3] - h
                for b, h in zip(boxes, half, strict=True)
            ]
            for u, v in pixel
        ]
    )
    good = (inner == covering).all(axis=1)
    expected = np.column_stack([pixel + 0.5, np.full(len(pixel), 100.0)])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert good.sum() > 20
    np.testing.assert_allclose(found.numpy()[good], expected[good], atol=1e-5)


def test_a_constant_picture_gives_its_feature_everywhere_even_at_the_border():
    boxes = targets_dense.tiles(64, 48)
    pixel = np.array([[-0.5, -0.5], [63.5, 47.5], [0, 47.5], [31.2, 20.8]])
    grid = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1).expand(len(boxes), 2, GRID, GRID)
    np.testing.assert_allclose(targets_dense.sample_tiles(grid, boxes, pixel).numpy(), [[0.6, 0.8]] * 4, atol=1e-6)


def test_superpoints_take_the_color_of_their_pixels(frames):
    xyz, part = posed.cloud()
    (ids, features, mean), skipped = targets_posed_rgbd.encode_scene(xyz, part + 5, frames, Patches(), dense=True)
    assert ids.tolist() == [5, 6] and not skipped
    assert features[1, 1] > 0.9 > features[1, 0] and features[0, 0] > 0.98 > features[0, 1]  # green board, red wall
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    assert mean[0] > mean[1] > mean[2] and np.isclose(np.linalg.norm(mean), 1)
    with pytest.raises(ValueError, match="no frame sees a superpoint"):
        targets_posed_rgbd.encode_scene(xyz + 50, part, frames, Patches(), dense=True)


def test_frames_are_encoded_together_and_give_what_each_gives_alone(frames, monkeypatch):
    xyz, _ = posed.cloud()
    together, alone = Patches(), Patches()
    one = list(targets_dense.seen_points(xyz, frames, together, []))
    monkeypatch.setattr(targets_dense, "PICTURES", 1)
    two = list(targets_dense.seen_points(xyz, frames, alone, []))
    # A batch each of large tiles, of small ones, and of frames: of all frames together, or of each
    assert len(together.batches) == 3 and sorted(alone.batches) == sorted(n // 3 for n in together.batches * 3)
    for ours, theirs in zip(one, two, strict=True):
        np.testing.assert_array_equal(ours.index, theirs.index)
        torch.testing.assert_close(ours.feature, theirs.feature)
        np.testing.assert_allclose(ours.global_feature, theirs.global_feature, atol=1e-6)


def test_what_a_larger_depth_image_sees_beside_the_picture_is_left_out(frames):
    """The color picture of the first frame loses its left half; matrices say so."""
    frame = frames[0]
    picture = np.asarray(Image.open(frame.color_path))[:, 32:]
    Image.fromarray(picture).save(frame.color_path)
    matrix = frame.color_matrix.copy()
    matrix[0, 2] -= 32
    xyz, _ = posed.cloud()
    (seen,) = targets_dense.seen_points(xyz, [dataclasses.replace(frame, color_matrix=matrix)], Patches(), [])
    assert xyz[seen.index, 0].min() > -0.05 and len(seen.index) > 100
    np.testing.assert_allclose(seen.feature.norm(dim=1).numpy(), 1, atol=1e-5)


def test_frames_without_depth_or_picture_are_counted(frames):
    frames[1].depth_path.unlink()
    frames[2].color_path.write_bytes(b"no picture")
    xyz, part = posed.cloud()
    (_, features, _), skipped = targets_posed_rgbd.encode_scene(xyz, part, frames, Patches(), dense=True)
    assert len(skipped) == 2 and len(features) == 2
