"""Hints on silence: the size of the shared memory."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

from s4token_ros import qos


@pytest.mark.parametrize("total_mb, small", [(64, True), (128, True), (512, False)])
def test_a_small_shared_memory_is_named_with_the_fix(monkeypatch, total_mb, small):
    monkeypatch.setattr(qos.os, "statvfs", lambda path: SimpleNamespace(f_blocks=total_mb * 256, f_frsize=4096))
    hint = qos.shared_memory_hint()
    assert bool(hint) == small and (not small or f"/dev/shm has {total_mb} MB" in hint and "--shm-size" in hint)
    publisher = SimpleNamespace(topic_type=qos.CLOUD_TYPE, qos_profile=qos.cloud_qos("best_effort"))
    silence = qos.silence_hint("/points", [publisher], qos.cloud_qos("best_effort"))
    assert ("--shm-size" in silence) == small and ("fastdds_large_clouds" in silence) != small


def test_a_system_without_the_folder_has_no_hint(monkeypatch):
    monkeypatch.setattr(qos, "SHARED_MEMORY", "/no/such/folder")
    assert qos.shared_memory_hint() == ""


def test_a_topic_without_a_publisher_never_had_one_or_lost_it():
    requested = qos.cloud_qos("best_effort")
    assert qos.silence_hint("/points", [], requested).endswith("remap points or set input.topics")
    assert qos.silence_hint("/points", [], requested, ended=True).endswith("its publisher is gone: start it again")


@pytest.mark.parametrize("variable", qos.PROFILE_VARIABLES)
def test_histories_come_from_our_profile_only(monkeypatch, tmp_path, variable):
    ours = Path(qos.__file__).parents[1] / "config" / "fastdds_large_clouds.xml"
    other = tmp_path / "fastdds_large_clouds.xml"  # an older copy of ours, say
    other.write_text("<dds><profiles/></dds>")
    for path, taken in ((other, False), (tmp_path / "missing.xml", False), (ours, True)):
        for name in (*qos.PROFILE_VARIABLES, qos.FROM_PROFILE):
            monkeypatch.setenv(name, "")
            monkeypatch.delenv(name)  # restored in the end, whatever is set
        monkeypatch.setenv(variable, str(path))
        qos.use_histories_of_profile()
        assert (qos.os.environ.get(qos.FROM_PROFILE) == "1") == taken, path
    monkeypatch.setenv(qos.FROM_PROFILE, "0")
    qos.use_histories_of_profile()
    assert qos.os.environ[qos.FROM_PROFILE] == "0"  # as the user has it
