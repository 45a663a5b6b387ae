"""Table 7: the number of clusters of L_assign."""

from __future__ import annotations

from s4token_model.experiments import distilled, experiment_shapes, table2
from s4token_model.experiments.experiment import Experiment, Lab

DEFAULT = 24
CLUSTERS = (4, 8, 16, DEFAULT, 32)


def compute(setting: str, seed: int, lab: Lab) -> dict[str, float]:
    """Train S4Token on objects with K clusters, e.g. "K=8", test on other objects."""
    config, clusters = experiment_shapes.config_of("s4token"), int(setting.removeprefix("K="))
    if clusters == DEFAULT:
        tokenizer = table2.tokenizer_of("ball+rpn+spt", seed, lab)
    else:
        changed = {"clusters": clusters}
        tokenizer = distilled.trained(f"clusters-{clusters}", config, changed, seed, lab)
    return distilled.on_objects(tokenizer, config, lab)


EXPERIMENT = Experiment(
    name="table7",
    title="Table 7: clusters",
    about=(
        "S4Token trained on procedural objects as in Table 2 with K clusters, tested as in Table 6. The paper's column:"
        " mIoU_C / mIoU_I on ShapeNetPart."
    ),
    settings=tuple(f"K={count}" for count in CLUSTERS),
    figures={"objects_miou": "objects mIoU", "objects_top1": "objects top-1"},
    paper={"K=4": "54.7 / 71.6", "K=8": "55.1 / 71.9", "K=16": "55.8 / 72.1", "K=24": "55.8 / 72.3",
           "K=32": "55.7 / 72.1"},
    expected=(("K=24", "K=4"), ("K=24", "K=8"), ("K=24", "K=32")),
    compared=("objects_miou",),
    drawing="panels",
    note="Table 6 says why: L_assign itself changes less than a seed does, whatever K.",
    compute=compute,
)  # fmt: skip
