"""Time of the encoder at several sizes, in turn and with random weights: python scripts/encoder_sizes.py [--rounds N]

Sizes are the tokenizer's layers, the blocks of the small CLIP, the maxima of the PointNets and the points of patches
and wide patches. Prints a Markdown table of the times over that of the first row.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import open_clip
import torch

from s4token_model import checkpoint, command_line
from s4token_model import config as configs
from s4token_model.evaluation.encoder_time import encoders_in_turn, precisions, ratio, timed_options
from s4token_model.evaluation.tables import markdown_table
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.segmenter import Segmenter
from s4token_model.training.mini_clip import ARCHITECTURE, PREPROCESS, VISION


class Size(NamedTuple):
    """What the time of an encoder depends on."""

    layers: int
    blocks: int
    maxima: int
    patch_points: int
    context_points: int


SIZES = (
    Size(6, 6, 2, 32, 48), Size(6, 6, 1, 32, 48), Size(6, 6, 1, 32, 24), Size(4, 6, 1, 32, 24), Size(6, 2, 1, 32, 24),
    Size(4, 3, 1, 32, 24), Size(4, 2, 2, 32, 24), Size(4, 2, 1, 32, 24), Size(3, 2, 1, 32, 24), Size(4, 1, 1, 32, 24),
    Size(3, 1, 1, 24, 24),
)  # fmt: skip


def build(size: Size, precision: str) -> Segmenter:
    """Return a model of a size, with random weights."""
    config = configs.replace(
        checkpoint.read_config(checkpoint.MINI),
        {
            "tokenizer.layers": size.layers, "tokenizer.maxima": size.maxima, "patches.points": size.patch_points,
            "tokenizer.context_points": size.context_points, **timed_options(precision),
        },
    )  # fmt: skip
    torch.manual_seed(0)
    model = open_clip.CLIP(**ARCHITECTURE | {"vision_cfg": VISION | {"layers": size.blocks}})
    tokenize = open_clip.SimpleTokenizer(context_length=model.context_length)
    frozen = FrozenClip(model, tokenize, **PREPROCESS, precision=precision)
    return Segmenter(Tokenizer(config.tokenizer, frozen.width), frozen, config)


def main(words: list[str] | None = None) -> int:
    """Parse the words and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="how often each runs (default: %(default)s)")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    times = [encoders_in_turn([build(size, p) for size in SIZES], options.rounds) for p in precisions()]
    rows = [
        [*map(str, size), *(f"{ratio(found, number, 0):.2f}" for found in times)] for number, size in enumerate(SIZES)
    ]
    print(markdown_table([*(name.replace("_", " ") for name in Size._fields), *precisions()], rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(command_line.guard("encoder_sizes", main))
