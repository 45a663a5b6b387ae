"""s4token prepare clouds|objects|scenes INPUT... --out DIR: clouds to training samples, one file per cloud.

clouds   tokens only, for L_assign. INPUT: cloud files, folders of them, or ROS 2 bags
objects  also the 2D targets: CLIP's features of ten depth pictures of each cloud (PointCLIPv2's projection). Of a
         folder in ShapeNet55's layout, only the shapes of its train list are taken, and rotated so that z is up
scenes   folders of posed RGB-D frames (7-Scenes' layout, or ScanNet's as exported): the targets are CLIP's features of
         crops of the frames that see a superpoint best (after Open3DIS); each folder is a scene, or holds scenes

Existing samples are kept, so an interrupted run resumes. --workers N uses N processes, --ray ADDRESS a Ray cluster.
"""

from __future__ import annotations

import argparse
import dataclasses
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from s4token_model import checkpoint, command_line, jobs
from s4token_model import config as configs
from s4token_model.datasets import posed_rgbd, shapenet55
from s4token_model.io import bags, files, folders
from s4token_model.pipeline import clip
from s4token_model.segmenter import PatchedCloud, build_patches
from s4token_model.training import targets, targets_depth_views, targets_posed_rgbd, token_samples
from s4token_model.training.token_samples import SUFFIX

POINTS = 1024


class Recipe(NamedTuple):
    """How samples are made."""

    config: configs.Config
    points: int = POINTS
    kind: str = "clouds"  # objects and scenes: with 2D targets
    model: str = checkpoint.MINI  # checkpoint whose CLIP gives the targets
    every: int = 1  # scenes: every so many frames
    bin_columns: int | None = None  # float32 per point of .bin files


def main(arguments: list[str] | None = None) -> int:
    """Prepare what the command line names."""
    given = _parser().parse_args(arguments)
    workers = command_line.checked_workers(given)
    if given.every < 1:
        raise ValueError(f"--every {given.every}: give at least 1")
    config = configs.replace(checkpoint.read_config(given.model), configs.pairs(given.changes))
    recipe = Recipe(config, POINTS, given.kind, given.model, given.every, given.bin_columns)
    _encoder(recipe)  # errors before any work
    written = prepare(given.input, given.out, recipe, workers, given.ray)
    print(f"{len(written)} samples in {given.out}")
    return 0


def prepare(inputs: list[Path], out: Path, recipe: Recipe, workers: int = 1, ray: str | None = None) -> list[Path]:
    """Write one sample per scene, or per cloud of files, folders and bags; samples that are there are kept.

    What fails is reported and left out; ValueError if everything does.
    """
    out.mkdir(parents=True, exist_ok=True)
    folder, listed = out.resolve(), _scenes_in if recipe.kind == "scenes" else _files_in
    found = [(path.resolve(), name) for source in inputs for name, path in listed(source)]
    bag_paths = {path for path, _ in found if recipe.kind != "scenes" and bags.is_bag(path)}
    one = [(folder / f"{name}{SUFFIX}", path, recipe) for path, name in found if path not in bag_paths]
    many = [jobs.Job(name, (folder, name, path, recipe)) for path, name in found if path in bag_paths]
    written = jobs.write_missing(prepare_one, one, "samples", workers, ray)
    for outcome in jobs.outcomes(prepare_bag, many, "bags", workers, ray):
        written += outcome.result or []
    if not written:
        sources = ", ".join(sorted({str(path) for path, _ in found}))
        raise ValueError(f"nothing could be prepared of {sources}; see above")
    return written


def prepare_one(out: Path, source: Path, recipe: Recipe) -> list[str]:
    """Write the sample of one file or scene; returns a note if frames were left out. ValueError if there is none."""
    encoder, seed, notes = _encoder(recipe), zlib.crc32(out.stem.encode()), list[str]()
    if recipe.kind == "scenes":
        patched, found, notes = targets_posed_rgbd.patch_scene(source, recipe.config, encoder, recipe.every)
        sample = dataclasses.replace(
            _sample(patched, recipe.config, recipe.points, seed), targets=targets.to_half(found)
        )
    else:
        sample = cloud_sample(read_xyz(source, recipe.bin_columns), recipe.config, recipe.points, seed, encoder)
    token_samples.save_sample(out, sample)
    return [f"{len(notes)} frames left out, e.g. {notes[0]}"] if notes else []


