"""Training samples: a procedural scene scanned, cut into tokens, and photographed, as one file per scene.

A sample holds everything the losses need, so that a training step costs no geometry:

    patch (N, M, 3) float16, patch_count (N,); context (N, C, 5) float16, context_count (N,); shape (N, 24) float32;
    position (N, 3) float32, centroids in units of r about their mean; token_superpoint (N,) int32; unit, what a
    tokenizer's positions are multiplied by: 1, or r in the sensor's unit where tokenizer.position_scaled is off
    point (P, 3) float32 in the frame of `position`; point_label (P,) int16; point_superpoint (P,) int32
    image (V, h, w, 3) uint8; region (V, h, w) int16 instance or -1; instance_label (K,) int16; attributes (K,) JSON
    seen_superpoint, seen_view, seen_row, seen_column (Q,): a pixel of a view in which a point of that superpoint is
    visible
"""

from __future__ import annotations

import json
import os
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from scipy.ndimage import distance_transform_edt
from tqdm import tqdm

from s4token_model import config as configs
from s4token_model.config import Config, MiniConfig
from s4token_model.io import files
from s4token_model.procedural import scenes
from s4token_model.procedural.types import Scan
from s4token_model.segmenter import PatchedCloud, build_patches
from s4token_model.sensors import rgbd_views, scans
from s4token_model.sensors.camera_poses import BUILDING
from s4token_model.sensors.raycast import Caster, project

KINDS = ("depth", "frame", "lidar", "object")  # and "street", by MiniConfig.street_share
KIND_SHARES = (0.78, 0.09, 0.08, 0.05)
PIXELS_PER_SUPERPOINT = 48
STRENGTHS = (0.06, 0.7)  # of the partition, drawn per scene
# Factor on the radius r, drawn per scene: r grows with the extent of a scan, and beds stand in small rooms as well as
# in flats scanned as a whole.
RADII = (0.7, 1.5)


def sample_path(folder: Path, seed: int) -> Path:
    """File of the sample of one seed."""
    return folder / f"{seed:08d}.npz"


