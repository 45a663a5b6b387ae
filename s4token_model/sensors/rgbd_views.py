"""Posed RGB-D pictures of procedural scenes by ray casting.

Two styles: "color" paints surfaces, lights and texture; "geometry" puts into the three channels only what a cloud
without color knows too: orientation towards gravity and viewer, and depth.
"""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.classes import GROUND
from s4token_model.procedural.types import Scene, View
from s4token_model.sensors.camera_poses import BUILDING, free_positions, orbit, street_positions, walk
from s4token_model.sensors.raycast import Caster, intrinsics, look_at, pixel_rays

STYLES = ("color", "geometry")


def render_views(
    scene: Scene, rng: np.random.Generator, n: int, size=(240, 320), style="color", caster=None, fov: float = 60.0
) -> list[View]:
    """n pictures of `size` (h, w) with depth, labels and poses; `fov` is the horizontal field of view in degrees.

    In rooms from free positions at 0.9-1.7 m towards the things in turn, on streets from 1.3-2.0 m, around objects
    in an orbit.
    """
    caster = caster or Caster(scene)
    return [render(caster, pose, intrinsics(size, fov), size, rng, style) for pose in view_poses(caster, rng, n, fov)]


def view_poses(caster: Caster, rng: np.random.Generator, n: int, fov: float = 60.0) -> np.ndarray:
    """Camera-to-world poses (n, 4, 4) from which a scene is worth looking at: most at things, by class in turn."""
    scene, street = caster.scene, caster.scene.kind == "street"
    if scene.kind not in ("room", "street"):
        return orbit(scene, rng, n, fov=fov)
    eyes = street_positions(caster, rng, 24) if street else free_positions(caster, rng, 24, (0.9, 1.7))
    if street:  # along the road
        yaw, ahead = rng.choice([0, np.pi], n) + rng.normal(0, 0.6, n), eyes[rng.integers(len(eyes), size=n)]
        aims = ahead + np.stack([np.cos(yaw), np.sin(yaw), rng.normal(-0.08, 0.08, n)], axis=1)
        others = look_at(ahead, aims, rng.normal(0, 0.02, n))
    else:
        others = walk(caster, rng, n)
    # One class after another: streets hold a hundred shrubs for each bus
    away = np.array([np.linalg.norm(np.clip(0, i.low[:2], i.high[:2])) for i in scene.instances])
    names = np.array([i.name for i in scene.instances])
    things = np.flatnonzero(~np.isin(names, sorted(GROUND if street else BUILDING)) & (~street | (away < 35.0)))
    rank = rng.random(len(things))
    for name in np.unique(names[things]):
        mine = np.flatnonzero(names[things] == name)
        rank[mine[np.argsort(rank[mine])]] += np.arange(len(mine))
    order = np.resize(things[np.argsort(rank)], n if len(things) else 0)
    near = [look_at_instance(scene, int(k), rng, caster, eyes) for k in order] or [None] * n
    return np.stack([o if p is None or rng.random() < 0.2 else p for p, o in zip(near, others, strict=True)])


def look_at_instance(
    scene: Scene, instance: int, rng: np.random.Generator, caster: Caster | None = None, eyes: np.ndarray | None = None
) -> np.ndarray | None:
    """Pose (4, 4) from a free position that has a line of sight to the instance; None when there is no such position.

    `eyes` (m, 3) m are candidate positions; by default free ones are looked for. Near positions are preferred, but not
    nearer than the object is large.
    """
    caster = caster or Caster(scene)
    eyes = free_positions(caster, rng, 24, (0.9, 1.7)) if eyes is None else eyes
    thing = scene.instances[instance]
    center, extent = (thing.low + thing.high) / 2, float(np.linalg.norm(thing.high - thing.low))
    own = np.flatnonzero(scene.instance == instance)
    if len(own) == 0:
        return None
    spots = scene.vertices[scene.triangles[rng.choice(own, 6)]].mean(1)
    hits = caster.cast(eyes[:, None], spots[None] - eyes[:, None])
    score = (scene.instance[hits.triangle] == instance).mean(1)
    away = np.linalg.norm(eyes - center, axis=1)
    scale = 1.5 if scene.kind != "street" else 6.0
    near = np.exp(-np.abs(away - max(1.0, 1.2 * extent)) / scale)
    score = np.where((score > 0) & (away > 0.4), (score + 0.2) * near, 0)
    if not score.any():
        return None
    eye = eyes[rng.choice(len(eyes), p=score / score.sum())]
    return look_at(eye, center + rng.normal(0, 0.08 + 0.05 * extent, 3), rng.normal(0, 0.03))


