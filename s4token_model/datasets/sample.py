"""The sample room of the demo: a scan of a procedural room in one small file, and the command that makes it.

`python -m s4token_model.datasets.sample` writes samples/room.npz: positions in millimeters, colors in 8 bits.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOM = Path(__file__).resolve().parents[1] / "samples" / "room.npz"
STEP = 0.001  # m; the resolution of the stored positions
POINTS = 80_000
SEED = 2_000_000_139  # far from the seeds of training and of the held-out rooms
COMMAND = "python -m s4token_model.datasets.sample"


@dataclass(frozen=True)
class Sample:
    """A labeled scan: xyz (H, 3) float32 m, z up; rgb (H, 3) float32 in [0, 1]; label (H,) uint8, index of `names`."""

    xyz: np.ndarray
    rgb: np.ndarray
    label: np.ndarray
    names: tuple[str, ...]


def save(path: str | Path, sample: Sample) -> None:
    """Write a sample, rounded to millimeters and 8-bit colors. ValueError when it is over 65 m or has 256 classes."""
    low = np.floor(sample.xyz.min(axis=0) / STEP) * STEP
    grid = np.rint((sample.xyz - low) / STEP)
    if not np.isfinite(grid).all() or grid.max() > 65535 or len(sample.names) > 255:
        raise ValueError("a sample holds finite points within 65 m and at most 255 classes; cut the scan")
    order = np.lexsort((grid[:, 0] // 64, grid[:, 1] // 64, grid[:, 2] // 64))  # neighbors together: a smaller file
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        low=low.astype(np.float64),
        xyz=grid[order].astype(np.uint16),
        rgb=np.rint(sample.rgb[order] * 255).astype(np.uint8),
        label=sample.label[order].astype(np.uint8),
        names=np.array(sample.names, dtype=np.str_),
    )


def load(path: str | Path = ROOM) -> Sample:
    """Read a sample. ValueError when it is not there or is no sample."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no sample at {path}; make it: {COMMAND}")
    try:
        with np.load(path, allow_pickle=False) as stored:
            xyz = (stored["low"] + stored["xyz"].astype(np.float64) * STEP).astype(np.float32)
            rgb = stored["rgb"].astype(np.float32) / 255
            return Sample(xyz, rgb, stored["label"], tuple(str(n) for n in stored["names"]))
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"{path} is no sample ({error}); write it anew: {COMMAND}") from None


def make(seed: int = SEED, points: int = POINTS) -> Sample:
    """Build a procedural room from `seed` and scan it as a walked depth camera does, `points` at most."""
    from s4token_model.procedural import scenes
    from s4token_model.sensors import scans

    scene = scenes.make_room(seed)
    scan = scans.scan_depth(scene, np.random.default_rng(seed), points=points)
    used, label = np.unique(scan.label, return_inverse=True)
    return Sample(scan.xyz, scan.rgb, label.astype(np.uint8), tuple(scene.names[i] for i in used))


def main(args: list[str] | None = None) -> int:
    """Make and write the sample."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=SEED, help="seed of room and scan (default: %(default)s)")
    parser.add_argument("--points", type=int, default=POINTS, help="points at most (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=ROOM, help="where to write (default: %(default)s)")
    options = parser.parse_args(args)
    sample = make(options.seed, options.points)
    save(options.out, sample)
    size = options.out.stat().st_size
    print(f"{options.out}: {len(sample.xyz):,} points, {len(sample.names)} classes, {size:,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
