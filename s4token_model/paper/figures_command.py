"""s4token figures A|B|2|C --root DIR -o FILE.png: a figure of the paper on your data.

A and B need rooms of ScanNet and no model: patches of the nearest points against those of S4Token, and centers and
patches for growing gamma. 2 and C need ShapeNetPart and a model: true parts, PointCLIPv2's projection, and the model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from s4token_model import checkpoint, command_line
from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.evaluation.loading import UPRIGHT, Setup
from s4token_model.evaluation.published import POINTCLIPV2, S4TOKEN
from s4token_model.paper import drawings
from s4token_model.pictures.grid import save_grid

SHAPE, ROOM = (260, 230), (420, 330)  # pixels of one cloud; shapes have too few points for larger ones
# Few enough tokens to see their patches, and no centers in the smallest superpoints (App. C.3); --set changes them
SETTINGS: dict[str, dict[str, int]] = {
    "A": {"sampling.tokens": 256},
    "B": {"sampling.tokens": 128, "sampling.min_superpoint": 100},
}


def main(arguments: list[str] | None = None) -> int:
    """Draw one figure."""
    given = _parser().parse_args(arguments)
    if given.out.suffix.lower() != ".png":
        raise ValueError(f"{given.out}: a figure is a picture; give a name that ends in .png")
    changes = configs.pairs(given.changes)
    if given.figure in drawings.CATEGORIES:
        setup = Setup(given.model, given.device, changes=tuple(given.changes))
        labelers = [Setup(given.model, given.device).labeler("projection"), setup.labeler("s4token", UPRIGHT)]
        rows = ["truth", POINTCLIPV2, S4TOKEN]
        columns = drawings.part_columns(given.root, drawings.CATEGORIES[given.figure], labelers)
    else:
        config = configs.replace(Config(), SETTINGS[given.figure] | changes)
        rooms = None if given.rooms is None else [room.strip() for room in given.rooms.split(",")]
        if given.figure == "A":
            rows, columns = ["truth", "kNN", S4TOKEN], drawings.patch_rows(given.root, rooms, config, given.count)
        else:
            rows, columns = ["centers", "patches"], drawings.gamma_columns(given.root, rooms, config)
    save_grid(given.out, rows, columns, SHAPE if given.figure in drawings.CATEGORIES else ROOM)
    print(f"wrote {given.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser("s4token figures", description=about[0], epilog=about[1])
    parser.add_argument("figure", choices=("2", "A", "B", "C"))
    parser.add_argument("--root", required=True, type=Path, help="ScanNet (A, B) or ShapeNetPart (2, C)")
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="FILE.png")
    parser.add_argument("--rooms", metavar="0003,0004", help="A, B: only these rooms; B draws the first")
    parser.add_argument("--count", type=int, default=5, metavar="N", help="A: at most so many rooms (default: 5)")
    about_model = f"2, C: a checkpoint folder or built-in name (default: {checkpoint.MINI})"
    parser.add_argument("--model", default=checkpoint.MINI, help=about_model)
    parser.add_argument("--device", default="cpu", help="2, C: cpu, cuda or cuda:N (default: cpu)")
    about_set = "change one setting, e.g. sampling.tokens=512; may be repeated"
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE", help=about_set)
    parser.add_argument(command_line.DEBUG_OPTION, action="store_true", help=command_line.DEBUG_HELP)
    return parser
