"""s4token prepare scenes: samples that training reads, resumable, the same in several processes, damage left out."""

from __future__ import annotations

import json

import numpy as np
import posed_frames as posed
import pytest
from real_data import real

from s4token_model import checkpoint, cli
from s4token_model import config as configs
from s4token_model.io import files
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.training import prepare, sources, targets_posed_rgbd
from s4token_model.training.batches import DrawConfig, make_batch
from s4token_model.training.sampler import Sampler
from s4token_model.training.settings import TrainConfig
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
    out.parent.mkdir(exist_ok=True)
    (recipe := out.parent / "recipe.yaml").write_text(f"init: {model}\n")
    assert prepare.main([str(recipe), "scenes", str(rooms), "--out", str(out), *CHANGES, *more]) == 0
    return {path.name: load_sample(path) for path in find_samples(out)}


def test_a_clip_that_takes_no_pictures_is_refused_before_anything_is_cut(rooms, tmp_path):
    for init in ("s4token-mini", str(checkpoint.resolve(checkpoint.MINI))):
        with pytest.raises(
            ValueError, match=r"mini.clip was shortened and takes no pictures.*of scenes.*prepare clouds"
        ):
            prepared(rooms, tmp_path / "out", init)
    assert not (tmp_path / "out").exists()


def test_samples_are_trained_on_and_kept(rooms, tmp_path, tiny_model, capsys, monkeypatch):
    found = prepared(rooms, tmp_path / "a", tiny_model)
    printed = capsys.readouterr()
    assert sorted(found) == ["one.safetensors", "two.safetensors"] and "2 samples" in printed.out
    assert "1 of 3 samples failed:\n  dark  " in printed.err and "no frame has depth" in printed.err
    for sample in found.values():
        assert np.isin(sample.targets.superpoint, np.arange(sample.point_superpoint.max() + 1)).any()
        np.testing.assert_allclose(np.linalg.norm(sample.targets.feature.astype(float), axis=1), 1, atol=2e-3)
    rngs = [np.random.default_rng(k) for k in range(2)]
    batch = make_batch(Sampler(find_samples(tmp_path / "a"), 32).draw(DrawConfig(16, 64, 32, 48), rngs))
    assert batch.has_target.any() and np.isfinite(batch.inputs.patch.numpy()).all()
    stamps = {path: path.stat().st_mtime_ns for path in find_samples(tmp_path / "a")}
    monkeypatch.setattr(
        targets_posed_rgbd, "patch_scene", lambda *_: pytest.fail("a sample that is there is not made again")
    )
    (rooms / "none").mkdir(exist_ok=True)
    prepared(rooms / "one", tmp_path / "a", tiny_model)
    assert stamps == {path: path.stat().st_mtime_ns for path in find_samples(tmp_path / "a")}


def test_dense_targets_are_those_of_pixels_and_are_on_record(rooms, tmp_path, tiny_model, capsys):
    """The sample has the features of encode_scene, and a training that asks for the standard ones refuses it."""
    given = ("--set", "targets=dense", "--every", "2")
    sample = prepared(rooms / "one", tmp_path / "a", tiny_model, *given)["one.safetensors"]
    changes = {"sampling.tokens": 24, "superpoints.regularization": 0.05, "input.up": "-y"}
    config, encoder = configs.replace(checkpoint.read_config(tiny_model), changes), None
    recipe = prepare.Recipe(config, TrainConfig(init=str(tiny_model), targets="dense"), "scenes")
    encoder = prepare._encoder(recipe)
    _, expected, _ = targets_posed_rgbd.patch_scene(rooms / "one", config, encoder, 2, dense=True)
    np.testing.assert_array_equal(sample.targets.superpoint, expected.superpoint)
    np.testing.assert_allclose(sample.targets.feature.astype(np.float32), expected.feature, atol=2e-3)
    words = [str(tmp_path / "recipe.yaml"), f"data={tmp_path / 'a'}", f"run={tmp_path / 'run'}", *CHANGES[1::2]]
    assert cli.main(["train", *words]) == 2
    error = capsys.readouterr().err
    assert "targets: 'dense' there, 'standard' here. Make them again: s4token prepare" in error
    assert cli.main(["train", *words, "targets=dense", "steps=1", "batch=1", "clusters=3", "tokens=8"]) == 0


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
    ((name, path, split),) = sources.list_sources(tmp_path, "objects", "train")
    assert (name, split) == ("shapenet_pc_02691156-b", "train")
    np.testing.assert_array_equal(sources.read_xyz(path), xyz[:, [2, 0, 1]])


def test_superpoints_beside_a_mesh_of_scannet_are_used(tmp_path, tiny_model):
    """A room as exported by SensReader, with ScanNet's mesh and over-segmentation: wall and board."""
    folder, (xyz, part) = tmp_path / "scene0000_00", posed.cloud()
    posed.write(folder, "scannet")
    columns = dict(zip("xyz", xyz.T, strict=True))
    files.write_cloud(folder / "scene0000_00_vh_clean_2.ply", files.Cloud.from_fields(columns))
    for split, name in (("train", "scene0000_00"), ("val", "scene0011_00")):
        (tmp_path / f"scannetv2_{split}.txt").write_text(name)
    provided = ("--set", "superpoints.source=provided")
    with pytest.raises(ValueError, match="nothing could be prepared of .*scene0000_00"):  # no .segs.json
        prepared(tmp_path, tmp_path / "out" / "a", tiny_model, *provided)
    segments = folder / "scene0000_00_vh_clean_2.0.010000.segs.json"
    segments.write_text(json.dumps({"segIndices": (40 + 9 * part).tolist()}))
    sample = prepared(tmp_path, tmp_path / "out" / "a", tiny_model, *provided)["scene0000_00.safetensors"]
    # The board is half a meter in front of the wall: y is up now, and the height of the image is z
    depth = np.ptp(sample.point, axis=0).argmin()
    assert set(sample.point_superpoint) == {0, 1} and set(sample.targets.superpoint) == {0, 1}
    near = sample.point[:, depth] < sample.point[:, depth].mean()
    assert (sample.point_superpoint[near] == sample.point_superpoint[near][0]).all()


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
    encoder = prepare._encoder(prepare.Recipe(config, TrainConfig(init=str(tiny_model)), "scenes"))
    assert isinstance(encoder, FrozenClip)
    geometry, targets, skipped = targets_posed_rgbd.patch_scene(real("rgbd_7scenes"), config, encoder, every=13)
    used = np.unique(geometry.patches.superpoint)
    assert not skipped and np.isin(used, targets.superpoint).mean() > 0.9
