"""Baselines without training: chance, rules on height and normal, and CLIP on projected depth pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from s4token_model import checkpoint, constants, vocabulary
from s4token_model.config import Config
from s4token_model.pipeline import geometry
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.segmenter import checked_device
from s4token_model.training import targets, targets_depth_views
from s4token_model.vocabulary import Vocabulary

GROUND_HEIGHT, MAX_TILT = 0.3, 30.0  # m above the 2nd percentile of height; degrees from vertical


def chance_confusion(support: np.ndarray) -> np.ndarray:
    """Expected confusion (C, C + 1) of labels drawn uniformly at random, from the annotated points per class (C,)."""
    support = np.asarray(support, np.float64)
    spread = np.repeat(support[:, None] / len(support), len(support), axis=1)
    return np.concatenate([spread, np.zeros((len(support), 1))], axis=1)


def height_and_normal(
    xyz: np.ndarray, names: tuple[str, ...], floor: str = "floor", wall: str = "wall", rest: str = "cabinet"
) -> np.ndarray:
    """Label points of xyz (H, 3) m, z up: low level ones `floor`, upright ones `wall`, others `rest`; (H,) uint32.

    The default `rest` is the single class that scores best on real rooms, a choice in the baseline's favor.
    """
    normals = geometry.local_geometry(xyz, None, 20, 8).normals
    upright = np.abs(normals[:, 2]) < np.sin(np.radians(MAX_TILT))
    low = xyz[:, 2] < np.percentile(xyz[:, 2], 2) + GROUND_HEIGHT
    labels = np.full(len(xyz), names.index(rest), np.uint32)
    labels[upright] = names.index(wall)
    labels[low & ~upright] = names.index(floor)
    return labels


@dataclass(frozen=True)
class ProjectedCloud:
    """Features of a cloud: valid (H,) bool, finite points; features (F, E) of these and cls (E,), float32 unit."""

    valid: np.ndarray
    features: np.ndarray
    cls: np.ndarray


class DepthProjection:
    """PointCLIPv2's baseline: CLIP on depth pictures of a single object, read back to its points.

    f_i = normalize( sum over the views that see point i of CLIP's dense feature there ),  f = mean of the views' [cls].
    Each view counts by its weight, PointCLIPv2's view weights, by default 1; `dense` is as in FrozenClip.encode_images.
    A point that no view sees takes the feature of the nearest visible point. Used in place of a Segmenter.
    """

    def __init__(self, encoder: FrozenClip, config: Config, view_weights: Sequence[float] = (), dense: bool = False):
        self.clip, self.config, self.dense = encoder, config, dense
        self.view_weights = checked_weights(view_weights)

    @classmethod
    def load(
        cls, model: str | Path = checkpoint.MINI, device: str = "cpu", view_weights: Sequence[float] = (),
        dense: bool = False,
    ) -> DepthProjection:  # fmt: skip
        """Load the CLIP of a checkpoint."""
        checked_weights(view_weights)
        config = checkpoint.read_config(model)
        encoder = checkpoint.load_clip(model, config.clip, checked_device(device))
        encoder.check_pictures()
        return cls(encoder, config, view_weights, dense)

    def make_vocabulary(self, names: Sequence[str], templates: Sequence[str] | None = None) -> Vocabulary:
        """Encode class names by CLIP's text tower, like Segmenter.make_vocabulary."""
        return clip_vocabulary(self.clip, self.config, names, templates)

    def encode(self, xyz: np.ndarray, rgb: np.ndarray | None = None) -> ProjectedCloud:
        """Render depth pictures and encode them; xyz (H, 3), z up, any unit; colors are not used."""
        valid = np.isfinite(xyz).all(axis=1)
        points = np.asarray(xyz)[valid]
        if not len(points):
            raise ValueError("the cloud has no finite point; nothing can be projected")
        views = targets_depth_views.render_depth_views(points, np.arange(len(points)), self.clip.image_size)
        visible, features, cls = targets.superpoint_features(*views, self.clip, self.dense, self.view_weights)
        _, nearest = cKDTree(points[visible]).query(points)
        return ProjectedCloud(valid, features[nearest], cls)

    def label(self, encoded: ProjectedCloud, words: Vocabulary) -> Any:
        """Labels (H,) uint32 of the nearest class name, 65535 on points that are not finite."""
        labels = np.full(len(encoded.valid), constants.UNLABELED, np.uint32)
        labels[encoded.valid] = (encoded.features @ words.text.T).argmax(axis=1)
        return SimpleNamespace(labels=labels)


def checked_weights(given: Sequence[float]) -> np.ndarray:
    """Return one weight per view, 1 if none are given. ValueError if they are of another number, negative, or all 0."""
    count = len(targets_depth_views.VIEWS)
    weights = np.asarray(given if len(given) else [1.0] * count, np.float64)
    if len(weights) != count or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        text = ",".join(f"{weight:g}" for weight in weights)
        raise ValueError(f"--view-weights {text}: give {count} numbers of at least 0, one for each view, not all 0")
    return weights


def clip_vocabulary(
    clip: FrozenClip, config: Config, names: Sequence[str], templates: Sequence[str] | None = None
) -> Vocabulary:
    """Encode class names in templates, by default the config's, by the text tower of a CLIP alone."""
    templates = templates or vocabulary.read_templates(config.vocabulary.templates)
    return vocabulary.build(names, templates, 0.0, clip.encode_text)
