"""Make the samples of demo and tests: a room, scanned with a depth camera, and a street, with a LiDAR on a car.

    python scripts/make_samples.py room|street [--seed N] [--points N] [--out FILE.laz]

The shipped files are older builds of the same seeds: new ones have other points, and change recorded fingerprints.
Both come from the generator alone, without CAD models.
"""

from __future__ import annotations

import argparse
import datetime
import re
from pathlib import Path

import laspy
import numpy as np

from s4token_model import command_line
from s4token_model.io import samples
from s4token_model.io.samples import Sample

RESOLUTION = 0.001  # m, of the stored positions
MAX_POINTS = 80_000
SEEDS = {"room": 2_000_000_139, "street": 2_000_000_026}  # far from those of training and of the held-out scenes
REACH = 45.0  # m around the LiDAR that are kept
NAME = re.compile(r"[A-Za-z0-9 ]{1,15}")  # what the classification lookup table of a LAS file can hold


def make(kind: str, seed: int, points: int = MAX_POINTS) -> Sample:
    """Build a procedural scene from `seed` and scan it, with at most `points` points."""
    from s4token_model.procedural import scenes
    from s4token_model.sensors import lidar_scans, scans, spinning_lidar

    rng = np.random.default_rng(seed)
    if kind == "room":
        scene = scenes.make_room(seed)
        scan = scans.scan_depth(scene, rng, points=points)
        xyz, rgb = scan.xyz, scan.rgb
    else:
        scene, eye = scenes.make_street(seed), np.array([0.0, 0.0, 1.8])
        scan = lidar_scans.scan_lidar(scene, rng, spinning_lidar.HDL64, eye)
        near = np.flatnonzero(np.hypot(*scan.xyz[:, :2].T) < REACH)
        scan = scan.take(np.sort(rng.choice(near, min(points, len(near)), replace=False)))
        xyz, rgb = scan.xyz - eye.astype(np.float32), None
    used, label = np.unique(scan.label, return_inverse=True)
    return Sample(xyz, rgb, label.astype(np.uint8), tuple(scene.names[i] for i in used))


def save(path: str | Path, sample: Sample) -> None:
    """Write a sample, rounded to millimeters and 8-bit colors; equal samples give equal bytes.

    ValueError when a point is not finite or the file cannot hold the class names.
    """
    bad = [name for name in sample.names if not NAME.fullmatch(name)]
    if bad or len(sample.names) > 256:
        count = len(sample.names)
        raise ValueError(f"{count} class names, {bad} among them; LAS holds 256 of 1 to 15 letters or digits")
    if not np.isfinite(sample.xyz).all():
        raise ValueError("the sample has points that are not finite; leave them out")
    low = np.floor(sample.xyz.min(axis=0) / RESOLUTION).astype(np.float64) * RESOLUTION
    grid = np.rint((sample.xyz - low) / RESOLUTION).astype(np.int32)
    order = np.lexsort((grid // 64).T)  # neighbors together: a smaller file
    header = laspy.LasHeader(version="1.4", point_format=6 if sample.rgb is None else 7)
    header.scales, header.offsets = np.full(3, RESOLUTION), low
    header.creation_date, header.generating_software = datetime.date(2026, 1, 1), "s4token make_samples"
    header.vlrs.append(lookup := laspy.vlrs.known.ClassificationLookupVlr())
    for label, name in enumerate(sample.names):
        lookup[label] = name
    las = laspy.LasData(header)
    las.X, las.Y, las.Z = grid[order].T
    if sample.rgb is not None:
        las.red, las.green, las.blue = 257 * np.rint(sample.rgb[order] * 255).astype(np.uint16).T
    las.classification = sample.label[order]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    las.write(path)


def main(words: list[str] | None = None) -> int:
    """Make and write a sample."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("kind", choices=tuple(SEEDS))
    parser.add_argument("--seed", type=int, help="seed of scene and scan (default: that of the shipped file)")
    parser.add_argument("--points", type=int, default=MAX_POINTS, help="at most so many points (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="where to write (default: the shipped file)")
    options = parser.parse_args(words)
    sample = make(options.kind, SEEDS[options.kind] if options.seed is None else options.seed, options.points)
    path = options.out or samples.FOLDER / f"{options.kind}.laz"
    save(path, sample)
    print(f"{path}: {len(sample.xyz):,} points, {len(sample.names)} classes, {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(command_line.guard("make_samples", main))
