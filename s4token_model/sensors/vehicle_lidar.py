"""A spinning LiDAR on the roof of a car: which rays it sends and which of them come back.

Figures of the 64-beam sensor follow the Velodyne HDL-64E that recorded KITTI: two blocks of 32 lasers, 2.5 to -7.8 and
-8.4 to -23.8 degrees as its sweeps show them, some 2,165 firings per turn, 1.73 m above the road; the roof hides part
of what lies close ahead and behind.
"""

from __future__ import annotations

import numpy as np

from s4token_model.sensors.raycast import Caster

EYE = np.array([0.0, 0.0, 1.73])
HIGHER = 0.1  # m, up to which a sensor stands higher: KITTI names 1.73, its sweeps show 1.78 to 1.83
RANGE = (3.0, 80.0)
ELEVATIONS = np.concatenate([np.linspace(-23.8, -8.4, 32), np.linspace(-7.8, 2.5, 32)])  # degrees, from the lowest up
# Half the sectors, degrees, in which roof and bonnet block rays that go this far below the horizon: behind and ahead.
_BEHIND = ((13.0, 16.0, 18.0, 20.0, 24.0), (0.0, 9.0, 24.0, 34.0, 55.0))
_AHEAD = ((19.0, 21.0, 24.0), (0.0, 10.0, 30.0))
_GLASS_LOST = 0.75  # a laser passes window panes, and what lies behind them is dark
# Depth, m, within which a surface returns: blades of grass, leaves, bark, plaster and what hangs on facades; times a
# factor per instance.
_ROUGH = {"terrain": 0.008, "vegetation": 0.03, "building": 0.035, "fence": 0.02, "tree trunk": 0.015, "car": 0.005}


def rays(
    beams: int, fov: tuple[float, float] | None, columns: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions (n, 3) float32 of one turn, without those that the carrying car's roof blocks, and the beam (n,)
    each belongs to.

    64 beams without a `fov` (low, high, degrees) are those of the HDL-64E, else they are evenly spread.
    """
    evenly = fov is not None or beams != 64
    elevation = np.radians(np.linspace(*(fov or (-25.0, 3.0)), beams) if evenly else ELEVATIONS)
    # Real lasers point a little off their row and fire a little off their column.
    elevation = elevation + np.radians(rng.normal(0, 0.05, beams))
    azimuth = 2 * np.pi * (np.arange(columns) + rng.random((beams, 1))) / columns
    azimuth = azimuth + rng.normal(0, np.radians(0.01), azimuth.shape)
    tilt = elevation[:, None] + rng.normal(0, np.radians(0.008), azimuth.shape)
    below, off = np.degrees(-tilt), np.degrees(np.abs(np.mod(azimuth + np.pi, 2 * np.pi) - np.pi))  # off from ahead
    free = (off > np.interp(below, *_AHEAD)) & (180 - off > np.interp(below, *_BEHIND))
    flat = np.cos(tilt)
    directions = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(tilt)], axis=-1)
    return directions[free].astype(np.float32), np.nonzero(free)[0]


def sweep(
    caster: Caster, directions: np.ndarray, beam: np.ndarray, eye: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) float64 in the scene's frame that come back from `directions` (m, 3), and their triangles (n,).

    Each `beam` (m,) has its own error of range, as calibration leaves it; it shows on what stands upright.
    """
    error = rng.normal(0, rng.uniform(0.008, 0.022), int(beam.max(initial=0)) + 1)[beam]
    scene, hits = caster.scene, caster.cast(eye, directions)
    seen = (hits.distance > RANGE[0]) & (hits.distance < RANGE[1])
    directions, error, triangle = directions[seen], error[seen], hits.triangle[seen]
    distance = hits.distance[seen].astype(np.float64)
    cosine = np.abs((directions * caster.normals[triangle]).sum(axis=1))
    # Power that comes back over what is needed: grazing, far and dark surfaces get lost first.
    luma = 0.25 + 0.75 * scene.color[triangle].mean(axis=1)
    need = 0.012 * np.exp(rng.normal(0, 0.35)) * np.exp(rng.normal(0, 0.5, len(distance)))
    keep = luma * np.maximum(cosine, 0.01) * (30 / distance) ** 2 > need
    pane = scene.part_names.index("glass")
    glass = scene.part[triangle] == pane
    keep &= ~(glass & (rng.random(len(keep)) < _GLASS_LOST)) & (rng.random(len(keep)) >= rng.uniform(0, 0.03))
    directions, distance, triangle, cosine = directions[keep], distance[keep], triangle[keep], cosine[keep]
    distance += error[keep]
    rough = np.array([_ROUGH.get(name, 0.0) for name in scene.names])[scene.label[triangle]]
    rough *= np.exp(rng.normal(0, 0.6, len(scene.instances)))[scene.instance[triangle]]
    early = np.minimum(rng.exponential(1.0, len(distance)) * rough / np.maximum(cosine, 0.05), 0.3)
    inside = (scene.part[triangle] == pane) & (rng.random(len(distance)) < 0.6)
    distance += rng.normal(0, rng.uniform(0.004, 0.012), len(distance)) - early
    distance[inside] += np.minimum(rng.exponential(0.4, int(inside.sum())), 1.2)  # a seat, a curtain, a room
    return eye + directions * distance[:, None], triangle
