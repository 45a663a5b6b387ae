"""The stage timer, with the clock in the test's hands."""

from __future__ import annotations

import pytest

from s4token_model import stage_timer
from s4token_model.stage_timer import StageTimer


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The time in seconds that the timer reads; the test sets its only element."""
    now = [100.0]
    monkeypatch.setattr(stage_timer.time, "perf_counter", lambda: now[0])
    return now


def test_each_stage_has_the_milliseconds_since_the_one_before(clock):
    timer = StageTimer()
    clock[0] += 0.25
    timer("partition")
    clock[0] += 0.5
    timer("encoder")
    assert timer.stages_ms == {"partition": 250.0, "encoder": 500.0}


def test_skipped_time_belongs_to_no_stage(clock):
    timer = StageTimer()
    clock[0] += 7
    timer.skip()
    clock[0] += 0.125
    timer("encoder")
    assert timer.stages_ms == {"encoder": 125.0}


def test_earlier_stages_are_copied(clock):
    before = {"partition": 3.0}
    timer = StageTimer(before)
    timer("encoder")
    assert before == {"partition": 3.0} and timer.stages_ms == {"partition": 3.0, "encoder": 0.0}
