"""Training samples of procedural scenes: scanned, cut into tokens and photographed, one file per scene."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt

from s4token_model import config as configs
from s4token_model import jobs
from s4token_model.config import Config
from s4token_model.kernels.parallel import processors
from s4token_model.pipeline.patched_cloud import build_patches, one_window
from s4token_model.pipeline.streets import cut_street
from s4token_model.procedural import scenes
from s4token_model.procedural.classes import INDOOR, SCANNET20, scannet20_ids
from s4token_model.procedural.shape_bank import open_bank
from s4token_model.procedural.types import Scan, Scene
from s4token_model.sensors import lidar_scans, scans
from s4token_model.sensors.camera_poses import BUILDING
from s4token_model.sensors.raycast import Caster
from s4token_model.training import token_samples
from s4token_model.training.scene_batches import SceneBatches
from s4token_model.training.scene_pictures import draw_style, labeled_pictures, render, seen_pixels
from s4token_model.training.settings import MiniConfig
from s4token_model.training.token_samples import SUFFIX, Pictures, TokenSample, load_sample, load_with_targets

KINDS = ("depth", "frame", "lidar", "object")  # and "street", by MiniConfig.street_share
KIND_CHANCES = (0.78, 0.09, 0.08, 0.05)
WINDOWED = 0.75  # fraction of the scenes that get the windows of inference if they are large; the rest have one
ROOM_MAPS = 0.3  # fraction of the rooms scanned by LiDAR that several turns are merged of
REGULARIZATIONS = (0.06, 0.7)  # lambda of the partition, drawn per scene
# Factor on the radius r, drawn per scene: r grows with the extent of a scan, and beds stand in small rooms as well as
# in flats scanned as a whole.
RADIUS_FACTORS = (0.7, 1.5)
MIN_CLASS_POINTS = 8  # of a class, for a scene to count as one that has it


class TrainingScenes(NamedTuple):
    """The rooms and objects, and the streets; None where there are none."""

    rooms: SceneBatches | None
    streets: SceneBatches | None


def sample_path(folder: Path, seed: int) -> Path:
    """File of the sample of one seed."""
    return folder / f"{seed:08d}{SUFFIX}"


def prepare(
    folder: Path, seeds: range, pipeline: Config, config: MiniConfig, pictures_only: bool = False, minutes: float = 0.0
) -> list[Path]:
    """Make the missing samples of all seeds in parallel processes, and return all; scenes that fail are left out.

    After `minutes`, if not 0, no scene is begun. With `pictures_only` a sample holds only pictures and their labels,
    which is all that the CLIP needs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = [(sample_path(folder, seed), seed, pipeline, config, pictures_only) for seed in seeds]
    seconds = 60 * minutes or math.inf
    written = jobs.write_missing(prepare_one, found, "scenes", config.workers or processors(), seconds=seconds)
    # Scenes are begun in order, so all before the last one that is there were tried
    tried = [path for path, *_ in found if not written or path <= written[-1]]
    if len(tried) - len(written) > 0.05 * len(tried):
        failed = sorted({path.stem for path in tried} - {path.stem for path in written})
        raise ValueError(f"{len(failed)} of {len(tried)} scenes failed, e.g. {failed[:5]}; see the messages above")
    further = (further_scan(path, number) for path in written for number in range(1, config.street_scans))
    return sorted([*written, *(path for path in further if path.is_file())])


def prepare_one(out: Path, seed: int, pipeline: Config, config: MiniConfig, pictures_only: bool) -> list[str]:
    """Write the sample of one seed, or those of all scans of a street; there is nothing to note."""
    if pictures_only:
        token_samples.save_arrays(out, token_samples.part_to_arrays(make_pictures(seed, config), "pictures"))
        return []
    samples = list(make_samples(seed, pipeline, config))
    for number, sample in reversed(list(enumerate(samples))):  # `out`, which says that all are there, is the last
        token_samples.save_sample(further_scan(out, number) if number else out, sample)
    return []


def further_scan(path: Path, number: int) -> Path:
    """File of the scan `number`, from 1, of the street whose first scan is in `path`."""
    return path.with_name(f"{path.stem}-{number}{SUFFIX}")


def make_samples(seed: int, pipeline: Config, config: MiniConfig) -> Iterator[TokenSample]:
    """Build the samples of one seed, one per scan; deterministic."""
    rng = np.random.default_rng([seed, 7])
    kind = "street" if is_street(seed, config) else str(rng.choice(KINDS, p=KIND_CHANCES))
    scene = make_scene(kind, seed, config)
    caster = Caster(scene)
    for number in range(config.street_scans if kind == "street" else 1):
        scanned = np.random.default_rng([seed, 7, number]) if number else rng
        yield make_sample(scene, caster, kind, pipeline, config, scanned)


