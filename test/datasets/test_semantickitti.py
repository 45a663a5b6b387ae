"""SemanticKITTI sweeps: the official layout, and the benchmark's learning map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from real_data import real

from s4token_model.constants import UNLABELED
from s4token_model.datasets import semantickitti

RAW = np.array([0, 1, 10, 252, 40, 60, 52, 99, 81, 259, 31, 253], np.uint32)
NAMES = [
    None,
    None,
    "car",
    "car",
    "road",
    "road",
    None,
    None,
    "traffic sign",
    "other vehicle",
    "bicyclist",
    "bicyclist",
]


def write_sweep(root: Path, sequence: str, number: str) -> np.ndarray:
    """Write one sweep as the release has it, with instance ids in the upper 16 bits of its labels."""
    folder = root / "sequences" / sequence
    points = np.random.default_rng(0).normal(size=(len(RAW), 4)).astype(np.float32)
    for kind in ("velodyne", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    points.tofile(folder / "velodyne" / f"{number}.bin")
    (RAW | (7 << 16)).astype(np.uint32).tofile(folder / "labels" / f"{number}.label")
    return points


def test_official_layout(tmp_path):
    points = write_sweep(tmp_path, "08", "000003")
    write_sweep(tmp_path, "00", "000001")
    assert semantickitti.list_sweeps(tmp_path) == ["00/000001", "08/000003"]
    assert semantickitti.list_sweeps(tmp_path, ["08"]) == ["08/000003"]
    sweep = semantickitti.load_sweep(tmp_path, "08/000003")
    np.testing.assert_array_equal(np.c_[sweep.xyz, sweep.intensity], points)
    assert sweep.raw.tolist() == RAW.tolist()
    names = [None if label == UNLABELED else semantickitti.NAMES[label] for label in sweep.label]
    assert names == NAMES


def test_every_raw_class_is_mapped_once():
    ids = [i for raw in semantickitti.RAW_IDS.values() for i in raw]
    assert len(ids) == len(set(ids)) == 30 and set(semantickitti.RAW_IDS) == set(semantickitti.NAMES)


def test_wrong_files_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"labels/\*.label"):
        semantickitti.list_sweeps(tmp_path)
    write_sweep(tmp_path, "00", "000000")
    path = tmp_path / "sequences/00/velodyne/000000.bin"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match="000000.bin is truncated"):
        semantickitti.load_sweep(tmp_path, "00/000000")
    path.write_bytes(path.read_bytes()[:32])
    with pytest.raises(ValueError, match="2 points but 12 labels"):
        semantickitti.load_sweep(tmp_path, "00/000000")


def test_real_sweep():
    sweep = semantickitti.load_sweep(real("semantickitti"), "00/000000")
    assert sweep.xyz.shape == (124668, 3) and len(np.unique(sweep.label)) == 13
