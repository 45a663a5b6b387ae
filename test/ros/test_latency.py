"""The latency budget against simulated machines whose stages take a known time."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from s4token_model import config as configs
from s4token_model.checkpoint import resolve
from s4token_model.config import Config
from s4token_model.effort import LEVELS, Effort, levels, read_costs
from s4token_ros.latency import MAX_PATIENCE, PATIENCE, Latency

TOPIC, POINTS = "/points", 125_000
ALL = levels(Config())


def encoded(points: int, kept: int, tokens: int):
    """What is counted of a cloud that was encoded."""
    working = SimpleNamespace(kept=np.zeros(kept), xyz=np.zeros(points))
    return SimpleNamespace(tokens=np.zeros(tokens), geometry=SimpleNamespace(working=working))


class Machine:
    """Labels clouds that need four windows, at a known time per point and per token, with noise, within a budget."""

    def __init__(self, budget: float, point: float, token: float, noise: float = 0.1) -> None:
        self.budget, self.point, self.token, self.noise = budget, point, token, noise
        self.latency, self.rng = Latency(), np.random.default_rng(0)
        self.efforts: list[Effort] = []

    def work(self, clouds: int, points: int = POINTS) -> np.ndarray:
        """Label clouds; returns the time of each [ms]."""
        return np.array([self.label(points) for _ in range(clouds)])

    def label(self, points: int) -> float:
        effort = self.latency.effort(TOPIC, Config(), self.budget)
        self.efforts.append(effort)
        kept, factor = min(effort.max_points, points), 1 + self.noise * self.rng.standard_normal()
        tokens = effort.tokens * min(effort.windows, 4)
        per_point, per_token = factor * self.point * kept, factor * self.token * tokens
        stages = {"superpoints": per_point, "encoder": per_token, "decode": 5.0}
        self.latency.count(TOPIC, effort, encoded(points, kept, tokens), stages)
        return sum(stages.values())

    def changes(self) -> int:
        """How often the level changed so far."""
        return sum(a != b for a, b in zip(self.efforts, self.efforts[1:], strict=False))


def expected(budget: float, point: float, token: float) -> Effort:
    """The first level that takes at most the budget."""
    needed = ((point * min(e.max_points, POINTS) + token * e.tokens * min(e.windows, 4) + 5, e) for e in ALL)
    return next(e for ms, e in needed if ms <= budget)


@pytest.mark.parametrize("budget", [60, 90, 150, 300, 600])
def test_the_level_is_the_highest_that_keeps_the_budget(budget):
    machine = Machine(budget, 0.0025, 0.25, noise=0.02)
    machine.work(300)
    late = machine.work(200)
    chosen, wanted = machine.efforts[-1], expected(0.8 * budget, 0.0025, 0.25)
    assert (late <= budget).mean() > 0.95
    assert ALL.index(chosen) <= ALL.index(wanted), "more time is left than needed"


def test_no_budget_changes_nothing_and_ends_what_was_told():
    machine = Machine(2, 0.001, 0.2)
    machine.work(10)
    assert machine.latency.problem(TOPIC) and machine.latency.figures("s4token-mini")
    assert machine.latency.effort(TOPIC, Config(), 0.0) is None
    assert machine.latency.problem(TOPIC) == "" and machine.latency.figures("s4token-mini") == {}


def test_a_cloud_that_fits_keeps_the_configured_points_tokens_and_windows():
    machine = Machine(1000, 0.001, 0.1)
    machine.work(50)
    assert set(machine.efforts) == {ALL[0]} and configs.replace(Config(), ALL[0].changes()) == Config()
    lower = {"input.max_points": 200_000, "sampling.tokens": 512, "windows.maximum": 6}
    assert ALL[1].changes() == lower


@pytest.mark.parametrize("noise, most", [(0.1, 1), (0.3, 27)])
@pytest.mark.parametrize("budget", [100, 180])
def test_the_number_of_changes_grows_like_the_logarithm_of_the_clouds(budget, noise, most):
    machine = Machine(budget, 0.0025, 0.25, noise)
    machine.work(10_000)
    assert 1 <= machine.changes() <= most, f"3 log2(10000 / {PATIENCE}) with noise, one without"


def test_the_level_follows_a_load_that_comes_and_goes():
    machine = Machine(800, 0.001, 0.2)
    machine.work(30)
    machine.point, machine.token = 0.004, 0.6
    during = machine.work(40)
    assert machine.efforts[-1] != ALL[0] and (during[-20:] <= 880).all()
    machine.point, machine.token = 0.001, 0.2
    machine.work(4 * PATIENCE)
    assert machine.efforts[-1] == ALL[0]


def test_a_budget_that_cannot_be_kept_is_told_and_the_lowest_level_used():
    machine = Machine(2, 0.001, 0.2)
    machine.work(10)
    assert machine.efforts[-1] == LEVELS[-1]
    assert "latency.budget_ms 2 cannot be kept: a cloud takes" in machine.latency.problem(TOPIC)


def test_figures_name_the_level_and_what_it_costs(tmp_path):
    machine = Machine(150, 0.0025, 0.25)
    machine.work(30)
    chosen = machine.efforts[-1]
    found = machine.latency.figures("s4token-mini")
    text = f"input.max_points {chosen.max_points}, sampling.tokens {chosen.tokens}, windows.maximum {chosen.windows}"
    assert found[f"latency.level.{TOPIC}"] == text
    costs = read_costs(resolve("s4token-mini"))
    for name in costs[chosen]:
        assert f"{costs[chosen][name] - costs[ALL[0]][name]:+.1f} mIoU on {name}" in found[f"latency.cost.{TOPIC}"]
    assert "no checkpoint" in machine.latency.figures("nowhere")[f"latency.cost.{TOPIC}"]


def test_another_budget_or_config_begins_at_the_configured_level():
    machine = Machine(2, 0.001, 0.2)
    machine.work(10)
    assert machine.latency.effort(TOPIC, Config(), 3.0) == ALL[0]
    few = configs.replace(Config(), {"sampling.tokens": 256, "input.max_points": 50_000, "windows.maximum": 1})
    assert machine.latency.effort(TOPIC, few, 3.0) == Effort(50_000, 256, 1)
    assert levels(few) == (Effort(50_000, 256, 1), *LEVELS[6:])


def test_clouds_that_were_on_their_way_when_the_level_changed_do_not_count():
    machine = Machine(2, 0.001, 0.2)
    machine.work(5)
    before, total = machine.latency.effort(TOPIC, Config(), 2), machine.latency._paces[TOPIC].total
    machine.latency.count(TOPIC, ALL[0], encoded(9, 9, 9), {"encoder": 1e6})
    assert before != ALL[0] and machine.latency._paces[TOPIC].total == total


def test_patience_has_an_end():
    machine = Machine(100, 0.0025, 0.25, 0.3)
    machine.work(3000)
    assert max(machine.latency._paces[TOPIC]._patience) <= MAX_PATIENCE


def test_damaged_costs_are_named(tmp_path):
    assert read_costs(tmp_path) == {}
    (tmp_path / "efforts.csv").write_text("max_points,tokens,windows,rooms\n60000,many,1,3\n")
    with pytest.raises(ValueError, match="efforts.csv is damaged .*; remove it"):
        read_costs(tmp_path)
    (tmp_path / "efforts.csv").write_text("max_points,tokens,windows,rooms\n60000,512,1,nan\n")
    with pytest.raises(ValueError, match=r"efforts.csv is damaged \(ValueError\)"):
        read_costs(tmp_path)
    (tmp_path / "efforts.csv").unlink()
    (tmp_path / "efforts.csv").symlink_to("efforts.csv")
    with pytest.raises(ValueError, match=r"efforts.csv is damaged \(OSError\)"):
        read_costs(tmp_path)
