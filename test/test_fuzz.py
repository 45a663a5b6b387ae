"""`make fuzz`: its sandbox notices every kind of failure, and a quick run of each trial finds none."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s4token_model.io import pointcloud2
from s4token_model.io.files import read_cloud
from s4token_model.io.pointcloud2 import Field
from scripts.fuzz import clouds, files, mutations, sandbox
from scripts.fuzz.__main__ import line
from scripts.fuzz.outcome import MAX_BYTES, Outcome

CODES = dict(zip(range(1, 9), "bBhHiIfd", strict=True))  # of struct, by the datatype of a PointField
ROOT = Path(__file__).resolve().parents[1]


def attempt(number: int, scratch: Path) -> None:
    """Fail in another way for each of some numbers."""
    if number == 3:
        raise ValueError("a.ply: bad")
    if number == 5:
        raise KeyError("x")
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 9:
        time.sleep(60)
    if number == 11:
        np.ones(3 * 2**30, np.uint8)
    if number == 13:
        try:
            np.ones(3 * 2**30, np.uint8)
        except MemoryError:
            raise ValueError("a.ply: cannot be read") from None


TRIAL = sandbox.Trial(lambda number: number, attempt, lambda number, path: path.write_text(str(number)), 1.0)


def test_the_sandbox_counts_and_keeps_every_kind_of_failure(tmp_path):
    found = sandbox.run(TRIAL, 20, 4, tmp_path)
    assert (found.tried, found.refused, found.crashes, found.hangs, found.tracebacks) == (20, 1, 1, 1, 3)
    assert not found.passed and len(found.examples) == 5 and found.peak_bytes < MAX_BYTES
    kept = {path.name for path in tmp_path.iterdir() if path.suffix == ""}
    assert kept == {"4-crash-7", "4-hang-9", "4-traceback-5", "4-traceback-11", "4-traceback-13"}
    assert "KeyError" in (tmp_path / "4-traceback-5.txt").read_text()


def test_an_interrupted_run_continues_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "INPUTS_PER_PROCESS", 2)
    assert sandbox.run(TRIAL, 4, 0, tmp_path).tried == 4
    seen = []
    monkeypatch.setattr(sandbox, "_run_process", lambda trial, numbers, *_: seen.append(numbers) or numbers.stop)
    assert sandbox.run(TRIAL, 7, 0, tmp_path).refused == 1
    assert seen == [range(4, 6), range(6, 7)]
    assert sandbox.run(TRIAL, 4, 0, tmp_path).tried == 4  # all of it is done


def test_the_frame_fails_on_any_failure_and_on_much_memory():
    assert Outcome(tried=10, refused=9, peak_bytes=MAX_BYTES).passed
    for failure in ({"crashes": 1}, {"hangs": 1}, {"tracebacks": 1}, {"peak_bytes": MAX_BYTES + 1}):
        assert not Outcome(**failure).passed
    assert line("files", Outcome(3, 2, 1), 4).startswith("files: FAILED: 3 tried in 4 s, 2 refused, 1 crashes")


def test_inputs_follow_from_seed_and_number():
    assert clouds.make(Random("3:4")) == clouds.make(Random("3:4")) != clouds.make(Random("3:5"))
    data = bytes(range(200))
    assert mutations.mutate(data, Random("1")) == mutations.mutate(data, Random("1")) != data


def test_every_seed_is_a_file_that_is_read(tmp_path):
    """A seed that is refused as it is would try little."""
    seeds = [seed for group in files._seeds().values() for seed in group]
    for i, seed in enumerate(seeds):
        (folder := tmp_path / str(i)).mkdir()
        files.attempt(files.Damaged(seed, seed.data), folder)
        if seed.read.endswith(("ply", "pcd", "las", "laz", "npy", "png")):
            assert len(read_cloud(folder / seed.read).xyz) > 0
    assert {seed.name.rpartition(".")[2] for seed in seeds} >= {
        "ply",
        "pcd",
        "npy",
        "bin",
        "off",
        "obj",
        "las",
        "laz",
        "png",
    }
    assert {seed.read.rpartition(".")[2] for seed in seeds} >= {"mcap", "db3"}


@pytest.mark.parametrize(("name", "count"), [("clouds", 1500), ("files", 250)])
def test_a_quick_run_finds_no_failure(tmp_path, name, count):
    command = [sys.executable, "-m", "scripts.fuzz", name, "--count", str(count), "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and f"{name}: ok: {count} tried" in done.stdout, done.stdout + done.stderr


FIELDS = st.lists(
    st.builds(
        Field,
        st.sampled_from(["x", "y", "z", "rgb", "", "a"]),
        st.integers(0, 40) | st.just(2**32 - 1),
        st.integers(0, 9),
        st.integers(0, 3) | st.just(2**32 - 1),
    ),
    max_size=6,
)
SIZE = st.integers(0, 48) | st.sampled_from([2**16, 2**31, 2**32 - 1])


@settings(max_examples=300, deadline=None)
@given(FIELDS, SIZE, SIZE, SIZE, SIZE, st.booleans(), st.binary(max_size=400))
def test_a_message_is_refused_or_has_the_values_of_its_bytes(fields, width, height, step, row, big, data):
    """The oracle reads one value at a time with struct."""
    try:
        points = pointcloud2.decode(fields, data, width, height, step, row, big)
    except ValueError:
        return
    assert len(points) == width * height
    packed = width * step
    fits = packed <= row and (height - 1) * row + packed <= len(data)
    if not len(points) or (height > 1 and len(data) > height * packed and not fits):  # guessed, see test_pointcloud2
        return
    distance = row if height > 1 and len(data) > height * packed else packed
    plain = {f.name: f for f in fields if f.name in points.dtype.names and f.count in (0, 1) and f.datatype in CODES}
    for name, field in plain.items():
        if points[name].ndim == 1 and [f.name for f in fields].count(name) == 1:
            at = [distance * r + step * c + field.offset for r in range(height) for c in range(width)]
            values = [struct.unpack_from("<>"[big] + CODES[field.datatype], data, a)[0] for a in at]
            assert np.array_equal(points[name], np.array(values, points[name].dtype), equal_nan=True)


def test_an_unknown_trial_is_named():
    done = subprocess.run([sys.executable, "-m", "scripts.fuzz", "cloud"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "no trial cloud; there are clouds, files" in done.stderr
