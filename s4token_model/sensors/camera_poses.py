"""Where a person or a robot would hold a camera in a procedural scene, and what at."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.types import Scene
from s4token_model.sensors.raycast import Caster, intrinsics, look_at, pixel_rays, world_rays

# What a person scans a room for is not its shell.
BUILDING = frozenset({"wall", "floor", "ceiling"})
SHELL = frozenset({"wall", "floor", "ceiling", "column", "stairs", "rug"})
WORTH = {"ceiling": 0.02, "wall": 0.08, "floor": 0.3, "column": 0.3, "stairs": 0.5}  # to whoever scans; furniture is 1
WALKABLE = frozenset({"floor", "rug"})
PAVED = frozenset({"road", "parking", "sidewalk"})


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


def street_positions(
    caster: Caster, rng: np.random.Generator, n: int, heights: tuple[float, float] = (1.3, 2.0), reach: float = 24.0
) -> np.ndarray:
    """Up to n positions (m, 3) float64 over the paved ground of a street within `reach` m of its origin, 0.4 m away
    from everything; at least one.
    """
    tries = np.column_stack([rng.uniform(-reach, reach, (16 * n, 2)), np.full(16 * n, 2.0)])
    tries[0, :2] = 0.0  # the road under the origin is always free
    hits = caster.cast(tries, np.array([0.0, 0.0, -1.0]))
    paved = np.array([name in PAVED for name in caster.scene.names] + [False])
    open_above = paved[np.where(hits.triangle >= 0, caster.scene.label[hits.triangle], -1)]
    tries[:, 2] += rng.uniform(*heights, len(tries)) - np.where(open_above, hits.distance, 0.0)
    free = tries[open_above & (caster.clearance(tries) > 0.4)]
    return free[:n] if len(free) else tries[:1]


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
    """n camera poses (n, 4, 4) of a person scanning a room, in the order of a short walk.

    Out of random glances, most of them at furniture and the rest around and slightly down, each pose is one that
    shows much of what none before it has shown: people scan until things are covered. `reach` is the depth sensor's
    range in meters.
    """
    eyes = stations(caster, rng, max(2, round(n * rng.uniform(0.3, 0.8))))
    poses = _glances(caster, eyes[rng.integers(len(eyes), size=4 * n)], rng, reach)
    shown = _shown_cells(caster, poses, reach)
    left = np.ones(shown.shape[1], dtype=np.float32)
    chosen: list[int] = []
    for _ in range(n):
        tries = rng.choice(len(poses), max(2, len(poses) // 4), replace=False)
        chosen.append(int(tries[np.argmax(shown[tries] @ left)]))
        left *= 1 - 0.8 * (shown[chosen[-1]] > 0)
    poses = poses[chosen]
    return poses[_nearest_order(poses[:, :3, 3])]


def _glances(caster: Caster, eyes: np.ndarray, rng: np.random.Generator, reach: float) -> np.ndarray:
    """A pose (n, 4, 4) near each of the eyes (n, 3): at a thing within reach, or somewhere."""
    n = len(eyes)
    eyes = eyes + rng.normal(0, 0.06, (n, 3))
    yaw, pitch = rng.uniform(0, 2 * np.pi, n), np.radians(rng.normal(-22, 13, n))
    ahead = np.stack([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)], axis=1)
    things = [thing for thing in caster.scene.instances if thing.name not in SHELL]
    if things:
        thing = rng.integers(len(things), size=n)
        low, high = np.array([t.low for t in things])[thing], np.array([t.high for t in things])[thing]
        aim = rng.uniform(low, high) + rng.normal(0, 0.2, (n, 3)) - eyes
        length = np.linalg.norm(aim, axis=1)
        near = (length > 0.4) & (length < reach) & (rng.random(n) < 0.88)
        ahead = np.where(near[:, None], aim, ahead)
    return look_at(eyes, eyes + ahead, rng.normal(0, 0.05, n))


def _shown_cells(caster: Caster, poses: np.ndarray, reach: float, cell: float = 0.25) -> np.ndarray:
    """How much (n, cells) float32 each pose shows of each occupied cell of space, weighted by WORTH."""
    eyes, rays = world_rays(poses, pixel_rays(intrinsics((9, 12), 60.0), (9, 12))[None])
    hits = caster.cast(eyes, rays)
    seen = hits.distance < reach
    worth = np.array([WORTH.get(name, 1.0) for name in caster.scene.names])
    where = np.floor((eyes + rays * hits.distance[..., None])[seen] / cell).astype(np.int64)
    _, column = np.unique(where @ np.array([1, 4096, 4096**2]), return_inverse=True)
    shown = np.zeros((len(poses), int(column.max(initial=0)) + 1), dtype=np.float32)
    shown[np.nonzero(seen)[0], column] = worth[caster.scene.label[hits.triangle[seen]]]
    return shown


def orbit(
    scene: Scene, rng: np.random.Generator, n: int, elevation: tuple[float, float] = (-5.0, 50.0), fov: float = 50.0
):
    """n camera poses (n, 4, 4) around a scene that fill an image of `fov` degrees; evenly turned, random heights."""
    low, high = scene.vertices.min(0).astype(np.float64), scene.vertices.max(0).astype(np.float64)
    center, radius = (low + high) / 2, max(np.linalg.norm(high - low) / 2, 1e-3)
    distance = radius / np.sin(np.radians(fov) / 2) * rng.uniform(0.85, 1.3, n)
    azimuth = rng.uniform(0, 2 * np.pi) + 2 * np.pi * (np.arange(n) + rng.uniform(-0.3, 0.3, n)) / n
    height = np.radians(rng.uniform(*elevation, n))
    ring = np.stack([np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)], axis=1)
    aims = center + rng.normal(0, 0.05, (n, 3)) * radius
    return look_at(center + distance[:, None] * ring, aims)


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
