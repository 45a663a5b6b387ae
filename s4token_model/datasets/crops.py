"""Pictures of single objects, cut from views of a scene."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from s4token_model.io.depth_image import project
from s4token_model.procedural.types import Instance, View
from s4token_model.sensors.camera_poses import BUILDING

Box = tuple[int, int, int, int]  # top, left, bottom, right in pixels; bottom and right are exclusive


@dataclass(frozen=True)
class Crop:
    """A square picture of one object.

    image (size, size, 3) uint8; instance: index into `Scene.instances`; view: index of the view it was cut from; box:
    top, left, bottom, right in that view's pixels, may reach outside; fill: share of the crop's pixels that show the
    object; visible: how much of the object's projected bounds the seen part spans, 1 = nothing cut off or covered.
    """

    image: np.ndarray
    instance: int
    view: int
    box: Box
    fill: float
    visible: float


def crops(
    views: list[View],
    rng: np.random.Generator,
    size: int,
    n: int,
    instances: tuple[Instance, ...] = (),
    min_pixels: int = 60,
    min_visible: float = 0.2,
    per_instance: int = 1,
    building: float = 0.15,
) -> list[Crop]:
    """Up to n square crops of objects, the box of the visible pixels enlarged by 1.1 to 2, resized to `size` pixels.

    Each instance gives at most `per_instance` crops, from the views that show most of it. With `instances` (those of
    the scene) `visible` is known, else it is 1, and walls, floors and ceilings, which no box can frame, are cut as
    windows that they fill to a half or more; these make up about a share `building` of the crops.
    """
    things, parts = [], []
    for index, view in enumerate(views):
        for instance, (box, count) in instance_boxes(view).items():
            name = instances[instance].name if instances else ""
            if name in BUILDING:
                parts.append((index, instance, _window(view, instance, rng), 1.0))
            elif count >= min_pixels:
                visible = _visible(view, box, instances[instance]) if instances else 1.0
                things.append((count * rng.uniform(0.5, 1.0), index, instance, box, visible))
    things = [item[1:] for item in sorted(things, key=lambda item: -item[0]) if item[4] >= min_visible]
    things, parts = _limited(things, per_instance), [item for item in parts if item[2] is not None]
    wanted = int(rng.binomial(n, building)) if things else n
    chosen = [parts[k] for k in rng.permutation(len(parts))[:wanted]]
    for k in rng.permutation(len(things))[: n - len(chosen)]:
        index, instance, box, visible = things[k]
        chosen.append((index, instance, _enlarged(views[index], box, rng), visible))
    return [_crop(views[index], index, instance, box, visible, size) for index, instance, box, visible in chosen]


def instance_boxes(view: View) -> dict[int, tuple[Box, int]]:
    """{instance: ((top, left, bottom, right), pixels)} of all that is visible; bottom and right are exclusive."""
    rows, cols = np.nonzero(view.instance >= 0)
    ids = view.instance[rows, cols]
    order = np.argsort(ids, kind="stable")
    ids, rows, cols = ids[order], rows[order], cols[order]
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]]) if len(ids) else np.zeros(0, dtype=int)
    ends = np.r_[starts[1:], len(ids)]
    return {
        int(ids[a]): (
            (int(rows[a:b].min()), int(cols[a:b].min()), int(rows[a:b].max()) + 1, int(cols[a:b].max()) + 1),
            int(b - a),
        )
        for a, b in zip(starts, ends, strict=True)
    }


def _limited(found: list, most: int) -> list:
    """The first `most` entries (view, instance, ...) of each instance."""
    used: Counter[int] = Counter()
    kept = []
    for item in found:
        used[item[1]] += 1
        if used[item[1]] <= most:
            kept.append(item)
    return kept


def _window(view: View, instance: int, rng: np.random.Generator) -> Box | None:
    """A square box that the instance fills to a half or more; None when three tries find none."""
    rows, cols = np.nonzero(view.instance == instance)
    height, width = view.instance.shape
    for _ in range(3):
        side, k = max(8, int(min(height, width) * rng.uniform(0.25, 0.7))), rng.integers(len(rows))
        top, left = _slide(int(rows[k]) - side // 2, side, height), _slide(int(cols[k]) - side // 2, side, width)
        if (view.instance[top : top + side, left : left + side] == instance).mean() >= 0.5:
            return top, left, top + side, left + side
    return None


def _enlarged(view: View, box: Box, rng: np.random.Generator) -> Box:
    """A square 1.1 to 2 times as large around a box, its place varied, inside the picture where it fits."""
    top, left, bottom, right = box
    side = max(2, round(max(bottom - top, right - left) * rng.uniform(1.1, 2.0)))
    top -= round((side - (bottom - top)) * rng.uniform(0.35, 0.65))
    left -= round((side - (right - left)) * rng.uniform(0.35, 0.65))
    top, left = _slide(top, side, view.rgb.shape[0]), _slide(left, side, view.rgb.shape[1])
    return top, left, top + side, left + side


def _crop(view: View, index: int, instance: int, box: Box, visible: float, size: int) -> Crop:
    """A square box of a view as a picture of `size` pixels."""
    from PIL import Image

    # Beyond the picture the crop repeats its border; a black frame would give its shape away.
    rows = np.clip(np.arange(box[0], box[2]), 0, view.rgb.shape[0] - 1)
    cols = np.clip(np.arange(box[1], box[3]), 0, view.rgb.shape[1] - 1)
    cut = np.ix_(rows, cols)
    image = Image.fromarray(view.rgb[cut]).resize((size, size), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return Crop(np.asarray(image), instance, index, box, float((view.instance[cut] == instance).mean()), visible)


def _slide(start: int, side: int, size: int) -> int:
    """A crop's start moved into the picture as far as its side allows."""
    return min(max(start, 0), size - side) if side <= size else (size - side) // 2


def _visible(view: View, box: Box, thing: Instance) -> float:
    """Area of the seen box over that of the projected bounds of the thing; 0.5 where it reaches behind the camera."""
    corners = np.where(np.array(list(np.ndindex(2, 2, 2))), thing.high, thing.low)
    pixels, depth = project(corners, view.pose, view.intrinsics)
    if depth.min() <= 0.05:
        return 0.5
    whole = np.prod(np.maximum(np.ptp(pixels, axis=0), 1.0))
    return float(min(1.0, (box[2] - box[0]) * (box[3] - box[1]) / whole))
