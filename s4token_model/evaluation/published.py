"""The figures that the paper prints, in percent: its Tables 1 to 7 and A, by row; None where it has none.

Left out are rows of methods that are not here: supervised and projected ones of Table 4, all but the last group of A.

Rows are called as the settings that give them here; S4TOKEN is the paper's own row.
"""

from __future__ import annotations

from typing import NamedTuple

S4TOKEN, POINTCLIPV2 = "S4Token", "PointCLIPv2"
PARTS = ("mIoU_C", "mIoU_I")
ALL_LOSSES = "assign+local+global"


class Published(NamedTuple):
    """One table of the paper."""

    title: str
    columns: tuple[str, ...]
    rows: dict[str, tuple[float | None, ...]]

    def shown(self) -> dict[str, str]:
        """The figures of each row as one text, e.g. "83.4 / 85.3"."""
        return {row: " / ".join(map(text, figures)) for row, figures in self.rows.items()}


def text(figure: float | None) -> str:
    """A figure with one decimal, "-" for None."""
    return "-" if figure is None else f"{figure:.1f}"


TABLES = {
    "1": Published(
        "tokenizers, fully trained for part segmentation on ShapeNetPart", PARTS,
        {
            "knn": (83.4, 85.3), "ball": (83.3, 85.2), "spt": (83.4, 85.2), "knn+rpn": (83.8, 85.7),
            "ball+rpn": (83.7, 85.6), "spt+rpn": (83.8, 85.6), "knn+rpn+spt": (84.1, 85.8),
            "ball+rpn+spt": (84.0, 85.9),
        },
    ),
    "2": Published(
        "trained on ShapeNet without labels, tested on rooms without tuning", ("ScanNet mIoU", "S3DIS mIoU"),
        {"knn": (8.7, 11.3), "knn+rpn": (18.1, 21.2), "ball+rpn+spt": (18.9, 23.7)},
    ),
    "3": Published(
        "open-vocabulary part segmentation on ShapeNetPart",
        ("mIoU", "airplane", "bag", "cap", "chair", "earphone", "guitar", "knife", "laptop", "mug", "table"),
        {
            POINTCLIPV2: (49.5, 33.5, 60.4, 52.8, 51.5, 56.5, 71.5, 66.7, 61.6, 48.0, 61.1),
            "GeoZe": (57.4, 33.6, 70.2, 64.7, 66.1, 63.7, 73.6, 77.9, 74.0, 63.2, 63.8),
            "PartDistill (TTA)": (53.8, 37.5, 62.6, 55.5, 56.4, 55.6, 71.7, 76.9, 67.4, 53.5, 62.9),
            "PartDistill (Pre)": (63.9, 40.6, 75.6, 67.2, 65.0, 66.3, 85.8, 79.8, 92.6, 83.1, 68.7),
            S4TOKEN: (72.3, 75.9, 68.3, 72.3, 87.1, 69.8, 88.1, 85.2, 93.9, 90.0, 80.4),
        },
    ),
    "4": Published(
        "annotation-free semantic segmentation", ("ScanNet mIoU", "ScanNet mAcc", "S3DIS mIoU", "S3DIS mAcc"),
        {
            "MaskCLIP-3D": (9.7, 21.6, None, None), "CLIP-FO3D": (30.2, 49.1, 22.3, 32.8),
            "OpenScene, LSeg": (54.2, 66.6, None, None), "OpenScene, OpenSeg": (47.5, 70.7, None, None),
            "CUS3D": (57.4, 75.9, 53.6, 72.6), S4TOKEN: (54.3, 69.4, 47.5, 57.4),
        },
    ),
    "5": Published(
        "zero-shot classification, top-1 accuracy", ("ModelNet40", "OBJ_ONLY", "OBJ_BG", "PB_T50_RS"),
        {POINTCLIPV2: (64.2, 50.1, 41.2, 35.4), "GeoZe": (70.2, 59.3, 46.0, 39.9), S4TOKEN: (74.6, 62.3, 51.3, 44.9)},
    ),
    "6": Published(
        "losses, open-vocabulary part segmentation on ShapeNetPart", PARTS,
        {"assign": (42.8, 61.7), "local+global": (55.1, 71.5), ALL_LOSSES: (55.8, 72.3)},
    ),
    "7": Published(
        "number of clusters, open-vocabulary part segmentation on ShapeNetPart", PARTS,
        {
            "K=4": (54.7, 71.6), "K=8": (55.1, 71.9), "K=16": (55.8, 72.1), "K=24": (55.8, 72.3), "K=32": (55.7, 72.1),
        },
    ),
    "A": Published(
        "tokenizer and head fine-tuned: parts of ShapeNetPart, classes of S3DIS's Area 5", (*PARTS, "mAcc", "mIoU"),
        {
            "Pix4Point": (85.6, 86.8, 75.2, 69.6), "EPCL": (85.2, 86.4, 77.8, 71.5), S4TOKEN: (85.4, 87.3, 79.3, 72.6),
        },
    ),
    "gamma": Published(
        "exponent of the sampling weight, open-vocabulary part segmentation on ShapeNetPart", PARTS,
        {"gamma=0.1": (55.8, 72.3)},
    ),
}  # fmt: skip
