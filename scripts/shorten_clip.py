"""Keep the first blocks of a CLIP's image tower, through which tokens go, in a new folder: fewer take less time.

    python scripts/shorten_clip.py FOLDER OUT --blocks 2

The pictures that such a tower would encode mean little, so it refuses them. That does not matter to a tokenizer that is
trained in front of it.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import safetensors.torch

from s4token_model import command_line
from s4token_model.pipeline import clip_config, known_words

BLOCKS = "visual.transformer.resblocks."


def shorten(source: Path, out: Path, blocks: int) -> None:
    """Write the CLIP of `source` with `blocks` of its blocks to `out`; ValueError if it has fewer."""
    architecture = clip_config.read(source)
    vision = architecture.model["vision_cfg"]
    if not 1 <= blocks <= vision["layers"]:
        raise ValueError(f"--blocks {blocks}: {source} has {vision['layers']}; keep 1 or more of them")
    tensors = safetensors.torch.load_file(source / clip_config.file_names(source)[1])
    kept = {name: value for name, value in tensors.items() if _block(name) < blocks}
    model = architecture.model | {"vision_cfg": vision | {"layers": blocks}}
    clip_config.save_directory(out, architecture._replace(model=model, pictures=False), kept)
    if (source / known_words.FILE).is_file():
        shutil.copy2(source / known_words.FILE, out)


def _block(name: str) -> int:
    """The number of the block that a tensor belongs to, or -1."""
    return int(name.removeprefix(BLOCKS).split(".")[0]) if name.startswith(BLOCKS) else -1


def main(words: list[str] | None = None) -> int:
    """Parse the words and write the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("source", type=Path, metavar="FOLDER", help="a CLIP in open_clip's layout")
    parser.add_argument("out", type=Path, metavar="OUT", help="new folder")
    parser.add_argument("--blocks", type=int, default=2, help="how many to keep (default: %(default)s)")
    options = parser.parse_args(words)
    shorten(options.source, options.out, options.blocks)
    return 0


if __name__ == "__main__":
    raise SystemExit(command_line.guard("shorten_clip", main))
