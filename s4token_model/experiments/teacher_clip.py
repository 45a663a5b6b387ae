"""The CLIP of the comparisons: as small as the mini model's, of few classes, so that it names pictures of objects well.

Trained by the mini model's contrastive recipe on pictures of lone objects and of rooms, with captions. That of the mini
model knows five times as many classes and names one region in ten right: its 2D targets would tell objects apart too
seldom to compare what learns from them.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

from s4token_model.config import ClipConfig
from s4token_model.experiments.effort import Effort
from s4token_model.experiments.experiment import Lab
from s4token_model.pipeline import clip
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.procedural import scenes
from s4token_model.procedural.catalog import THINGS
from s4token_model.procedural.classes import PROCEDURAL, SCANNET20
from s4token_model.sensors import rgbd_views
from s4token_model.sensors.raycast import Caster
from s4token_model.training import mini_clip, procedural_samples, token_samples
from s4token_model.training.settings import MiniConfig
from s4token_model.training.token_samples import Pictures

TAUGHT = tuple(name for name in THINGS if name in SCANNET20)  # what objects are trained on
KNOWN = (*TAUGHT, "wall", "floor")  # what captions speak of
FIRST = 1_600_000_000  # seeds of what the pictures show
STYLE, EDGE = "geometry", 128  # of a picture; pixels


@lru_cache(maxsize=2)
def load(lab: Lab) -> FrozenClip:
    """The CLIP of a lab, kept in its folder; trained first where it is not there. A killed training goes on."""
    run, effort = lab.folder / "clip", lab.effort
    if not (run / "clip" / "open_clip_config.json").is_file():
        how = MiniConfig(text_steps=effort.text_steps, clip_steps=effort.clip_steps, save_every=100)
        mini_clip.train(_pictures(run / "pictures", effort), run / "clip", run, how)
    return clip.load(ClipConfig(name="clip", pretrained="", precision="auto"), run)


def _pictures(folder: Path, effort: Effort) -> list[Path]:
    """Files of pictures, one for each scene; made where they are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [procedural_samples.sample_path(folder, FIRST + k) for k in range(effort.clip_scenes)]
    for k, path in enumerate(tqdm(paths, "pictures", disable=all(path.is_file() for path in paths))):
        if not path.is_file():
            token_samples.save_arrays(path, token_samples.part_to_arrays(_sample(k, effort.views), "pictures"))
    return paths


def _sample(k: int, count: int) -> Pictures:
    """Pictures of an object, two of three times, else of a room."""
    seed = FIRST + k
    scene = scenes.make_room(seed) if k % 3 == 2 else scenes.make_object(seed, TAUGHT[k % len(TAUGHT)])
    rng, edge = np.random.default_rng(seed), (EDGE, EDGE)
    found = procedural_samples.labeled_pictures(
        scene, rgbd_views.render_views(scene, rng, count, edge, STYLE, Caster(scene), 50.0)
    )
    spoken = np.append(np.isin(found.instance_label, [PROCEDURAL.index(name) for name in KNOWN]), False)
    return found._replace(region=np.where(spoken[found.region], found.region, -1).astype(np.int16))
