"""Compare procedural streets with real sweeps by properties: `python scripts/compare_streets.py [VIEW ...]`.

Reads the sweeps of $S4TOKEN_DATA/semantickitti. Prints, for whole sweeps, range images and 32 beams, real beside
procedural: ranges, heights, spacing of points, classes, superpoints and tokens, then the columns of the descriptor that
differ most by class, in standard deviations.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from s4token_model import checkpoint, command_line
from s4token_model.datasets import semantickitti
from s4token_model.evaluation import sweep_views
from s4token_model.evaluation.temporal_agreement import semantickitti_labels
from s4token_model.pipeline import windows
from s4token_model.pipeline.patched_cloud import build_patches
from s4token_model.procedural import scenes
from s4token_model.sensors import lidar_scans, spinning_lidar

DATA = Path(os.environ.get("S4TOKEN_DATA", "../shared/data")) / "semantickitti"
FIRST_SEED = 1_800_000_000  # training never draws it
BINS = (5, 10, 20, 40)  # m
COLUMNS = (
    "std_small std_middle std_large bottom_above_floor top_above_floor height ceiling_above_top center_above_floor "
    "ceiling_above_center offset_horizontal offset_vertical cloud_width cloud_height room_height linearity planarity "
    "scattering normal_z2 small_axis_z2 large_axis_z2 log_size center_normal_z2 center_linearity center_planarity"
).split()


class Cloud(NamedTuple):
    """A cloud in the frame of its sensor with SemanticKITTI's labels (H,)."""

    xyz: np.ndarray
    label: np.ndarray


def real(view: str) -> Iterator[Cloud]:
    """The real sweeps as `view` shows them."""
    for name in semantickitti.list_sweeps(DATA):
        sweep = semantickitti.load_sweep(DATA, name)
        seen = sweep_views.view_of_sweep(sweep.xyz, view)
        yield Cloud(sweep.xyz[seen], sweep.label[seen])


def procedural(view: str, streets: int) -> Iterator[Cloud]:
    """Procedural sweeps of KITTI's sensor, its range images, and range images of 32 beams."""
    truth = semantickitti_labels()
    lidar = spinning_lidar.HDL32 if view == "image32" else spinning_lidar.HDL64
    for seed in range(FIRST_SEED, FIRST_SEED + streets):
        eye = np.array([0.0, 0.0, 1.8])
        scan = lidar_scans.scan_lidar(scenes.make_street(seed), np.random.default_rng(seed), lidar, eye)
        xyz = (scan.xyz - eye).astype(np.float32)
        if view != "sweep":
            fov = spinning_lidar.image_fov(lidar) if view == "image32" else spinning_lidar.IMAGE_FOV
            seen = spinning_lidar.range_image(xyz, (len(lidar.elevations), 1024), fov)
            scan, xyz = scan.take(seen), xyz[seen]
        yield Cloud(xyz, truth[scan.label])


def properties(cloud: Cloud) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Figures of a cloud, and the descriptors (n, 24) of its tokens by class."""
    xyz, label = cloud.xyz, cloud.label
    away, nearest = np.linalg.norm(xyz, axis=1), cKDTree(xyz).query(xyz, k=2)[0][:, 1]
    found = {"points": len(xyz), "extent x, y m": float(np.ptp(xyz[:, :2], axis=0).mean())}
    found |= {f"range {q} % m": np.percentile(away, q) for q in (5, 25, 50, 75, 95)}
    found |= {f"height {q} % m": np.percentile(xyz[:, 2], q) + 1.73 for q in (2, 25, 50, 75, 98, 100)}
    for low, high in zip((0, *BINS), (*BINS, 999), strict=True):
        inside = (away >= low) & (away < high)
        found[f"points at {low}-{high} m %"] = 100 * inside.mean()
        found[f"nearest at {low}-{high} m cm"] = 100 * np.median(nearest[inside]) if inside.any() else np.nan
    found |= {f"class {name} %": 100 * (label == k).mean() for k, name in enumerate(semantickitti.NAMES)}
    # What the network sees
    patched = build_patches(xyz, None, checkpoint.read_config("s4token-mini"), max_windows=8)
    assert patched.partition is not None
    working, size = patched.working, np.bincount(patched.superpoints)
    found |= {"superpoints": len(size), "superpoint points 50 %": np.median(size), "windows": len(patched.windows)}
    found["superpoint size m"] = windows.typical_size(working.xyz, patched.superpoints) * working.extent
    found |= {"radius r m": patched.patches.radius * working.extent, "extent of unit cube m": working.extent}
    found["set aside"] = sum(working.set_aside.values())
    labels, eigen = label[working.original_index], patched.partition.local.eigen
    for k, name in enumerate(semantickitti.NAMES):
        if (labels == k).sum() > 30:
            found[f"planarity {name}"], found[f"scattering {name}"] = np.median(eigen[labels == k], axis=0)[1:]
    descriptors = np.concatenate([c.descriptor[w.core] for c, w in zip(patched.contexts, patched.windows, strict=True)])
    centers = patched.patches.centers[np.concatenate([w.tokens[w.core] for w in patched.windows])]
    of_token = labels[cKDTree(working.xyz).query(centers)[1]]
    return found, {name: descriptors[of_token == k] for k, name in enumerate(semantickitti.NAMES)}


def compare(view: str, streets: int) -> None:
    """Print the properties of one view, real and procedural (mean, 10 and 90 %), and the descriptors that differ."""
    theirs, ours = ([properties(cloud) for cloud in clouds] for clouds in (real(view), procedural(view, streets)))
    print(f"\n{view:<32}{'real':>20}{'ours':>10}{'10 %':>10}{'90 %':>10}")
    for key in dict.fromkeys(key for found, _ in theirs for key in found):
        values = np.array([found.get(key, np.nan) for found, _ in ours])
        mine = (np.nanmean(values), *np.nanpercentile(values, (10, 90))) if np.isfinite(values).any() else (np.nan,) * 3
        seen = "".join(f"{found.get(key, np.nan):10.4g}" for found, _ in theirs)
        print(f"{key:<32}{seen:>20}" + "".join(f"{value:10.4g}" for value in mine))
    rows = []
    for name in semantickitti.NAMES:
        a, b = (np.concatenate([by_class[name] for _, by_class in found]) for found in (theirs, ours))
        if len(a) >= 10 and len(b) >= 10:
            shift = (a.mean(axis=0) - b.mean(axis=0)) / (b.std(axis=0) + 1e-3)
            rows += [(abs(shift[k]), name, COLUMNS[k], a[:, k].mean(), b[:, k].mean(), shift[k]) for k in range(24)]
    for _, name, column, a, b, shift in sorted(rows, reverse=True)[:30]:
        print(f"  {name:<14}{column:<24}real {a:7.2f}  ours {b:7.2f}  {shift:+.2f} sd")


def main(words: list[str] | None = None) -> None:
    """Compare the views that are asked for, with so many streets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("views", nargs="*", metavar="VIEW", help=f"of {', '.join(sweep_views.VIEWS)}; by default all")
    parser.add_argument("--streets", type=int, default=8, help="procedural streets to compare with (default: 8)")
    options = parser.parse_args(words)
    for view in options.views or sweep_views.VIEWS:
        compare(view, options.streets)


if __name__ == "__main__":
    raise SystemExit(command_line.guard("compare_streets", main))
