"""SIGINT and SIGTERM end the node in every state: in time, with exit code 0 and nothing in the log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

import signal_trials

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
    seconds, code, log = signal_trials.trial(state, tmp_path / "log", signals)
    assert code == 0 and seconds < signal_trials.LIMIT_S, (seconds, log)
    assert not [word for word in ("Traceback", "Error", "terminate", "core dumped") if word in log], log
    if len(signals) == 2:
        assert seconds < 1.5, "the second signal does not wait"


def test_the_process_ends_although_nobody_reads_its_output():
    code = "import sys; from s4token_ros import signals; sys.stdin.read(); print('x'); signals.leave(3)"
    buffered, pipe = {**os.environ, "PYTHONUNBUFFERED": ""}, subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", code], env=buffered, stdin=pipe, stdout=pipe)
    process.stdout.close()
    process.stdin.close()
    assert process.wait(30) == 3
