"""The training-free baseline, PointCLIPv2's way: CLIP on depth pictures of a cloud, read back to its points.

f_i = normalize( sum over the views that see point i of CLIP's dense feature there ),   f = mean of the views' [cls]
A point that no view sees takes the feature of the nearest point that one sees. The CLIP is the one of the checkpoint.
"""

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
from s4token_model.pipeline import clip
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.segmenter import checked_device
from s4token_model.training import targets, targets_depth_views
from s4token_model.vocabulary import Vocabulary


@dataclass(frozen=True)
class Projected:
    """valid (H,) bool, finite points; features (F, E) float32 unit rows of those; cls (E,) unit, of the whole cloud."""

    valid: np.ndarray
    features: np.ndarray
    cls: np.ndarray


class Projection:
    """Labels clouds of single objects; stands where a Segmenter does in the evaluation."""

    def __init__(self, encoder: FrozenClip, config: Config, device: str = "cpu"):
        self.clip, self.config = encoder.to(checked_device(device)), config

    @classmethod
    def load(cls, model: str | Path = checkpoint.MINI, device: str = "cpu") -> Projection:
        """Load the CLIP of a checkpoint."""
        config = checkpoint.read_config(model)
        return cls(clip.load(config.clip, checkpoint.resolve(model)), config, device)

    def make_vocabulary(self, names: Sequence[str], templates: Sequence[str] | None = None) -> Vocabulary:
        """Encode words by CLIP's text tower, as Segmenter.make_vocabulary."""
        templates = templates or vocabulary.read_templates(self.config.vocabulary.templates)
        return vocabulary.build(names, templates, 0.0, self.clip.encode_text)

    def encode(self, xyz: np.ndarray, rgb: np.ndarray | None = None) -> Projected:
        """Render and look: xyz (H, 3), z up, any unit; colors are not used."""
        valid = np.isfinite(xyz).all(axis=1)
        points = np.asarray(xyz)[valid]
        if not len(points):
            raise ValueError("the cloud has no finite point; nothing can be projected")
        views = targets_depth_views.render_depth_views(points, np.arange(len(points)), self.clip.image_size)
        ids, features, whole = targets.superpoint_features(*views, self.clip)
        _, nearest = cKDTree(points[ids]).query(points)
        return Projected(valid, features[nearest], whole)

    def label(self, encoding: Projected, words: Vocabulary) -> Any:
        """labels (H,) uint32 of the nearest word, 65535 on points that are not finite."""
        labels = np.full(len(encoding.valid), constants.UNLABELED, np.uint32)
        labels[encoding.valid] = (encoding.features @ words.text.T).argmax(axis=1)
        return SimpleNamespace(labels=labels)
