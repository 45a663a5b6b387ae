"""OpenScene's fused features: the files of a room together, in the order of its points, and what is wrong by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s4token_model.datasets import openscene


def bank(count=50, dim=6, seed=0):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)).half()


def save(folder, number, feature, full, **more):
    torch.save({"feat": feature, "mask_full": full, **more}, folder / f"scene0000_00_{number}.pt")


def test_the_files_of_a_room_together(tmp_path):
    """As OpenScene writes them for training: each file has a random part of the points that some frame shows."""
    features, rng = bank(), np.random.default_rng(0)
    shown = torch.from_numpy(rng.random(50) < 0.8)
    for number in range(12):
        full = torch.from_numpy(rng.random(50) < 0.4) & shown
        save(tmp_path, number, features[full], full)
    save(tmp_path.joinpath("scene0000_000").parent, 0, features[shown], shown)
    (tmp_path / "scene0000_00_old.pt").write_bytes(b"no file of a number")
    found = openscene.load_features(tmp_path, "scene0000_00", 50)
    np.testing.assert_array_equal(found.seen, shown.numpy())
    assert found.feature.dtype == np.float16
    np.testing.assert_array_equal(found.feature, features[shown].numpy())


def test_older_files_say_which_of_their_points_are_shown(tmp_path):
    features, full = bank(20), torch.arange(50) % 2 == 0
    rows = features[:25] if len(features) >= 25 else torch.cat([features, features[:5]])
    save(tmp_path, 0, rows.unsqueeze(2), full, mask=torch.tensor([0, 3]))
    found = openscene.load_features(tmp_path, "scene0000_00", 50)
    assert np.flatnonzero(found.seen).tolist() == [0, 6]
    np.testing.assert_array_equal(found.feature, rows[[0, 3]].numpy())
    save(tmp_path, 0, rows, full, mask=torch.arange(25) == 4)
    assert np.flatnonzero(openscene.load_features(tmp_path, "scene0000_00", 50).seen).tolist() == [8]


def test_points_with_no_or_broken_numbers_have_no_feature(tmp_path):
    features, full = bank(), torch.ones(50, dtype=torch.bool)
    features[3], features[7, 1] = 0, torch.nan
    save(tmp_path, 0, features, full)
    assert np.flatnonzero(~openscene.load_features(tmp_path, "scene0000_00", 50).seen).tolist() == [3, 7]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"feat": torch.ones(50, 4)}, "needs the tensors feat and mask_full"),
        ([torch.ones(50, 4)], "needs the tensors feat and mask_full"),
        ({"feat": torch.ones(49, 4), "mask_full": torch.ones(50)}, r"50 points in mask_full, but feat \(49, 4\)"),
        ({"feat": torch.ones(9, 4), "mask_full": torch.ones(9)}, "is of 9 points, the room has 50; take --root"),
        ({"feat": torch.zeros(50, 4), "mask_full": torch.ones(50)}, "no point of scene0000_00 has a feature"),
        ({"feat": np.ones((50, 4)), "mask_full": torch.ones(50)}, "is damaged or holds more than tensors"),
        (None, "is damaged or holds more than tensors"),
    ],
    ids=["no mask", "a list", "other rows", "other points", "zeros", "numpy", "no file of torch"],
)
def test_what_is_wrong_is_named(tmp_path, content, reason):
    path = tmp_path / "scene0000_00_0.pt"
    path.write_bytes(b"PK") if content is None else torch.save(content, path)
    with pytest.raises(ValueError, match=reason):
        openscene.load_features(tmp_path, "scene0000_00", 50)


def test_a_room_without_features_and_files_of_two_networks(tmp_path):
    with pytest.raises(ValueError, match=r"no features of scene0000_00: looked for .*scene0000_00_0\.pt"):
        openscene.load_features(tmp_path, "scene0000_00", 50)
    full = torch.ones(50, dtype=torch.bool)
    save(tmp_path, 0, bank(), full)
    save(tmp_path, 1, bank(dim=4), full)
    with pytest.raises(ValueError, match="features of 4 numbers, those before of 6"):
        openscene.load_features(tmp_path, "scene0000_00", 50)
