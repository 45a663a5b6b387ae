"""SIGINT and SIGTERM end the node in every state: in time, with exit code 0 and nothing in the log."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

import signal_trials
from shared_memory import segments_of_ended_processes

from s4token_ros import signals as process_signals

INT, TERM = signal.SIGINT, signal.SIGTERM


@pytest.mark.parametrize(
    "state, signals",
    [
        ("imports", (INT,)),
        ("torch", (INT,)),
        ("loading", (INT, INT)),
        ("patches, overlap", (INT,)),
        ("inference", (TERM,)),
        ("texts", (INT,)),
    ],
)
def test_a_signal_ends_the_node_in_every_state(state, signals, tmp_path):
    assert state in signal_trials.STATES
    before = segments_of_ended_processes()
    seconds, code, log = signal_trials.trial(state, tmp_path / "log", signals)
    assert code == 0 and seconds < signal_trials.LIMIT_S, (seconds, log)
    assert not [word for word in ("Traceback", "Error", "terminate", "core dumped") if word in log], log
    assert segments_of_ended_processes() <= before
    if len(signals) == 2:
        assert seconds < 1.5, "the second signal does not wait"


def test_removes_the_shared_memory_of_that_process_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(process_signals, "SHARED_MEMORY", tmp_path)
    for name in ("fastdds_1", "fastdds_1_el", "fastdds_2", "fastdds_2_el", "fastdds_port7_el"):
        (tmp_path / name).write_bytes(b"")
    with (tmp_path / "fastdds_1_el").open() as own, (tmp_path / "fastdds_port7_el").open() as port:
        fcntl.flock(own, fcntl.LOCK_EX)
        fcntl.flock(port, fcntl.LOCK_EX)
        process_signals.remove_segments(os.getpid() + 1)
        assert len(list(tmp_path.iterdir())) == 5
        process_signals.remove_segments(os.getpid())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fastdds_2", "fastdds_2_el", "fastdds_port7_el"]


def test_the_process_ends_although_nobody_reads_its_output():
    code = "import sys; from s4token_ros import signals; sys.stdin.read(); print('x'); signals.leave(3)"
    buffered, pipe = {**os.environ, "PYTHONUNBUFFERED": ""}, subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", code], env=buffered, stdin=pipe, stdout=pipe)
    process.stdout.close()
    process.stdin.close()
    assert process.wait(30) == 3
