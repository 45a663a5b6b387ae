"""Figures of the paper on made data: what the pictures show, and that they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import paper_data
import pytest
from PIL import Image

from s4token_model import config as configs
from s4token_model.config import Config
from s4token_model.paper import drawings, figures_command
from s4token_model.paper.figures_command import SHAPE
from s4token_model.pictures.grid import HEAD, SIDE


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    paper_data.write_scannet(folder / "scannet")
    paper_data.write_shapenetpart(folder / "shapenetpart")
    return folder


def colors_of(rows: np.ndarray) -> np.ndarray:
    """A number for each row of colors."""
    return np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)


def test_patches_of_s4token_stay_in_their_superpoint_and_those_of_knn_do_not(data):
    config = configs.replace(Config(), {"sampling.tokens": 24})
    columns = drawings.patch_rows(data / "scannet", None, config, 1)
    assert [column.title for column in columns] == ["scene0010_00"]
    room = drawings.scannet.load_room(data / "scannet", "scene0010_00")
    truth, *patches = columns[0].colors
    assert len(np.unique(colors_of(truth))) == 2  # wall and board
    mixed = []
    for colors in patches:
        colored = (colors != drawings.UNLABELED_COLOR).any(axis=1)
        pairs = np.c_[colors_of(colors), room.superpoint][colored]
        mixed.append(len(np.unique(pairs, axis=0)) - len(np.unique(pairs[:, 0])))
        assert colored.mean() > 0.5
    assert mixed[0] > 0 and mixed[1] == 0


def test_gamma_brings_centers_to_the_small_superpoint(data):
    config = configs.replace(Config(), {"sampling.tokens": 24})
    columns = drawings.gamma_columns(data / "scannet", ["0011"], config)
    room = drawings.scannet.load_room(data / "scannet", "scene0011_00")
    small = room.superpoint == np.bincount(room.superpoint).argmin()
    marked = [(column.colors[0][small] == drawings.MARK).all(axis=1).mean() for column in columns]
    assert [column.title for column in columns][::4] == ["γ = 0", "γ = 1"] and marked[-1] > 2 * marked[0]


def test_truth_projection_and_model_in_one_picture(data, tiny_model, tmp_path, capsys):
    words = ["2", "--root", str(data / "shapenetpart"), "--out", str(tmp_path / "2.png"), "--model", str(tiny_model)]
    assert figures_command.main(words) == 0 and "2.png" in capsys.readouterr().out
    assert Image.open(tmp_path / "2.png").size == (SIDE + SHAPE[0], HEAD + 3 * SHAPE[1])  # one category is there: table
    words[0], words[2] = "A", str(data / "scannet")
    assert figures_command.main([*words, "--rooms", "0010", "--set", "sampling.tokens=16"]) == 0
    with pytest.raises(ValueError, match="no test shape of airplane"):
        drawings.part_columns(data / "shapenetpart", ("airplane",), [])


def test_a_figure_that_is_no_picture_is_refused_before_it_is_drawn(tmp_path):
    with pytest.raises(ValueError, match=r"a\.txt: a figure is a picture; give a name that ends in \.png"):
        figures_command.main(["A", "--root", str(tmp_path), "-o", str(tmp_path / "a.txt")])
