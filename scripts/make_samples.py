"""Make the sample room of demo and tests: a procedural room, scanned with a depth camera that is walked through it.

    python scripts/make_sample_room.py [--seed N] [--points N] [--out FILE.laz]

The shipped file is an older build of the same seed: a new one has other points, and changes the recorded fingerprints.
"""

from __future__ import annotations

import argparse
import datetime
import re
from pathlib import Path

import laspy
import numpy as np

from s4token_model import command_line
from s4token_model.io import sample_room
from s4token_model.io.sample_room import SampleRoom

RESOLUTION = 0.001  # m, of the stored positions
MAX_POINTS = 80_000
SEED = 2_000_000_139  # far from the seeds of training and of the held-out rooms
NAME = re.compile(r"[A-Za-z0-9 ]{1,15}")  # what the classification lookup table of a LAS file can hold


def make(seed: int = SEED, points: int = MAX_POINTS) -> SampleRoom:
    """Build a procedural room from `seed` and scan it, with at most `points` points."""
    from s4token_model.procedural import scenes
    from s4token_model.sensors import scans

    scene = scenes.make_room(seed)
    scan = scans.scan_depth(scene, np.random.default_rng(seed), points=points)
    used, label = np.unique(scan.label, return_inverse=True)
    return SampleRoom(scan.xyz, scan.rgb, label.astype(np.uint8), tuple(scene.names[i] for i in used))


def save(path: str | Path, room: SampleRoom) -> None:
    """Write a room, rounded to millimeters and 8-bit colors; equal rooms give equal bytes.

    ValueError when a point is not finite or the file cannot hold the class names.
    """
    bad = [name for name in room.names if not NAME.fullmatch(name)]
    if bad or len(room.names) > 256:
        raise ValueError(f"{len(room.names)} class names, {bad} among them; LAS holds 256 of 1 to 15 letters or digits")
    if not np.isfinite(room.xyz).all():
        raise ValueError("the room has points that are not finite; leave them out")
    low = np.floor(room.xyz.min(axis=0) / RESOLUTION).astype(np.float64) * RESOLUTION
    grid = np.rint((room.xyz - low) / RESOLUTION).astype(np.int32)
    order = np.lexsort((grid // 64).T)  # neighbors together: a smaller file
    header = laspy.LasHeader(version="1.4", point_format=7)
    header.scales, header.offsets = np.full(3, RESOLUTION), low
    header.creation_date, header.generating_software = datetime.date(2026, 1, 1), "s4token make_sample_room"
    header.vlrs.append(lookup := laspy.vlrs.known.ClassificationLookupVlr())
    for label, name in enumerate(room.names):
        lookup[label] = name
    las = laspy.LasData(header)
    las.X, las.Y, las.Z = grid[order].T
    las.red, las.green, las.blue = 257 * np.rint(room.rgb[order] * 255).astype(np.uint16).T
    las.classification = room.label[order]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    las.write(path)


def main(words: list[str] | None = None) -> int:
    """Make and write the room."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=SEED, help="seed of room and scan (default: %(default)s)")
    parser.add_argument("--points", type=int, default=MAX_POINTS, help="at most so many points (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=sample_room.PATH, help="where to write (default: %(default)s)")
    options = parser.parse_args(words)
    room = make(options.seed, options.points)
    save(options.out, room)
    size = options.out.stat().st_size
    print(f"{options.out}: {len(room.xyz):,} points, {len(room.names)} classes, {size:,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(command_line.guard("make_sample_room", main))
