"""Objects of ScanNet rooms: figures that follow from a room whose labels are known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from box_room import write_votenet

from s4token_model import constants
from s4token_model.datasets import scannet
from s4token_model.evaluation import benchmarks

CABINET = scannet.NAMES.index("cabinet")


class Prelabeled:
    """Predicts the labels and superpoints that it is given."""

    def __init__(self, labels):
        self.labels = labels

    def make_vocabulary(self, names, templates=None):
        return SimpleNamespace(names=names)

    def encode(self, xyz, rgb):
        return len(xyz)

    def label(self, count, words):
        superpoints = np.zeros(count, np.uint32)
        return SimpleNamespace(labels=self.labels, confidence=np.full(count, 0.5, np.float32), superpoints=superpoints)


@pytest.fixture
def root(tmp_path):
    """A room whose box, of NYU40 class 3 (cabinet), is object 2 and whose walls are object 1; labels as written."""
    write_votenet(tmp_path, "scene0000_00")
    labels = np.load(tmp_path / "scene0000_00_sem_label.npy")
    np.save(tmp_path / "scene0000_00_ins_label.npy", np.where(labels == 3, 2, labels == 1).astype(np.uint32))
    return tmp_path


def run(root, labels):
    return benchmarks.run("objects", root=root, segmenter=Prelabeled(labels.astype(np.uint32)), as_json=True)


def test_perfect_labels_find_every_object(root):
    labels = scannet.load_room(root, "scene0000_00").label
    result = run(root, labels)
    assert {name: n for name, n in result["objects"].items() if n} == {"cabinet": 1}
    for semantics in ("true", "predicted"):
        for kind in ("points", "boxes"):
            assert result[semantics][kind] == {
                "ap25": 1.0, "ap25_of_class": {"cabinet": 1.0}, "ap50": 1.0, "ap50_of_class": {"cabinet": 1.0}
            }  # fmt: skip


def test_half_an_object_counts_at_25_percent_only(root, capsys):
    room = scannet.load_room(root, "scene0000_00")
    labels, box = room.label.copy(), np.flatnonzero(room.label == CABINET)
    labels[box[: int(0.6 * len(box))]] = constants.UNLABELED
    result = run(root, labels)
    assert result["true"]["points"]["ap50"] == 1.0
    assert (result["predicted"]["points"]["ap25"], result["predicted"]["points"]["ap50"]) == (1.0, 0.0)
    benchmarks.run("objects", root=root, segmenter=Prelabeled(labels))
    assert "cabinet" in capsys.readouterr().out.rpartition("mean AP")[2]


def test_predictions_where_nobody_annotated_do_not_count(root):
    room = scannet.load_room(root, "scene0000_00")
    ceiling = room.nyu40 == 22  # of no class of ScanNet20
    labels = np.where(ceiling, CABINET, room.label)
    assert run(root, labels)["predicted"]["points"]["ap50"] == 1.0
    on_floor = np.where(room.label == scannet.NAMES.index("floor"), CABINET, room.label)
    assert run(root, on_floor)["predicted"]["points"]["ap50"] == 0.5  # more points at the same score: ranked first


def test_a_room_without_instance_labels_says_what_is_missing(root):
    (root / "scene0000_00_ins_label.npy").unlink()
    with pytest.raises(ValueError, match="scene0000_00_ins_label.npy is missing"):
        run(root, np.zeros(1))
