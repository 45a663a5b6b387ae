import numpy as np
import pytest

from s4token_model import checkpoint
from s4token_model.io import samples
from s4token_model.pipeline import windows
from s4token_model.pipeline.patched_cloud import build_patches
from s4token_model.pipeline.storeys import storey_bounds
from s4token_model.segmenter import Segmenter


def room(quarter: int = 0):
    found = samples.load()
    return found.xyz[quarter::4].astype(np.float64), found.label[quarter::4], found.names


def bounds_of(xyz, scale: float = 1.0):
    partition = build_patches(scale * xyz, None, checkpoint.read_config(checkpoint.MINI)).partition
    points = partition.working.points
    size = windows.typical_size(points, partition.superpoints)
    found = storey_bounds(points, partition.local.normals, size)
    return (found - points[:, 2].min()) * partition.working.extent / scale


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_bound_lies_just_below_every_floor_but_the_lowest(count):
    xyz, _, _ = room()
    stack = np.concatenate([xyz + [0, 0, 2.9 * k] for k in range(count)])
    for scale in (1.0, 1000.0):
        found = bounds_of(stack, scale)
        assert len(found) == count - 1
        np.testing.assert_allclose(found, 2.9 * np.arange(1, count), atol=0.35)


def test_furniture_and_empty_clouds_are_no_storeys():
    rng = np.random.default_rng(0)
    floor, bed = (np.c_[rng.uniform(0, 1, (4000, 2)) * size, np.full(4000, z)] for size, z in ((4, 0), (3, 0.6)))
    wall = np.c_[rng.uniform(0, 4, 4000), np.zeros(4000), rng.uniform(0, 2.5, 4000)]
    points = np.concatenate([floor, bed, wall])
    normals = np.repeat([[0, 0, 1.0], [0, 0, 1.0], [0, 1.0, 0]], 4000, axis=0)
    assert len(storey_bounds(points, normals, 0.8)) == 0 == len(storey_bounds(points[:0], normals[:0], 0.8))
    assert len(storey_bounds(points, normals, 0.0)) == 0


def test_the_upper_storeys_are_labeled_as_well_as_the_lowest():
    segmenter, right = Segmenter.load(checkpoint.MINI), []
    for quarter in range(4):  # the draw of the tokens moves a single one by some points
        xyz, label, names = room(quarter)
        encoding = segmenter.encode(np.concatenate([xyz + [0, 0, 2.9 * k] for k in range(3)]))
        labels = segmenter.label(encoding, segmenter.make_vocabulary(names)).labels.reshape(3, -1)
        right.append((labels == label).mean(axis=1))
    mean = np.mean(right, axis=0)
    assert mean.min() >= 0.9 * mean.max() > 0.5
    storeys = [window.storey for window in encoding.geometry.windows]
    assert len(set(storeys)) == 3
    for window in encoding.geometry.windows:
        heights = encoding.geometry.patches.centers[window.tokens, 2]
        assert (heights >= window.storey[0]).all() and (heights < window.storey[1]).all()
