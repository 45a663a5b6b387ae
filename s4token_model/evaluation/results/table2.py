"""Table 2: trained on objects without labels, tested on rooms without tuning."""

from __future__ import annotations

from typing import Any

from s4token_model.evaluation.results import distilled, rooms, shapes
from s4token_model.evaluation.results.experiment import Experiment, Lab
from s4token_model.tokenizer import Tokenizer

SETTINGS = ("knn", "knn+rpn", "ball+rpn+spt")


def tokenizer_of(setting: str, seed: int, lab: Lab) -> Tokenizer:
    """The tokenizer of a row, trained by the whole recipe; trained once, whichever experiment asks first."""
    return distilled.trained(setting, shapes.config_of(setting), {}, seed, lab.effort, lab.folder)


def compute(setting: str, seed: int, lab: Lab) -> dict[str, Any]:
    """Train on objects, test on other objects and on rooms."""
    config, tokenizer = shapes.config_of(setting), tokenizer_of(setting, seed, lab)
    found: dict[str, Any] = dict(distilled.on_objects(tokenizer, config, lab.effort))
    segmenter = rooms.segmenter_of(tokenizer, config, lab.effort)
    found["rooms_miou"], found["rooms_macc"] = rooms.score(segmenter, rooms.procedural(lab.effort))
    found["scannet_miou"] = found["scannet_macc"] = None
    if lab.scannet is not None:
        real = rooms.real(lab.scannet, lab.effort)
        found["scannet_miou"], found["scannet_macc"] = rooms.score(segmenter, real)
    found["s3dis_miou"] = None
    if lab.s3dis is not None:
        office = rooms.real_s3dis(lab.s3dis, lab.effort)
        found["s3dis_miou"], _ = rooms.score(segmenter, office, rooms.s3dis_words(segmenter))
    return found


EXPERIMENT = Experiment(
    name="table2",
    title="Table 2: from objects to rooms without tuning",
    about=(
        "The paper's self-supervised recipe (L_assign + distillation) on procedural objects in the unit sphere, in"
        " front of the mini model's frozen CLIP, tested in metres on other rooms with ScanNet's 20 words: procedural"
        " ones and real scans of ScanNet, and with S3DIS's 13 words on a crop of Area 5. Walls and floors occur in no"
        " training object. The first columns are held-out"
        f" objects over the words of all {len(distilled.THINGS)} classes. The paper's column: mIoU on ScanNet / S3DIS."
    ),
    settings=SETTINGS,
    figures={
        "objects_miou": "objects mIoU", "objects_top1": "objects top-1", "rooms_miou": "rooms mIoU",
        "rooms_macc": "rooms mAcc", "scannet_miou": "ScanNet mIoU", "scannet_macc": "ScanNet mAcc",
        "s3dis_miou": "S3DIS mIoU",
    },
    paper={"knn": "8.7 / 11.3", "knn+rpn": "18.1 / 21.2", "ball+rpn+spt": "18.9 / 23.7"},
    expected=(("knn+rpn", "knn"), ("ball+rpn+spt", "knn"), ("ball+rpn+spt", "knn+rpn")),
    compared="rooms_miou",
    drawing="bars",
    compute=compute,
)  # fmt: skip
