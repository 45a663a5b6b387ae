"""Boxes in a picture of a labeled cloud: around what is in sight, and nowhere else."""

from __future__ import annotations

import numpy as np
from PIL import Image

from s4token_model.objects import find_objects
from s4token_model.pictures.figures import save_labels_picture
from s4token_model.pictures.object_picture import DARK, save_objects_picture


def test_boxes_and_words_are_drawn_around_what_is_in_sight(tmp_path):
    rng = np.random.default_rng(0)
    xyz = np.concatenate([rng.random((400, 3)), rng.random((400, 3)) + [3, 0, 0]])
    labels = np.repeat([0, 1], 400).astype(np.uint32)
    colors = np.array([[200, 100, 50], [40, 90, 240]], np.uint8)
    objects = find_objects(xyz, labels, np.ones(800, np.float32), [True, True])

    def picture(of_point):
        found = objects._replace(of_point=of_point)
        save_objects_picture(tmp_path / "a.png", xyz, labels, ["box", "bag"], colors, found)
        return np.asarray(Image.open(tmp_path / "a.png"))

    save_labels_picture(tmp_path / "plain.png", xyz, labels, ["box", "bag"], colors)
    plain, both = np.asarray(Image.open(tmp_path / "plain.png")), picture(objects.of_point)
    np.testing.assert_array_equal(picture(np.full(800, -1)), plain)
    one = picture(np.where(objects.of_point == 0, -1, objects.of_point))
    changed = [(image != plain).any(axis=2) for image in (one, both)]
    assert 500 < changed[0].sum() < changed[1].sum() and not (changed[0] & ~changed[1]).any()
    ink = (DARK * colors[1].astype(float)).astype(int)
    assert ((one == ink).all(axis=2) & changed[0]).sum() > 100
