"""s4token train and prepare on users' data reach no procedural scene, no simulated sensor and no evaluation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from s4token_model import cli

ROOT = Path(__file__).resolve().parents[2]
UNWANTED = ("s4token_model.procedural", "s4token_model.sensors", "s4token_model.evaluation", "s4token_model.pictures")


def test_training_on_users_data_loads_no_procedural_scenes():
    code = (
        "import sys\nfrom s4token_model.training import train, supervised_parts\n"
        "print(*(name for name in sys.modules if name.startswith('s4token_model')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert loaded and [name for name in loaded if name.startswith(UNWANTED)] == []


@pytest.mark.parametrize("task", ["pretrain", "parts", "prepare"])
def test_weights_of_another_activation_are_refused_before_any_work(tmp_path, capsys, task):
    pair = ["clip.name=ViT-B-16", "clip.pretrained=openai"]
    if task == "prepare":
        changes = [word for change in pair for word in ("--set", change)]
        words = ["prepare", str(ROOT / "config" / "pretrain.yaml"), "objects", str(tmp_path), "--out"]
        words += [str(tmp_path / "samples"), *changes]
    else:
        recipe = str(ROOT / "config" / f"{task}.yaml")
        words = ["train", recipe, f"data={tmp_path}", f"run={tmp_path / 'run'}", *pair]
    assert cli.main(words) == 2
    assert "use clip.name=ViT-B-16-quickgelu" in capsys.readouterr().err
