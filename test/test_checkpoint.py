"""Checkpoints: what is saved comes back; what is damaged or does not fit is refused with a reason."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
import warnings
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import open_clip
import pytest
import safetensors.torch
import torch
from tiny_model import TINY_CLIP

from s4token_model import atomic, checkpoint
from s4token_model import config as configs
from s4token_model.pipeline import known_words
from s4token_model.pipeline.tokenizer import Tokenizer


@pytest.fixture
def copy(tiny_model, tmp_path):
    """A checkpoint of one's own to damage."""
    return shutil.copytree(tiny_model, tmp_path / "copy")


def test_round_trip(copy):
    tokenizer, clip, config = checkpoint.load(copy)
    other = copy.parent / "again"
    shutil.copytree(copy / "clip", other / "clip")
    checkpoint.save(other, tokenizer, config, {"made": "again"})
    again, _, same = checkpoint.load(other)
    assert same == config == checkpoint.read_config(other)
    assert json.loads((other / "config.json").read_text())["provenance"] == {"made": "again"}
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in tokenizer.state_dict().items())
    assert not tokenizer.training and not clip.training
    assert not list(other.glob("*.partial"))


def edited(copy: Path, **changes) -> None:
    """Change keys of a saved config; `a__b` stands for a.b."""
    content = json.loads((copy / "config.json").read_text())
    content["config"] |= {key.replace("__", "."): value for key, value in changes.items()}
    (copy / "config.json").write_text(json.dumps(content))


def saved_anew(folder: Path, copy: Path, value: float, root: Path | None = None) -> None:
    """Save a tokenizer whose weights all are `value`."""
    config = checkpoint.read_config(copy)
    tokenizer = Tokenizer(config.tokenizer, 48)
    with torch.no_grad():
        for parameter in tokenizer.parameters():
            parameter.fill_(value)
    checkpoint.save(folder, tokenizer, config, {"value": value}, root)


def loaded_values(folder: Path) -> set[float]:
    tensors = checkpoint.load(folder)[0].state_dict().values()
    return {float(x) for tensor in tensors for x in (tensor.min(), tensor.max())}


def test_free_keys_may_change_and_weights_keys_may_not(copy):
    saved = checkpoint.read_config(copy)
    free = {"sampling.tokens": 9, "vocabulary.threshold": 0.5, "clip.precision": "bf16", "patches.points": 8}
    assert checkpoint.load(copy, configs.replace(saved, free))[2].sampling.tokens == 9
    bound = configs.replace(saved, {"tokenizer.width": 32, "clip.name": "ViT-B-16", "tokenizer.context": False})
    with pytest.raises(ValueError) as caught:
        checkpoint.load(copy, bound)
    for key in ("tokenizer.width: 32, trained with 16", "clip.name: 'ViT-B-16'", "tokenizer.context: False"):
        assert key in str(caught.value)


