"""How many clouds a model labels before the first one arrives."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

from s4token_ros import model_loading, parameter_changes
from s4token_ros.parameters import Settings
from s4token_ros.worker import Model


@pytest.mark.parametrize(
    "warm_up, trial, expected",
    [(True, False, [60_000, 60_000]), (True, True, [60_000]), (False, True, [600]), (False, False, [])],
)
def test_a_start_labels_two_clouds_and_a_change_of_parameters_one(warm_up, trial, expected):
    points: list[int] = []
    segmenter = SimpleNamespace(segment=lambda xyz: points.append(len(xyz)), vocabulary="words")
    settings = Settings().changed({"warm_up": warm_up})
    model = model_loading.load(lambda *_: segmenter, settings, trial)
    assert points == expected and model.vocabulary == "words"


def test_a_long_first_cloud_is_enough(monkeypatch):
    monkeypatch.setattr(model_loading, "WARM_UP_S", 0.0)
    points: list[int] = []
    segmenter = SimpleNamespace(segment=lambda xyz: points.append(len(xyz)), vocabulary="words")
    model_loading.load(lambda *_: segmenter, Settings())
    assert points == [60_000]


@pytest.mark.parametrize("changed, read", [("sampling.tokens", False), ("device", True), ("clip.precision", True)])
def test_weights_are_read_again_only_for_another_device_or_precision(changed, read):
    read_configs, shared = [], SimpleNamespace(segment=lambda xyz: None, vocabulary="words")
    other = SimpleNamespace(segment=lambda xyz: None, vocabulary="words")

    def load(settings, weights=None):
        return model_loading.load(lambda *given: read_configs.append(given) or other, settings, True, weights)

    new = Settings().changed({changed: {"sampling.tokens": 64, "device": "cuda", "clip.precision": "fp32"}[changed]})
    words, kept = SimpleNamespace(names=(), templates=(), thresholds=()), SimpleNamespace(words=None)
    current = Model(SimpleNamespace(with_config=lambda config: shared), words)
    model = parameter_changes.changed_model(Settings(), new, current, kept, load, lambda *_: words)
    assert bool(read_configs) == read and model.segmenter is (other if read else shared)
