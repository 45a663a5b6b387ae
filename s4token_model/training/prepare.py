"""s4token prepare clouds|objects|scenes INPUT... --out DIR: clouds to training samples, one atomic file per cloud.

clouds   tokens alone, for L_assign. INPUT: cloud files, folders of them, or ROS 2 bags
objects  also the 2D targets: CLIP's features of ten depth pictures of each cloud (PointCLIPv2's projection). Of a
         folder in ShapeNet55's layout the shapes of its train list are taken, and turned so that z is up
scenes   folders of posed RGB-D frames (7-Scenes' layout, or ScanNet's as exported): the targets are CLIP's features of
         crops of the frames that see a superpoint best (after Open3DIS); each folder is a scene, or holds scenes

The samples hold what `samples.py` lists, without pictures, and target_*: superpoint, feature, whole (NAME.safetensors).
Samples that are there already are kept, so that a stopped run goes on. --workers N prepares files and scenes in N
processes, --ray ADDRESS on a Ray cluster whose machines see the same folders.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.datasets import posed_rgbd, shapenet55
from s4token_model.io import bags as cloud_bags
from s4token_model.io import files
from s4token_model.pipeline import clip
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.segmenter import PatchedCloud, build_patches
from s4token_model.training import jobs as spread
from s4token_model.training import posed_scenes, procedural_samples, targets, targets_depth_views

POINTS = 1024
FEWEST = 8  # tokens; smaller clouds are left out
SUFFIXES = (".ply", ".pcd", ".las", ".laz", ".npy", ".bin", ".off", ".obj")


@dataclass(frozen=True)
class Job:
    """One file or scene to prepare, in any process: what `make_one` reads."""

    kind: str
    name: str
    source: Path
    out: Path
    model: str
    changes: tuple[str, ...] = ()
    every: int = 1


def main(arguments: list[str] | None = None) -> int:
    """Prepare what the command line names."""
    given = _parser().parse_args(arguments)
    if given.workers < 1 or given.every < 1:
        raise ValueError(f"--workers {given.workers} --every {given.every}: give at least 1")
    given.out.mkdir(parents=True, exist_ok=True)
    config, encoder = _pipeline(given.model, tuple(given.changes), given.kind != "clouds")  # errors before any work
    bags = [source for source in given.input if given.kind != "scenes" and holds_bag(source)]
    written = clouds(bags, given.out, config, POINTS, encoder) if bags else []
    jobs = list(_jobs([source for source in given.input if source not in bags], given))
    written += prepare_all(jobs, given.workers, given.ray) if jobs else []
    print(f"{len(written)} samples in {given.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(
        "s4token prepare",
        description=about[0],
        epilog="\n\n".join(about[1:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", choices=["clouds", "objects", "scenes"])
    parser.add_argument("input", nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--model", default=checkpoint.MINI, help="checkpoint whose pipeline and CLIP are used")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="of scenes: take each N-th frame (default: 1)"
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes on this machine (default: 1)")
    parser.add_argument("--ray", metavar="ADDRESS", help="a Ray cluster (auto, local, HOST:PORT); needs [cluster]")
    return parser


def _jobs(sources: list[Path], given: argparse.Namespace) -> Iterator[Job]:
    for source in sources:
        for name, path in _scenes_in(source) if given.kind == "scenes" else _files_in(source):
            target = given.out.resolve() / f"{name}.safetensors"
            yield Job(given.kind, name, path.resolve(), target, str(given.model), tuple(given.changes), given.every)


def prepare_all(jobs: list[Job], workers: int = 1, ray_address: str | None = None) -> list[Path]:
    """Do the jobs whose sample is missing; a failure is reported and left out. ValueError when no sample is there."""
    missing = [job for job in jobs if not job.out.is_file()]
    failed = 0
    with tqdm(total=len(missing), desc="samples", disable=not missing) as bar:
        for name, notes, error in spread.run(make_one, missing, workers, ray_address):
            if notes:
                tqdm.write(f"{name}: {len(notes)} frames left out, e.g. {notes[0]}")
            if error:
                failed += 1
                tqdm.write(f"{name} left out: {error}")
            bar.update()
    written = [job.out for job in jobs if job.out.is_file()]
    if not written:
        raise ValueError(f"nothing could be prepared of {', '.join(sorted({str(j.source) for j in jobs}))}; see above")
    return written


def make_one(job: Job) -> tuple[str, list[str], str]:
    """Write the sample of one job; returns its name, why frames were left out, and "" or why it has no sample."""
    try:
        config, encoder = _pipeline(job.model, job.changes, job.kind != "clouds")
        seed = zlib.crc32(job.name.encode())
        if job.kind == "scenes":
            sample, notes = make_scene(job.source, config, POINTS, seed, encoder, job.every)
        else:
            sample, notes = make(read_xyz(job.source), config, POINTS, seed, encoder), []
        procedural_samples.save_sample(job.out, sample)
    except (ValueError, OSError) as error:
        return job.name, [], str(error)
    return job.name, notes, ""


@lru_cache(maxsize=1)
def _pipeline(model: str | Path, changes: tuple[str, ...], pictures: bool) -> tuple[Config, FrozenClip | None]:
    """Config, and the CLIP where pictures are looked at; loaded once per process."""
    changed = dict(pair.partition("=")[::2] for pair in changes)
    config = configs.replace(checkpoint.read_config(model), changed)
    return config, clip.load(config.clip, checkpoint.resolve(model)) if pictures else None


def clouds(
    sources: list[Path], out: Path, config: Config, points: int = POINTS, encoder: FrozenClip | None = None
) -> list[Path]:
    """Write one sample per cloud of the sources, skipping those present, in this process; with `encoder` also the
    targets of rendered depth. A cloud that fails is reported and left out; ValueError when none is left."""
    out.mkdir(parents=True, exist_ok=True)
    written, failed = [], 0
    bar = tqdm(each_cloud(sources), "samples")
    for name, read in bar:
        path = out / f"{name}.safetensors"
        if not path.is_file():
            try:
                sample = make(read(), config, points, zlib.crc32(name.encode()), encoder)
            except ValueError as error:
                failed += 1
                tqdm.write(f"{name} left out: {error}")
                continue
            procedural_samples.save_sample(path, sample)
        written.append(path)
        bar.set_postfix(left_out=failed)
    if not written:
        raise ValueError(f"no cloud could be prepared from {', '.join(map(str, sources))}; {failed} failed")
    return written


def each_cloud(sources: list[Path]) -> Iterator[tuple[str, object]]:
    """Yield (name, function that reads its xyz) of every cloud; names are unique among the sources."""
    for source in sources:
        if holds_bag(source):
            for topic, stamp, message in cloud_bags.read_clouds(source):
                yield f"{source.stem}{topic.replace('/', '_')}_{stamp}", lambda m=message: cloud_of(m)
        else:
            for name, path in _files_in(source):
                yield name, lambda p=path: read_xyz(p)


def _files_in(source: Path) -> Iterator[tuple[str, Path]]:
    if not source.is_dir():
        yield source.stem, source
        return
    listed = (source / shapenet55.SUBSETS[0]).is_dir()
    found = sorted(p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES)
    found = shapenet55.list_shapes(source) if listed else found
    if not found:
        raise ValueError(f"{source} holds no cloud; looked for {', '.join(SUFFIXES)} in it and below")
    for path in found:
        yield "_".join(path.relative_to(source).with_suffix("").parts), path


def _scenes_in(source: Path) -> Iterator[tuple[str, Path]]:
    for folder in posed_rgbd.list_scenes(source):
        inside = folder.relative_to(source).parts
        yield "_".join(inside) or folder.resolve().name, folder


def holds_bag(source: Path) -> bool:
    """Whether a path is a bag's file, or a folder with a bag in it; other folders hold clouds or samples."""
    if source.is_dir():
        return (source / "metadata.yaml").is_file() or any(p.suffix in cloud_bags.SUFFIXES for p in source.iterdir())
    return cloud_bags.is_bag(source)