def make_sample(
    scene: Scene, caster: Caster, kind: str, pipeline: Config, config: MiniConfig, rng: np.random.Generator
) -> TokenSample:
    """Scan a scene and cut the cloud into tokens."""
    # With a random partition and radius
    raw = _scan(scene, caster, kind, rng)
    turned = scans.augment(raw, rng, bend=0.08 if kind == "depth" else 0.0)
    regularization, factor = (float(np.exp(rng.uniform(*np.log(span)))) for span in (REGULARIZATIONS, RADIUS_FACTORS))
    changes = {"superpoints.regularization": regularization, "sampling.seed": int(rng.integers(2**31 - 1))}
    limit = pipeline.windows.maximum if rng.random() < WINDOWED else 1
    changes |= {"patches.alpha": pipeline.patches.alpha * factor, "windows.maximum": limit}
    rgb = turned.rgb if kind not in ("lidar", "street") else None  # a LiDAR sees no color
    patched = build_patches(turned.xyz, rgb, configs.replace(pipeline, changes), rng, limit)
    patched = cut_street(patched, rng=rng) if kind == "street" else patched
    patched, inside = one_window(patched, int(rng.integers(len(patched.windows))))
    # Choose the points that the losses look at, and photograph the scene if its pictures are distilled
    labels = raw.label[patched.working.original_index[inside]]
    chosen = inside[draw_points(labels, config.points, 0.5 if kind == "street" else 0.0, rng)]
    sample = token_samples.make_sample(patched, pipeline, chosen, raw.label)
    if not config.distill_weight:
        return sample
    views = render(scene, caster, config, draw_style(rng), float(rng.uniform(50, 75)), rng)
    seen = seen_pixels(patched, raw.xyz, views)
    return replace(sample, pictures=labeled_pictures(scene, views), seen=seen)


def draw_points(labels: np.ndarray, count: int, power: float, rng: np.random.Generator) -> np.ndarray:
    """Draw `count` points with chances ~ n_c^-power, n_c the points of their class among labels (H,): indices (count,).

    A person has a hundred of a sweep's 120,000 points; drawn alike, one of them would be left.
    """
    _, number, size = np.unique(labels, return_inverse=True, return_counts=True)
    chance = (size.astype(np.float64) ** -power)[number]
    return rng.choice(len(labels), count, replace=len(labels) < count, p=chance / chance.sum())


def make_scene(kind: str, seed: int, config: MiniConfig) -> Scene:
    """Build an object, a street or, for any other kind, a room, from the bank of `config` if it names one."""
    make = {"object": scenes.make_object, "street": scenes.make_street}.get(kind, scenes.make_room)
    plain = make is scenes.make_room and np.random.default_rng([seed, 10]).random() < config.plain_rooms
    return make(seed, shapes=open_bank("" if plain else config.shapes))


def is_street(seed: int, config: MiniConfig) -> bool:
    """Whether the scene of a seed is a street; drawn on its own, so that the other scenes stay as they are."""
    return config.street_share > 0 and np.random.default_rng([seed, 9]).random() < config.street_share


def make_pictures(seed: int, config: MiniConfig) -> Pictures:
    """Build the pictures of one seed; deterministic."""
    rng = np.random.default_rng([seed, 8])
    kind = "object" if rng.random() < 0.25 else "street" if is_street(seed, config) else "room"
    scene = make_scene(kind, seed, config)
    fov = float(rng.uniform(40, 75))
    return labeled_pictures(scene, render(scene, Caster(scene), config, draw_style(rng), fov, rng))


def load_scenes(
    paths: list[Path], device: str, targets: Path | None = None, dim: int = 0, balance: float = 0.0
) -> TrainingScenes:
    """Read samples without their pictures, and their 2D targets (E = `dim`) from the folder `targets`, if given."""
    samples = [load_with_targets(path, targets) if targets else load_sample(path, pictures=False) for path in paths]
    return gather_scenes(samples, device, dim, balance)


