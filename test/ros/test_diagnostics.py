"""The one line on /diagnostics about the most serious problem."""

from __future__ import annotations

from collections import deque

from diagnostic_msgs.msg import DiagnosticStatus

from s4token_model import config as configs
from s4token_model.config import Config
from s4token_ros import diagnostics


def assessed(hints=(), **known) -> tuple[bytes, str]:
    return diagnostics.assess(diagnostics.Statistics(**known), "active", True, "", hints)


def test_silence_of_one_sensor_does_not_hide_why_the_others_are_labeled_without_it():
    silence, reason = "no cloud for 12 s on /rear", "input.fuse: labeled without /rear: no transform"
    level, text = assessed(("", silence, ""), warnings=(reason,))
    assert (level, text) == (DiagnosticStatus.WARN, f"{silence}; {reason}")


def test_hints_from_outside_are_told_all_together_and_below_an_error():
    assert assessed(("first", "", "second")) == (DiagnosticStatus.WARN, "first; second")
    assert assessed(("first",), failing=True, last_error="cut short")[0] == DiagnosticStatus.ERROR


def test_without_hints_an_unlabeled_cloud_comes_before_the_warnings():
    level, text = assessed(("", ""), unlabeled_reason="no floor", warnings=("tilted",))
    assert level == DiagnosticStatus.WARN
    assert text == "no point of the last cloud was labeled: no floor"


def test_a_slow_cloud_names_what_was_raised_and_else_what_costs_most():
    stats = diagnostics.Statistics(recent=deque([(0.0, {"encoder": 7000.0})]))
    config = configs.replace(Config(), {"sampling.tokens": 1024})
    assert diagnostics.slowness(stats, config) == "a cloud takes 7 s; lower sampling.tokens (1024)"
    assert diagnostics.slowness(stats, Config()) == "a cloud takes 7 s; lower windows.maximum or input.max_points"
