"""2D targets of scenes from posed RGB-D frames, after Open3DIS (method: Sec. 3.4).

A point is seen in a frame when the depth measured at its pixel is its own. Each superpoint takes the TOP frames that
see most of its points; in each, CLIP looks at square crops around it of several scales:

target_s = normalize( mean over frames and scales of normalize(CLIP(crop)) ),   target = the same over whole frames
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import normalize

from s4token_model.datasets.posed_rgbd import Frame
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.sensors.raycast import project

TOP = 5  # frames per superpoint
SCALES = (1.0, 1.2, 1.4)  # edge of the crop, in edges of the superpoint's box
FEWEST = 8  # points of a superpoint that a frame must see
SMALLEST = 24  # pixels, edge of a crop
NEAR, FAR = 0.04, 0.02  # m, and m per m of depth: how far a measured depth may be off
TRIM = 0.02  # share of a superpoint's pixels outside of its box on each side
BATCH = 64


@dataclass(frozen=True)
class Sightings:
    """Where superpoints are seen: rows of superpoint, frame, points, left, top, right, bottom (Q, 7) int32, the box in
    pixels of the colors."""

    rows: np.ndarray

    def best(self, top: int = TOP) -> np.ndarray:
        """The rows of the `top` frames of each superpoint with most points, the earlier frame on a tie."""
        rows = self.rows[np.lexsort((self.rows[:, 1], -self.rows[:, 2], self.rows[:, 0]))]
        start = np.searchsorted(rows[:, 0], rows[:, 0])
        return rows[np.arange(len(rows)) - start < top]


def visible(xyz: np.ndarray, frame: Frame, depth: np.ndarray) -> np.ndarray:
    """Indices of the points (H, 3), world frame, whose own depth is measured at their pixel; depth (h, w) m, NaN =
    none."""
    pixel, far = project(xyz, frame.pose, frame.depth_matrix)
    column, row = (np.rint(np.clip(pixel[:, k], -1e6, 1e6)).astype(np.int64) for k in range(2))
    height, width = depth.shape
    inside = np.flatnonzero((far > 0.05) & (column >= 0) & (column < width) & (row >= 0) & (row < height))
    measured = depth[row[inside], column[inside]]
    return inside[np.abs(measured - far[inside]) < NEAR + FAR * far[inside]]


def sightings(xyz: np.ndarray, ids: np.ndarray, frames: list[Frame]) -> tuple[Sightings, list[str]]:
    """See the superpoints `ids` (H,) of points (H, 3) in every frame; frames without depth are left out, with the
    reason."""
    rows, skipped = [np.zeros((0, 7), np.int32)], []
    for number, frame in enumerate(frames):
        try:
            seen = visible(xyz, frame, frame.depth())
        except ValueError as reason:
            skipped.append(str(reason))
            continue
        pixel, _ = project(xyz[seen], frame.pose, frame.color_matrix)
        rows.append(_boxes(ids[seen], pixel, number))
    return Sightings(np.concatenate(rows)), skipped


def _boxes(ids: np.ndarray, pixel: np.ndarray, frame: int) -> np.ndarray:
    """Rows of `Sightings` of one frame, from the superpoint and pixel (Q, 2) of the points it sees."""
    if not len(ids):
        return np.zeros((0, 7), np.int32)
    rows = []
    order = np.argsort(ids, kind="stable")
    found, starts = np.unique(ids[order], return_index=True)
    for superpoint, own in zip(found, np.split(order, starts[1:]), strict=True):
        if len(own) >= FEWEST:
            low, high = np.quantile(pixel[own], (TRIM, 1 - TRIM), axis=0)
            rows.append([superpoint, frame, len(own), *np.floor(low), *np.ceil(high)])
    return np.array(rows, np.int32).reshape(-1, 7)


def square(box: np.ndarray, scale: float, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the square crop around a box, moved and shrunk to lie in the picture."""
    left, top, right, bottom = (float(v) for v in box)
    edge = int(round(min(max(scale * max(right - left, bottom - top), SMALLEST), width, height)))
    x = int(np.clip(round((left + right - edge) / 2), 0, width - edge))
    y = int(np.clip(round((top + bottom - edge) / 2), 0, height - edge))
    return x, y, x + edge, y + edge


def features(
    seen: Sightings, frames: list[Frame], clip: FrozenClip
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Return the superpoints (S,) int32, their unit features (S, E) and the scene's (E,), float32, and what could not
    be read. ValueError when no superpoint is seen."""
    best = seen.best()
    ids = np.unique(best[:, 0])
    sums, whole, skipped = np.zeros((len(ids), clip.dim)), np.zeros(clip.dim), []
    for number in np.unique(best[:, 1]):
        try:
            image = Image.fromarray(frames[number].color())
        except ValueError as reason:
            skipped.append(str(reason))
            continue
        rows = best[best[:, 1] == number]
        boxes = [square(row[3:], scale, *image.size) for row in rows for scale in SCALES]
        found = _encode([image.crop(box) for box in boxes] + [image], clip)
        np.add.at(sums, np.repeat(np.searchsorted(ids, rows[:, 0]), len(SCALES)), found[:-1])
        whole += found[-1]
    lengths = np.linalg.norm(sums, axis=1)
    kept = lengths > 0
    if not kept.any():
        raise ValueError("no frame sees a superpoint; are poses, depth and cloud of one scene, and is z up (input.up)?")
    unit = (sums[kept] / lengths[kept, None]).astype(np.float32)
    return ids[kept].astype(np.int32), unit, (whole / np.linalg.norm(whole)).astype(np.float32), skipped


def _encode(images: list[Image.Image], clip: FrozenClip) -> np.ndarray:
    """Unit global features (K, E) of pictures of any size."""
    edge = (clip.image_size, clip.image_size)
    pixels = np.stack([np.asarray(image.resize(edge, Image.Resampling.BICUBIC)) for image in images])
    parts = [clip.encode_images(pixels[k : k + BATCH])[1] for k in range(0, len(pixels), BATCH)]
    return normalize(torch.cat(parts).float(), dim=-1).cpu().numpy()
