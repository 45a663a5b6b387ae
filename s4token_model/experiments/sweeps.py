"""Gamma, the number of tokens N, the points per patch M, the radius factor alpha and the scaling of positions, one
changed at a time."""

from __future__ import annotations

from typing import Any

from s4token_model.config import Config
from s4token_model.experiments import experiment_parts, experiment_shapes
from s4token_model.experiments.experiment import Experiment, Lab
from s4token_model.tokenizer_variants import RAW_OCTAVES

KEYS = {
    "gamma": "sampling.gamma", "N": "sampling.tokens", "M": "patches.points", "alpha": "patches.alpha",
    "scaled": "tokenizer.position_scaled",
}  # fmt: skip
VALUES: dict[str, tuple[float, ...]] = {
    "gamma": (0.0, 0.1, 0.2, 0.4, 0.6, 1.0),
    "N": (32, 64, 128, 256),
    "M": (8, 16, 32, 64),
    "alpha": (0.5, 1.0, 1.5, 2.0),
    "scaled": (0, 1),
}
UNCHANGED = {"gamma=0.1", "N=128", "M=32", "alpha=1", "scaled=1"}  # one model serves all of them


def compute(setting: str, seed: int, lab: Lab) -> dict[str, Any]:
    """Train and test S4Token with one value changed, e.g. "gamma=0.2"."""
    config, name = _config_of(setting), "default" if setting in UNCHANGED else setting
    path = lab.folder / "weights" / f"sweep-{name}-seed{seed}.pt"
    model = experiment_parts.trained(config, seed, lab.effort.sweep_steps, lab.effort, path)
    return experiment_parts.evaluate(model, experiment_parts.tokens(config, lab.effort)[1], lab.effort)


def _config_of(setting: str) -> Config:
    key, value = setting.split("=")
    changed: dict[str, Any] = {KEYS[key].replace(".", "__"): value}
    if setting == "scaled=0":  # positions in the cloud's unit take the shorter wavelengths of the bare tokenizers
        changed = {"tokenizer__position_scaled": False, "tokenizer__position_octaves": RAW_OCTAVES}
    return experiment_shapes.config_of("s4token", **({} if setting in UNCHANGED else changed))


EXPERIMENT = Experiment(
    name="sweeps",
    title="gamma, N, M, alpha and the scaling of positions",
    about=(
        "Part segmentation as in Table 1 with S4Token, a quarter of the steps, one value changed at a time from gamma"
        " 0.1, N 128, M 32, alpha 1, positions divided by the radius (scaled 1; 0: in the unit of the cloud). The paper"
        " gives no figures; its pictures favor gamma from 0.2 to 0.6."
    ),
    settings=tuple(f"{key}={value:g}" for key, values in VALUES.items() for value in values),
    figures={"miou_i": "mIoU"},
    paper={},
    expected=(("gamma=0.2", "gamma=0"), ("gamma=0.2", "gamma=1"), ("scaled=1", "scaled=0")),
    compared=("miou_i",),
    drawing="panels",
    note=(
        "Gamma matters only where small superpoints take nearly all tokens (1); the radius matters most, since it"
        " decides how many points a patch holds. What positions are divided by cannot matter here: all objects have the"
        " same size. The test of robustness is where it does."
    ),
    compute=compute,
)
