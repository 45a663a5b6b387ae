"""s4token prepare CONFIG.yaml clouds|objects|scenes INPUT... --out DIR: clouds to training samples, one file per cloud.

CONFIG.yaml is the file that `s4token train` reads: the samples are made as its pipeline says, with its CLIP, and what
was used is recorded in each of them. Training refuses samples that were made in another way, key by key.

clouds   tokens only, for L_assign. INPUT: cloud files, folders of them, or ROS 2 bags
objects  also the 2D targets: CLIP's features of ten depth pictures of each cloud (PointCLIPv2's projection). Shapes in
         ShapeNet55's layout are rotated so that z is up
scenes   folders of posed RGB-D frames (7-Scenes' layout, or ScanNet's as exported): the targets are CLIP's features of
         crops of the frames that see a superpoint best (after Open3DIS); each folder is a scene, or holds scenes

With --set targets=dense they are of each pixel instead: the values of CLIP's last block (MaskCLIP), for scenes in all
frames (OpenScene's fusion).

Of data sets with splits (ScanNet, ShapeNet55, ModelNet40, S3DIS, SemanticKITTI) only what is of --split train is taken.
Existing samples are kept, so an interrupted run resumes. --workers N uses N processes, --ray ADDRESS a Ray cluster.
"""

from __future__ import annotations

import argparse
import dataclasses
import zlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from s4token_model import checkpoint, command_line, jobs
from s4token_model.config import ClipConfig, Config
from s4token_model.datasets import scannet, splits
from s4token_model.io import bags
from s4token_model.pipeline import clip, clip_config
from s4token_model.pipeline.clip_digest import image_tower_digest
from s4token_model.segmenter import PatchedCloud, build_patches, checked_device
from s4token_model.training import (
    provenance,
    redraw,
    settings,
    sources,
    targets,
    targets_depth_views,
    targets_posed_rgbd,
    token_samples,
)
from s4token_model.training.provenance import Provenance
from s4token_model.training.sources import SCENES, Source
from s4token_model.training.token_samples import SUFFIX

KINDS = ("clouds", "objects", SCENES)


class Recipe(NamedTuple):
    """How samples are made."""

    config: Config
    training: settings.TrainConfig
    kind: str = KINDS[0]  # objects and scenes: with 2D targets
    split: str = "train"
    every: int = 1  # scenes: every so many frames
    bin_columns: int | None = None  # float32 per point of .bin files
    device: str = "cpu"  # of the CLIP of the targets


def main(arguments: list[str] | None = None) -> int:
    """Prepare what the command line names."""
    given = _parser().parse_args(arguments)
    workers = command_line.checked_workers(given)
    if given.every < 1:
        raise ValueError(f"--every {given.every}: give at least 1")
    training, pipeline = settings.read(given.config, given.changes)
    if training.task != "self":
        raise ValueError(f"{given.config}: task={training.task} prepares its data itself; run s4token train")
    recipe = Recipe(pipeline, training, given.kind, given.split, given.every, given.bin_columns, given.device)
    checked_device(given.device)
    _check_pictures(recipe)
    written = prepare(given.input, given.out, recipe, workers, given.ray)
    print(f"{len(written)} samples in {given.out}")
    return 0


def prepare(inputs: list[Path], out: Path, recipe: Recipe, workers: int = 1, ray: str | None = None) -> list[Path]:
    """Write one sample per scene, or per cloud of files, folders and bags; samples that are there are kept.

    What fails is reported and left out; ValueError if everything does, or `out` holds samples of another recipe.
    """
    if recipe.training.redraw:
        redraw.check_redrawable(recipe.config)
    made = _made(recipe, tuple(map(str, inputs)))
    provenance.check(token_samples.find_samples(out), made, "Choose another folder, or delete them")
    out.mkdir(parents=True, exist_ok=True)
    folder = out.resolve()
    found = [source for path in inputs for source in sources.list_sources(path, recipe.kind, recipe.split)]
    bag_paths = {source.path for source in found if recipe.kind != SCENES and bags.is_bag(source.path)}
    one = [(folder / f"{s.name}{SUFFIX}", s, recipe, made) for s in found if s.path not in bag_paths]
    many = [jobs.Job(s.name, (folder, s, recipe, made)) for s in found if s.path in bag_paths]
    written = jobs.write_missing(prepare_one, one, "samples", workers, ray)
    for outcome in jobs.outcomes(prepare_bag, many, "bags", workers, ray):
        written += outcome.result or []
    if not written:
        tried = ", ".join(sorted({str(source.path) for source in found}))
        raise ValueError(f"nothing could be prepared of {tried}; see above")
    return written


def prepare_one(out: Path, source: Source, recipe: Recipe, made: Provenance) -> list[str]:
    """Write the sample of one file or scene; returns a note if frames were left out. ValueError if there is none."""
    encoder, seed, notes = _encoder(recipe), zlib.crc32(out.stem.encode()), list[str]()
    if recipe.kind == SCENES:
        patched, found, notes = targets_posed_rgbd.patch_scene(
            source.path, recipe.config, encoder, recipe.every, _is_dense(recipe)
        )
        sample = dataclasses.replace(_sample(patched, recipe, seed), targets=targets.to_half(found))
    else:
        is_provided, provided = recipe.config.superpoints.source == "provided", None
        xyz = sources.read_xyz(source.path, recipe.bin_columns, 0 if is_provided else None)
        if is_provided:
            provided = scannet.provided_superpoints(source.path, len(xyz))
        sample = cloud_sample(xyz, recipe, seed, encoder, provided)
    token_samples.save_sample(out, sample, provenance.to_metadata(made._replace(split=source.split)))
    return [f"{len(notes)} frames left out, e.g. {notes[0]}"] if notes else []