def prepare_bag(out: Path, name: str, source: Path, recipe: Recipe) -> list[Path]:
    """Write one sample per cloud of a bag into the folder `out`; returns them. ValueError if none can be made."""
    written, failed = list[Path](), list[jobs.Outcome]()
    for topic, stamp, message in bags.read_clouds(source, bags.cloud_topics(source)):
        path = out / f"{name}{topic.replace('/', '_')}_{stamp}{SUFFIX}"
        try:
            if not path.is_file():
                xyz, seed = bags.cloud_of(message)[1].xyz, zlib.crc32(path.stem.encode())
                sample = cloud_sample(xyz, recipe.config, recipe.points, seed, _encoder(recipe))
                token_samples.save_sample(path, sample)
            written.append(path)
        except ValueError as reason:
            failed.append(jobs.Outcome(path.stem, None, str(reason)))
    jobs.print_failures(failed, len(written) + len(failed), f"clouds of {name}")
    if not written:
        raise ValueError(f"none of {len(failed)} clouds could be prepared")
    return written


def cloud_sample(
    xyz: np.ndarray, config: configs.Config, points: int, seed: int, encoder: clip.FrozenClip | None = None
) -> token_samples.TokenSample:
    """Return the sample of a cloud (H, 3); with `encoder` also its targets. ValueError if it gives too few tokens."""
    patched = build_patches(xyz, None, config)
    sample = _sample(patched, config, points, seed)
    if encoder is None:
        return sample
    views = targets_depth_views.render_depth_views(patched.working.xyz, patched.superpoints, encoder.image_size)
    return dataclasses.replace(sample, targets=targets.to_half(targets.superpoint_features(*views, encoder)))


def read_xyz(path: Path, bin_columns: int | None = None) -> np.ndarray:
    """xyz (H, 3) of a file; a .bin file has `bin_columns` float32 per point."""
    if path.parent.name == "shapenet_pc" and path.suffix == ".npy":
        return shapenet55.load_shape(path).xyz
    return files.read_one_of(path, bin_columns).xyz


def _sample(patched: PatchedCloud, config: configs.Config, points: int, seed: int) -> token_samples.TokenSample:
    rng, count = np.random.default_rng(seed), len(patched.superpoints)
    return token_samples.make_sample(patched, config, rng.choice(count, points, replace=count < points))


def _files_in(source: Path) -> Iterator[tuple[str, Path]]:
    """Yield (name, path) of every cloud file and bag; names are unique among those of a folder."""
    if not source.is_dir() or folders.is_bag_folder(source):
        yield source.stem, source
        return
    is_shapenet = (source / shapenet55.SUBSETS[0]).is_dir()
    for path in shapenet55.list_shapes(source) if is_shapenet else folders.list_inputs(source):
        yield "_".join(path.relative_to(source).with_suffix("").parts), path


def _scenes_in(source: Path) -> Iterator[tuple[str, Path]]:
    for folder in posed_rgbd.list_scenes(source):
        yield "_".join(folder.relative_to(source).parts) or folder.resolve().name, folder


def _encoder(recipe: Recipe) -> clip.FrozenClip | None:
    """The CLIP of the targets, if there are any; loaded once per process."""
    return None if recipe.kind == "clouds" else _load_clip(recipe.model, recipe.config.clip)


_load_clip = lru_cache(maxsize=1)(checkpoint.load_clip)


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").split("\n\n")
    layout, epilog = argparse.RawDescriptionHelpFormatter, "\n\n".join(about[1:])
    parser = argparse.ArgumentParser("s4token prepare", None, about[0], epilog, formatter_class=layout)
    parser.add_argument("kind", choices=["clouds", "objects", "scenes"])
    parser.add_argument("input", nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--model", default=checkpoint.MINI, help="checkpoint whose pipeline and CLIP are used")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="scenes: take each N-th frame (default: 1)")
    parser.add_argument("--bin-columns", type=int, metavar="N", help="float32 per point of .bin files (default: 4)")
    command_line.add_workers(parser)
    return parser