def read_xyz(path: Path) -> np.ndarray:
    """xyz (H, 3) of a file."""
    if path.parent.name == "shapenet_pc" and path.suffix == ".npy":
        return shapenet55.load_shape(path).xyz
    return files.read_cloud(path).xyz


def cloud_of(message) -> np.ndarray:
    """xyz (H, 3) of a PointCloud2 of a bag."""
    return cloud_bags.cloud_of(message)[1].xyz


def make(
    xyz: np.ndarray, config: Config, points: int, seed: int, encoder: FrozenClip | None = None
) -> dict[str, np.ndarray]:
    """Return the sample of one cloud. ValueError when it gives too few tokens."""
    geometry = build_patches(xyz, None, config)
    sample = _sample(geometry, config, points, seed)
    if encoder is not None:
        seen = targets_depth_views.look(geometry.working.xyz, geometry.superpoints, encoder.image_size)
        ids, features, whole = targets.superpoint_features(seen, encoder)
        sample |= {
            "target_superpoint": ids,
            "target_feature": features.astype(np.float16),
            "target_whole": whole.astype(np.float16),
        }
    return sample


def make_scene(
    folder: Path, config: Config, points: int, seed: int, encoder: FrozenClip | None, every: int = 1
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the sample of a scene and why frames were left out. ValueError when it gives too few tokens."""
    assert encoder is not None
    geometry, found, notes = posed_scenes.make(folder, config, encoder, every)
    return _sample(geometry, config, points, seed) | found, notes


def _sample(geometry: PatchedCloud, config: Config, points: int, seed: int) -> dict[str, np.ndarray]:
    found, size = len(geometry.patches.centers), len(geometry.working.xyz)
    if found < FEWEST:
        raise ValueError(f"only {found} tokens in {size} points, {FEWEST} are needed")
    rng = np.random.default_rng(seed)
    return procedural_samples.tokens_of(geometry, config.tokenizer.position_scaled) | _points(geometry, points, rng)


def _points(geometry: PatchedCloud, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    pick = rng.choice(len(geometry.superpoints), count, replace=len(geometry.superpoints) < count)
    return {
        "point": procedural_samples.local(geometry.working.xyz[pick], geometry),
        "point_superpoint": geometry.superpoints[pick].astype(np.int32),
    }
