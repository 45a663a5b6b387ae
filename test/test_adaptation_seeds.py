"""scripts/adaptation_seeds.py: its table, and that a finished seed is not trained again."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import pytest
from scipy import stats

adaptation_seeds = pytest.importorskip("scripts.adaptation_seeds", reason="procedural scenes missing")
BEFORE = {"miou": 0.25, "accuracy": 0.62, "agreement": 0.744, "kappa": 0.68}


def test_the_table_has_the_change_and_its_p():
    miou = (0.24, 0.26, 0.22)
    after = [BEFORE | {"miou": value} for value in miou]
    rows = [line.strip("| ").split(" | ") for line in adaptation_seeds.table(BEFORE, after).splitlines()]
    p = stats.ttest_1samp([value - 0.25 for value in miou], 0).pvalue
    assert rows[2] == ["miou", "25.0", "24.0 ± 2.0", "22.0 to 26.0", "-1.0", f"{p:.3f}"]
    assert rows[4][-2:] == ["+0.0", "nan"]  # nothing changed, so there is nothing to test
    assert "after, 3 seeds" in rows[0]


def test_a_finished_seed_is_read(tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(adaptation_seeds.train, "main", lambda words: trained.append(words) or 0)
    monkeypatch.setattr(adaptation_seeds, "measure", lambda model, bag, root: BEFORE)
    given = argparse.Namespace(out=tmp_path, bag=tmp_path / "bag", root=tmp_path, changes=["steps=4"])
    assert adaptation_seeds.adapted(3, given) == adaptation_seeds.adapted(3, given) == BEFORE
    run = f"run={tmp_path / 'seed3'}"
    assert trained == [[str(adaptation_seeds.RECIPE), f"data={given.bag}", run, "seed=3", "steps=4"]]


def test_the_documented_command_runs_and_other_changes_are_trained_anew(tmp_path, monkeypatch, capsys):
    document = Path(__file__).parents[1] / "docs" / "train.md"
    line = next(part for part in document.read_text().split("`") if part.startswith("python scripts/adaptation_seeds"))
    trained = []
    monkeypatch.setattr(adaptation_seeds.train, "main", lambda words: trained.append(words) or 0)
    monkeypatch.setattr(adaptation_seeds, "measure", lambda model, bag, root: BEFORE)
    words = [*shlex.split(line)[2:], "--out", str(tmp_path), "--seeds", "2"]
    assert adaptation_seeds.main(words) == 0 and "after, 2 seeds" in capsys.readouterr().out
    assert [run[-1] for run in trained] == ["precision=fp32"] * 2
    # The same again is read; other changes are other figures
    assert adaptation_seeds.main(words) == 0 and len(trained) == 2
    assert adaptation_seeds.main([*words, "student_reach=false"]) == 0 and len(trained) == 4