def prepare(
    folder: Path, seeds: range, config: Config, mini: MiniConfig, pictures_only: bool = False, workers: int = 2
) -> list[Path]:
    """Make the samples of all seeds that have no file yet, in parallel processes; resumable, one atomic file per seed.

    With `pictures_only` a sample holds the pictures and their labels alone, which is all that the CLIP needs.

    A scene that fails is reported and left out; the paths of all samples present are returned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [seed for seed in seeds if not sample_path(folder, seed).is_file()]
    jobs = [(folder, seed, configs.to_dict(config), mini, pictures_only) for seed in missing]
    failed = []
    if jobs:
        with get_context("spawn").Pool(workers, _single_threaded) as pool:
            for seed, error in tqdm(pool.imap_unordered(_job, jobs, 4), "scenes", len(jobs)):
                if error:
                    failed.append(seed)
                    tqdm.write(f"scene {seed} left out: {error}")
    if len(failed) > 0.05 * len(seeds):
        raise ValueError(
            f"{len(failed)} of {len(seeds)} scenes failed, first seeds {failed[:5]}; see the messages above"
        )
    return [path for path in (sample_path(folder, seed) for seed in seeds) if path.is_file()]


def make_sample(seed: int, config: Config, mini: MiniConfig) -> dict[str, np.ndarray]:
    """Build the sample of one seed; deterministic."""
    rng = np.random.default_rng([seed, 7])
    kind = "street" if is_street(seed, mini) else str(rng.choice(KINDS, p=KIND_SHARES))
    makers = {"object": scenes.make_object, "street": scenes.make_street}
    scene = makers.get(kind, scenes.make_room)(seed)
    caster = Caster(scene)
    raw = _scan(scene, caster, kind, rng)
    turned = scans.augment(raw, rng, bend=0.08 if kind == "depth" else 0.0)
    strength, radius = (float(np.exp(rng.uniform(*np.log(limits)))) for limits in (STRENGTHS, RADII))
    changes = {"superpoints.regularization": strength, "sampling.seed": int(rng.integers(2**31 - 1))}
    changes["patches.alpha"] = config.patches.alpha * radius
    geometry = build_patches(turned.xyz, None, configs.replace(config, changes), rng)
    if len(geometry.patches.centers) < 8:
        raise ValueError(f"only {len(geometry.patches.centers)} tokens in {len(raw.xyz)} points")
    pictures = rgbd_views.render_views(
        scene, rng, mini.views, (mini.view_pixels, mini.view_pixels), _style(rng), caster, float(rng.uniform(50, 75))
    )
    return (
        tokens_of(geometry, config.tokenizer.position_scaled)
        | _points(geometry, raw, mini.points, rng)
        | pictures_of(scene, pictures)
        | seen_pixels(geometry, raw, pictures)
    )


def is_street(seed: int, mini: MiniConfig) -> bool:
    """Whether the scene of a seed is a street, drawn apart from all else: without streets scenes stay as they are."""
    return mini.street_share > 0 and np.random.default_rng([seed, 9]).random() < mini.street_share


def make_pictures(seed: int, mini: MiniConfig) -> dict[str, np.ndarray]:
    """Build the pictures of one seed; deterministic."""
    rng = np.random.default_rng([seed, 8])
    scene = scenes.make_object(seed) if rng.random() < 0.25 else None
    scene = scene or (scenes.make_street(seed) if is_street(seed, mini) else scenes.make_room(seed))
    edge, fov = mini.view_pixels, float(rng.uniform(40, 75))
    return pictures_of(
        scene, rgbd_views.render_views(scene, rng, mini.views, (edge, edge), _style(rng), Caster(scene), fov)
    )


def save_sample(path: Path, sample: dict[str, np.ndarray]) -> None:
    """Write the arrays of a prepared sample as safetensors, in one atomic step."""
    content = safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in sample.items()})
    with files.atomic(path) as file:
        file.write(content)


def samples_in(folder: Path) -> list[Path]:
    """The samples of a folder, sorted: what `s4token prepare` writes, and those with pictures (.npz)."""
    return sorted(path for suffix in ("safetensors", "npz") for path in folder.glob(f"*.{suffix}"))


def load_sample(path: Path) -> dict[str, np.ndarray]:
    """Read a sample; ValueError for a damaged file."""
    try:
        if path.suffix == ".safetensors":
            return safetensors.numpy.load_file(path)
        with np.load(path, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except Exception as error:  # numpy, zipfile and safetensors raise many kinds on a damaged file
        raise ValueError(f"{path} is damaged ({error}); delete it and run the preparation again") from error


def _scan(scene, caster, kind: str, rng: np.random.Generator):
    if kind == "depth":
        scan = scans.scan_depth(scene, rng, int(rng.integers(40000, 90000)), caster)
        return _sparser(_around_things(_without_top(scan, rng), scene.names, rng), rng)
    if kind == "frame":
        return scans.scan_frame(scene, rng, caster=caster)
    if kind == "lidar":
        return scans.scan_lidar(scene, rng, int(rng.choice([16, 32, 64])), caster=caster)
    if kind == "street":
        return scans.scan_lidar(scene, rng, int(rng.choice([16, 32, 64], p=(0.15, 0.2, 0.65))), caster=caster)
    return scans.scan_object(scene, rng, int(rng.integers(2048, 20000)), bool(rng.random() < 0.7))


def _without_top(scan: Scan, rng: np.random.Generator) -> Scan:
    """Leave out what lies above an uneven height: who scans a room by hand looks at the furniture, and much of the
    walls is never seen."""
    if rng.random() < 0.35:
        return scan
    east, north = (scan.xyz[:, :2] - np.median(scan.xyz[:, :2], axis=0)).T
    angle = np.arctan2(north, east)
    height = rng.uniform(1.2, 2.4) + sum(
        rng.uniform(0, 0.4) * np.sin(k * angle + rng.uniform(0, 2 * np.pi)) for k in (1, 2, 4)
    )
    return scan.take(scan.xyz[:, 2] < height + rng.normal(0, 0.04, len(angle)))


def _around_things(scan: Scan, names: tuple[str, ...], rng: np.random.Generator) -> Scan:
    """Leave out floor, walls and ceiling far from everything else, mostly: real scans of rooms hold about
    half as much of them as scans that cover a room evenly."""
    shell = np.isin(scan.label, [k for k, name in enumerate(names) if name in BUILDING])
    if rng.random() < 0.25 or shell.all() or not shell.any():
        return scan
    cell = np.floor(scan.xyz[:, :2] / np.float32(0.1)).astype(np.int64)
    cell -= cell.min(axis=0)
    empty = np.ones(cell.max(axis=0) + 1, bool)
    empty[tuple(cell[~shell].T)] = False
    distance = 0.1 * distance_transform_edt(empty)[tuple(cell.T)]
    return scan.take(~shell | (distance < rng.uniform(0.15, 0.9) + rng.normal(0, 0.05, len(shell))))


def _sparser(scan: Scan, rng: np.random.Generator) -> Scan:
    """Leave out points evenly, now and then: a fixed number of points is sparse in a large room."""
    share = rng.uniform(0.45, 1.0) if rng.random() < 0.25 else 1.0
    return scan.take(rng.random(len(scan.xyz)) < share)


def _style(rng: np.random.Generator) -> str:
    return "geometry" if rng.random() < 0.5 else "color"


def tokens_of(geometry: PatchedCloud, position_scaled: bool = True) -> dict[str, np.ndarray]:
    """The arrays of a sample that make its tokens."""
    grouped, around = geometry.patches, geometry.context
    return {
        "patch": grouped.offsets.astype(np.float16),
        "patch_count": (grouped.index >= 0).sum(axis=1).astype(np.uint16),
        "context": around.points.astype(np.float16),
        "context_count": around.mask.sum(axis=1).astype(np.uint16),
        "shape": around.descriptor,
        "position": local(grouped.centers, geometry),
        "token_superpoint": grouped.superpoint,
        "unit": np.float32(1.0 if position_scaled else grouped.radius * grouped.unit),
    }


def local(xyz: np.ndarray, geometry: PatchedCloud) -> np.ndarray:
    """xyz (K, 3) in the frame of `position`."""
    centers = geometry.patches.centers
    return ((xyz - centers.mean(axis=0)) / np.float32(geometry.patches.radius)).astype(np.float32)


def _points(geometry: PatchedCloud, raw, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    pick = rng.choice(len(geometry.superpoints), count, replace=len(geometry.superpoints) < count)
    return {
        "point": local(geometry.working.xyz[pick], geometry),
        "point_label": raw.label[geometry.working.original_index[pick]].astype(np.int16),
        "point_superpoint": geometry.superpoints[pick].astype(np.int32),
    }


def pictures_of(scene, pictures) -> dict[str, np.ndarray]:
    """The arrays of a sample that hold its pictures: `image`, `region`, `instance_label`, `attributes`."""
    number = {name: k for k, name in enumerate(scene.names)}
    return {
        "image": np.stack([view.rgb for view in pictures]),
        "region": np.stack([view.instance for view in pictures]).astype(np.int16),
        "instance_label": np.array([number[thing.name] for thing in scene.instances], np.int16),
        "attributes": np.array([json.dumps(thing.attributes) for thing in scene.instances]),
    }


def seen_pixels(geometry: PatchedCloud, raw, pictures) -> dict[str, np.ndarray]:
    """Depth-tested visibility: pixels at which a few points of each superpoint are seen."""
    ids = geometry.superpoints
    order = np.argsort(ids, kind="stable")
    rank = np.arange(len(ids)) - np.searchsorted(ids[order], ids[order])
    size = np.bincount(ids)[ids[order]]
    few = order[(rank * PIXELS_PER_SUPERPOINT) % np.maximum(size, 1) < PIXELS_PER_SUPERPOINT]
    xyz = raw.xyz[geometry.working.original_index[few]]
    rows: list[np.ndarray] = []
    for number, view in enumerate(pictures):
        pixels, depth = project(xyz, view.pose, view.intrinsics)
        height, width = view.depth.shape
        column, row = (np.floor(pixels[:, a]).astype(np.int64) for a in range(2))
        inside = (depth > 0.05) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
        column, row, depth, index = column[inside], row[inside], depth[inside], few[inside]
        seen = np.abs(view.depth[row, column] - depth) < 0.06 + 0.02 * depth
        rows.append(np.stack([ids[index], np.full(len(index), number), row, column], axis=1)[seen])
    table = np.concatenate(rows).astype(np.int32)
    names = ("seen_superpoint", "seen_view", "seen_row", "seen_column")
    return {name: table[:, k] for k, name in enumerate(names)}


def _job(job: tuple[Path, int, dict[str, Any], MiniConfig, bool]) -> tuple[int, str]:
    folder, seed, values, mini, pictures_only = job
    try:
        sample = make_pictures(seed, mini) if pictures_only else make_sample(seed, configs.from_dict(values), mini)
    except Exception as error:  # one bad scene must not end a long run; it is reported and counted
        return seed, f"{type(error).__name__}: {error}"
    partial = sample_path(folder, seed).with_suffix(f".{os.getpid()}.partial")
    with open(partial, "wb") as file:
        np.savez(file, **sample)
    os.replace(partial, sample_path(folder, seed))
    return seed, ""


def _single_threaded() -> None:
    import torch

    torch.set_num_threads(1)
