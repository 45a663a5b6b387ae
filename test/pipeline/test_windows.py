import numpy as np
import pytest

from s4token_model.pipeline import windows


def boxes(count: int, size: float, per_box: int = 40, seed: int = 0):
    """Superpoints of a known size on a grid, as (xyz, ids)."""
    rng = np.random.default_rng(seed)
    corners = np.array([[0, 0, 0], [1, 1, 1]]) * size / np.sqrt(3)
    inner = np.concatenate([corners, rng.random((per_box - 2, 3)) * size / np.sqrt(3)])
    places = np.stack(np.meshgrid(np.arange(count), np.arange(count), [0]), -1).reshape(-1, 3) * 3.0 * size
    return (places[:, None] + inner).reshape(-1, 3).astype(np.float32), np.repeat(np.arange(count**2), per_box)


def test_the_typical_size_is_the_median_diagonal_of_the_large_superpoints():
    xyz, ids = boxes(5, 2.0)
    assert windows.typical_size(xyz, ids) == pytest.approx(2.0, rel=1e-5)
    small = np.arange(25, 425)  # superpoints of one point each say nothing
    xyz, ids = np.concatenate([xyz, np.zeros((400, 3), np.float32)]), np.concatenate([ids, small])
    assert windows.typical_size(xyz, ids) == pytest.approx(2.0, rel=1e-5)
    assert windows.typical_size(xyz[:5], ids[:5]) == 0.0


def test_tokens_grow_with_the_extent_and_not_with_the_scale():
    xyz, ids = boxes(5, 2.0)
    assert windows.relative_spacing(1.5, xyz, ids) == pytest.approx(0.75)
    assert windows.relative_spacing(1500, 1000 * xyz, ids) == pytest.approx(0.75)
    assert windows.relative_spacing(1.5, xyz[:5], ids[:5]) == 0, "no superpoint tells"
    assert windows.needed_tokens(512, 0.84) == 512
    assert windows.needed_tokens(512, 4 * windows.SPACING) == 512 * 16
    assert windows.tokens_at(0.42, 512, 0.84) == 512 * 4 and windows.tokens_at(0.84, 512, 0.42) == 512
    assert windows.tokens_at(5e-324, 512, 1.0) == 512 * 10**8, "bounded"
    assert windows.count_of(512, 512) == 1 and windows.count_of(513, 512) == 2 and windows.count_of(3840, 512) == 10
    assert windows.tokens_of(1, 512) == 512 and windows.tokens_of(10, 512) == 3840


@pytest.mark.parametrize("count, capacity", [(100, 128), (1000, 128), (1537, 512), (40, 4), (7, 1)])
def test_every_token_is_in_one_core_and_every_point_in_one_window(count, capacity):
    rng = np.random.default_rng(count)
    centers, xyz = (rng.random((n, 3)).astype(np.float32) * [9, 4, 1] for n in (count, 3000))
    parts = windows.split(centers, xyz, capacity)
    assert sorted(np.concatenate([p.tokens[p.core] for p in parts])) == list(range(count))
    assert sorted(np.concatenate([p.points for p in parts])) == list(range(3000))
    assert len(parts) == windows.count_of(count, capacity)
    for part in parts:
        assert len(part.tokens) == min(count, capacity) and (np.diff(part.tokens) > 0).all()
        # Its neighbors are the tokens nearest to the box of its own
        low, high = centers[part.tokens[part.core]].min(axis=0), centers[part.tokens[part.core]].max(axis=0)
        distance = np.linalg.norm(np.maximum(np.maximum(low - centers, centers - high), 0), axis=1)
        others = np.setdiff1d(np.arange(count), part.tokens)
        assert distance[others].min(initial=np.inf) >= distance[part.tokens].max()
        # Its points lie among its own tokens
        if len(parts) > 1 and capacity > 4:
            inside = (xyz[part.points] >= low - 1.5) & (xyz[part.points] <= high + 1.5)
            assert inside.all()
