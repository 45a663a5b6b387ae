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
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.datasets import posed_rgbd, shapenet55
from s4token_model.io import bags, files
from s4token_model.pipeline import clip
from s4token_model.segmenter import PatchedCloud, build_patches
from s4token_model.training import jobs, targets, targets_depth_views, targets_posed_rgbd, token_samples

POINTS = 1024
CLOUD_SUFFIXES = (".ply", ".pcd", ".las", ".laz", ".npy", ".bin", ".off", ".obj")


def main(arguments: list[str] | None = None) -> int:
    """Prepare what the command line names."""
    given = _parser().parse_args(arguments)
    if given.workers < 1 or given.every < 1:
        raise ValueError(f"--workers {given.workers} --every {given.every}: give at least 1")
    given.out.mkdir(parents=True, exist_ok=True)
    pipeline = (given.model, tuple(given.changes), given.kind != "clouds")
    config, encoder = _pipeline(*pipeline)  # errors before any work
    bag_files = [source for source in given.input if given.kind != "scenes" and holds_bag(source)]
    written = prepare_clouds(bag_files, given.out, config, POINTS, encoder) if bag_files else []
    listed, folder = _scenes_in if given.kind == "scenes" else _files_in, given.out.resolve()
    found = [
        (folder / f"{name}{token_samples.SUFFIX}", path.resolve(), given.kind, pipeline, given.every, given.bin_columns)
        for source in given.input if source not in bag_files for name, path in listed(source)
    ]  # fmt: skip
    made = jobs.write_missing(prepare_one, found, "samples", given.workers, given.ray) if found else []
    if found and not made:
        raise ValueError(
            f"nothing could be prepared of {', '.join(sorted({str(item[1]) for item in found}))}; see above"
        )
    print(f"{len(written) + len(made)} samples in {given.out}")
    return 0


def prepare_one(out: Path, source: Path, kind: str, pipeline: tuple, every: int, bin_columns: int | None) -> list[str]:
    """Write the sample of one file or scene; returns a message if frames were left out or there is no sample."""
    try:
        config, encoder = _pipeline(*pipeline)
        seed = zlib.crc32(out.stem.encode())
        if kind == "scenes":
            patched, found, notes = targets_posed_rgbd.patch_scene(source, config, encoder, every)
            sample = dataclasses.replace(_sample(patched, config, POINTS, seed), targets=targets.to_half(found))
        else:
            sample, notes = cloud_sample(read_xyz(source, bin_columns), config, POINTS, seed, encoder), []
        token_samples.save_sample(out, sample)
    except (ValueError, OSError) as error:
        return [f"{out.stem} left out: {error}"]
    return [f"{out.stem}: {len(notes)} frames left out, e.g. {notes[0]}"] if notes else []


def prepare_clouds(
    sources: list[Path], out: Path, config: configs.Config, points: int = POINTS, encoder: clip.FrozenClip | None = None
) -> list[Path]:
    """Write one sample per cloud of files, folders and bags, in this process; existing samples are kept.

    With `encoder` also the targets of depth views. Clouds that fail are reported and left out; ValueError if all do.
    """
    out.mkdir(parents=True, exist_ok=True)
    written, failed = [], 0
    for name, read in tqdm(each_cloud(sources), "samples"):
        path = out / f"{name}{token_samples.SUFFIX}"
        try:
            if not path.is_file():
                sample = cloud_sample(read(), config, points, zlib.crc32(name.encode()), encoder)
                token_samples.save_sample(path, sample)
            written.append(path)
        except ValueError as error:
            failed += 1
            tqdm.write(f"{name} left out: {error}")
    if not written:
        raise ValueError(f"no cloud could be prepared from {', '.join(map(str, sources))}; {failed} failed")
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


def each_cloud(sources: list[Path]) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """Yield (name, function that reads its xyz) of every cloud; names are unique among the sources."""
    for source in sources:
        if holds_bag(source):
            for topic, stamp, message in bags.read_clouds(source, bags.cloud_topics(source)):
                yield f"{source.stem}{topic.replace('/', '_')}_{stamp}", lambda m=message: bags.cloud_of(m)[1].xyz
        else:
            for name, path in _files_in(source):
                yield name, lambda p=path: read_xyz(p)


def holds_bag(source: Path) -> bool:
    """Whether a path is a bag's file, or a folder with a bag in it; other folders hold clouds or samples."""
    if source.is_dir():
        return (source / "metadata.yaml").is_file() or any(p.suffix in bags.SUFFIXES for p in source.iterdir())
    return bags.is_bag(source)


def read_xyz(path: Path, bin_columns: int | None = None) -> np.ndarray:
    """xyz (H, 3) of a file; a .bin file has `bin_columns` float32 per point."""
    if path.parent.name == "shapenet_pc" and path.suffix == ".npy":
        return shapenet55.load_shape(path).xyz
    return files.read_one_of(path, bin_columns).xyz


def _sample(patched: PatchedCloud, config: configs.Config, points: int, seed: int) -> token_samples.TokenSample:
    rng, count = np.random.default_rng(seed), len(patched.superpoints)
    return token_samples.make_sample(patched, config, rng.choice(count, points, replace=count < points))


def _files_in(source: Path) -> Iterator[tuple[str, Path]]:
    if not source.is_dir():
        yield source.stem, source
        return
    found = sorted(p for p in source.rglob("*") if p.suffix.lower() in CLOUD_SUFFIXES)
    if (source / shapenet55.SUBSETS[0]).is_dir():
        found = shapenet55.list_shapes(source)
    if not found:
        raise ValueError(f"{source} holds no cloud; looked for {', '.join(CLOUD_SUFFIXES)} in it and below")
    for path in found:
        yield "_".join(path.relative_to(source).with_suffix("").parts), path


def _scenes_in(source: Path) -> Iterator[tuple[str, Path]]:
    for folder in posed_rgbd.list_scenes(source):
        yield "_".join(folder.relative_to(source).parts) or folder.resolve().name, folder


@lru_cache(maxsize=1)
def _pipeline(model: str, changes: tuple[str, ...], with_clip: bool) -> tuple[configs.Config, clip.FrozenClip | None]:
    """Config, and the CLIP if it is needed; loaded once per process."""
    config = configs.replace(checkpoint.read_config(model), configs.pairs(changes))
    return config, checkpoint.load_clip(model, config.clip) if with_clip else None


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
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes on this machine (default: 1)")
    parser.add_argument("--ray", metavar="ADDRESS", help="a Ray cluster (auto, local, HOST:PORT); needs [cluster]")
    return parser
