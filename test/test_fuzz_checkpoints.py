"""Quick runs of the trials with damaged checkpoints and with killed writers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scripts.fuzz import checkpoints, kills


@pytest.fixture(autouse=True)
def threads():
    """The trials compute in one thread, which outlives a fork."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_damaged_and_hostile_checkpoints_are_refused(tmp_path):
    found = checkpoints.run(40, 1, tmp_path)
    assert found.passed and found.tried == 40 and found.refused > 30, found.examples


def test_killed_writers_leave_an_old_or_a_new_checkpoint(tmp_path):
    found = kills.run(4, 1, tmp_path)
    assert found.passed and found.tried == 4, found.examples


@pytest.mark.parametrize("event", [("open", "/etc/passwd"), ("socket.connect", "host"), ("subprocess.Popen", "sh")])
def test_the_audit_hook_refuses_what_a_checkpoint_must_not_do(tmp_path, monkeypatch, event):
    checkpoints._audit(*event[:1], event[1:])  # nothing is tried now
    monkeypatch.setattr(checkpoints, "armed", [Path(tmp_path)])
    monkeypatch.setattr(checkpoints, "seen", [])
    with pytest.raises(PermissionError):
        checkpoints._audit(event[0], event[1:])
    checkpoints._audit("open", (str(tmp_path / "config.json"),))
    assert len(checkpoints.seen) == 1