def test_a_checkpoint_in_front_of_the_wrong_activation_is_refused(copy):
    content = json.loads((copy / "config.json").read_text())
    content["config"] |= {"clip.name": "ViT-B-16", "clip.pretrained": "openai"}
    (copy / "config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="use clip.name=ViT-B-16-quickgelu.*has to be trained again"):
        checkpoint.load(copy)


def test_an_unknown_model_names_the_known_ones():
    with pytest.raises(ValueError, match="no checkpoint 'nothing-here'.*built-in"):
        checkpoint.load("nothing-here")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": 2, "config": {}}', "has format 2, this version reads format 1"),
        ('{"config": {}}', "has format None"),
        ("[1, 2]", "has format None"),
        ('{"format": 1', "is not JSON.*copy it again"),
        ("", "is not JSON"),
        ('{"format": 1}', "holds no config"),
        ('{"format": 1, "config": {}}', "does not say clip.name and clip.pretrained"),
        ('{"format": true, "config": {}}', "has format True"),
        ('{"format": 1, "config": [3]}', "holds no config"),
        ('{"format": 1, "config": {"sampling.speed": 3}}', "config.json.*unknown config key 'sampling.speed'"),
        ('{"format": 1, "config": {"sampling.tokens": -3}}', "config.json.*below its minimum"),
        ('{"format": 1, "config": {"clip.precision": "int8"}}', "config.json: clip.precision='int8'.*auto, fp32, bf16"),
    ],
)
def test_bad_config_files(copy, content, message):
    (copy / "config.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        checkpoint.load(copy)


def test_damaged_weights(copy):
    path = copy / "tokenizer.safetensors"
    whole = path.read_bytes()
    for content in (b"", b"garbage", whole[: len(whole) // 2], whole[:4]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="tokenizer.safetensors.*damaged"):
            checkpoint.load(copy)
    path.unlink()
    with pytest.raises(ValueError, match="cannot read .*tokenizer.safetensors"):
        checkpoint.load(copy)


def test_weights_of_another_shape(copy):
    content = json.loads((copy / "config.json").read_text())
    content["config"]["tokenizer.width"] = 24
    (copy / "config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="does not fit its config.*size mismatch"):
        checkpoint.load(copy)


def test_damaged_clip(copy):
    (copy / "clip" / "open_clip_model.safetensors").write_bytes(b"garbage")
    with pytest.raises(ValueError, match="cannot load CLIP"):
        checkpoint.load(copy)
    shutil.rmtree(copy / "clip")
    with pytest.raises(ValueError, match="neither a directory nor an open_clip model"):
        checkpoint.load(copy)


def test_every_file_has_a_digest_and_a_changed_one_is_named(copy):
    known_words.save(copy / "clip", known_words.encode(["chair"], lambda texts: np.ones((1, 32), np.float32)))
    checkpoint.add_digests(copy)
    digests = json.loads((copy / "config.json").read_text())["sha256"]
    names = ["open_clip_config.json", "open_clip_model.safetensors", "known_words.safetensors"]
    assert set(digests) == {"tokenizer.safetensors", *(f"clip/{name}" for name in names)}
    checkpoint.load(copy)
    for name in digests:
        whole = (copy / name).read_bytes()
        (copy / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(ValueError, match=f"{name} is damaged or of another checkpoint: its SHA-256"):
            checkpoint.load(copy)
        (copy / name).unlink()
        with pytest.raises(ValueError, match=f"{name}: No such file|holds no open_clip"):
            checkpoint.load(copy)
        (copy / name).write_bytes(whole)
    checkpoint.load(copy)


def test_files_of_two_checkpoints_are_no_checkpoint(copy, tmp_path):
    saved_anew(tmp_path / "other", copy, 2.0, copy)
    shutil.copyfile(tmp_path / "other" / "tokenizer.safetensors", copy / "tokenizer.safetensors")
    with pytest.raises(ValueError, match="tokenizer.safetensors is damaged or of another checkpoint"):
        checkpoint.load(copy)
    known_words.save(tmp_path / "other" / "clip", known_words.encode(["a"], lambda _: np.ones((1, 32), np.float32)))
    with pytest.raises(ValueError, match="known_words.safetensors is not of this checkpoint"):
        checkpoint.load(tmp_path / "other")


def test_a_snapshot_of_a_hugging_face_cache_loads(copy, tmp_path):
    hub = tmp_path / "hub" / "models--me--mine"
    (hub / "blobs").mkdir(parents=True)
    for k, path in enumerate(sorted(p for p in copy.rglob("*") if p.is_file())):
        shutil.copyfile(path, hub / "blobs" / str(k))
        link = hub / "snapshots" / "0123" / path.relative_to(copy)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(hub / "blobs" / str(k), link.parent))
    assert checkpoint.load(hub / "snapshots" / "0123")[2] == checkpoint.read_config(copy)


def test_digests_of_files_that_are_none_of_a_checkpoint_cost_nothing(copy):
    content = json.loads((copy / "config.json").read_text())
    wrong = [
        "clip/../../secret",
        "clip/a\0b",
        f"clip/{'a' * 5000}",
        *(f"clip{'/' * k}{known_words.FILE}" for k in (2, 3)),
    ]
    content["sha256"] |= dict.fromkeys(wrong, "0" * 64)
    (copy / "config.json").write_text(
        json.dumps({**content, "sha256": {k: v for k, v in content["sha256"].items() if k.isprintable()}})
    )
    checkpoint.load(copy)


def test_a_checkpoint_with_digests_has_one_of_every_file(copy):
    checkpoint.add_digests(copy)
    content = json.loads((copy / "config.json").read_text())
    content["sha256"] = {name: one for name, one in content["sha256"].items() if not name.startswith("clip/")}
    (copy / "config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="is not of this checkpoint"):
        checkpoint.load(copy)


def test_a_name_that_is_too_long_for_the_file_system_is_named(copy):
    edited(copy, clip__name="a" * 5000)
    with pytest.raises(ValueError, match="config.json: .*too long"):
        checkpoint.load(copy)


def test_numbers_that_become_infinite_in_the_network_are_refused(copy):
    weights = safetensors.torch.load_file(copy / "tokenizer.safetensors")
    name = next(name for name, tensor in weights.items() if tensor.ndim == 2)
    weights[name] = weights[name].double()
    weights[name][0, 0] = 1e300
    safetensors.torch.save_file(weights, copy / "tokenizer.safetensors")
    checkpoint.add_digests(copy)
    with pytest.raises(ValueError, match="not finite"):
        checkpoint.load(copy)


def test_a_checkpoint_of_before_there_were_digests_loads_with_a_warning(copy):
    content = json.loads((copy / "config.json").read_text())
    del content["sha256"]
    (copy / "config.json").write_text(json.dumps(content))
    with pytest.warns(UserWarning, match="has no digests"):
        checkpoint.load(copy)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checkpoint.add_digests(copy)
        checkpoint.load(copy)
        checkpoint.load(checkpoint.MINI)


def test_saving_replaces_a_checkpoint_and_keeps_its_other_files_and_its_clip(copy):
    (copy / "README.md").write_text("a card")
    saved_anew(copy, copy, 3.0)
    assert loaded_values(copy) == {3.0} and (copy / "README.md").read_text() == "a card"
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]
    (copy / "notes").mkdir()
    with pytest.raises(ValueError, match="holds other folders .notes.; give a folder for the checkpoint alone"):
        saved_anew(copy, copy, 4.0)
    assert loaded_values(copy) == {3.0}


@pytest.fixture
def one_thread():
    """Threads of torch do not survive a fork."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("moment", "expected"), [("files", 1.0), ("before", 1.0), ("after", 2.0)])
def test_a_writer_killed_while_it_replaces_a_checkpoint_leaves_the_old_or_the_new_one(
    copy, one_thread, monkeypatch, moment, expected
):
    saved_anew(copy, copy, 1.0)
    switch = atomic._switch

    def kill(*_) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "_switch", {"before": kill, "after": lambda *a: kill(switch(*a))}.get(moment, switch))
        patch.setattr(checkpoint, "digest", kill if moment == "files" else checkpoint.digest)
        writer = get_context("fork").Process(target=saved_anew, args=(copy, copy, 2.0))
        writer.start()
        writer.join()
    assert writer.exitcode == -signal.SIGKILL and loaded_values(copy) == {expected}
    assert len(list(copy.parent.iterdir())) == 2
    saved_anew(copy, copy, 5.0)
    assert [path.name for path in copy.parent.iterdir()] == ["copy"], "the leftover is swept"


def test_who_loads_while_a_checkpoint_is_replaced_gets_one_of_the_two(copy):
    saved_anew(copy, copy, 0.0)

    def write() -> None:
        for value in range(1, 8):
            saved_anew(copy, copy, float(value))

    writer = threading.Thread(target=write)
    writer.start()
    found = []
    while writer.is_alive():
        values = loaded_values(copy)
        assert len(values) == 1
        found += values
        time.sleep(0.03)  # a writer waits for readers, but asks for its turn only now and then
    writer.join()
    assert found == sorted(found) and loaded_values(copy) == {7.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip__name": "/etc"}, "clip.name='/etc' lies outside of the checkpoint"),
        ({"clip__name": "../outside"}, "lies outside of"),
        ({"clip__name": "hf-hub:org/model"}, "neither a directory nor an open_clip model"),
        ({"clip__name": "local-dir:/etc"}, "neither a directory nor an open_clip model"),
        ({"clip__name": "ViT-B-32", "clip__pretrained": "/tmp/w.pt"}, "clip.pretrained='/tmp/w.pt' is no tag"),
        ({"clip__name": "ViT-B-32", "clip__pretrained": ""}, "clip.pretrained='' is no tag"),
        ({"vocabulary__labels": "/etc/passwd"}, "vocabulary.labels='/etc/passwd' is not in config/labels"),
        ({"vocabulary__templates": "../secret.txt"}, "vocabulary.templates='../secret.txt' is not in config/templates"),
        ({"vocabulary__labels": ".."}, "is not in config/labels"),
    ],
)
def test_a_saved_config_names_no_file_outside_of_its_checkpoint(copy, changes, message):
    shutil.copytree(copy / "clip", copy.parent / "outside")
    edited(copy, **changes)
    for read in (checkpoint.read_config, checkpoint.load):
        with pytest.raises(ValueError, match=f"config.json: .*{message}"):
            read(copy)


def test_a_clip_in_the_working_directory_is_not_the_one_of_a_checkpoint(copy, monkeypatch):
    monkeypatch.chdir(copy.parent)
    shutil.move(copy / "clip", copy.parent / "clip")
    with pytest.raises(ValueError, match="clip.name='clip' is neither a directory"):
        checkpoint.load(copy)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.safetensors", "clip/open_clip_model.safetensors", "clip"])
def test_links_out_of_a_checkpoint_are_refused(copy, name):
    shutil.move(copy / name, copy.parent / "elsewhere")
    (copy / name).symlink_to(copy.parent / "elsewhere")
    with pytest.raises(ValueError, match="lies outside of"):
        checkpoint.load(copy)


def test_a_labels_file_is_saved_as_its_names_and_a_templates_file_is_refused(copy, tmp_path):
    tokenizer, _, config = checkpoint.load(copy)
    (tmp_path / "list.txt").write_text("chair\ntable\n")
    (tmp_path / "prompts.txt").write_text("a {}\n")
    labels = {"vocabulary.labels": str(tmp_path / "list.txt")}
    checkpoint.save(copy, tokenizer, configs.replace(config, labels), {})
    assert checkpoint.read_config(copy).vocabulary.names == ("chair", "table")
    templates = {"vocabulary.templates": str(tmp_path / "prompts.txt")}
    with pytest.raises(ValueError, match="vocabulary.templates=.*prompts.txt is a file"):
        checkpoint.save(copy, tokenizer, configs.replace(config, templates), {})


def test_weights_of_a_clip_in_a_file_are_stored_in_the_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-tiny", TINY_CLIP)
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-tiny", pretrained=None)
    torch.save(model.state_dict(), tmp_path / "w.pt")
    changes = {"clip.name": "ViT-tiny", "clip.pretrained": str(tmp_path / "w.pt"), "tokenizer.width": 8}
    changes["clip.precision"] = "fp32"
    config = configs.replace(configs.Config(), changes)
    checkpoint.save(tmp_path / "model", Tokenizer(config.tokenizer, 48), config, {"loss": float("nan")})
    (tmp_path / "w.pt").unlink()
    _, clip, found = checkpoint.load(tmp_path / "model")
    assert (found.clip.name, found.clip.pretrained) == ("clip", "")
    assert all(torch.equal(tensor, clip.model.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_sizes_that_the_files_do_not_have_allocate_nothing(copy):
    edited(copy, tokenizer__width=1024, tokenizer__layers=12)
    with pytest.raises(ValueError, match="tokenizer.safetensors does not fit its config"):
        checkpoint.load(copy)
    os.truncate(copy / "tokenizer.safetensors", 1 << 40)  # sparse
    checkpoint_config = json.loads((copy / "config.json").read_text())
    del checkpoint_config["sha256"]
    (copy / "config.json").write_text(json.dumps(checkpoint_config))
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="tokenizer.safetensors is larger than"):
        checkpoint.load(copy)


def test_weights_that_are_not_finite_are_refused(copy):
    saved_anew(copy, copy, float("inf"))
    with pytest.raises(ValueError, match="tokenizer.safetensors holds numbers that are not finite"):
        checkpoint.load(copy)
