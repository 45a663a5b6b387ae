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


def test_the_examples_are_numbered_and_short():
    assert [path.name[:3] for path in EXAMPLES] == ["01_", "02_", "03_", "04_"]
    assert all(len(path.read_text(encoding="utf-8").splitlines()) <= 45 for path in EXAMPLES)


def test_01_labels_the_sample_room(tmp_path):
    out = run_example("01_label_file.py", tmp_path)
    cloud, names = read_cloud(tmp_path / "labeled.ply"), read_names("scannet20")
    label, confidence = cloud.fields["label"], cloud.fields["confidence"]
    assert len(cloud.xyz) == len(read_cloud(ROOM).xyz) and (label < len(names)).all()
    assert ((confidence > 0) & (confidence <= 1)).all()
    counts = {names[index]: int(count) for index, count in enumerate(np.bincount(label)) if count}
    printed = {name.strip(): int(count) for name, count in re.findall(r"^(\D+?) +(\d+) points", out, re.MULTILINE)}
    assert printed == counts and max(counts, key=counts.get) == "floor"
    lowest = cloud.xyz[:, 2] < np.percentile(cloud.xyz[:, 2], 20)
    assert (label[lowest] == names.index("floor")).mean() > 0.9
    superpoints = int(re.search(r"(\d+) superpoints", out)[1])
    assert len(np.unique(cloud.fields["superpoint"])) == superpoints > 20


def test_01_leaves_invalid_points_of_another_file_unlabeled(small_cloud):
    run_example("01_label_file.py", small_cloud.parent, small_cloud, "out.npy")
    fields = read_cloud(small_cloud.parent / "out.npy").fields
    assert fields["label"][7] == 65535 and fields["superpoint"][7] == 4294967295 and fields["confidence"][7] == 0
    assert (np.delete(fields["label"], 7) < 20).all()


def test_02_labels_every_point_with_each_vocabulary(tmp_path):
    lines = run_example("02_change_words.py", tmp_path).splitlines()
    points = len(read_cloud(ROOM).xyz)
    assert len(lines) == 3
    for line in lines:
        assert sum(int(count) for count in re.findall(r" (\d+)(?:,|$)", line)) == points
    floor, ground = (int(re.search(rf"{name} (\d+)", line)[1]) for name, line in zip(("floor", "ground"), lines[::2]))
    assert 0.2 * points < floor < 0.5 * points and 0.2 * points < ground


def test_03_makes_fewer_superpoints_with_more_regularization(tmp_path):
    out = run_example("03_superpoints.py", tmp_path)
    counts = [int(count) for count in re.findall(r": (\d+) superpoints", out)]
    assert len(counts) == 3 and counts[0] > counts[1] > counts[2] > 1
    ids = read_cloud(tmp_path / "superpoints.ply").fields["superpoint"]
    assert np.array_equal(np.unique(ids), np.arange(counts[2]))


def test_03_marks_invalid_points(small_cloud):
    run_example("03_superpoints.py", small_cloud.parent, small_cloud)
    ids = read_cloud(small_cloud.parent / "superpoints.ply").fields["superpoint"]
    assert ids[7] == 4294967295 and (np.delete(ids, 7) < 100).all()


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


def test_04_takes_texts_from_the_command_line(small_cloud):
    out = run_example("04_query.py", small_cloud.parent, small_cloud, "a flat floor")
    assert out.startswith("a flat floor\n") and 1 <= out.count("superpoint") <= 3
