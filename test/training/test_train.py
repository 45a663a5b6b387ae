"""s4token train and prepare on users' data reach no procedural scene, no simulated sensor and no evaluation."""

from __future__ import annotations

import subprocess
import sys

UNWANTED = ("s4token_model.procedural", "s4token_model.sensors", "s4token_model.evaluation", "s4token_model.pictures")


def test_training_on_users_data_loads_no_procedural_scenes():
    code = (
        "import sys\nfrom s4token_model.training import train, supervised_parts\n"
        "print(*(name for name in sys.modules if name.startswith('s4token_model')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert loaded and [name for name in loaded if name.startswith(UNWANTED)] == []
