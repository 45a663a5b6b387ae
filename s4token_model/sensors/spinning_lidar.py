"""Spinning LiDARs on cars and robots: which rays they send, which of them come back, and what drivers make of these.

The 64-beam sensor follows the Velodyne HDL-64E that recorded KITTI: two blocks of 32 lasers, 2.5 to -7.8 and -8.4 to
-23.8 degrees as its sweeps show them, some 2,165 firings per turn, 1.73 m above the road; the roof hides part of what
lies close ahead and behind. The 32-beam one is the HDL-32E of nuScenes, the 16-beam one stands on robots.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from s4token_model.procedural.types import Scene
from s4token_model.sensors.depth_noise import SWALLOWED
from s4token_model.sensors.raycast import Caster


class Lidar(NamedTuple):
    """A kind of LiDAR and where it is mounted; lengths in meters, angles in degrees."""

    elevations: np.ndarray  # (B,) of its beams, from the lowest up
    columns: tuple[int, int]  # firings per turn, from and up to
    height: tuple[float, float]  # above the ground
    reach: tuple[float, float]
    on_car: bool = False  # whose roof and hood block rays


HDL64 = Lidar(
    np.concatenate([np.linspace(-23.8, -8.4, 32), np.linspace(-7.8, 2.5, 32)]), (2120, 2200), (1.73, 1.83), (3.0, 80.0),
    True,
)  # fmt: skip
HDL32 = Lidar(np.linspace(-30.67, 10.67, 32), (1080, 1090), (1.75, 1.9), (1.5, 100.0), True)
CAR_128 = Lidar(np.linspace(-22.5, 22.5, 128), (1024, 2048), (1.6, 2.2), (1.0, 130.0), True)
ROBOT_64 = Lidar(np.linspace(-22.5, 22.5, 64), (512, 1024), (0.4, 1.3), (0.3, 100.0))
ROBOT_32 = Lidar(np.linspace(-30.67, 10.67, 32), (900, 1800), (0.4, 1.6), (0.3, 100.0))
ROBOT_16 = Lidar(np.linspace(-15.0, 15.0, 16), (900, 1800), (0.35, 1.0), (0.3, 100.0))
IMAGE_FOV = (-25.0, 3.0)  # degrees, of the range images of SemanticKITTI
# Half the sectors, degrees, in which roof and hood block rays that go this far below the horizon: behind and ahead.
_BEHIND = ((13.0, 16.0, 18.0, 20.0, 24.0), (0.0, 9.0, 24.0, 34.0, 55.0))
_AHEAD = ((19.0, 21.0, 24.0), (0.0, 10.0, 30.0))
_GLASS_LOST = 0.75  # a laser passes window panes, and what lies behind them is dark
# Depth, m, within which a surface returns: blades of grass, leaves, bark, plaster and what hangs on facades; times a
# factor per instance.
_ROUGH = {"terrain": 0.008, "vegetation": 0.03, "building": 0.035, "fence": 0.02, "tree trunk": 0.015, "car": 0.012}
_WET = ("road", "parking", "sidewalk")  # reflects rays away in the rain


def rays(lidar: Lidar, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions (n, 3) float32 of one turn, without those that the carrying car blocks, and their beam (n,)."""
    columns = int(rng.integers(lidar.columns[0], lidar.columns[1] + 1))
    # Real lasers point a little off their row and fire a little off their column.
    elevation = np.radians(lidar.elevations + rng.normal(0, 0.05, len(lidar.elevations)))
    azimuth = 2 * np.pi * (np.arange(columns) + rng.random((len(elevation), 1))) / columns
    azimuth = azimuth + rng.normal(0, np.radians(0.01), azimuth.shape)
    tilt = elevation[:, None] + rng.normal(0, np.radians(0.008), azimuth.shape)
    below, off = np.degrees(-tilt), np.degrees(np.abs(np.mod(azimuth + np.pi, 2 * np.pi) - np.pi))  # off from ahead
    free = (off > np.interp(below, *_AHEAD)) & (180 - off > np.interp(below, *_BEHIND)) | (not lidar.on_car)
    flat = np.cos(tilt)
    directions = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(tilt)], axis=-1)
    return directions[free].astype(np.float32), np.nonzero(free)[0]


