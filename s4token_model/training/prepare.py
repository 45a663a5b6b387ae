"""s4token prepare clouds|objects INPUT... --out DIR: clouds to training samples, one atomic file per cloud.

clouds   tokens alone, for L_assign. INPUT: cloud files, folders of them, or ROS 2 bags
objects  also the 2D targets: CLIP's features of ten depth pictures of each cloud (PointCLIPv2's projection)

The samples hold what `samples.py` lists, without pictures; target_* as `targets.py` writes them.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from s4token_model import checkpoint, clip, cloud_bags, files
from s4token_model import config as configs
from s4token_model.clip import FrozenClip
from s4token_model.config import Config
from s4token_model.segmenter import TokenGeometry, form_tokens
from s4token_model.training import depth_views, samples, targets

POINTS = 1024
FEWEST = 8  # tokens; smaller clouds are left out
SUFFIXES = (".ply", ".pcd", ".las", ".laz", ".npy", ".bin", ".off", ".obj")


def main(arguments: list[str] | None = None) -> int:
    """Prepare what the command line names."""
    about = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(
        "s4token prepare", description=about[0], epilog=about[1], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=["clouds", "objects"])
    parser.add_argument("input", nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--model", default=checkpoint.MINI, help="checkpoint whose pipeline and CLIP are used")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    given = parser.parse_args(arguments)
    changes = dict(pair.partition("=")[::2] for pair in given.changes)
    config = configs.replace(checkpoint.read_config(given.model), changes)
    encoder = clip.load(config.clip, checkpoint.resolve(given.model)) if given.kind == "objects" else None
    written = clouds(given.input, given.out, config, POINTS, encoder)
    print(f"{len(written)} samples in {given.out}")
    return 0


def clouds(
    sources: list[Path], out: Path, config: Config, points: int = POINTS, encoder: FrozenClip | None = None
) -> list[Path]:
    """Write one sample per cloud of the sources, skipping those present; with `encoder` also the targets of rendered
    depth. A cloud that fails is reported and left out; ValueError when none is left."""
    out.mkdir(parents=True, exist_ok=True)
    written, failed = [], 0
    bar = tqdm(each_cloud(sources), "samples")
    for name, read in bar:
        path = out / f"{name}.npz"
        if not path.is_file():
            try:
                sample = make(read(), config, points, zlib.crc32(name.encode()), encoder)
            except ValueError as error:
                failed += 1
                tqdm.write(f"{name} left out: {error}")
                continue
            with files.atomic(path) as file:
                np.savez(file, **sample)
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
        elif source.is_dir():
            found = sorted(p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES)
            if not found:
                raise ValueError(f"{source} holds no cloud; looked for {', '.join(SUFFIXES)} in it and below")
            for path in found:
                name = "_".join(path.relative_to(source).with_suffix("").parts)
                yield name, lambda p=path: files.read_cloud(p).xyz
        else:
            yield source.stem, lambda p=source: files.read_cloud(p).xyz


def holds_bag(source: Path) -> bool:
    """Whether a path is a bag's file, or a folder with a bag in it; other folders hold clouds or samples."""
    if source.is_dir():
        return (source / "metadata.yaml").is_file() or any(p.suffix in cloud_bags.SUFFIXES for p in source.iterdir())
    return cloud_bags.is_bag(source)


def cloud_of(message) -> np.ndarray:
    """xyz (H, 3) of a PointCloud2 of a bag."""
    return cloud_bags.cloud_of(message)[1].xyz


def make(
    xyz: np.ndarray, config: Config, points: int, seed: int, encoder: FrozenClip | None = None
) -> dict[str, np.ndarray]:
    """Return the sample of one cloud. ValueError when it gives too few tokens."""
    rng = np.random.default_rng(seed)
    geometry = form_tokens(xyz, None, config)
    found = len(geometry.patches.centers)
    if found < FEWEST:
        raise ValueError(f"only {found} tokens in {len(xyz)} points, {FEWEST} are needed")
    sample = samples.tokens_of(geometry, config.tokenizer.position_scaled) | _points(geometry, points, rng)
    if encoder is not None:
        seen = depth_views.look(geometry.working.xyz, geometry.superpoints, encoder.image_size)
        ids, features, whole = targets.superpoint_features(seen, encoder)
        sample |= {
            "target_superpoint": ids,
            "target_feature": features.astype(np.float16),
            "target_whole": whole.astype(np.float16),
        }
    return sample


def _points(geometry: TokenGeometry, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    pick = rng.choice(len(geometry.superpoints), count, replace=len(geometry.superpoints) < count)
    return {
        "point": samples.local(geometry.working.xyz[pick], geometry),
        "point_superpoint": geometry.superpoints[pick].astype(np.int32),
    }
