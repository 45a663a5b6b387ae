"""Sessions of the demo and the live benchmark: domains, environment, child processes."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces.msg")

from s4token_ros import heap, session

ROOT = Path(__file__).resolve().parents[2]


def test_the_environment_of_a_session(monkeypatch, tmp_path):
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE", "ROS_DISTRO", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    variables = session.environment()
    assert 1 <= int(variables["ROS_DOMAIN_ID"]) <= 100 and variables["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert Path(variables["FASTDDS_DEFAULT_PROFILES_FILE"]).name == session.PROFILE
    assert variables["GLIBC_TUNABLES"] == heap.TUNABLES
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=1")
    assert session.environment()["GLIBC_TUNABLES"] == "glibc.malloc.check=1"
    monkeypatch.setenv("ROS_DISTRO", "humble")
    variables = session.environment()
    assert variables["ROS_LOCALHOST_ONLY"] == "1" and "FASTRTPS_DEFAULT_PROFILES_FILE" in variables
    mine = tmp_path / "mine.xml"
    mine.write_text("<dds/>")
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", str(mine))
    assert "FASTRTPS_DEFAULT_PROFILES_FILE" not in session.environment()


def test_the_launch_file_sets_the_tunables_of_a_session():
    assert f'TUNABLES = "{heap.TUNABLES}"' in (ROOT / "launch" / "s4token.launch.py").read_text(encoding="utf-8")


def test_a_claimed_domain_is_given_to_no_other_process_until_this_one_ends(monkeypatch):
    monkeypatch.setattr(session.os, "getpid", lambda: 0)  # both search from the same domain on
    ours = {session.claim_domain() for _ in range(5)}
    assert len(ours) == 5
    code = "import os; os.getpid = lambda: 0\nfrom s4token_ros.session import claim_domain\n"
    code += "print(*(claim_domain() for _ in range(5)), flush=True); input()"
    other = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        theirs = set(map(int, other.stdout.readline().split()))
        assert len(theirs) == 5 and not theirs & ours
        assert not {session.claim_domain() for _ in range(5)} & theirs
    finally:
        other.communicate(b"\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.bind(("127.0.0.1", 7400 + 250 * min(theirs) + 9))  # released


def test_a_process_that_ignores_the_signal_is_killed(tmp_path):
    code = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    child = session.ChildProcess("deaf", [sys.executable, "-c", code], tmp_path / "log")
    child.grace_s = 0.2
    while child.last_log_line() != "ready":
        assert child.process.poll() is None, child.text()
    assert child.stop() == -9
    assert child.stop() == -9  # and ending it twice does no harm