def prepare_bag(out: Path, source: Source, recipe: Recipe, made: Provenance) -> list[Path]:
    """Write one sample per cloud of a bag into the folder `out`; returns them. ValueError if none can be made."""
    written, failed = list[Path](), list[jobs.Outcome]()
    metadata = provenance.to_metadata(made._replace(split=source.split))
    for topic, stamp, message in bags.read_clouds(source.path, bags.cloud_topics(source.path)):
        path = out / f"{source.name}{topic.replace('/', '_')}_{stamp}{SUFFIX}"
        try:
            if not path.is_file():
                xyz, seed = bags.cloud_of(message)[1].xyz, zlib.crc32(path.stem.encode())
                token_samples.save_sample(path, cloud_sample(xyz, recipe, seed, _encoder(recipe)), metadata)
            written.append(path)
        except ValueError as reason:
            failed.append(jobs.Outcome(path.stem, None, str(reason)))
    jobs.print_failures(failed, len(written) + len(failed), f"clouds of {source.name}")
    if not written:
        raise ValueError(f"none of {len(failed)} clouds could be prepared")
    return written


def cloud_sample(
    xyz: np.ndarray, recipe: Recipe, seed: int, encoder: clip.FrozenClip | None = None,
    provided: np.ndarray | None = None,
) -> token_samples.TokenSample:  # fmt: skip
    """Return the sample of a cloud (H, 3); with `encoder` also its targets. ValueError if it gives too few tokens.

    `provided` (H,) are the data set's superpoints. The pictures of the targets show all points, and each has the
    superpoint of the partition of all points, also where sampling.points of them make the tokens.
    """
    patched = build_patches(xyz, None, recipe.config, provided=provided)
    sample = _sample(patched, recipe, seed)
    if encoder is None:
        return sample
    views = targets_depth_views.render_depth_views(patched.working.xyz, patched.superpoints, encoder.image_size)
    found = targets.superpoint_features(*views, encoder, _is_dense(recipe))
    return dataclasses.replace(sample, targets=targets.to_half(found))


def _is_dense(recipe: Recipe) -> bool:
    """Whether the 2D targets are those of the values of CLIP's last block."""
    return recipe.training.targets == settings.DENSE


def _sample(patched: PatchedCloud, recipe: Recipe, seed: int) -> token_samples.TokenSample:
    """The sample of a patched cloud, without targets; with its points if tokens are drawn anew in training."""
    rng, kept, count = np.random.default_rng(seed), patched.working.kept, recipe.training.points
    sample = token_samples.make_sample(patched, recipe.config, rng.choice(kept, count, replace=len(kept) < count))
    if not recipe.config.tokenizer.context:
        sample = dataclasses.replace(
            sample, context=sample.context[:, :0], context_count=np.zeros_like(sample.context_count)
        )
    return dataclasses.replace(sample, cloud=redraw.cloud_of(patched) if recipe.training.redraw else None)


def _made(recipe: Recipe, inputs: tuple[str, ...]) -> Provenance:
    """The record of the samples; loads the CLIP, so that what is wrong with it is an error before any work."""
    expected = provenance.settings_of(recipe.training, recipe.config)
    expected |= {provenance.EVERY: recipe.every} if recipe.kind == SCENES else {}
    made, encoder = Provenance(expected, recipe.kind, inputs=inputs), _encoder(recipe)
    if encoder is None:
        return made
    return made._replace(clip=clip_name(recipe.config.clip), clip_sha256=image_tower_digest(encoder))


def clip_name(config: ClipConfig) -> str:
    """A CLIP's name and pretrained weights in one text."""
    return f"{config.name} {config.pretrained}".strip()


def _encoder(recipe: Recipe) -> clip.FrozenClip | None:
    """The CLIP of the targets, if there are any; loaded once per process."""
    return None if recipe.kind == "clouds" else _load_clip(recipe.training.init, recipe.config.clip, recipe.device)


def _check_pictures(recipe: Recipe) -> None:
    """Raise ValueError if the CLIP of the targets is known to take no pictures, before samples are cut."""
    init = checkpoint.resolve(recipe.training.init) if recipe.training.init else None
    directory = clip_config.clip_directory(recipe.config.clip.name, init)
    if recipe.kind != "clouds" and directory is not None and not clip_config.read(directory).pictures:
        raise ValueError(
            f"the CLIP in {directory} was shortened and takes no pictures, which the targets of {recipe.kind} are made"
            " of; prepare clouds, or start from a model with another CLIP"
        )


@lru_cache(maxsize=1)
def _load_clip(init: str, config: ClipConfig, device: str) -> clip.FrozenClip:
    return checkpoint.load_clip(init, config, device) if init else clip.load(config, device=device)


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").split("\n\n")
    layout, epilog = argparse.RawDescriptionHelpFormatter, "\n\n".join(about[1:])
    parser = argparse.ArgumentParser("s4token prepare", None, about[0], epilog, formatter_class=layout)
    parser.add_argument("config", metavar="CONFIG.yaml", type=Path)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("input", nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    about_split = "train (default), val, test, or all; what belongs to no split counts as train"
    parser.add_argument("--split", choices=(*splits.SPLITS, splits.ALL), default="train", help=about_split)
    parser.add_argument("--device", default="cpu", help="of the CLIP of 2D targets: cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="scenes: take each N-th frame (default: 1)")
    parser.add_argument("--bin-columns", type=int, metavar="N", help="float32 per point of .bin files (default: 4)")
    command_line.add_workers(parser)
    return parser
