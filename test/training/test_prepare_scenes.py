"""s4token prepare scenes: samples that training reads, resumable, the same in several processes, damage left out."""

from __future__ import annotations

import numpy as np
import posed_frames as posed
import pytest
from real_data import real

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.training import prepare, targets_posed_rgbd
from s4token_model.training.batches import DrawConfig, make_batch
from s4token_model.training.sampler import Sampler
from s4token_model.training.token_samples import find_samples, load_sample, to_arrays

CHANGES = ["--set", "sampling.tokens=24", "--set", "superpoints.regularization=0.05", "--set", "input.up=-y"]


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rooms")
    posed.write(folder / "one")
    posed.write(folder / "two", "scannet")
    posed.write(folder / "dark")
    for path in (folder / "dark").glob("*.depth.png"):
        path.write_bytes(b"no picture")
    return folder


def prepared(rooms, out, model, *more):
    assert prepare.main(["scenes", str(rooms), "--out", str(out), "--model", str(model), *CHANGES, *more]) == 0
    return {path.name: load_sample(path) for path in find_samples(out)}


def test_samples_are_trained_on_and_kept(rooms, tmp_path, tiny_model, capsys, monkeypatch):
    found = prepared(rooms, tmp_path, tiny_model)
    printed = capsys.readouterr()
    assert sorted(found) == ["one.safetensors", "two.safetensors"] and "2 samples" in printed.out
    assert "1 of 3 samples failed:\n  dark  " in printed.err and "no frame has depth" in printed.err
    for sample in found.values():
        assert np.isin(sample.targets.superpoint, np.arange(sample.point_superpoint.max() + 1)).any()
        np.testing.assert_allclose(np.linalg.norm(sample.targets.feature.astype(float), axis=1), 1, atol=2e-3)
    rngs = [np.random.default_rng(k) for k in range(2)]
    batch = make_batch(Sampler(find_samples(tmp_path), 32).draw(DrawConfig(16, 64, 32, 48), rngs))
    assert batch.has_target.any() and np.isfinite(batch.inputs.patch.numpy()).all()
    stamps = {path: path.stat().st_mtime_ns for path in find_samples(tmp_path)}
    monkeypatch.setattr(
        targets_posed_rgbd, "patch_scene", lambda *_: pytest.fail("a sample that is there is not made again")
    )
    (rooms / "none").mkdir(exist_ok=True)
    assert prepare.main(["scenes", str(rooms / "one"), "--out", str(tmp_path), "--model", str(tiny_model)]) == 0
    assert stamps == {path: path.stat().st_mtime_ns for path in find_samples(tmp_path)}


def test_processes_give_the_same_samples(rooms, tmp_path, tiny_model):
    one = prepared(rooms / "one", tmp_path / "a", tiny_model, "--every", "2")
    both = prepared(rooms, tmp_path / "b", tiny_model, "--every", "2", "--workers", "2")
    expected, found = (to_arrays(samples["one.safetensors"]) for samples in (one, both))
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(array.astype(float), found[name].astype(float), atol=2e-3)


def test_shapenet55_is_read_by_its_list_with_z_up(tmp_path):
    for folder in ("shapenet_pc", "ShapeNet-55"):
        (tmp_path / folder).mkdir()
    xyz = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    for name in ("02691156-a", "02691156-b"):
        np.save(tmp_path / "shapenet_pc" / f"{name}.npy", xyz)
    (tmp_path / "ShapeNet-55" / "train.txt").write_text("02691156-b.npy\n")
    ((name, path),) = prepare._files_in(tmp_path)
    assert name == "shapenet_pc_02691156-b"
    np.testing.assert_array_equal(prepare.read_xyz(path), xyz[:, [2, 0, 1]])


def test_what_is_wrong_is_named(rooms, tmp_path, tiny_model):
    with pytest.raises(ValueError, match="looked for"):
        prepared(tmp_path, tmp_path / "out", tiny_model)
    with pytest.raises(ValueError, match="nothing could be prepared of .*dark"):
        prepared(rooms / "dark", tmp_path / "out", tiny_model)
    with pytest.raises(ValueError, match="--workers 0"):
        prepared(rooms, tmp_path / "out", tiny_model, "--workers", "0")


def test_the_real_scene(tiny_model):
    """Few of its frames: most superpoints that have a token are seen."""
    config = configs.replace(checkpoint.read_config(tiny_model), {"input.up": "-y"})
    encoder = prepare._encoder(prepare.Recipe(config, kind="scenes", model=tiny_model))
    assert isinstance(encoder, FrozenClip)
    geometry, targets, skipped = targets_posed_rgbd.patch_scene(real("rgbd_7scenes"), config, encoder, every=13)
    used = np.unique(geometry.patches.superpoint)
    assert not skipped and np.isin(used, targets.superpoint).mean() > 0.9
