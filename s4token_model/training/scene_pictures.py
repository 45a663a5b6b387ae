"""Pictures of procedural scenes for training, what they show, and which of their pixels show which superpoint."""

from __future__ import annotations

import json

import numpy as np

from s4token_model.io.depth_image import project
from s4token_model.pipeline.patched_cloud import PatchedCloud
from s4token_model.procedural.types import Scene
from s4token_model.sensors import rgbd_views
from s4token_model.sensors.raycast import Caster
from s4token_model.training.settings import MiniConfig
from s4token_model.training.token_samples import Pictures, SeenPixels

PIXELS_PER_SUPERPOINT = 48


def render(scene: Scene, caster: Caster, config: MiniConfig, style: str, fov: float, rng: np.random.Generator) -> list:
    """Render the pictures of a scene that a sample keeps."""
    edge = config.view_pixels
    return rgbd_views.render_views(scene, rng, config.views, (edge, edge), style, caster, fov)


def draw_style(rng: np.random.Generator) -> str:
    """Draw what the pictures of a scene show."""
    return "geometry" if rng.random() < 0.5 else "color"


def labeled_pictures(scene: Scene, views: list) -> Pictures:
    """The pictures of rendered views, and the classes and attributes of the instances that they show."""
    index = {name: k for k, name in enumerate(scene.names)}
    return Pictures(
        np.stack([view.rgb for view in views]),
        np.stack([view.instance for view in views]).astype(np.int16),
        np.array([index[thing.name] for thing in scene.instances], np.int16),
        np.array([json.dumps(thing.attributes) for thing in scene.instances]),
    )


def seen_pixels(patched: PatchedCloud, xyz: np.ndarray, views: list) -> SeenPixels:
    """Pixels that show a few points of each superpoint, by a depth test; xyz (H, 3) in the frame of the scene."""
    ids = patched.superpoints
    order = np.argsort(ids, kind="stable")
    rank = np.arange(len(ids)) - np.searchsorted(ids[order], ids[order])
    size = np.bincount(ids)[ids[order]]
    few = order[(rank * PIXELS_PER_SUPERPOINT) % np.maximum(size, 1) < PIXELS_PER_SUPERPOINT]
    points = xyz[patched.working.original_index[few]]
    rows: list[np.ndarray] = []
    for number, view in enumerate(views):
        pixels, depth = project(points, view.pose, view.intrinsics)
        height, width = view.depth.shape
        column, row = (np.floor(pixels[:, a]).astype(np.int64) for a in range(2))
        inside = (depth > 0.05) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
        column, row, depth, index = column[inside], row[inside], depth[inside], few[inside]
        seen = np.abs(view.depth[row, column] - depth) < 0.06 + 0.02 * depth
        rows.append(np.stack([ids[index], np.full(len(index), number), row, column], axis=1)[seen])
    return SeenPixels(*np.concatenate(rows).astype(np.int32).T)
