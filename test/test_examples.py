"""The examples run as a reader would run them, on the sample room, and print what they promise."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import s4token_model
from s4token_model.io.files import Cloud, read_cloud, write_cloud
from s4token_model.vocabulary import read_names

ROOT = Path(__file__).resolve().parents[1]
ROOM = Path(s4token_model.__file__).parent / "samples" / "room.laz"
pytestmark = pytest.mark.timeout(600)  # a fresh checkout compiles the kernels first
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run_example(name: str, folder: Path, *arguments: object) -> str:
    command = [sys.executable, str(ROOT / "examples" / name), *map(str, arguments)]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert finished.returncode == 0, finished.stderr[-2000:]
    return finished.stdout


@pytest.fixture
def small_cloud(tmp_path) -> Path:
    """A floor, a wall and a box of 6,000 points, one of them NaN."""
    rng = np.random.default_rng(0)
    floor, wall, box = rng.random((3, 2000, 3), np.float32)
    xyz = np.concatenate([floor * [4, 4, 0.01], wall * [4, 0.01, 2.5], 1 + box * [0.6, 0.6, 0.01]])
    xyz[7] = np.nan
    write_cloud(tmp_path / "cloud.ply", Cloud.from_fields({name: xyz[:, i] for i, name in enumerate("xyz")}))
    return tmp_path / "cloud.ply"


def test_the_examples_are_numbered_short_and_start_with_the_sample_room():
    assert [path.name[:3] for path in EXAMPLES] == ["01_", "02_", "03_", "04_"]
    for path in EXAMPLES:
        source = path.read_text(encoding="utf-8")
        assert len(source.splitlines()) <= 45
        assert 'ROOM = Path(s4token_model.__file__).parent / "samples" / "room.laz"' in source


def test_01_labels_the_sample_room(tmp_path):
    out = run_example("01_label_file.py", tmp_path)
    cloud, names = read_cloud(tmp_path / "labeled.ply"), read_names("scannet20")
    label, confidence = cloud.fields["label"], cloud.fields["confidence"]
    assert len(cloud.xyz) == len(read_cloud(ROOM).xyz) and (label < len(names)).all()
    assert ((confidence > 0) & (confidence <= 1)).all()
    counts = {names[index]: int(count) for index, count in enumerate(np.bincount(label)) if count}
    printed = {name.strip(): int(count) for name, count in re.findall(r"^(\D+?) +(\d+) points", out, re.MULTILINE)}
    assert printed == counts and max(counts, key=counts.get) in ("floor", "wall")
    lowest = cloud.xyz[:, 2] < np.percentile(cloud.xyz[:, 2], 20)
    assert (label[lowest] == names.index("floor")).mean() > 0.9
    superpoints = int(re.search(r"(\d+) superpoints", out)[1])
    assert len(np.unique(cloud.fields["superpoint"])) == superpoints > 20


def test_02_labels_every_finite_point_of_a_file_with_each_vocabulary(small_cloud):
    lines = run_example("02_change_words.py", small_cloud.parent, small_cloud).splitlines()
    assert len(lines) == 3
    for line in lines:
        assert sum(int(count) for count in re.findall(r" (\d+)(?:,|$)", line)) == 5999
    assert int(re.search(r"floor (\d+)", lines[0])[1]) > 1500


def test_03_makes_fewer_superpoints_with_more_regularization_and_marks_invalid_points(small_cloud):
    out = run_example("03_superpoints.py", small_cloud.parent, small_cloud, "out.npy")
    counts = [int(count) for count in re.findall(r": (\d+) superpoints", out)]
    assert len(counts) == 3 and counts[0] >= counts[1] >= counts[2] > 1
    ids = read_cloud(small_cloud.parent / "out.npy").fields["superpoint"]
    assert ids[7] == 4294967295 and np.array_equal(np.unique(np.delete(ids, 7)), np.arange(counts[2]))
    assert np.bincount(ids[4000:]).max() == 2000 and ids[4000] != ids[100]


def test_04_ranks_superpoints_by_similarity_and_finds_the_floor(tmp_path):
    out = run_example("04_query.py", tmp_path)
    pattern = r"(-?\d\.\d+)  superpoint (\d+): (\d+) points around \[ *(\S+) +(\S+) +(\S+?) *\]"
    answers = re.split(r"^(?=a )", out, flags=re.MULTILINE)[1:]
    assert [answer.splitlines()[0] for answer in answers] == ["a place to sit", "a floor", "a wall"]
    for answer in answers:
        scores = [float(match[0]) for match in re.findall(pattern, answer)]
        assert len(scores) == 3 and scores == sorted(scores, reverse=True) and 0 < scores[0] < 1
    best_floor, best_wall = (re.findall(pattern, answers[k])[0] for k in (1, 2))
    assert int(best_floor[2]) > 10_000 and abs(float(best_floor[5])) < 0.1 < float(best_wall[5])
