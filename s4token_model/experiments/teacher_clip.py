"""The CLIP of the comparisons: small, and of few classes, so that its 2D targets tell objects apart.

It is trained like the mini model's, by contrast, on pictures of single objects and of rooms with captions.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

from s4token_model.config import ClipConfig
from s4token_model.constants import SCANNET20
from s4token_model.experiments.runs import Budget, Workspace
from s4token_model.pipeline import clip
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.procedural import scenes
from s4token_model.procedural.catalog import THINGS
from s4token_model.procedural.classes import PROCEDURAL
from s4token_model.sensors import rgbd_views
from s4token_model.sensors.raycast import Caster
from s4token_model.training import mini_clip, procedural_samples, scene_pictures, token_samples
from s4token_model.training.settings import MiniConfig
from s4token_model.training.token_samples import Pictures

TAUGHT = tuple(name for name in THINGS if name in SCANNET20)  # what objects are trained on
KNOWN = (*TAUGHT, "wall", "floor")  # what captions speak of
FIRST = 1_600_000_000  # seeds of what the pictures show
STYLE, EDGE = "geometry", 128  # of a picture; pixels


@lru_cache(maxsize=2)
def load(workspace: Workspace) -> FrozenClip:
    """Load the CLIP of a workspace; train it first if it is not there. A killed training resumes."""
    run, budget = workspace.folder / "clip", workspace.budget
    if not (run / "clip" / "open_clip_config.json").is_file():
        config = MiniConfig(text_steps=budget.text_steps, clip_steps=budget.clip_steps, save_every=100)
        mini_clip.train(_pictures(run / "pictures", budget), run / "clip", run, config)
    return clip.load(ClipConfig(name="clip", pretrained="", precision="auto"), run)


def _pictures(folder: Path, budget: Budget) -> list[Path]:
    """Files of pictures, one per scene; the missing ones are made."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [procedural_samples.sample_path(folder, FIRST + k) for k in range(budget.clip_scenes)]
    for k, path in enumerate(tqdm(paths, "pictures", disable=all(path.is_file() for path in paths))):
        if not path.is_file():
            token_samples.save_arrays(path, token_samples.part_to_arrays(_make(k, budget.views), "pictures"))
    return paths


def _make(k: int, count: int) -> Pictures:
    """Pictures of an object or, every third time, of a room."""
    seed = FIRST + k
    scene = scenes.make_room(seed) if k % 3 == 2 else scenes.make_object(seed, TAUGHT[k % len(TAUGHT)])
    views = rgbd_views.render_views(scene, np.random.default_rng(seed), count, (EDGE, EDGE), STYLE, Caster(scene), 50.0)
    found = scene_pictures.labeled_pictures(scene, views)
    known = np.append(np.isin(found.instance_label, [PROCEDURAL.index(name) for name in KNOWN]), False)
    return found._replace(region=np.where(known[found.region], found.region, -1).astype(np.int16))
