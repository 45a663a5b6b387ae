"""Test clouds multiplied by 0.01 to 100: what the unit of a cloud does to each tokenizer."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from s4token_model.config import Config
from s4token_model.experiments import distilled, experiment_parts, experiment_shapes, table1, table2
from s4token_model.experiments.effort import Effort
from s4token_model.experiments.experiment import Experiment, Lab

SCALES = (0.01, 0.1, 0.5, 1.0, 2.0, 10.0, 100.0)
SUPERVISED, ZERO_SHOT = "parts, ", "zero-shot, "
SETTINGS = tuple(f"{kind}{name}" for kind in (SUPERVISED, ZERO_SHOT) for name in table2.SETTINGS)


def compute(setting: str, seed: int, lab: Lab) -> dict[str, float]:
    """Score the model that Table 1 or 2 trained on test objects at every scale: {"0.01": mIoU, ...}."""
    kind, name = setting.split(", ")
    config, found = experiment_shapes.config_of(name), {}
    for scale in SCALES:
        items = _scaled(kind, config, scale, lab.effort)
        if kind + ", " == SUPERVISED:
            path = table1.weights_path(name, seed, lab)
            model = experiment_parts.trained(config, seed, lab.effort.steps, lab.effort, path)
            found[f"{scale:g}"] = experiment_parts.evaluate(model, items, lab.effort)["miou_i"]
        else:
            tokenizer = table2.tokenizer_of(name, seed, lab)
            found[f"{scale:g}"] = distilled.score_objects(tokenizer, items, lab)["objects_miou"]
    return found


@lru_cache(maxsize=len(SCALES))
def _scaled(kind: str, config: Config, scale: float, effort: Effort) -> list[dict[str, np.ndarray]]:
    """Test objects multiplied by `scale`, as tokens."""
    from_parts = kind + ", " == SUPERVISED
    some = (experiment_parts.data(effort)[1] if from_parts else distilled.held_out(effort))[: effort.robust_shapes]
    return [experiment_shapes.tokenized(replace(shape, xyz=shape.xyz * np.float32(scale)), config) for shape in some]


EXPERIMENT = Experiment(
    name="robustness",
    title="Robustness to scale",
    about=(
        "The models of Table 1 (parts, mIoU_I) and of Table 2 (zero-shot, mIoU over classes) on some of their test"
        " objects multiplied by a factor; training saw 1 only. With RPN nothing but rounding may change."
    ),
    settings=SETTINGS,
    figures={f"{scale:g}": f"x {scale:g}" for scale in SCALES},
    paper={},
    expected=tuple(
        (f"{kind}{better}", f"{kind}knn") for kind in (SUPERVISED, ZERO_SHOT) for better in table2.SETTINGS[1:]
    ),
    compared=("0.1",),
    drawing="curves",
    note="",
    compute=compute,
)
