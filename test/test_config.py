"""The configuration: paths, types, ranges; every default lies within its own range."""

from __future__ import annotations

import json

import pytest

from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.training.settings import MiniConfig, TrainConfig


@pytest.mark.parametrize("config", [Config(), MiniConfig(), TrainConfig()])
def test_every_default_is_documented_and_passes_its_own_check(config):
    flat = configs.options(config)
    assert configs.replace(config, {path: value for path, (value, _) in flat.items()}) == config
    for path, (value, item) in flat.items():
        assert len(item.metadata["doc"]) > 10, path
        assert isinstance(value, bool | int | float | str | tuple), path


def test_dict_round_trip_survives_json_and_nesting():
    config = configs.replace(Config(), {"sampling.tokens": 77, "vocabulary.names": ("a", "b")})
    flat = json.loads(json.dumps(configs.to_dict(config)))
    assert configs.from_dict(flat) == config
    assert configs.from_dict({"sampling": {"tokens": 77}, "vocabulary": {"names": ["a", "b"]}}) == config


@pytest.mark.parametrize(
    ("path", "given", "kept"),
    [
        ("sampling.tokens", "64", 64),
        ("sampling.tokens", 64.0, 64),
        ("sampling.gamma", 1, 1.0),
        ("sampling.gamma", "0.25", 0.25),
        ("patches.normalize", "false", False),
        ("patches.normalize", "True", True),
        ("vocabulary.names", "chair, table", ("chair", "table")),
        ("vocabulary.names", ["chair", "table"], ("chair", "table")),
        ("superpoints.solver", "cut_pursuit", "cut_pursuit"),
    ],
)
def test_text_and_numbers_become_the_type_of_the_default(path, given, kept):
    value = configs.to_dict(configs.replace(Config(), {path: given}))[path]
    assert (tuple(value) if isinstance(value, list) else value) == kept
    assert type(value) is (list if isinstance(kept, tuple) else type(kept))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sampling.token", 3, "unknown config key 'sampling.token'.*sampling.tokens"),
        ("sampling.tokens", 0, "sampling.tokens=0 is below its minimum 1"),
        ("sampling.tokens", 1e9, "above its maximum 16384"),
        ("sampling.tokens", 1.5, "must be of type int"),
        ("sampling.tokens", True, "must be of type int"),
        ("sampling.tokens", float("nan"), "must be of type int"),
        ("sampling.tokens", float("inf"), "must be of type int"),
        ("sampling.tokens", None, "must be of type int"),
        ("sampling.gamma", float("nan"), "below its minimum"),
        ("sampling.gamma", "fast", "must be of type float"),
        ("patches.normalize", 1, "must be of type bool"),
        ("clip.precision", "int8", "'int8' is not one of auto, fp32, bf16"),
        ("patches.grouping", "cube", "'cube' is not one of knn, ball, spt"),
        ("clip.name", 3, "must be of type str"),
    ],
)
def test_bad_values_are_named(path, value, message):
    with pytest.raises(ValueError, match=message):
        configs.replace(Config(), {path: value})


def test_words_become_keys_and_values():
    words = ["sampling.tokens=64", "clip.pretrained=", "vocabulary.names=a=b,c", "sampling.tokens=128"]
    assert configs.pairs(words) == {"sampling.tokens": "128", "clip.pretrained": "", "vocabulary.names": "a=b,c"}
    assert configs.pairs([]) == {}


@pytest.mark.parametrize("word", ["sampling.tokens", "", "=64"])
def test_words_that_are_no_pair_are_named(word):
    with pytest.raises(ValueError, match=f"{word!r} is not understood; write key=value"):
        configs.pairs(["clip.name=x", word])


def test_configs_are_frozen_and_copies_leave_the_original_alone():
    base = Config()
    changed = configs.replace(base, {"sampling.tokens": 3})
    assert (base.sampling.tokens, changed.sampling.tokens) == (512, 3)
    with pytest.raises(AttributeError):
        base.sampling.tokens = 3