def gather_scenes(samples: list[TokenSample], device: str, dim: int = 0, balance: float = 0.0) -> TrainingScenes:
    """Copy samples, with 2D targets of `dim` numbers, to a device; `balance` see `scene_weights`."""
    rooms, streets = ([s for s in samples if is_outdoors(s.point_label) == outdoors] for outdoors in (False, True))
    weights = scene_weights([sample.point_label for sample in rooms], balance) if balance and rooms else None
    return TrainingScenes(
        SceneBatches(rooms, device, dim, weights) if rooms else None,
        SceneBatches(streets, device, dim) if streets else None,
    )


def is_outdoors(point_label: np.ndarray) -> bool:
    """Whether most labeled points (P,) of a sample have a class of streets."""
    labels = point_label[point_label >= 0]
    return bool(len(labels)) and bool((labels >= len(INDOOR)).mean() > 0.5)


def scene_weights(labels: list[np.ndarray], balance: float) -> np.ndarray:
    """Chance (n,) float64 of each scene to be drawn, from the classes (P,) of its points.

    sum_c n_c^-balance over the ScanNet classes c in the scene, n_c the number of scenes that have c: with balance 0
    their number, with 1 every class is drawn alike. A refrigerator, in one scene of sixteen, is hardly learned with 0.
    """
    ids = np.array(scannet20_ids(-1))
    has_class = np.zeros((len(labels), len(SCANNET20)))
    for row, label in zip(has_class, labels, strict=True):
        known = ids[label[label >= 0]]
        row[:] = np.bincount(known[known >= 0], minlength=len(SCANNET20)) >= MIN_CLASS_POINTS
    weights = has_class @ np.maximum(has_class.sum(axis=0), 1.0) ** -balance
    weights += weights.max() / len(weights) if weights.any() else 1.0  # scenes of other things are drawn now and then
    return weights / weights.sum()


def _scan(scene: Scene, caster: Caster, kind: str, rng: np.random.Generator) -> Scan:
    """Scan a scene by the sensor of its kind."""
    if kind == "depth":
        scan = scans.scan_depth(scene, rng, int(rng.integers(40000, 90000)), caster)
        return _thin_evenly(_thin_structure(_cut_top(scan, rng), scene.names, rng), rng)
    if kind == "frame":
        return scans.scan_frame(scene, rng, caster=caster)
    if kind == "street":
        return lidar_scans.scan_street(scene, rng, caster)
    if kind == "lidar":
        lidar = lidar_scans.ROBOTS[rng.integers(len(lidar_scans.ROBOTS))]
        scan = lidar_scans.scan_map if rng.random() < ROOM_MAPS else lidar_scans.scan_lidar
        return scan(scene, rng, lidar, caster=caster)
    return scans.scan_object(scene, rng, int(rng.integers(2048, 20000)), bool(rng.random() < 0.7))


def _cut_top(scan: Scan, rng: np.random.Generator) -> Scan:
    """Leave out what lies above an uneven height: people scanning by hand point the camera at furniture."""
    if rng.random() < 0.35:
        return scan
    east, north = (scan.xyz[:, :2] - np.median(scan.xyz[:, :2], axis=0)).T
    angle = np.arctan2(north, east)
    height = rng.uniform(1.2, 2.4) + sum(
        rng.uniform(0, 0.4) * np.sin(k * angle + rng.uniform(0, 2 * np.pi)) for k in (1, 2, 4)
    )
    return scan.take(scan.xyz[:, 2] < height + rng.normal(0, 0.04, len(angle)))


def _thin_structure(scan: Scan, names: tuple[str, ...], rng: np.random.Generator) -> Scan:
    """Mostly leave out floor, walls and ceiling far from all else: real scans hold about half as much of them."""
    shell = np.isin(scan.label, [k for k, name in enumerate(names) if name in BUILDING])
    if rng.random() < 0.25 or shell.all() or not shell.any():
        return scan
    cell = np.floor(scan.xyz[:, :2] / np.float32(0.1)).astype(np.int64)
    cell -= cell.min(axis=0)
    empty = np.ones(cell.max(axis=0) + 1, bool)
    empty[tuple(cell[~shell].T)] = False
    distance = 0.1 * distance_transform_edt(empty)[tuple(cell.T)]
    return scan.take(~shell | (distance < rng.uniform(0.15, 0.9) + rng.normal(0, 0.05, len(shell))))


def _thin_evenly(scan: Scan, rng: np.random.Generator) -> Scan:
    """Now and then leave out points evenly: a fixed number of points is sparse in a large room."""
    fraction = rng.uniform(0.45, 1.0) if rng.random() < 0.25 else 1.0
    return scan.take(rng.random(len(scan.xyz)) < fraction)
