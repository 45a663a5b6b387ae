"""Where a person or a robot would hold a camera in a procedural scene, and what at."""

from __future__ import annotations

import numpy as np

from s4token_model.datasets.raycast import Caster, look_at
from s4token_model.datasets.scene import Scene

# What a person scans a room for is not its shell.
SHELL = frozenset({"wall", "floor", "ceiling", "column", "stairs", "rug"})
WALKABLE = frozenset({"floor", "rug"})


def free_positions(
    caster: Caster, rng: np.random.Generator, n: int, heights: tuple[float, float] = (0.8, 1.8)
) -> np.ndarray:
    """Up to n positions (m, 3) float64 above free floor, inside the scene, 0.25 m away from everything; at least one.

    Falls back to the point in the middle of the scene that is farthest from its surfaces when no floor is free.
    """
    low, high = caster.scene.vertices.min(0), caster.scene.vertices.max(0)
    tries = rng.uniform(0, 1, (max(24 * n, 200), 3)) * (high - low) + low
    tries[:, 2] = np.minimum(low[2] + rng.uniform(*heights, len(tries)), high[2] - 0.2)
    free = tries[(caster.clearance(tries) > 0.25) & _above_floor(caster, tries)]
    free = free[_enclosed(caster, free)] if len(free) else free
    if len(free) == 0:
        return tries[[int(np.argmax(caster.clearance(tries)))]].astype(np.float64)
    return free[:n].astype(np.float64)


def stations(caster: Caster, rng: np.random.Generator, n: int) -> np.ndarray:
    """Up to n spread positions (m, 3) of one walk: each is seen by one that sees a common first one."""
    free = free_positions(caster, rng, 40)
    pairs = caster.sees(free[:, None], free[None])
    start = int(np.argmax(pairs.sum(1)))
    reached = pairs[pairs[start]].any(0) if rng.random() < 0.3 else pairs[start]
    free = free[reached | (np.arange(len(free)) == start)]
    chosen = [int(rng.integers(len(free)))]
    nearest = np.full(len(free), np.inf)
    for _ in range(min(n, len(free)) - 1):
        nearest = np.minimum(nearest, np.linalg.norm(free - free[chosen[-1]], axis=1))
        chosen.append(int(np.argmax(nearest)))
    return free[chosen]


def walk(caster: Caster, rng: np.random.Generator, n: int, reach: float = 4.5) -> np.ndarray:
    """n camera poses (n, 4, 4) of a person scanning a room: mostly at furniture, slightly down, a few turns per position.

    `reach` is the depth sensor's range in metres; farther things are not aimed at.
    """
    eyes = stations(caster, rng, max(1, round(n * rng.uniform(0.4, 0.8))))
    eyes = eyes[_nearest_order(eyes)]
    eyes = eyes[np.arange(n) * len(eyes) // n] + rng.normal(0, 0.06, (n, 3))
    turn = rng.uniform(0, 2 * np.pi) + np.arange(n) * rng.uniform(1.2, 2.4)
    looked = np.zeros(len(caster.scene.instances))
    poses = []
    for eye, yaw in zip(eyes, turn, strict=True):
        target = _furniture_target(caster.scene, eye, looked, rng, reach) if rng.random() < 0.6 else None
        if target is None:
            pitch = np.radians(rng.normal(-14, 12))
            target = eye + [np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)]
        poses.append(look_at(eye, target, rng.normal(0, 0.05)))
    return np.stack(poses)


def orbit(
    scene: Scene, rng: np.random.Generator, n: int, elevation: tuple[float, float] = (-5.0, 50.0), fov: float = 50.0
):
    """n camera poses (n, 4, 4) around a scene, near enough to fill an image of `fov` degrees; evenly turned, random heights."""
    low, high = scene.vertices.min(0).astype(np.float64), scene.vertices.max(0).astype(np.float64)
    center, radius = (low + high) / 2, max(np.linalg.norm(high - low) / 2, 1e-3)
    distance = radius / np.sin(np.radians(fov) / 2) * rng.uniform(0.85, 1.3, n)
    azimuth = rng.uniform(0, 2 * np.pi) + 2 * np.pi * (np.arange(n) + rng.uniform(-0.3, 0.3, n)) / n
    height = np.radians(rng.uniform(*elevation, n))
    ring = np.stack([np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)], axis=1)
    aims = center + rng.normal(0, 0.05, (n, 3)) * radius
    return np.stack([look_at(center + d * r, aim) for d, r, aim in zip(distance, ring, aims, strict=True)])


def _furniture_target(scene: Scene, eye: np.ndarray, looked: np.ndarray, rng: np.random.Generator, reach: float):
    """A point of a thing within reach, the ones looked at least first; None when there is none."""
    things = [
        (k, spot)
        for k, thing in enumerate(scene.instances)
        if thing.name not in SHELL
        and 0.5 < np.linalg.norm((spot := rng.uniform(thing.low, thing.high)) - eye) < reach - 0.5
    ]
    if not things:
        return None
    weight = np.array([np.exp(-2.0 * looked[k]) * np.prod(_size(scene, k)) ** 0.3 for k, _ in things]) + 1e-9
    index, spot = things[rng.choice(len(things), p=weight / weight.sum())]
    looked[index] += 1
    return spot + rng.normal(0, 0.2, 3)


def _size(scene: Scene, index: int) -> np.ndarray:
    return np.maximum(scene.instances[index].high - scene.instances[index].low, 0.05)


def _above_floor(caster: Caster, points: np.ndarray) -> np.ndarray:
    hits = caster.cast(points, np.array([0.0, 0.0, -1.0]))
    names = np.array([name in WALKABLE for name in caster.scene.names] + [False])
    return names[np.where(hits.triangle >= 0, caster.scene.label[hits.triangle], -1)]


def _enclosed(caster: Caster, points: np.ndarray) -> np.ndarray:
    """Whether at least six of eight level directions end at something."""
    angle = np.arange(8) * np.pi / 4 + 0.1
    ring = np.stack([np.cos(angle), np.sin(angle), np.full(8, 0.0)], axis=1)
    return np.isfinite(caster.cast(points[:, None], ring[None]).distance).sum(1) >= 6


def _nearest_order(points: np.ndarray) -> list[int]:
    """A short walk through all points: always on to the nearest one left."""
    order, left = [0], set(range(1, len(points)))
    while left:
        order.append(min(left, key=lambda k: float(np.linalg.norm(points[k] - points[order[-1]]))))
        left.remove(order[-1])
    return order
