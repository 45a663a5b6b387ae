"""s4token paper TABLE --data DIR: compute a table of the paper and print it beside the paper's.

Every stage is skipped if its output is in --out: samples, trainings, measurements. An interrupted run resumes, and
tables have their stages in common.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from s4token_model import atomic, bounded_files, command_line
from s4token_model import config as configs
from s4token_model.evaluation.published import TABLES, text
from s4token_model.evaluation.tables import markdown_table
from s4token_model.paper.rows import DIFFERENCES, OFFICIAL, ROWS, SAMPLES, VARIED, Row
from s4token_model.paper.stages import Run
from s4token_model.segmenter import checked_device
from s4token_model.training import token_samples

OWN = ("data", "run", "device", "task", "other_tokens")  # settings that the stages give themselves
MADE = ("samples", "runs", "results")  # folders in --out


def main(arguments: list[str] | None = None) -> int:
    """Compute the rows of a table that are missing."""
    given = _parser().parse_args(arguments)
    unknown = set(given.rows or ()) - set(ROWS[given.table])
    if unknown:
        raise ValueError(f"Table {given.table} has no row {min(unknown)!r}; choose from {', '.join(ROWS[given.table])}")
    checked_device(given.device)
    check_changes(given.table, given.changes)
    changes = tuple(given.changes)
    run = Run(given.data, given.out, changes, given.device, given.gpus, given.workers, given.every)
    check_unchanged(run)
    stored = run.out / f"table{given.table}.json"
    found = {name: Row(**row) for name, row in bounded_files.read_json(stored).items()} if stored.is_file() else {}
    for name in given.rows or ROWS[given.table]:
        found[name] = ROWS[given.table][name](run)
    found = {name: found[name] for name in ROWS[given.table] if name in found}
    document = report(given.table, found, run)
    print(document)
    rows = {name: row._asdict() for name, row in found.items()}
    for path, content in ((stored.with_suffix(".md"), document), (stored, json.dumps(rows, indent=1))):
        with atomic.file(path) as file:
            file.write((content + "\n").encode())
    return 0


def check_changes(table: str, changes: list[str]) -> None:
    """Raise ValueError for a change that a row, or another option, would silently undo or relabel."""
    for key in configs.pairs(changes):
        if key in OWN:
            raise ValueError(f"--set {key}: s4token paper sets it itself, by --data, --out and --device; leave it out")
        if key in VARIED.get(table, ()):
            raise ValueError(f"--set {key}: the rows of Table {table} differ by it; leave it out, or choose --rows")


def check_unchanged(run: Run) -> None:
    """Raise ValueError if what is in run.out was made with other settings, or of other data; they are recorded there.

    A table that failed before it made anything may be repeated with others.
    """
    path, settings = run.out / "settings.json", {"changes": sorted(run.changes), "every": run.every}
    settings["data"] = str(run.data.resolve())
    begun = path.is_file() and any((run.out / name).exists() for name in MADE)
    before = settings | bounded_files.read_json(path) if begun else settings
    if changed := [key for key in settings if before[key] != settings[key]]:
        listed = ", ".join(f"{key}: {before[key]!r} -> {settings[key]!r}" for key in changed)
        fix = "give another --out or delete it"
        fix += f"; if the data were only moved, change their path in {path}" if changed == ["data"] else ""
        raise ValueError(f"{run.out} was begun with other settings ({listed}); {fix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.file(path) as file:
        file.write((json.dumps(settings) + "\n").encode())


def report(table: str, found: dict[str, Row], run: Run) -> str:
    """The table, ours beside the paper's, and what differs from the paper."""
    published = TABLES[table]
    header = [published.title, *(f"{column}, {of}" for column in published.columns for of in ("here", "paper"))]
    rows = []
    for name in [*(name for name in published.rows if name not in found), *found]:
        ours = found[name].figures if name in found else (None,) * len(published.columns)
        theirs = published.rows.get(name, (None,) * len(published.columns))
        rows.append([name, *(text(value) for pair in zip(ours, theirs, strict=True) for value in pair)])
    lines = [f"Table {table}" if table != "gamma" else "gamma", "", markdown_table(header, rows), ""]
    lines += [f"- {difference.format(every=run.every)}" for difference in DIFFERENCES[table]]
    for data in SAMPLES[table]:
        if samples := token_samples.find_samples(run.out / "samples" / data):
            lines.append(f"- trained without labels on {len(samples):,} samples of {data}")
    counts = {key: value for row in found.values() for key, value in row.counts.items()}
    for key, value in counts.items():
        if value != OFFICIAL.get(key, value):
            lines.append(f"- tested on {value:,} {key}, not on all {OFFICIAL[key]:,}")
    if run.changes:
        lines.append(f"- changed by {', '.join(run.changes)}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser("s4token paper", description=about[0], epilog=about[1])
    parser.add_argument("table", choices=ROWS)
    help_of_data = "folder with shapenet55/, shapenetpart/, modelnet40/, scanobjectnn/, scannet/, s3dis/, or links"
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help=help_of_data)
    parser.add_argument("--out", type=Path, default=Path("runs/paper"), metavar="DIR", help="default: runs/paper")
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="only these rows")
    about_set = "change a setting of every preparation and training, e.g. clip.pretrained=FILE or steps=1000"
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE", help=about_set)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument("--gpus", type=int, default=1, metavar="N", help="GPUs of a training, by torchrun (default: 1)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that prepare (default: 1)")
    parser.add_argument("--every", type=int, default=20, metavar="N", help="ScanNet: each N-th frame (default: 20)")
    parser.add_argument(command_line.DEBUG_OPTION, action="store_true", help=command_line.DEBUG_HELP)
    return parser
