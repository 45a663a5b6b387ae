"""A trained head labels files: as its training's test did, with its parts' names, and only with its own model."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from s4token_model import checkpoint, cli
from s4token_model.constants import UNLABELED
from s4token_model.datasets import shapenetpart
from s4token_model.io import files
from s4token_model.metrics import part_ious

CONFIG = (
    "task: parts\nsteps: 30\nbatch: 4\ntokens: 24\npoints: 128\nrate: 3.0e-3\nprecision: fp32\n"
    "sampling.tokens: 24\nsuperpoints.regularization: 0.05\n"
)


def mug(rng) -> np.ndarray:
    """A cup and its handle: rows x y z nx ny nz label, y up; 36 handle, 37 cup."""
    angle, up = rng.uniform(0, 2 * np.pi, 400), rng.uniform(-1, 1, 400)
    turn = rng.uniform(-np.pi / 2, np.pi / 2, 150)
    handle = np.column_stack([1 + 0.6 * np.cos(turn), 0.6 * np.sin(turn), rng.uniform(-0.1, 0.1, 150)])
    rows = np.concatenate([np.column_stack([np.cos(angle), up, np.sin(angle)]), handle]) * rng.uniform(0.8, 1.2)
    return np.c_[rows, np.zeros_like(rows), np.repeat([37, 36], [400, 150])]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_model):
    """A finished training: its folder, and the test shapes that it was tested on."""
    folder, rng = tmp_path_factory.mktemp("parts"), np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 3)):
        (folder / "data" / split).mkdir(parents=True)
        for number in range(count):
            np.savetxt(folder / "data" / split / f"{split}{number}.txt", mug(rng), fmt="%.5f")
    (folder / "recipe.yaml").write_text(CONFIG)
    words = [f"data={folder / 'data'}", f"run={folder / 'run'}", f"init={tiny_model}"]
    assert cli.main(["train", str(folder / "recipe.yaml"), *words]) == 0
    return folder


def label(trained, source, out, *more, head="run/parts.pt"):
    words = ["--model", str(trained / "run" / "model"), "--head", str(trained / head), *more]
    return cli.main(["label", str(source), "-o", str(out), *words])


def test_files_are_labeled_as_the_test_of_the_training_was(trained, tmp_path, capsys):
    shapes = [shapenetpart.load_shape(path) for path in shapenetpart.list_shapes(trained / "data", "test")]
    ious = []
    for shape in shapes:
        source, out = tmp_path / f"{shape.name}.npy", tmp_path / f"{shape.name}.ply"
        np.save(source, shape.xyz)
        assert label(trained, source, out, "--category", "mug", "--json", "--set", "clip.precision=fp32") == 0
        report = json.loads(capsys.readouterr().out)
        assert set(report["classes"]) <= {"handle", "cup"} and report["tokens"] == 24
        fields = files.read_cloud(out).fields
        assert (fields["confidence"] > 0.5).all() and fields["label"].max() < 2
        ious.append(part_ious(shape.label, fields["label"].astype(np.int64), 2).mean())
    result = json.loads((trained / "run" / "results.json").read_text())
    assert np.mean(ious) == pytest.approx(result["miou_i"], abs=1e-6) and np.mean(ious) > 0.7


def test_points_that_are_none_stay_unlabeled_and_another_up_is_followed(trained, tmp_path):
    shape = shapenetpart.load_shape(shapenetpart.list_shapes(trained / "data", "test")[0])
    xyz = np.concatenate([shape.xyz, np.full((2, 3), np.nan, np.float32)])
    np.save(tmp_path / "a.npy", xyz)
    np.save(tmp_path / "b.npy", xyz[:, [1, 2, 0]])  # as in the file of the release: y is up, z forward
    assert label(trained, tmp_path / "a.npy", tmp_path / "a.ply", "--category", "mug") == 0
    assert label(trained, tmp_path / "b.npy", tmp_path / "b.ply", "--category", "mug", "--set", "input.up=y") == 0
    one, two = (files.read_cloud(tmp_path / f"{name}.ply").fields["label"] for name in "ab")
    assert (one[-2:] == UNLABELED).all() and (one[:-2] != UNLABELED).all() and (one == two).mean() > 0.99


def test_a_head_of_another_model_is_refused(trained, tmp_path, tiny_model, capsys):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(400, 3)))
    words = [
        "label",
        str(tmp_path / "a.npy"),
        "-o",
        str(tmp_path / "a.ply"),
        "--head",
        str(trained / "run" / "parts.pt"),
    ]
    assert cli.main([*words, "--category", "mug", "--model", str(tiny_model)]) == 2
    assert "was trained with another tokenizer than" in (error := capsys.readouterr().err)
    assert "take parts.pt and model/ of one run" in error
    # The same tokenizer, but a head for a joint space of another size
    state = torch.load(trained / "run" / "parts.pt", weights_only=True)
    torch.save(state | {"task": state["task"][:, :, :8]}, tmp_path / "parts.pt")
    assert label(trained, tmp_path / "a.npy", tmp_path / "a.ply", "--category", "mug", head=tmp_path / "parts.pt") == 2
    assert "parts.pt does not fit the CLIP of" in capsys.readouterr().err


def test_a_head_of_rooms_is_refused_as_what_it_is(trained, tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(400, 3)))
    state = torch.load(trained / "run" / "parts.pt", weights_only=True)
    last = [key for key in state if key.startswith("head.")][-1]
    torch.save(state | {last: torch.zeros(13)}, tmp_path / "parts.pt")
    assert label(trained, tmp_path / "a.npy", tmp_path / "a.ply", head=tmp_path / "parts.pt") == 2
    assert "is no head of task=parts; those of task=semantic label no files" in capsys.readouterr().err


@pytest.mark.parametrize("head", ["epcl", "point-bert"])
def test_a_tuned_clip_comes_with_the_head(trained, tmp_path, tiny_model, head):
    words = [f"data={trained / 'data'}", f"run={trained / head}", f"init={tiny_model}", "steps=2", "tune_clip=true"]
    assert cli.main(["train", str(trained / "recipe.yaml"), *words, "rate=0.05", f"head={head}"]) == 0
    from s4token_model.training import part_labels

    model = trained / head / "model"
    segmenter = part_labels.load(
        str(model), str(trained / head / "parts.pt"), "mug", checkpoint.read_config(model), "cpu"
    )
    np.save(tmp_path / "a.npy", shapenetpart.load_shape(shapenetpart.list_shapes(trained / "data", "test")[0]).xyz)
    words = ["--category", "mug", "--model", str(model)]
    assert label(trained, tmp_path / "a.npy", tmp_path / "a.ply", *words, head=f"{head}/parts.pt") == 0
    state = torch.load(trained / head / "parts.pt", weights_only=True)
    for name, value in segmenter.clip.model.visual.state_dict().items():
        torch.testing.assert_close(value.float(), state[f"tuned.{name}"], rtol=0.01, atol=0.01)
    before = checkpoint.load_clip(tiny_model, checkpoint.read_config(tiny_model).clip).model.visual.state_dict()
    assert any((state[f"tuned.{name}"] - value.float()).abs().max() > 0.02 for name, value in before.items())


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ((), "--category is missing: choose from airplane, bag"),
        (("--category", "sofa"), "--category sofa: choose from airplane, bag"),
        (
            ("--category", "mug", "--vocabulary", "a,b"),
            "has class names of its own; leave --vocabulary and --labels out",
        ),
    ],
    ids=["missing", "unknown", "words"],
)
def test_what_is_wrong_is_named(trained, tmp_path, capsys, given, reason):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(400, 3)))
    assert label(trained, tmp_path / "a.npy", tmp_path / "a.ply", *given) == 2
    assert reason in capsys.readouterr().err


def test_files_that_are_no_heads_are_named(trained, tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(400, 3)))
    (tmp_path / "bad.pt").write_bytes(b"PK")
    torch.save({"feat": torch.ones(3)}, tmp_path / "other.pt")
    for name, reason in (("none.pt", "cannot read"), ("bad.pt", "is damaged"), ("other.pt", "holds no head")):
        assert label(trained, tmp_path / "a.npy", tmp_path / "a.ply", "--category", "mug", head=tmp_path / name) == 2
        assert reason in capsys.readouterr().err
    assert label(trained, tmp_path, tmp_path / "out", "--category", "mug") == 2
    assert "labels one cloud or bag at a time" in capsys.readouterr().err
    words = ["label", str(tmp_path / "a.npy"), "-o", str(tmp_path / "a.ply"), "--category", "mug"]
    assert cli.main(words) == 2 and "--category mug has no effect without --head" in capsys.readouterr().err
