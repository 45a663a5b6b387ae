"""Damaged files of every format against the readers of clouds and bags."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

from s4token_model.io import bags
from s4token_model.io.files import read_cloud
from scripts.fuzz import sandbox, seed_files
from scripts.fuzz.mutations import mutate, with_png_checksums
from scripts.fuzz.outcome import Outcome
from scripts.fuzz.seed_files import Seed

SECONDS = 30.0
MESSAGES = 20  # read of a bag
# How often a group is tried, of 100: LAZ starts a process for each file
GROUPS = {"ply": 19, "pcd": 17, "npy": 10, "bin": 3, "mesh": 13, "png": 13, "las": 11, "laz": 1, "mcap": 8, "db3": 5}


class Damaged(NamedTuple):
    """A damaged file with its neighbors."""

    seed: Seed
    data: bytes


def run(count: int, seed: int, out: Path, groups: tuple[str, ...] = tuple(GROUPS)) -> Outcome:
    """Try `count` files, of some groups of formats only if `groups` says so."""
    schedule = [group for group in groups for _ in range(GROUPS[group])]
    _seeds()

    def make(number: int) -> Damaged:
        random = Random(f"{seed}:{number}")
        chosen = random.choice(_seeds()[random.choice(schedule)])
        data = mutate(chosen.data, random)
        return Damaged(
            chosen, with_png_checksums(data) if chosen.name.endswith("png") and random.random() < 0.7 else data
        )

    return sandbox.run(sandbox.Trial(make, attempt, keep, SECONDS), count, seed, out)


@cache
def _seeds() -> dict[str, list[Seed]]:
    with tempfile.TemporaryDirectory() as folder:
        return seed_files.make(Path(folder))


def attempt(damaged: Damaged, scratch: Path) -> None:
    """Read a damaged file in the scratch folder; ValueError when it is refused."""
    write(damaged, scratch)
    read(scratch / damaged.seed.read)


def read(path: Path) -> None:
    """Read a file or folder as the command line does."""
    if not bags.is_bag(path):
        cloud = read_cloud(path)
        assert cloud.xyz.ndim == 2 and all(len(column) == len(cloud.xyz) for column in cloud.fields.values())
        return
    for _, _, message in itertools.islice(bags.read_clouds(path), MESSAGES):
        bags.cloud_of(message)


def write(damaged: Damaged, folder: Path) -> None:
    """Write the file and its neighbors."""
    for name, data in {**damaged.seed.beside, damaged.seed.name: damaged.data}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)


def keep(damaged: Damaged, path: Path) -> None:
    """Write a failing file and its neighbors into the folder `path`."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    write(damaged, path)
