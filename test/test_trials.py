"""The standing trials: their verdicts on series of samples, their documents, and a few seconds of each."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces.msg")

from s4token_ros import cloud_messages
from scripts.trials import hostile, hostile_peer, samples, sensor, signals, soak

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("path", sorted([*ROOT.glob("scripts/fuzz/*.py"), *ROOT.glob("scripts/trials/*.py")]), ids=str)
def test_every_trial_finds_what_it_imports(path):
    if path.stem == "guided":
        pytest.importorskip("atheris")
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    assert importlib.import_module(name).__name__ == name


def series(slope: float = 0.0, warm_up: float = 0.0, **last: int) -> list[samples.Sample]:
    """An hour of samples: memory rising by `slope` MB/h with noise, and by `warm_up` MB in the first six minutes.

    From every five minutes, clouds come for four and take 50 MB.
    """
    rng, found, received = np.random.default_rng(0), [], 0
    for i in range(720):
        seconds, works = 5.0 * (i + 1), i % 60 < 48
        rss = 1000 + slope * seconds / 3600 + warm_up * min(seconds / 360, 1) + rng.normal(0, 0.3) + 50 * works
        received += 25 * works
        found.append(samples.Sample(seconds, rss, 23, 30, received, 5 * i))
    return found[:480] + [dataclasses.replace(s, **last) for s in found[480:]]


@pytest.mark.parametrize("slope, passed", [(0.0, True), (20.0, False), (-20.0, True)])
def test_the_slope_of_the_memory_is_that_after_the_warm_up(slope, passed):
    verdict = soak.judge(series(slope, warm_up=300))
    found, low, high = verdict["slope"]
    assert low <= slope <= high and found == pytest.approx(slope, abs=0.9)
    assert verdict["passed"] == passed and verdict["labeled_hz"] == pytest.approx(1)


def test_memory_at_rest_is_the_least_of_a_rest():
    found = samples.at_rest(series(), 40.0)
    assert [(s.seconds - 5) // 300 for s in found] == [*range(11)], "one of every rest that has ended"
    assert all(abs(s.rss_mb - 1000) < 2 for s in found)
    # A cloud that is at work when the last sample of a rest is taken does not count
    late = [dataclasses.replace(s, rss_mb=s.rss_mb + 50 * (s.seconds % 300 == 0)) for s in series()]
    assert all(abs(s.rss_mb - 1000) < 2 for s in samples.at_rest(late, 40.0))
    assert samples.at_rest(series(), 70.0) == []


def test_a_sensor_that_rests_ends_every_turn_with_the_same_cloud():
    stream = sensor.with_rests(iter("abcdef"), (0.0, 0.01), "-")
    assert "".join(stream) == "a-b-c-d-e-f-"


@pytest.mark.parametrize("change", [{"fds": 24}, {"threads": 31}])
def test_one_more_descriptor_or_thread_is_too_much(change):
    assert soak.judge(series())["passed"] and not soak.judge(series(**change))["passed"]


def test_samples_survive_in_their_file_while_it_grows(tmp_path):
    recorder, found = samples.Recorder(tmp_path / "new" / "a.csv"), series()[:3]
    for sample in found:
        recorder.add(sample)
    with (tmp_path / "new" / "a.csv").open("a") as file:
        file.write("20.0,10")  # the process was killed while it wrote
    assert samples.read(tmp_path / "new" / "a.csv") == found


def test_a_section_is_replaced_and_the_others_stay(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("# A\n\n## Soak\n\nold\n\n## Next\n\nstays\n")
    for _ in range(2):
        samples.write_section(path, "Soak", "new \\1 text")
    assert path.read_text() == "# A\n\n## Soak\n\nnew \\1 text\n\n## Next\n\nstays\n"
    with pytest.raises(ValueError, match="no section 'Other'"):
        samples.write_section(path, "Other", "")


def test_the_document_has_the_sections_that_are_written():
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    assert all(f"\n## {heading}\n" in text for heading in ("Soak", "A hostile peer", "Signals"))


def test_report_and_plot_of_a_soak(tmp_path):
    text = soak.section(series(0.0), "make soak")
    assert "60 minutes" in text and "warm-up of 10 minutes" in text and "MB/h**" in text
    soak.save_plot(tmp_path / "a.png", series())
    assert (tmp_path / "a.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "during, growth, passed", [(0.95, 0.0, True), (0.85, 0.0, False), (0.95, 0.05, False), (0.95, 0.015, True)]
)
def test_a_hostile_peer_may_take_a_tenth_of_the_rate_and_no_memory(during, growth, passed):
    found = [samples.Sample(5.0 * i, 1000 * (1 + growth * (i > 60)), 23, 30, i, i) for i in range(1, 121)]
    assert hostile.judge(found, 1.0, during)["passed"] == passed
    assert f"{100 * during:.0f} %" in hostile.section(found, 1.0, during, "make hostile")


@pytest.mark.parametrize(
    "seconds, code, traceback, passed",
    [(1.0, 0, False, True), (3.1, 0, False, False), (1.0, -2, False, False), (1.0, 0, True, False)],
)
def test_an_ending_is_quick_clean_and_silent(seconds, code, traceback, passed):
    ending = signals.Ending("loading", "SIGINT", seconds, code, traceback)
    assert ending.passed == passed and ("ok" in signals.table([ending])) == passed


def test_the_sensor_sends_every_layout_and_all_can_be_decoded():
    generator, layouts, sizes = sensor.clouds(10, 1000), set(), []
    for _ in range(60):
        message = next(generator)
        cloud = cloud_messages.decode(message)
        layouts.add((message.is_bigendian, *(field.name for field in message.fields), message.fields[0].datatype))
        sizes.append(len(cloud.xyz))
        assert np.nanmax(np.abs(cloud.xyz)) < 20
    assert len(layouts) == len(sensor.LAYOUTS) and min(sizes) >= 10 and max(sizes) <= 1000 and len(set(sizes)) > 30


@pytest.mark.parametrize("value", [True, 3, 0.5, "a", ["a"], [], [True], [1], [0.5], b"\x00\xff"])
def test_values_of_python_as_ros_sends_them(value):
    from rclpy.parameter import parameter_value_to_python

    sent = parameter_value_to_python(hostile_peer.parameter_value(value))
    assert (b"".join(sent) if isinstance(value, bytes) else list(sent) if isinstance(value, list) else sent) == value


def test_a_run_that_is_too_short_is_not_judged(tmp_path, capsys):
    recorder = samples.Recorder(tmp_path / "soak.csv")
    for sample in series()[:20]:
        recorder.add(sample)
    assert soak.main(["--only-report", "--out", str(tmp_path)]) == 1
    assert f"say nothing of the memory; take {soak.MIN_MINUTES} or more" in capsys.readouterr().out


def test_refused_calls_are_counted_by_their_reason():
    refused = SimpleNamespace(results=[SimpleNamespace(successful=False, reason="busy")])
    assert soak._refusal(refused) == "busy"
    assert soak._refusal(SimpleNamespace(success=False, message="no cloud")) == "no cloud"
    assert soak._refusal(SimpleNamespace(success=True, message="a warning")) == ""
