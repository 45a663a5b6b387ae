"""Labels over time, with and without a voxel map, on drives through procedural streets and on a room at rest.

Agreement is the fraction of the voxels seen by two successive clouds whose most frequent label is the same in both.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from s4token_model import constants, prompts
from s4token_model.datasets import semantickitti
from s4token_model.evaluation.loading import Result, Setup
from s4token_model.evaluation.procedural_rooms import FIRST_SEED
from s4token_model.io import samples
from s4token_model.pipeline.voxel_map import VoxelMap, labels_of_points
from s4token_model.procedural import scenes
from s4token_model.procedural.classes import PROCEDURAL, SEMANTICKITTI_PROCEDURAL
from s4token_model.sensors import lidar_scans, spinning_lidar
from s4token_model.sensors.raycast import Caster

VOXEL, HALF_LIFE, MAX_VOXELS, MARGIN = 0.2, 10.0, 1_000_000, 1.25  # defaults of the node's parameters temporal.*
PERIOD_S = 0.1
EYE_M = 1.73  # height of the sensor above the road
STEP_M = 1.0  # that the car drives between two sweeps
SWEEPS, FRAMES = 20, 10
NOISE_M = 0.001  # of the room's points, drawn anew for each frame
HEADER = (
    f"{'scene':<16}{'clouds':>7}{'points':>9}{'agreement':>11}{'smoothed':>9}{'accuracy':>10}{'smoothed':>9}{'ms':>7}"
)


@dataclass(frozen=True)
class PosedCloud:
    """A cloud of H points, its pose in the fixed frame, and its truth."""

    xyz: np.ndarray  # (H, 3) float32, in the sensor's frame [m]
    rotation: np.ndarray  # (3, 3)
    translation: np.ndarray  # (3,) [m]
    label: np.ndarray  # (H,) index into the class names, UNLABELED = not scored


def temporal_agreement(setup: Setup, streets: int = 4) -> Result:
    """Measure a model on `streets` simulated drives and on the sample room; times are those that smoothing adds."""
    segmenter, room = setup.labeler(), samples.load()
    if streets < 1:
        raise ValueError(f"streets={streets}; drive through at least one")
    outdoor = prompts.load("semantickitti", semantickitti.NAMES)
    rows = [measure("room at rest", room_at_rest(room), segmenter, segmenter.make_vocabulary(room.names))]
    for seed in range(FIRST_SEED, FIRST_SEED + streets):
        vocabulary = segmenter.make_vocabulary(outdoor.names, outdoor.templates)
        rows.append(measure(f"drive {seed}", drive(seed), segmenter, vocabulary))
    lines = [
        f"{row['scene']:<16}{row['clouds']:>7}{row['points']:>9,}"
        + f"{row['agreement']:>11.4f}{row['agreement_smoothed']:>9.4f}"
        + f"{row['accuracy']:>10.4f}{row['accuracy_smoothed']:>9.4f}{row['extra_ms']:>7.1f}"
        for row in rows
    ]
    return {"task": "temporal", "model": str(setup.model), "scenes": rows}, "\n".join([HEADER, *lines])


def drive(seed: int, sweeps: int = SWEEPS) -> Iterator[PosedCloud]:
    """Sweeps of a 64-beam LiDAR on a car that drives through a procedural street, past its middle."""
    scene = scenes.make_street(seed)
    caster, truth = Caster(scene), semantickitti_labels()
    for k in range(sweeps):
        eye = np.array([STEP_M * (k - sweeps / 2), 0, EYE_M])
        yaw = 0.02 * np.sin(k)  # radians
        rotation = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        scan = lidar_scans.scan_lidar(scene, np.random.default_rng([seed, k]), spinning_lidar.HDL64, eye, caster)
        yield PosedCloud(((scan.xyz - eye) @ rotation).astype(np.float32), rotation, eye, truth[scan.label])


def room_at_rest(room: samples.Sample, frames: int = FRAMES) -> Iterator[PosedCloud]:
    """The sample room, with new noise in each frame."""
    for k in range(frames):
        noise = np.random.default_rng(k).normal(0, NOISE_M, room.xyz.shape)
        yield PosedCloud((room.xyz + noise).astype(np.float32), np.eye(3), np.zeros(3), room.label)


def semantickitti_labels() -> np.ndarray:
    """The class of SemanticKITTI of each procedural class, UNLABELED if it has none."""
    index = {name: k for k, kitti in enumerate(semantickitti.NAMES) for name in SEMANTICKITTI_PROCEDURAL.get(kitti, ())}
    return np.array([index.get(name, constants.UNLABELED) for name in PROCEDURAL])


def measure(scene: str, clouds: Iterator[PosedCloud], segmenter: Any, vocabulary: Any) -> dict[str, Any]:
    """Label the clouds of a scene one by one and smoothed; a JSON-ready row of figures."""
    voxels = VoxelMap(VOXEL, HALF_LIFE, MAX_VOXELS, MARGIN)
    temperature = segmenter.config.vocabulary.temperature
    seen: tuple[list[dict[int, int]], ...] = ([], [])
    right, scored, points, extra_ms = [0, 0], 0, [], []
    for k, cloud in enumerate(tqdm(clouds, scene, disable=None)):
        encoded = segmenter.encode(cloud.xyz)
        # Both labelings, timed
        start = time.perf_counter()
        plain = segmenter.label(encoded, vocabulary).labels
        middle = time.perf_counter()
        pose, features = (cloud.rotation, cloud.translation), encoded.superpoint_features()
        cell_of_point, sweep = voxels.sweep(cloud.xyz, encoded.superpoints, features, pose, k * PERIOD_S)
        decision = voxels.label(sweep, vocabulary.text, temperature, vocabulary.bias)
        smoothed, _ = labels_of_points(cell_of_point, decision, vocabulary.thresholds)
        extra_ms.append(1e3 * (time.perf_counter() - 2 * middle + start))
        # What they are right about, and the labels of the voxels
        truth = cloud.label != constants.UNLABELED
        scored += int(truth.sum())
        points.append(len(cloud.xyz))
        world = cloud.xyz @ cloud.rotation.T + cloud.translation
        for method, labels in enumerate((plain, smoothed)):
            right[method] += int((labels == cloud.label)[truth].sum())
            seen[method].append(voxel_labels(world, labels))
    agreement, accuracy = [agreement_of(found) for found in seen], [count / max(scored, 1) for count in right]
    return {
        "scene": scene, "clouds": len(points), "points": int(np.mean(points)), "agreement": agreement[0],
        "agreement_smoothed": agreement[1], "accuracy": accuracy[0], "accuracy_smoothed": accuracy[1],
        "extra_ms": float(np.median(extra_ms)),
    }  # fmt: skip


def voxel_labels(xyz: np.ndarray, labels: np.ndarray) -> dict[int, int]:
    """The most frequent label of each voxel of points (H, 3), the lowest of equally frequent ones."""
    cells = np.floor(xyz / VOXEL).astype(np.int64) + 2**20
    keys, voxel = np.unique(cells @ [2**42, 2**21, 1], return_inverse=True)
    pairs, counts = np.unique(np.stack([voxel.ravel(), labels.astype(np.int64)]), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], -counts, pairs[0]))
    first = order[np.flatnonzero(np.diff(pairs[0][order], prepend=-1))]
    return dict(zip(keys.tolist(), pairs[1][first].tolist(), strict=True))


def agreement_of(clouds: list[dict[int, int]]) -> float:
    """Fraction of equal labels over the voxels that two successive clouds have seen; ValueError if there are none."""
    equal = [
        labels[key] == before[key]
        for before, labels in zip(clouds, clouds[1:], strict=False)
        for key in before.keys() & labels.keys()
    ]
    if not equal:
        raise ValueError("no voxel was seen by two successive clouds; give clouds that overlap")
    return float(np.mean(equal))
