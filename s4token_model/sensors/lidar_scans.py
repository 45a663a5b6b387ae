"""Clouds of spinning LiDARs in procedural scenes: single turns, range images, and maps of several turns."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.types import Scan, Scene
from s4token_model.sensors import spinning_lidar
from s4token_model.sensors.camera_poses import free_positions, street_positions
from s4token_model.sensors.raycast import Caster, as_scan
from s4token_model.sensors.spinning_lidar import CAR_128, HDL32, HDL64, ROBOT_16, ROBOT_32, ROBOT_64, Lidar

ROBOTS = (ROBOT_16, ROBOT_32, ROBOT_64)
STREET_LIDARS, STREET_CHANCES = (HDL64, HDL32, CAR_128, *ROBOTS), (0.46, 0.24, 0.08, 0.12, 0.04, 0.06)
IMAGES, MAPS = 0.45, 0.1  # fractions of the scans of streets


def scan_lidar(
    scene: Scene, rng: np.random.Generator, lidar: Lidar | None = None, eye=None, caster: Caster | None = None
) -> Scan:
    """One turn of a spinning LiDAR, by default KITTI's on streets and a robot's of 16 to 64 beams elsewhere.

    `eye` (3,) m is its position: by default a free one above the floor, on streets above the road at the origin.
    rgb is the surface's own color: a LiDAR has none, drop it where that matters. As everywhere points are in the
    scene's frame; in the sensor's they are `xyz - eye`.
    """
    caster, street = caster or Caster(scene), scene.kind == "street"
    lidar = lidar or (spinning_lidar.HDL64 if street else ROBOTS[rng.integers(len(ROBOTS))])
    if eye is None:
        eye = _eyes(caster, lidar, rng, 1)[0]
    xyz, triangle = spinning_lidar.sweep(caster, lidar, np.asarray(eye, dtype=np.float64), rng)
    return as_scan(scene, xyz, scene.color[triangle], triangle)


def scan_street(scene: Scene, rng: np.random.Generator, caster: Caster | None = None) -> Scan:
    """A street as some LiDAR of a car or robot shows it: one sweep, its range image, or a map of several sweeps.

    Some clouds are thinned, and most have strays of label -1.
    """
    caster = caster or Caster(scene)
    lidar = STREET_LIDARS[rng.choice(len(STREET_LIDARS), p=STREET_CHANCES)]
    if rng.random() < MAPS:
        scan = scan_map(scene, rng, lidar, caster)
    else:
        eye = _eyes(caster, lidar, rng, 1)[0]
        scan = scan_lidar(scene, rng, lidar, eye, caster)
        if rng.random() < IMAGES and len(lidar.elevations) > 16:
            fov = spinning_lidar.IMAGE_FOV if lidar is spinning_lidar.HDL64 else spinning_lidar.image_fov(lidar)
            size = (len(lidar.elevations), int(rng.choice([512, 1024, 2048], p=(0.2, 0.6, 0.2))))
            scan = scan.take(spinning_lidar.range_image(scan.xyz - eye, size, fov))
    if rng.random() < 0.2:
        scan = scan.take(rng.random(len(scan.xyz)) < rng.uniform(0.3, 1.0))
    return _with_strays(scan, rng)


def scan_map(scene: Scene, rng: np.random.Generator, lidar: Lidar, caster: Caster | None = None) -> Scan:
    """Several turns of a LiDAR that moves through a scene, registered to centimeters, one point per voxel."""
    caster = caster or Caster(scene)
    turns = [scan_lidar(scene, rng, lidar, eye, caster) for eye in _eyes(caster, lidar, rng, int(rng.integers(3, 9)))]
    xyz = np.concatenate([turn.xyz + rng.normal(0, rng.uniform(0, 0.02), 3) for turn in turns])
    merged = [np.concatenate([getattr(turn, name) for turn in turns]) for name in ("rgb", "label", "instance", "part")]
    voxel = rng.uniform(0.05, 0.2) if scene.kind == "street" else rng.uniform(0.01, 0.05)
    cell = np.floor((xyz - xyz.min(axis=0)) / voxel).astype(np.int64)
    _, first = np.unique(cell @ [1, 1 << 20, 1 << 40], return_index=True)
    return Scan(xyz.astype(np.float32), *merged).take(rng.permutation(first))


def _eyes(caster: Caster, lidar: Lidar, rng: np.random.Generator, n: int) -> np.ndarray:
    """Up to n positions (m, 3) m of a LiDAR: of one car on the road, of a robot on paved ground or in a room."""
    if caster.scene.kind != "street":
        return free_positions(caster, rng, n, lidar.height)
    if not lidar.on_car:
        return street_positions(caster, rng, n, lidar.height, reach=20.0)
    eyes = np.array([0.0, 0.0, rng.uniform(*lidar.height)]) + np.outer(np.arange(n) * rng.uniform(1.0, 4.0), [1, 0, 0])
    return eyes[np.r_[True, (caster.clearance(eyes) > 0.5)[1:]]]


def _with_strays(scan: Scan, rng: np.random.Generator, mean: float = 15.0) -> Scan:
    """Add points of label -1 that hang in the air: rain, exhaust, reflections."""
    count = int(rng.poisson(mean * rng.random() ** 2 * 4))
    if not (count and len(scan.xyz)):
        return scan
    at = rng.choice(len(scan.xyz), count)
    strays = scan.xyz[at] * rng.uniform(0.1, 1.3, (count, 1)) + rng.normal(0, 0.5, (count, 3))
    none = np.full(count, -1)
    return Scan(
        np.concatenate([scan.xyz, strays.astype(np.float32)]), np.concatenate([scan.rgb, scan.rgb[at]]),
        *(np.concatenate([a, none.astype(a.dtype)]) for a in (scan.label, scan.instance, scan.part)),
    )  # fmt: skip