def render(caster: Caster, pose, matrix, size: tuple[int, int], rng: np.random.Generator, style="color") -> View:
    """One picture of `size` (h, w) from camera-to-world `pose` (4, 4) with `matrix` (3, 3) in pixels."""
    if style not in STYLES:
        raise ValueError(f"unknown style {style!r}; use one of {', '.join(STYLES)}")
    scene = caster.scene
    rays = pixel_rays(matrix, size) @ pose[:3, :3].T.astype(np.float32)
    hits = caster.cast(pose[:3, 3], rays)
    seen = hits.triangle >= 0
    depth = np.where(seen, hits.distance, 0).astype(np.float32)
    normals = caster.normals[hits.triangle]
    normals = np.where(np.einsum("hwk,hwk->hw", normals, rays)[..., None] > 0, -normals, normals)  # towards the camera
    if style == "geometry":
        picture = _geometry(normals, depth, pose, 15.0 if scene.kind == "street" else 4.0)
    else:
        xyz = pose[:3, 3] + rays * depth[..., None]
        picture = _painted(scene, hits.triangle, xyz, normals, rng)
        picture += rng.normal(0, 0.01, picture.shape)
    background = _background(size, rng) if style == "color" else np.zeros((1, 1, 3))
    rgb = np.where(seen[..., None], picture, background)
    label = np.where(seen, scene.label[hits.triangle], -1).astype(np.int16)
    instance = np.where(seen, scene.instance[hits.triangle], -1).astype(np.int32)
    return View((np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8), depth, label, instance, pose, matrix)


def _geometry(normals: np.ndarray, depth: np.ndarray, pose: np.ndarray, sight: float) -> np.ndarray:
    """Half-Lambert shading under three lights that turn with the camera's heading but stay upright, dimmed with depth
    over `sight` m.

    The lights are orthogonal, so the channels hold the whole normal relative to gravity and viewer.
    """
    yaw = np.arctan2(pose[1, 2], pose[0, 2])
    ahead, left = np.array([np.cos(yaw), np.sin(yaw), 0.0]), np.array([-np.sin(yaw), np.cos(yaw), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    lights = np.stack([up, (left - ahead) / np.sqrt(2), (-left - ahead) / np.sqrt(2)], axis=1)
    fog = 0.35 + 0.65 * np.exp(-depth / sight)
    return (0.5 + 0.5 * normals @ lights) * fog[..., None]


def _painted(
    scene: Scene, triangle: np.ndarray, xyz: np.ndarray, normals: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Color with ambient light, one lamp near the top of the scene, a faint texture, exposure and tint."""
    low, high = scene.vertices.min(0), scene.vertices.max(0)
    reach = float(np.linalg.norm(high - low))
    lamp = (low + high) / 2 + rng.uniform(-0.35, 0.35, 3) * (high - low) * [1, 1, 0] + [0, 0, 0.45 * (high[2] - low[2])]
    if scene.kind != "room":
        lamp = (low + high) / 2 + reach * (rng.normal(0, 1.0, 3) + [0, 0, 1.5])
    if scene.kind == "street":  # the sun
        lamp[2] = abs(lamp[2]) + 0.3 * reach
    to_lamp = lamp - xyz
    to_lamp /= np.linalg.norm(to_lamp, axis=-1, keepdims=True) + 1e-6
    diffuse = np.clip((normals * to_lamp).sum(-1), 0, 1)
    ambient = rng.uniform(0.35, 0.7)
    light = ambient * (0.8 + 0.2 * normals[..., 2]) + (1.05 - ambient) * diffuse
    picture = scene.color[triangle] * (light * _texture(scene, triangle, xyz))[..., None] * rng.normal(1.0, 0.04, 3)
    if scene.kind == "object":
        return picture * rng.uniform(0.8, 1.2)
    # Cameras expose for the whole scene: dark rooms come out brighter, bright ones darker.
    return picture * np.clip(rng.uniform(0.3, 0.55) / max(picture.mean(), 1e-3), 0.7, 1.6)


def _texture(scene: Scene, triangle: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    """Brightness (h, w) around 1: two waves through space whose direction and strength depend on scene and instance."""
    own = np.random.default_rng(scene.seed)  # the same in every view of a scene
    count = len(scene.instances) + 1
    strength = own.uniform(0.0, 0.03, count)[scene.instance[triangle]]
    waves = np.zeros(triangle.shape)
    for _ in range(2):
        wave = own.normal(0, 18.0, (count, 3)) * own.choice([0.2, 1.0], (count, 1))
        waves += np.sin((xyz * wave[scene.instance[triangle]]).sum(-1) + own.uniform(0, 6))
    return 1 + strength * waves


def _background(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A plain wall of light with a soft gradient, (h, w, 3)."""
    top, bottom = rng.uniform(0.05, 1.0) + rng.normal(0, 0.06, (2, 3))
    mix = np.linspace(0, 1, size[0])[:, None, None]
    return np.broadcast_to(top * (1 - mix) + bottom * mix, (*size, 3))