def sweep(caster: Caster, lidar: Lidar, eye: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) float64 in the scene's frame that come back to `eye` (3,) in one turn, and their triangles (n,).

    Each beam has its own error of range, as calibration leaves it; it shows on what stands upright.
    """
    scene, (directions, beam) = caster.scene, rays(lidar, rng)
    hits = caster.cast(eye, directions)
    seen = (hits.distance > lidar.reach[0]) & (hits.distance < lidar.reach[1])
    directions, beam, triangle = directions[seen], beam[seen], hits.triangle[seen]
    distance = hits.distance[seen].astype(np.float64)
    cosine = np.abs((directions * caster.normals[triangle]).sum(axis=1))
    # What comes back
    keep = _returns(caster, triangle, distance, cosine, rng)
    directions, beam, triangle, distance, cosine = (a[keep] for a in (directions, beam, triangle, distance, cosine))
    # How far away it seems to be
    rough = np.array([_ROUGH.get(name, 0.0) for name in scene.names])[scene.label[triangle]]
    rough *= np.exp(rng.normal(0, 0.6, len(scene.instances)))[scene.instance[triangle]]
    early = np.minimum(rng.exponential(1.0, len(distance)) * rough / np.maximum(cosine, 0.05), 0.3)
    distance += rng.normal(0, rng.uniform(0.002, 0.016), len(lidar.elevations))[beam]
    distance += rng.normal(0, rng.uniform(0.002, 0.01), len(distance)) - early
    inside = _panes(scene)[triangle] & (rng.random(len(distance)) < 0.6)
    distance[inside] += np.minimum(rng.exponential(0.4, int(inside.sum())), 1.2)  # a seat, a curtain, a room
    return eye + directions * distance[:, None], triangle


def _returns(
    caster: Caster, triangle: np.ndarray, distance: np.ndarray, cosine: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Whether enough power comes back (n,) bool: grazing, far and dark surfaces get lost first, panes mostly."""
    scene = caster.scene
    # Paints differ more in infrared than to the eye: some cars are black for a laser
    luma = (0.25 + 0.75 * scene.color[triangle].mean(axis=1)) * np.exp(
        rng.normal(0, 0.5, len(scene.instances)) - 3.0 * (rng.random(len(scene.instances)) < 0.04)
    )[scene.instance[triangle]]
    if rng.random() < 0.1:
        wet = np.isin(scene.label, [k for k, name in enumerate(scene.names) if name in _WET])
        luma[wet[triangle]] *= rng.uniform(0.05, 0.4)
    need = 0.012 * np.exp(rng.normal(0, 0.35)) * np.exp(rng.normal(0, 0.5, len(distance)))
    lost = np.array([SWALLOWED.get(name, 0.0) for name in scene.names])[scene.label[triangle]]
    lost[_panes(scene)[triangle]] = _GLASS_LOST
    power = luma * np.maximum(cosine, 0.01) * (30 / distance) ** 2
    return (power > need) & (rng.random(len(distance)) >= np.maximum(lost, rng.uniform(0, 0.03)))


def _panes(scene: Scene) -> np.ndarray:
    """Which triangles (T,) are panes of glass."""
    return np.isin(scene.part, [k for k, name in enumerate(scene.part_names) if name == "glass"])


def range_image(xyz: np.ndarray, size: tuple[int, int], fov: tuple[float, float] = IMAGE_FOV) -> np.ndarray:
    """Indices (n,) of the points (H, 3), in the sensor's frame, that a range image keeps: the nearest of each pixel.

    `size` is (rows, columns), rows evenly over `fov` (low, high) degrees, columns over the full turn. Points above and
    below fall into the first and last row, as in RangeNet++. ValueError if the size or the fov is empty.
    """
    if min(size) < 1 or not fov[0] < fov[1]:
        raise ValueError(f"no range image has {size} pixels over {fov} degrees; give 1 or more, low < high")
    xyz = np.asarray(xyz, np.float64)
    distance = np.linalg.norm(xyz, axis=1)
    elevation = np.degrees(np.arcsin(xyz[:, 2] / np.maximum(distance, 1e-9)))
    row = np.clip((fov[1] - elevation) / (fov[1] - fov[0]) * size[0], 0, size[0] - 1).astype(np.int64)
    column = np.clip((0.5 - np.arctan2(xyz[:, 1], xyz[:, 0]) / (2 * np.pi)) * size[1], 0, size[1] - 1).astype(np.int64)
    order = np.argsort(distance, kind="stable")
    return order[np.unique((row * size[1] + column)[order], return_index=True)[1]]


def image_fov(lidar: Lidar) -> tuple[float, float]:
    """The vertical field of view, degrees, that gives each evenly spaced beam a row of its own."""
    low, high, half = lidar.elevations[0], lidar.elevations[-1], np.diff(lidar.elevations).mean() / 2
    return float(low - half), float(high + half)
