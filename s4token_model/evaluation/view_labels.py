"""Labels of the 2D targets themselves: CLIP on posed frames, without any training (the 2D fusion rows of Table 4).

What a model distilled from these targets is measured against: each point takes the class name nearest to its target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from s4token_model import constants
from s4token_model.config import Config
from s4token_model.datasets import openscene, posed_rgbd
from s4token_model.evaluation.baselines import clip_vocabulary
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.segmenter import build_patches
from s4token_model.stage_timer import StageTimer
from s4token_model.training import targets_dense, targets_posed_rgbd
from s4token_model.vocabulary import Vocabulary

CROPS, DENSE, POINTS = "crops", "dense", "points"
TARGETS = (CROPS, DENSE, POINTS)


class ViewOptions(NamedTuple):
    """Which 2D targets are measured, and where the frames or features are."""

    targets: str = CROPS  # of TARGETS: of superpoints by crops, or by dense features; or of each point by these
    frames: str | None = None  # folder of the scenes of posed frames; None: the root of the data
    every: int = 1  # take each so many frames
    features: str | None = None  # folder of OpenScene's files, which are measured instead

    def checked(self) -> ViewOptions:
        """Return the options. ValueError if they are wrong, or do not go together."""
        if self.targets not in TARGETS:
            raise ValueError(f"--targets {self.targets}: choose from {', '.join(TARGETS)}")
        if self.every < 1:
            raise ValueError(f"--every {self.every}: give at least 1")
        if self.features is not None and self._replace(features=None) != ViewOptions():
            raise ValueError(f"--features {self.features} needs no frames; leave --targets, --frames and --every out")
        return self

    def named(self) -> dict[str, Any]:
        """The options as entries of a result."""
        if self.features is not None:
            return {"targets": "openscene", "features": self.features}
        return {"targets": self.targets, "every": self.every}


@dataclass(frozen=True)
class ViewedCloud:
    """What CLIP says of a cloud of H points."""

    feature: np.ndarray  # (K, E) float32, of any length: the nearest name is the same
    row: np.ndarray  # (H,) int64 row of each point, -1 where no frame shows it
    superpoints: np.ndarray | None  # (H,) uint32, NO_SUPERPOINT on points that are set aside; None without any
    stages_ms: dict[str, float]


@dataclass(frozen=True)
class ViewedLabels:
    """Labels of a cloud of H points."""

    labels: np.ndarray  # (H,) uint32, constants.UNLABELED where no frame shows the point
    seen: np.ndarray  # (H,) bool
    superpoints: np.ndarray | None
    superpoint_count: int
    stages_ms: dict[str, float]
    tokens: int = 0


class ViewLabeler:
    """Labels clouds by the 2D targets of their frames; used in place of a Segmenter."""

    def __init__(self, encoder: FrozenClip, config: Config, options: ViewOptions):
        self.clip, self.config, self.options = encoder, config, options.checked()

    def make_vocabulary(self, names: Sequence[str], templates: Sequence[str] | None = None) -> Vocabulary:
        """Encode class names by CLIP's text tower, like Segmenter.make_vocabulary."""
        return clip_vocabulary(self.clip, self.config, names, templates)

    def encode(
        self, xyz: np.ndarray, rgb: np.ndarray | None = None, superpoints: np.ndarray | None = None, views: Any = None
    ) -> ViewedCloud:
        """Compute the targets of a cloud (H, 3) in the world of its `views`: posed frames, or OpenScene's features."""
        timer = StageTimer()
        if isinstance(views, openscene.FusedFeatures):
            return ViewedCloud(views.feature.astype(np.float32), _rows(views.seen), None, {})
        if self.options.targets == POINTS:
            return self._encode_points(xyz, views, timer)
        patched = build_patches(xyz, rgb, self.config, provided=superpoints)
        working, ids = patched.working, np.full(len(xyz), constants.NO_SUPERPOINT, np.uint32)
        of_point = patched.superpoints[working.position]
        ids[working.labeled_index] = of_point
        timer("superpoints")
        world = xyz[working.original_index]  # the working cloud is rotated and scaled
        dense = self.options.targets == DENSE
        found, _ = targets_posed_rgbd.encode_scene(world, patched.superpoints, views, self.clip, dense)
        row = np.full(int(patched.superpoints.max()) + 1, -1, np.int64)
        row[found.superpoint] = np.arange(len(found.superpoint))
        rows = np.full(len(xyz), -1, np.int64)
        rows[working.labeled_index] = row[of_point]
        timer("targets")
        return ViewedCloud(found.feature, rows, ids, timer.stages_ms)

    def _encode_points(self, xyz: np.ndarray, frames: list[posed_rgbd.Frame], timer: StageTimer) -> ViewedCloud:
        total = torch.zeros(len(xyz), self.clip.dim, device=self.clip.device)
        seen, skipped = np.zeros(len(xyz), bool), list[str]()
        for found in targets_dense.seen_points(xyz, frames, self.clip, skipped):
            total.index_add_(0, torch.from_numpy(found.index).to(total.device), found.feature)
            seen[found.index] = True
        if not seen.any():
            raise ValueError(f"no frame sees a point; {skipped[0] if skipped else 'are poses and cloud of one scene?'}")
        timer("targets")
        return ViewedCloud(total.cpu().numpy()[seen], _rows(seen), None, timer.stages_ms)

    def label(self, viewed: ViewedCloud, words: Vocabulary) -> ViewedLabels:
        """Label each point that is seen with the nearest class name. ValueError if the features are of another CLIP."""
        if viewed.feature.shape[1] != words.text.shape[1]:
            found, ours = viewed.feature.shape[1], words.text.shape[1]
            fix = "name the CLIP whose texts they are compared with: LSeg's is ViT-B-32-quickgelu, OpenSeg's"
            fix += " ViT-L-14-336-quickgelu, e.g. --set clip.name=ViT-L-14-336-quickgelu --set clip.pretrained=openai"
            raise ValueError(f"the features have {found} numbers, those of this CLIP's texts {ours}; {fix}")
        seen = viewed.row >= 0
        labels = np.full(len(seen), constants.UNLABELED, np.uint32)
        labels[seen] = (viewed.feature @ words.text.T).argmax(axis=1)[viewed.row[seen]]
        ids = viewed.superpoints
        count = 0 if ids is None else len(np.unique(ids[ids != constants.NO_SUPERPOINT]))
        return ViewedLabels(labels, seen, ids, count, viewed.stages_ms)


class Views:
    """Finds what the targets of a room are read from."""

    def __init__(self, options: ViewOptions, root: str | Path):
        """List the scenes of posed frames below options.frames or `root`."""
        self.options = options.checked()
        scenes = [] if options.features is not None else posed_rgbd.list_scenes(options.frames or root)
        self.folders = {path.resolve().name: path for path in scenes}

    def of_room(self, name: str, count: int) -> list[posed_rgbd.Frame] | openscene.FusedFeatures:
        """Return the frames of a room of `count` points, or its features. ValueError if there are none."""
        if self.options.features is not None:
            return openscene.load_features(self.options.features, name, count)
        if name not in self.folders:
            there = ", ".join(sorted(self.folders)[:4])
            raise ValueError(f"no posed frames of {name}; there are those of {there}: --frames DIR names their folder")
        return posed_rgbd.frames(self.folders[name], self.options.every)[0]


def _rows(seen: np.ndarray) -> np.ndarray:
    """Number the points that are seen (H,), -1 on the others."""
    return np.where(seen, np.cumsum(seen) - 1, -1)
