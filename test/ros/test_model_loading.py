"""How many clouds a model labels before the first one arrives."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

from s4token_ros import model_loading, parameter_changes
from s4token_ros.parameters import Settings
from s4token_ros.worker import Model


class Counting:
    """A segmenter that notes the clouds it is given."""

    vocabulary = SimpleNamespace(names=("chair",))

    def __init__(self) -> None:
        self.clouds: list[tuple[int, type]] = []

    def segment(self, xyz: np.ndarray) -> Any:
        self.clouds.append((len(xyz), xyz.dtype.type))
        ones = np.ones(len(xyz), np.float32)
        return SimpleNamespace(labels=np.zeros(len(xyz), np.uint32), confidence=ones, vocabulary=self.vocabulary)


LARGE, SMALL, WIDE = (8_000, np.float32), (600, np.float32), (600, np.float64)


@pytest.mark.parametrize(
    "warm_up, trial, expected",
    [
        (True, False, [LARGE, SMALL, WIDE]),
        (True, True, [LARGE]),
        (False, True, [SMALL]),
        (False, False, []),
    ],
)
def test_a_start_labels_clouds_of_every_type_and_a_change_of_parameters_one(warm_up, trial, expected):
    segmenter = Counting()
    model = model_loading.load(lambda *_: segmenter, Settings().changed({"warm_up": warm_up}), trial)
    assert segmenter.clouds == expected and model.vocabulary is segmenter.vocabulary


def test_what_only_some_clouds_need_is_left_to_a_process_that_compiles_it(monkeypatch):
    segmenter = Counting()
    monkeypatch.setattr(model_loading.compile_beside, "is_running", lambda: True)
    model_loading.load(lambda *_: segmenter, Settings())
    assert segmenter.clouds == [LARGE]


@pytest.mark.parametrize("output, expected", [("objects", 2), ("markers", 2), ("neither", 0)])
def test_objects_are_found_at_a_start_if_they_will_be_published(monkeypatch, output, expected):
    found: list[Any] = []
    monkeypatch.setattr(model_loading, "find_objects", lambda xyz, *_: found.append(xyz.dtype))
    changes = {f"output.{name}": name == output for name in ("objects", "markers")}
    model_loading.load(lambda *_: Counting(), Settings().changed(changes))
    assert found == [np.float32, np.float64][:expected]


SIGNATURES = """
import sys
import numpy as np
from numpy.lib.recfunctions import unstructured_to_structured
from std_msgs.msg import Header
from s4token_model import compile_beside
from s4token_model.io import samples
from s4token_model.objects import find_objects
from s4token_model.pipeline.voxel_map import VoxelMap
from s4token_model.segmenter import Segmenter
from s4token_ros import cloud_messages, model_loading, summaries
def compiled():
    kernels = {id(v): v for name, m in list(sys.modules.items()) if name.startswith("s4token_model.kernels.")
               for v in vars(m).values() if hasattr(v, "signatures")}
    return {(k.py_func.__qualname__, str(s)) for k in kernels.values() for s in k.signatures}
segmenter = Segmenter.load("s4token-mini")
START
before = compiled()
street = samples.load(samples.STREET).xyz
for cloud in (samples.load().xyz, street, street[::50].astype(np.float64) * 30):
    message = cloud_messages.encode(unstructured_to_structured(cloud, names=["x", "y", "z"]), Header())
    cloud = cloud_messages.decode(message).xyz
    found = segmenter.segment(cloud)
    summaries.scene_classes(Header(), cloud, found)
    find_objects(cloud, found.labels, found.confidence, [True] * len(found.vocabulary.names))
    votes, features = VoxelMap(0.2, 1.0, 10**6, 0.1), found.encoding.superpoint_features()
    for stamp in (0.0, 0.1):
        _, sweep = votes.sweep(cloud, found.superpoints, features, (np.eye(3), np.ones(3)), stamp)
        votes.label(sweep, found.vocabulary.text, 0.01)
compile_beside.main()
print(len(before), sorted(compiled() - before))
"""


@pytest.mark.parametrize(
    "start",
    [
        "model_loading.warm_up(segmenter, True, True)",
        "segmenter.segment(model_loading.warm_up_cloud()); compile_beside.main()",  # the first one on a machine
    ],
    ids=["warm", "first"],
)
def test_after_the_clouds_of_a_start_no_cloud_waits_for_the_compiler(start):
    script = SIGNATURES.replace("START", start)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    count, new = run.stdout.split(maxsplit=1)
    assert int(count) > 50 and new.strip() == "[]"


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
