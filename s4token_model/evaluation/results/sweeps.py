"""Gamma, the number of tokens N, the points per patch M and the radius factor alpha, one changed at a time."""

from __future__ import annotations

from typing import Any

from s4token_model.evaluation.results import parts, shapes
from s4token_model.evaluation.results.experiment import Experiment, Lab

KEYS = {"gamma": "sampling.gamma", "N": "sampling.tokens", "M": "patches.points", "alpha": "patches.alpha"}
VALUES: dict[str, tuple[float, ...]] = {
    "gamma": (0.0, 0.1, 0.2, 0.4, 0.6, 1.0),
    "N": (32, 64, 128, 256),
    "M": (8, 16, 32, 64),
    "alpha": (0.5, 1.0, 1.5, 2.0),
}


def compute(setting: str, seed: int, lab: Lab) -> dict[str, Any]:
    """Train and test S4Token with one value changed, e.g. "gamma=0.2"."""
    key, value = setting.split("=")
    config = shapes.config_of("s4token", **{KEYS[key].replace(".", "__"): value})
    path = lab.folder / "weights" / f"sweep-{setting}-seed{seed}.pt"
    model = parts.trained(config, seed, lab.effort.sweep_steps, lab.effort, path)
    return parts.evaluate(model, parts.tokens(config, lab.effort)[1], lab.effort)


EXPERIMENT = Experiment(
    name="sweeps",
    title="gamma, N, M and alpha",
    about=(
        "Part segmentation as in Table 1 with S4Token, half the steps, one value changed at a time from gamma 0.1,"
        " N 128, M 32, alpha 1. The paper gives no figures; its pictures favour gamma from 0.2 to 0.6."
    ),
    settings=tuple(f"{key}={value:g}" for key, values in VALUES.items() for value in values),
    figures={"miou_c": "mIoU_C", "miou_i": "mIoU_I"},
    paper={},
    expected=(("gamma=0.2", "gamma=0"), ("gamma=0.2", "gamma=1")),
    compared="miou_i",
    drawing="panels",
    compute=compute,
    of_clip=False,
)
