"""Checkpoints: what is saved comes back; what is damaged or does not fit is refused with a reason."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from s4token_model import checkpoint
from s4token_model import config as configs


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
