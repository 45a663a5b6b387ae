"""Build the shape bank: `python -m scripts.shapes --out FOLDER [--source NAME=PATH ...]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from s4token_model import atomic, bounded_files
from scripts.shapes import bank, catalogs, sheets, sources

INSTALLED = Path("/usr/share/sweethome3d/furniture")  # of the Debian package sweethome3d-furniture
SWEETHOME3D = "sweethome3d"


def main(arguments: list[str] | None = None) -> int:
    """Build the bank and print what was taken, skipped and absent; 1 if no source is there."""
    options = _options(arguments)
    start = time.monotonic()
    known = sources.read_sources()
    models = sources.read_models(known)
    folders = dict(one.split("=", 1) for one in options.source)
    if unknown := set(folders) - {source.set_name for source in known}:
        raise SystemExit(f"make shapes: no source {', '.join(sorted(unknown))}; see scripts/shapes/sources.csv")
    atomic.check_folder(options.out)
    with tempfile.TemporaryDirectory() as scratch:
        jobs = list(_jobs(known, models, folders, Path(scratch)))
        built = bank.build_shapes([(*job, options.triangles) for job in jobs], options.workers)
    shapes = [shape for shape in built if not isinstance(shape, str)]
    print(*(reason for reason in built if isinstance(reason, str)), sep="\n")
    if not shapes:
        print("make shapes: no source is there; install sweethome3d-furniture or give --source NAME=PATH")
        return 1
    bank.write_bank(options.out, known, shapes)
    if options.sheets:
        sheets.write_sheets(options.sheets, shapes)
    print(bank.count_table(shapes))
    size = (options.out / "shapes.npz").stat().st_size / 2**20
    print(f"{len(shapes)} shapes, {size:.1f} MiB, in {options.out} after {time.monotonic() - start:.0f} s")
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make shapes", description="Build the shape bank from CAD sets.")
    parser.add_argument("--out", type=Path, default=Path("out/shapes"), help="folder (default: %(default)s)")
    parser.add_argument(
        "--source",
        action="append",
        default=[f"{SWEETHOME3D}={INSTALLED}"],
        metavar="NAME=PATH",
        help="a checkout of a source of scripts/shapes/sources.csv; of sweethome3d, the package or its folder",
    )
    parser.add_argument("--triangles", type=int, default=1500, help="of a shape, at most (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--sheets", type=Path, help="folder of one picture per class, for review")
    return parser.parse_args(arguments)


def _jobs(known, models, folders: dict[str, str], scratch: Path) -> Iterator[tuple]:
    """Yield (source, model, entry) of every model whose file is there, and print a line for each source."""
    for source in known:
        wanted = [model for model in models if model.source == source.name]
        root = Path(folders.get(source.set_name, ""))
        if source.set_name not in folders or not root.exists():
            print(f"{source.name}: absent, {len(wanted)} models skipped")
            continue
        if source.set_name == SWEETHOME3D:
            entries, sha256 = _library(source, root, scratch)
        else:
            entries = catalogs.checkout_entries(root, [model.model for model in wanted])
            sha256 = sources.files_sha256(root, entries)
        there = [model for model in wanted if model.model in entries]
        print(
            f"{source.name}: {len(there)} of {len(wanted)} models in the table are there; "
            f"{len(set(entries) - {model.model for model in wanted})} others fit no class"
            + ("" if sha256 == source.sha256 else f"; its SHA-256 is {sha256}, not that of version {source.version}")
        )
        yield from ((source, model, entries[model.model]) for model in there)


def _library(source, root: Path, scratch: Path) -> tuple[dict[str, catalogs.Entry], str]:
    """The entries and the SHA-256 of a library of Sweet Home 3D, in a folder or in the package."""
    if root.is_file():
        unpacked = scratch / "package"
        root = (
            catalogs.unpack_package(root, unpacked) if not unpacked.exists() else next(unpacked.rglob("*.sh3f")).parent
        )
    name = source.name.partition("/")[2]
    library = root / f"{name}.sh3f"
    if not library.is_file():
        return {}, ""
    return catalogs.library_entries(library, scratch / name), bounded_files.sha256(library)


if __name__ == "__main__":
    sys.exit(main())
