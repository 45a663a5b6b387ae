"""Labels smoothed over time: the votes of earlier clouds in a fixed frame, by the pose of each cloud from tf2."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from s4token_model.pipeline.voxel_map import Sweep, VoxelMap, labels_of_points
from s4token_ros.frame_source import Frame
from s4token_ros.object_ids import ObjectIds
from s4token_ros.options import TemporalConfig
from s4token_ros.transforms import Transforms

MAX_BYTES = 1 << 32  # of the map
BACK_S = 1.0  # a stamp this much older than the last begins anew, as a bag in a loop does; sensors differ by less


def check_memory(config: TemporalConfig, classes: int) -> None:
    """Raise ValueError if a map of temporal.max_voxels voxels with the votes of `classes` is too large."""
    needed = config.max_voxels * (4 * classes + 64)
    if needed > MAX_BYTES:
        raise ValueError(
            f"temporal.max_voxels={config.max_voxels} with {classes} classes takes {needed / 1e9:.1f} GB; "
            f"at most {MAX_BYTES / 1e9:.1f} are used: lower it"
        )


class _Last(NamedTuple):
    """The newest cloud of the map."""

    encoded: Any  # its EncodedCloud
    cell_of_point: np.ndarray  # (H,) int32
    sweep: Sweep
    pose: tuple[np.ndarray, np.ndarray]  # rotation (3, 3) and translation (3,) to the fixed frame


class TemporalLabels:
    """Labels frames by a voxel map, by the poses that `transforms` knows."""

    def __init__(self, config: TemporalConfig, transforms: Transforms) -> None:
        self.config, self.problem, self.resets = config, "", 0
        self._transforms, self._segmenter = transforms, None
        self._map = VoxelMap(config.voxel, config.half_life, config.max_voxels, config.margin)
        self._last: _Last | None = None
        self._object_ids = ObjectIds()

    def close(self) -> None:
        """Stop listening to tf."""
        self._transforms.close()

    @property
    def figures(self) -> dict[str, str]:
        """Values for diagnostics."""
        counts = {"voxels": self._map.voxels, "clouds": self._map.sweeps, "resets": self.resets}
        return {f"temporal.{key}": str(value) for key, value in counts.items()} | {"temporal.inactive": self.problem}

    def label(self, frame: Frame, vocabulary: Any) -> Any | None:
        """Return the Segmentation of a frame; None, with the reason in `problem`, if its pose is unknown.

        A frame votes once, however often it is labeled. Another segmenter, whose features mean something else, and a
        stamp that jumps back clear the map.
        """
        from s4token_model.segmenter import Segmentation  # imports torch

        start = time.perf_counter()
        if not frame.encoded.valid.any():
            return None
        try:
            check_memory(self.config, len(vocabulary.names))
            if self._last is None or self._last.encoded is not frame.encoded:
                self._last = self._locate(frame)
        except ValueError as reason:
            self.problem = f"labels are not smoothed: {reason}"
            return None
        self.problem = ""
        temperature = frame.segmenter.config.vocabulary.temperature
        decision = self._map.label(self._last.sweep, vocabulary.text, temperature, vocabulary.bias)
        labels, confidence = labels_of_points(self._last.cell_of_point, decision, vocabulary.thresholds)
        stages_ms = {**frame.encoded.stages_ms, "propagation": (time.perf_counter() - start) * 1e3}
        return Segmentation(labels, confidence, frame.encoded.superpoints, vocabulary, frame.encoded, stages_ms)

    def object_ids(self, names: Sequence[str], center: np.ndarray, size: np.ndarray) -> np.ndarray | None:
        """Return stable ids (N,) of objects of the newest cloud: class names, centers and sizes (N, 3) of their boxes.

        None if the pose of the cloud is unknown.
        """
        if self._last is None or self.problem:
            return None
        rotation, translation = self._last.pose
        return self._object_ids.number(names, center @ rotation.T + translation, size)

    def _locate(self, frame: Frame) -> _Last:
        """Find the voxels of a frame; ValueError if its pose is unknown."""
        header, last = frame.cloud.header, self._last
        stamp = header.stamp.sec + 1e-9 * header.stamp.nanosec
        pose = self._transforms.pose(self.config.frame, header.frame_id, header.stamp)
        if last is not None and (frame.segmenter is not self._segmenter or stamp < last.sweep.stamp - BACK_S):
            self._map.clear()
            self.resets += 1
        self._segmenter = frame.segmenter
        encoded = frame.encoded
        found = self._map.sweep(frame.cloud.xyz, encoded.superpoints, encoded.superpoint_features(), pose, stamp)
        return _Last(encoded, *found, pose)
