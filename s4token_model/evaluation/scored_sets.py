"""Labeled clouds with the cosines that decide their labels, and nothing else of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from s4token_model import constants, prompts
from s4token_model.datasets import scannet, semantickitti
from s4token_model.evaluation.confidence_metrics import Scored
from s4token_model.evaluation.loading import SampleLoader
from s4token_model.evaluation.segmentation import LabeledCloud

if TYPE_CHECKING:
    from s4token_model.segmenter import Segmenter

SCANNET, SEMANTICKITTI = "scannet_votenet", "semantickitti"  # folders below the root
MAX_POINTS = 1000  # of a cloud, drawn where labels are not by superpoint


@dataclass(frozen=True)
class ScoredSet:
    """Clouds scored with one list of C words."""

    name: str
    words: tuple[str, ...]
    clouds: tuple[Scored, ...]
    groups: tuple[str, ...]  # of each cloud; scans of one room belong together

    def pooled(self, groups: Sequence[str] | None = None) -> Scored:
        """The decisions of all clouds, or of those in `groups`."""
        chosen = [c for c, group in zip(self.clouds, self.groups, strict=True) if groups is None or group in groups]
        return Scored(*(np.concatenate(arrays) for arrays in zip(*chosen, strict=True)))

    def halves(self) -> list[tuple[list[str], list[str]]]:
        """The groups to fit on and those to test on, twice; none for a single group."""
        names = list(dict.fromkeys(self.groups))
        return [(names[::2], names[1::2]), (names[1::2], names[::2])] if len(names) > 1 else []


def procedural_sets(segmenter: Segmenter, rooms: int) -> tuple[ScoredSet, ScoredSet]:
    """Held-out rooms scored with all of their names, and with those of ScanNet20."""
    from s4token_model.evaluation import procedural_rooms as held_out

    names, other = (*held_out.NAMES, constants.SCANNET20[-1]), len(held_out.NAMES)
    clouds = tqdm(held_out.held_out_clouds(rooms), "procedural rooms", rooms, disable=None)
    scored = [score_cloud(segmenter, cloud, names) for cloud in clouds]
    groups = tuple(map(str, range(rooms)))
    own = tuple(Scored(c.cosines[:, :other], c.counts[:, :other]) for c in scored)
    # ScanNet's words are the first of the names, but for "other furniture", which stands for several
    columns, ids = [*range(len(constants.SCANNET20) - 1), other], np.array(held_out.SCANNET20_IDS)
    merge = (ids[:, None] == np.arange(len(constants.SCANNET20))).astype(np.float64)
    theirs = tuple(Scored(c.cosines[:, columns], c.counts[:, :other] @ merge) for c in scored)
    all_words = ScoredSet("procedural rooms, all words", held_out.NAMES, own, groups)
    return all_words, ScoredSet("procedural rooms, ScanNet's words", tuple(constants.SCANNET20), theirs, groups)


def real_sets(segmenter: Segmenter, root: Path) -> Iterator[ScoredSet]:
    """ScanNet rooms and SemanticKITTI sweeps in the folders SCANNET and SEMANTICKITTI of root, where they exist."""
    rooms, drives = real_folders(root)
    if rooms.is_dir():
        yield _viewed("ScanNet", segmenter, scannet_clouds(rooms), prompts.load("scannet20", scannet.NAMES).names)
    if drives.is_dir():
        words = prompts.load("semantickitti", semantickitti.NAMES).names
        clouds = (LabeledCloud(s.name, s.xyz, None, s.label) for s in semantickitti_sweeps(drives))
        yield _viewed("SemanticKITTI", segmenter, clouds, words)


def real_folders(root: Path) -> tuple[Path, Path]:
    """The folders SCANNET and SEMANTICKITTI of root, which may lack one; ValueError if it lacks both."""
    folders = root / SCANNET, root / SEMANTICKITTI
    if not any(folder.is_dir() for folder in folders):
        raise ValueError(f"{root} has neither {SCANNET}/ nor {SEMANTICKITTI}/; pass the folder that holds them")
    return folders


def scannet_clouds(folder: Path) -> Iterator[LabeledCloud]:
    """The rooms of a folder in ScanNet's layout that can be read."""
    for room in SampleLoader(scannet.list_rooms(folder), lambda name: scannet.load_room(folder, name), "rooms"):
        yield LabeledCloud(room.name, room.xyz, room.rgb, room.label)


def semantickitti_sweeps(folder: Path) -> Iterator[semantickitti.Sweep]:
    """The sweeps of a folder in SemanticKITTI's layout that can be read."""
    names = semantickitti.list_sweeps(folder)
    yield from SampleLoader(names, lambda name: semantickitti.load_sweep(folder, name), "sweeps")


def _viewed(name: str, segmenter: Segmenter, clouds: Iterable[LabeledCloud], words: tuple[str, ...]) -> ScoredSet:
    """Score every cloud in all quarter turns about the vertical: the draw of the tokens moves the figures of few."""
    scored, groups = [], []
    for cloud in clouds:
        x, y, z = cloud.xyz.T
        for turned in ((x, y, z), (-y, x, z), (-x, -y, z), (y, -x, z)):
            scored.append(score_cloud(segmenter, replace(cloud, xyz=np.stack(turned, axis=1)), words))
            groups.append(cloud.name.split("_")[0])  # scene0003_01 is another scan of the room scene0003
    return ScoredSet(name, words, tuple(scored), tuple(groups))


def score_cloud(segmenter: Segmenter, cloud: LabeledCloud, words: Sequence[str]) -> Scored:
    """The biased cosines that decide the labels of a cloud, beside its truth: of superpoints if they vote."""
    encoded = segmenter.encode(cloud.xyz, cloud.rgb)
    working = encoded.geometry.working
    vocabulary = segmenter.make_vocabulary(words)
    cosines, points = segmenter.similarity(encoded, vocabulary) + vocabulary.bias, working.labeled_index
    if not segmenter.config.vocabulary.vote:
        points = points[cloud.label[points] < len(words)]
        rng = np.random.default_rng(0)
        points = rng.choice(points, min(MAX_POINTS, len(points)), replace=False)
        truth = cloud.label[points, None] == np.arange(len(words))
        return Scored(cosines[points], truth.astype(np.float64))
    ids, count = encoded.superpoints, encoded.superpoint_count
    # Truth: every point counts
    annotated = points[cloud.label[points] < len(words)]
    pairs = ids[annotated].astype(np.int64) * len(words) + cloud.label[annotated]
    counts = np.bincount(pairs, minlength=count * len(words)).reshape(count, -1).astype(np.float64)
    # Vote: coincident points count once
    once = points[np.unique(working.position, return_index=True)[1]]
    size = np.bincount(ids[once], minlength=count)
    sums = np.stack([np.bincount(ids[once], column, count) for column in cosines[once].T], axis=1)
    return Scored((sums / np.maximum(size, 1)[:, None]).astype(np.float32), counts)
