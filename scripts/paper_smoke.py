"""Run every table and figure of the paper to its end on a few made files: make paper-smoke.

    python scripts/paper_smoke.py                          # ViT-B/16 at random weights
    python scripts/paper_smoke.py --tiny --tables 6 A      # a tiny CLIP, some tables

The figures mean nothing; what is shown is that each command runs, writes its rows and resumes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Two steps of two clouds each, few tokens; everything else is as the recipes say
QUICK = (
    "steps=2", "batch=2", "tokens=48", "points=256", "workers=0", "precision=fp32", "held_out=0", "clip.pretrained="
)  # fmt: skip
FIGURES = {"2": "shapenetpart", "A": "scannet", "B": "scannet", "C": "shapenetpart"}


def main(words: list[str] | None = None) -> None:
    """Make data and a CLIP in a folder of its own, and run the commands on them."""
    from s4token_model.paper.rows import ROWS

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tiny", action="store_true", help="a tiny CLIP instead of ViT-B/16")
    parser.add_argument("--tables", nargs="*", choices=ROWS, default=list(ROWS))
    parser.add_argument("--figures", nargs="*", choices=FIGURES, default=list(FIGURES))
    parser.add_argument("--out", type=Path, help="folder that is kept (default: a temporary one)")
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as temporary:
        run(given.out or Path(temporary), given.tiny, given.tables, given.figures)


def run(folder: Path, tiny: bool, tables: list[str], figures: list[str]) -> None:
    """Run the tables and figures, and print the time of each."""
    import paper_data
    import tiny_model

    from s4token_model.paper import figures_command, paper_command

    data, clip = folder / "data", folder / "clip"
    if not data.is_dir():
        paper_data.write(data)
        tiny_model.write_tiny_clip(clip, tiny_model.TINY_CLIP if tiny else paper_data.B16)
    changes = [word for change in (*QUICK, f"clip.name={clip.resolve()}") for word in ("--set", change)]
    for table in tables:
        begin = time.perf_counter(), time.process_time()
        paper_command.main([table, "--data", str(data), "--out", str(folder / "out"), "--every", "1", *changes])
        report(f"Table {table}", begin)
        free_space(folder / "out" / "runs")
    models = sorted((folder / "out" / "runs").glob("shapenet55/model")) or ["s4token-mini"]
    for figure in figures:
        begin = time.perf_counter(), time.process_time()
        words = [figure, "--root", str(data / FIGURES[figure]), "--out", str(folder / f"figure{figure}.png")]
        figures_command.main([*words, *(["--model", str(models[0])] if figure in "2C" else [])])
        report(f"Figure {figure}", begin)


def report(name: str, begin: tuple[float, float]) -> None:
    """Print how long something took."""
    wall, cpu = time.perf_counter() - begin[0], time.process_time() - begin[1]
    print(f"{name}: {wall:.0f} s, {cpu:.0f} s of CPU time", flush=True)


def free_space(runs: Path) -> None:
    """Delete the states of finished trainings, and keep one copy of the CLIP that all checkpoints hold."""
    for path in [*runs.glob("*/state.pt"), *runs.glob("*/parts.pt")]:
        path.unlink()
    first, *others = sorted(runs.glob("*/model/clip/*.safetensors")) or [None]
    for path in others:
        if not path.samefile(first):
            path.unlink()
            os.link(first, path)


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "test" / "helpers")]
    from s4token_model import command_line

    raise SystemExit(command_line.guard("paper_smoke", main))
