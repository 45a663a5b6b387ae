"""Evaluation during training: zero-shot labels of a data set's test objects or rooms by the tokenizer as it is.

The geometry of the clouds is computed once, and each process labels its part of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist

from s4token_model import config as configs
from s4token_model import jobs, metrics, prompts
from s4token_model.config import Config
from s4token_model.datasets import modelnet40, scannet, scanobjectnn
from s4token_model.datasets.splits import ALL
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.patched_cloud import PatchedCloud
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.segmenter import Segmenter
from s4token_model.training.loop import world_size
from s4token_model.training.settings import TrainConfig

VARIANT = "obj_bg"  # of ScanObjectNN


class _Cloud(NamedTuple):
    """A cloud cut into tokens, and what it is: the class (1,) of an object, or of each point (H,) of a room."""

    patched: PatchedCloud
    label: np.ndarray
    count: int  # points H


class DataSet(NamedTuple):
    """A data set that is found in a folder."""

    prompts: str
    classes: tuple[str, ...]
    items: list[Any]
    load: Callable[[Any], tuple[np.ndarray, np.ndarray | None, Any]]  # xyz, rgb, label
    is_rooms: bool = False


class ZeroShot:
    """Scores a tokenizer, as it is then, on clouds of a data set."""

    def __init__(
        self, data_set: DataSet, config: TrainConfig, pipeline: Config, tokenizer: Tokenizer, clip: FrozenClip,
        rank: int = 0, processes: int = 1,
    ):  # fmt: skip
        """Take config.evaluate_clouds of the clouds, and of these the part of this process; compute where `clip` is."""
        self.data_set, self.tokenizer = data_set, tokenizer
        was_training = tokenizer.training
        changes = {} if data_set.is_rooms else {"input.up": "z"}  # objects stand upright, and have no floor
        self.segmenter = Segmenter(tokenizer, clip, configs.replace(pipeline, changes))
        tokenizer.train(was_training)
        frozen = prompts.load(data_set.prompts, data_set.classes)
        self.words = self.segmenter.make_vocabulary(frozen.names, frozen.templates)
        items, count = data_set.items, config.evaluate_clouds
        if count and count < len(items):  # evenly spread over the list, which is sorted by class
            items = [items[k] for k in np.linspace(0, len(items) - 1, count).round().astype(int)]
        self.items = items[rank::processes]
        self._clouds: list[_Cloud] | None = None

    def scores(self) -> dict[str, float]:
        """Accuracy in [0, 1] of objects, or mIoU and accuracy of the points of rooms; over all processes."""
        was_training, classes = self.tokenizer.training, len(self.data_set.classes)
        self.tokenizer.eval()
        counts = torch.zeros(classes, classes + 1, dtype=torch.int64)
        for cloud in self._prepared():
            encoded = self.segmenter.encode_patches(cloud.patched, cloud.count)
            if self.data_set.is_rooms:
                found = self.segmenter.label(encoded, self.words).labels
            else:
                found = np.array([(self.words.text @ encoded.cls).argmax()])
            counts += torch.from_numpy(metrics.confusion(cloud.label, found, classes))
        self.tokenizer.train(was_training)
        if world_size() > 1:
            counts = counts.to(self.segmenter.device)
            dist.all_reduce(counts)
        found = metrics.scores(counts.cpu().numpy())
        miou = {"zero_shot/miou": found.miou} if self.data_set.is_rooms else {}
        return miou | {"zero_shot/accuracy": found.accuracy}

    def _prepared(self) -> list[_Cloud]:
        """The clouds of this process; cut into tokens at the first call, and what fails reported and left out."""
        if self._clouds is None:
            self._clouds, failed = [], list[jobs.Outcome]()
            for item in self.items:
                try:
                    xyz, rgb, label = self.data_set.load(item)
                    patched = self.segmenter.build_patches(xyz, rgb)
                    self._clouds.append(_Cloud(patched, np.atleast_1d(label), len(xyz)))
                except (ValueError, OSError) as reason:
                    name = str(item[0] if isinstance(item, tuple) else item)
                    failed.append(jobs.Outcome(name, None, str(reason)))
            jobs.print_failures(failed, len(self.items), "clouds to evaluate on")
            if failed and not self._clouds:
                raise ValueError(f"evaluate: none of the clouds could be read; the first: {failed[0].error}")
        return self._clouds


def find(root: Path, split: str) -> DataSet:
    """Return the data set in a folder: ScanNet, ScanObjectNN or ModelNet40. ValueError if there is none."""
    reasons = []
    for open_set in (_scannet, _scanobjectnn, _modelnet40):
        try:
            return open_set(root, split)
        except ValueError as reason:
            reasons.append(str(reason))
    raise ValueError(f"evaluate={root}: no data set with a split {split} to evaluate on; {'; '.join(reasons)}")


def _modelnet40(root: Path, split: str) -> DataSet:
    def load(path: Path) -> tuple[np.ndarray, None, int]:
        found = modelnet40.load_object(path)
        return found.xyz, None, found.category

    items = [path for one in _object_splits(split) for path in modelnet40.list_objects(root, one)]
    return DataSet("modelnet40", modelnet40.NAMES, items, load)


def _scanobjectnn(root: Path, split: str) -> DataSet:
    def load(item: tuple[str, Any]) -> tuple[np.ndarray, None, int]:
        if isinstance(item[1], ValueError):
            raise item[1]
        return item[1].xyz, None, item[1].category

    items = [item for one in _object_splits(split) for item in scanobjectnn.load(root, VARIANT, one)]
    return DataSet("scanobjectnn", scanobjectnn.NAMES, items, load)


def _scannet(root: Path, split: str) -> DataSet:
    def load(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        room = scannet.load_room(root, name)
        return room.xyz, room.rgb, room.label

    return DataSet(
        "scannet20", scannet.NAMES, scannet.list_rooms(root, None, None if split == ALL else split), load, True
    )


def _object_splits(split: str) -> tuple[str, ...]:
    """The splits of a data set of objects, which have no val."""
    return {"val": ("test",), ALL: ("train", "test")}.get(split, (split,))
