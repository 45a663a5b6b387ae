"""The record of a sample: what is in it, and what training and preparation refuse, key by key."""

from __future__ import annotations

import json
import shlex

import numpy as np
import posed_frames as posed
import pytest
import torch
from box_room import room
from fake_samples import fake_sample
from tiny_model import TINY_CLIP, write_tiny_clip

from s4token_model import cli
from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.training import provenance, targets, token_samples
from s4token_model.training.provenance import Provenance, differences, from_metadata, settings_of, to_metadata
from s4token_model.training.settings import TrainConfig

RECIPE = {
    "variant": "s4token", "sampling.tokens": 24, "sampling.points": 500, "patches.points": 8, "steps": 1, "batch": 2,
    "tokens": 16, "points": 64, "clusters": 4, "decoder_layers": 1, "held_out": 0.0, "precision": "fp32",
    "save_every": 1, "redraw": True, "clip.pretrained": "", "superpoints.regularization": 0.1,
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with clouds, a recipe and its samples of `objects`."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "clouds").mkdir()
    xyz = room(0.1)[0].astype(np.float32)
    for number in range(3):
        np.save(folder / "clouds" / f"{number}.npy", xyz[number::3])
    write_tiny_clip(folder / "clip")
    (folder / "recipe.yaml").write_text(json.dumps(RECIPE | {"clip.name": str(folder / "clip")}))
    assert command(folder, "prepare", "objects", folder / "clouds", "--out", folder / "samples") == 0
    return folder


def command(folder, name: str, *words) -> int:
    return cli.main([name, str(folder / "recipe.yaml"), *map(str, words)])


def refusal(capsys, folder, *words) -> str:
    """What `s4token train` says when it refuses the samples; nothing is trained."""
    run = folder / "refused"
    assert command(folder, "train", f"data={folder / 'samples'}", f"run={run}", *words) == 2
    assert not (run / "model").exists() and not (run / "state.pt").exists()
    return capsys.readouterr().err


def test_every_sample_says_how_it_was_made(made):
    paths = token_samples.find_samples(made / "samples")
    found = [from_metadata(provenance.read_metadata(path)) for path in paths]
    assert len(found) == 3 and len(set(map(str, found))) == 1
    record = found[0]
    assert (record.kind, record.split, record.inputs) == ("objects", "none", (str(made / "clouds"),))
    assert record.settings["patches.grouping"] == "ball+spt" and record.settings["redraw"] is True
    assert len(record.clip_sha256) == 64 and record.clip == str(made / "clip")
    metadata = provenance.read_metadata(paths[0])
    assert metadata["format"] == "1" and len(metadata["settings_sha256"]) == 64


def test_training_with_the_recipe_of_the_samples_runs(made, tmp_path):
    words = [f"data={made / 'samples'}", f"run={tmp_path / 'run'}"]
    assert command(made, "train", *words) == 0 and (tmp_path / "run" / "model" / "config.json").is_file()


def test_another_variant_is_refused_by_its_keys_with_the_command_that_prepares_it(made, capsys):
    text = refusal(capsys, made, "variant=knn", "redraw=false")
    for difference in (
        "patches.grouping: 'ball+spt' there, 'knn' here",
        "patches.normalize: True there, False here",
        "tokenizer.position_scaled: True there, False here",
        "sampling.gamma: 0.15 there, 0.0 here",
    ):
        assert difference in text
    assert "3 of 3 samples" in text and "sampling.seed" not in text and "position_octaves" not in text
    again = shlex.split(text[text.index("s4token prepare") :])
    assert again[1:3] == ["prepare", str(made / "recipe.yaml")] and again[3:5] == ["objects", str(made / "clouds")]
    words = [word.replace("NEW", str(made / "knn")) for word in again[1:]]
    assert cli.main(words) == 0  # the command of the message makes what the training wanted
    words = [f"data={made / 'knn'}", f"run={made / 'run_knn'}", "variant=knn", "redraw=false"]
    assert command(made, "train", *words) == 0


def test_other_tokens_are_taken_if_they_are_drawn_anew_and_that_is_wanted(made, tmp_path, capsys):
    words = ("sampling.gamma=0.4", "patches.alpha=1.5")
    assert "sampling.gamma: 0.15 there, 0.4 here" in refusal(capsys, made, *words)
    run = f"run={tmp_path / 'run'}"
    assert command(made, "train", f"data={made / 'samples'}", run, *words, "other_tokens=true") == 0
    assert "superpoints.regularization" in refusal(
        capsys, made, *words, "other_tokens=true", "superpoints.regularization=0.3"
    )


def test_another_clip_is_refused_by_its_digest(made, tmp_path, capsys):
    settings = TINY_CLIP | {"quick_gelu": True}  # equal weights, another activation
    write_tiny_clip(tmp_path / "other", settings)
    text = refusal(capsys, made, f"clip.name={tmp_path / 'other'}")
    assert f"clip: {made / 'clip'} (SHA-256 " in text and f"{tmp_path / 'other'} (SHA-256 " in text


def test_samples_without_a_record_or_of_another_format_are_refused(made, tmp_path):
    expected = from_metadata(provenance.read_metadata(token_samples.find_samples(made / "samples")[0]))
    path = tmp_path / "foreign.safetensors"
    token_samples.save_sample(path, fake_sample(0, 8))
    with pytest.raises(ValueError, match="foreign.safetensors, were not made for this: nothing says how"):
        provenance.check([path], expected, "")
    for change, reason in (
        ({"format": "7"}, "format: 7 there, 1 here"),
        ({"settings": "{}"}, "settings and their SHA-256 differ"),
        ({"inputs": "["}, "their record is damaged"),
    ):
        token_samples.save_sample(path, fake_sample(0, 8), to_metadata(expected) | change)
        with pytest.raises(ValueError, match=reason):
            provenance.check([path], expected, "")
    path.write_bytes(b"PK")  # training skips and counts damaged files
    provenance.check([path], expected, "")


def test_preparing_into_a_folder_of_other_samples_is_refused(made, capsys):
    before = {path: path.stat().st_mtime_ns for path in (made / "samples").iterdir()}
    words = ["objects", made / "clouds", "--out", made / "samples", "--set", "superpoints.regularization=0.4"]
    assert command(made, "prepare", *words) == 2
    error = capsys.readouterr().err
    assert "superpoints.regularization: 0.1 there, 0.4 here. Choose another folder" in error
    assert command(made, "prepare", "objects", made / "clouds", "--out", made / "samples") == 0  # a resumed run
    assert before == {path: path.stat().st_mtime_ns for path in (made / "samples").iterdir()}


def test_rooms_of_val_are_neither_prepared_nor_trained_on_unless_told(made, tmp_path, capsys):
    root = tmp_path / "scannet"
    for name in ("scene0000_00", "scene0011_00"):
        posed.write(root / "frames" / name, "scannet")
    words = ["scenes", root, "--set", "input.up=-y"]
    assert command(made, "prepare", *words, "--out", tmp_path / "samples") == 2
    assert "scannetv2_train.txt and scannetv2_val.txt" in capsys.readouterr().err
    for split, name in (("train", "scene0000_00"), ("val", "scene0011_00")):
        (root / f"scannetv2_{split}.txt").write_text(f"{name}\n")
    assert command(made, "prepare", *words, "--out", tmp_path / "samples") == 0
    assert "1 of 2 are not of the split train, left out" in capsys.readouterr().err
    (path,) = token_samples.find_samples(tmp_path / "samples")
    assert path.stem == "frames_scene0000_00" and provenance.read_metadata(path)["split"] == "train"
    # The other one, on purpose
    assert command(made, "prepare", *words, "--split", "val", "--out", tmp_path / "val") == 0
    data = [f"data={tmp_path / 'samples'},{tmp_path / 'val'}", f"run={tmp_path / 'run'}"]
    assert command(made, "train", *data) == 2
    assert "1 of 2 samples, e.g. " in (error := capsys.readouterr().err) and "are of the split val" in error
    assert command(made, "train", *data, "split=any") == 0


def test_settings_without_an_effect_on_samples_do_not_count():
    base, training = configs.replace(Config(), {"variant": "s4token"}), TrainConfig()
    other = configs.replace(
        base,
        {"sampling.seed": 5, "input.up": "-y", "tokenizer.width": 64, "vocabulary.vote": True, "clip.precision": "bf16",
         "tokenizer.context_points": 7},
    )  # fmt: skip
    assert settings_of(training, base) == settings_of(TrainConfig(steps=7, rate=1e-3), other)
    made, wanted = Provenance(settings_of(training, base)), Provenance(settings_of(TrainConfig(points=2000), base))
    assert differences(made, wanted) == ["points: 1024 there, 2000 here"] and differences(wanted, made) == []
    del made.settings["sampling.points"]  # a key that is newer than the sample had its default
    assert differences(made, Provenance(settings_of(training, base))) == []


class SmallGpu:
    """A CLIP on a GPU whose memory suffices for three pictures."""

    def __init__(self, limit: int = 3):
        self.limit, self.sizes = limit, list[int]()

    def encode_images(self, images, dense=False):
        self.sizes.append(len(images))
        if len(images) > self.limit:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        rows = torch.from_numpy(images[:, 0, 0, :1]).float()
        return rows[:, None, None], rows


def test_a_gpu_out_of_memory_gets_half_the_pictures_from_then_on(monkeypatch):
    monkeypatch.setattr(targets, "BATCH", 16)
    images, clip = np.arange(10, dtype=np.uint8).repeat(12).reshape(10, 2, 2, 3), SmallGpu()
    pooled = torch.cat([pooled for _, pooled in targets.encode_pictures(images, clip)])
    assert pooled[:, 0].tolist() == list(range(10)) and clip.sizes == [10, 5, 2, 2, 2, 2, 2]
    clip.sizes.clear()
    list(targets.encode_pictures(images, clip))
    assert clip.sizes == [2] * 5  # it is not tried again
    with pytest.raises(ValueError, match="not enough memory for one picture.*--device cpu"):
        list(targets.encode_pictures(images, SmallGpu(0)))


def test_wrong_words_of_prepare_are_named(made, tmp_path, capsys):
    words = ["objects", made / "clouds", "--out", tmp_path / "out"]
    for more, reason in (
        (["--device", "cuda:99"], "'cuda:99' is not available"),
        (["--set", "task=parts"], "task=parts prepares its data itself"),
        (["--set", "tokenizer.context=true"], "set tokenizer.context=false"),
        (["--split", "val"], "none of 3 inputs is of the split val"),
        (["--set", "superpoints.source=provided"], "_vh_clean_2.0.010000.segs.json is missing"),
    ):
        assert command(made, "prepare", *words, *more) == 2
        assert reason in capsys.readouterr().err, more


def test_distillation_without_targets_is_refused(made, tmp_path, capsys):
    """It would be 0 from the first step to the last, without a word."""
    assert command(made, "prepare", "clouds", made / "clouds", "--out", tmp_path / "s" / "clouds") == 0
    words = [f"data={tmp_path / 's' / 'clouds'}", f"run={tmp_path / 'run'}"]
    assert command(made, "train", *words) == 2
    error = capsys.readouterr().err
    assert ": 3 samples have no 2D targets" in error and "set local_weight=0 global_weight=0" in error
    assert not (tmp_path / "run" / "model").exists()
    assert command(made, "train", *words, "local_weight=0", "global_weight=0") == 0
    both = f"data={tmp_path / 's' / 'clouds'},{made / 'samples'}"
    assert command(made, "train", both, f"run={tmp_path / 'both'}") == 0


def test_clouds_are_not_prepared_for_a_training_that_will_be_refused(made, tmp_path, capsys):
    assert command(made, "train", f"data={made / 'clouds'}", f"run={tmp_path / 'run'}") == 2
    assert "is not prepared, and clouds that are prepared here have no 2D targets" in capsys.readouterr().err
    assert not (tmp_path / "run" / "samples").exists()


def test_damaged_samples_are_told_as_such(made, tmp_path, capsys):
    for path in token_samples.find_samples(made / "samples"):
        (tmp_path / "cut").mkdir(exist_ok=True)
        (tmp_path / "cut" / path.name).write_bytes(path.read_bytes()[:100])
    assert command(made, "train", f"data={tmp_path / 'cut'}", f"run={tmp_path / 'run'}") == 2
    assert "all 3 samples are damaged" in capsys.readouterr().err


def test_a_folder_holds_samples_of_one_kind(made, capsys):
    assert command(made, "prepare", "clouds", made / "clouds", "--out", made / "samples") == 2
    assert "kind: objects there, clouds here" in capsys.readouterr().err
    # --every has no effect on objects
    assert command(made, "prepare", "objects", made / "clouds", "--out", made / "samples", "--every", "2") == 0


def test_options_that_older_samples_do_not_know_are_not_compared():
    settings = {"points": 64, "redraw": False, "targets": "crops"}
    expected = Provenance(settings | {"every": 3}, "scenes")
    assert differences(Provenance(settings, "scenes"), expected) == []
    assert differences(Provenance(settings | {"every": 1}, "scenes"), expected) == ["every: 1 there, 3 here"]
