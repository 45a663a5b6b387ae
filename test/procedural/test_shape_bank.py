"""Banks of CAD models: how shapes are varied, chosen by kind and size, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from s4token_model.procedural import scenes, shape_bank
from s4token_model.procedural.catalog import make_outdoors, make_thing
from s4token_model.procedural.classes import PARTS
from s4token_model.procedural.materials import COLORS
from s4token_model.procedural.mesh import box, join
from s4token_model.procedural.shape_bank import ShapeBank
from s4token_model.procedural.street_vegetation import plant
from s4token_model.training.procedural_samples import make_scene
from s4token_model.training.settings import MiniConfig

RED, GREEN = (180, 35, 30), (50, 115, 56)


def write(folder, shapes: list[dict]):
    """Write a bank of boxes: each shape is a dict of the manifest with `boxes`: (low, high, part, color)."""
    vertices, triangles, color, part, rows = [], [], [], [], []
    for item in shapes:
        pieces = item.pop("boxes")
        points, faces = join([box(low, high) for low, high, _, _ in pieces])
        start = sum(map(len, vertices)), sum(map(len, triangles))
        vertices.append(points.astype(np.float32))
        triangles.append(faces)
        part.append(np.repeat([PARTS.index(name) for *_, name, _ in pieces], 12).astype(np.int16))
        color.append(np.repeat([rgb for *_, rgb in pieces], 12, axis=0).astype(np.uint8))
        rows.append(
            {
                "id": f"test/{len(rows)}",
                "source": 0,
                "size": np.ptp(points, axis=0).tolist(),
                "vertices": [start[0], start[0] + len(points)],
                "triangles": [start[1], start[1] + len(faces)],
                "tags": [],
            }
            | item
        )
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"version": 1, "sources": [], "shapes": rows}))
    names = ("vertices", "triangles", "color", "part")
    arrays = [np.concatenate(rows) for rows in (vertices, triangles, color, part)]
    np.savez_compressed(folder / "shapes.npz", **dict(zip(names, arrays, strict=True)))
    return folder


def cuboid(name: str, size, part: str = "whole", rgb=RED, **more) -> dict:
    w, d, h = size
    return {"class": name, "boxes": [((-w / 2, -d / 2, 0), (w / 2, d / 2, h), part, rgb)]} | more


@pytest.fixture
def folder(tmp_path):
    shapes = [cuboid("chair", (0.5, 0.5, 0.9), "seat") for _ in range(8)]
    shapes += [cuboid("table", (1.4, 0.8, 0.74), "top", tags=["dining table"]) for _ in range(4)]
    shapes += [cuboid("table", (0.9, 0.5, 0.4), "top") for _ in range(4)]
    shapes += [cuboid("lamp", (0.4, 0.4, 0.5), elevation=1.9) for _ in range(9)]
    stem, crown = ((-0.1, -0.1, 0), (0.1, 0.1, 2), "stem", (80, 60, 45)), ((-1, -1, 2), (1, 1, 5), "leaf", GREEN)
    shapes += [{"class": "vegetation", "boxes": [stem, crown]} for _ in range(9)]
    shapes += [cuboid("bicycle", (0.1, 1.7, 1.0)) for _ in range(9)]
    return write(tmp_path / "bank", shapes)


def draws(bank: ShapeBank, name: str, count: int = 40, **how):
    things = (bank.draw(name, np.random.default_rng(seed), **how) for seed in range(count))
    return [thing for thing in things if thing is not None]


def test_shapes_are_scaled_per_axis_and_stand_on_the_ground(folder):
    things = draws(ShapeBank(folder), "chair")
    sizes = np.array([np.ptp(t.vertices, axis=0) for t in things]) / [0.5, 0.5, 0.9]
    assert 20 < len(things) < 35  # 0.75 * 8 / 11 of them
    assert sizes.min() > 0.84 and sizes.max() < 1.21 and np.ptp(sizes[:, 0] / sizes[:, 1]) > 0.2
    for thing in things:
        low, high = thing.vertices.min(axis=0), thing.vertices.max(axis=0)
        assert thing.parts == ("seat",) and abs(low[2]) < 1e-6 and np.allclose((low + high)[:2], 0, atol=1e-6)


def test_words_of_color_and_size_are_true(folder):
    things = draws(ShapeBank(folder), "chair", 120)
    recolored = [t for t in things if "red" not in t.attributes]
    assert 0.1 < len(recolored) / len(things) < 0.5
    for thing in things:
        named = [word for word in thing.attributes if word in COLORS]
        distance = {word: np.linalg.norm(np.array(rgb) - thing.color[0]) for word, rgb in COLORS.items()}
        assert named == [min(distance, key=distance.get)]
        height = np.ptp(thing.vertices[:, 2]) / 0.9
        assert ("tall" in thing.attributes) == (height > 1.2) and ("low" in thing.attributes) == (height < 0.8)


def test_kinds_are_chosen_by_tag_then_by_size(folder):
    bank = ShapeBank(folder)
    assert all(np.ptp(t.vertices[:, 2]) > 0.6 for t in draws(bank, "table", kind="dining"))
    low = np.array([[0.7, 0.45, 0.34], [1.35, 0.8, 0.5]])
    assert all(np.ptp(t.vertices[:, 2]) < 0.5 for t in draws(bank, "table", limits=low))
    assert draws(bank, "lamp") == [] and draws(bank, "lamp", kind="ceiling")
    assert draws(bank, "sofa") == []


def test_sizes_that_are_asked_for_are_met(folder):
    bank = ShapeBank(folder)
    for thing in draws(bank, "table", size=(1.2, None, 0.7)):
        assert np.allclose(np.ptp(thing.vertices, axis=0)[[0, 2]], [1.2, 0.7], atol=1e-5)
    assert draws(bank, "table", size=(4.0, None, None)) == []


def test_trees_come_apart_and_cyclists_sit_on_bicycles(folder):
    bank = ShapeBank(folder)
    groups = [plant("tree", np.random.default_rng(seed), bank) for seed in range(40)]
    cad = [things for things in groups if set(things[0].parts) == {"stem", "leaf"}]
    assert 3 < len(cad) < 15 and all([t.name for t in things] == ["tree trunk", "vegetation"] for things in groups)
    for trunk, crown in cad:
        assert trunk.vertices[:, 2].max() == pytest.approx(crown.vertices[:, 2].min(), abs=1e-3)
    (rider,) = make_outdoors("bicyclist", np.random.default_rng(0), bank)
    assert rider.name == "bicyclist" and 1.5 < np.ptp(rider.vertices[:, 2]) < 2.1


def test_the_same_seed_gives_the_same_room_of_a_bank(folder):
    bank = shape_bank.open_bank(str(folder))
    assert shape_bank.open_bank(str(folder)) is bank and shape_bank.open_bank("") is None
    a, b, plain = scenes.make_room(4, bank), scenes.make_room(4, bank), scenes.make_room(4)
    assert np.array_equal(a.vertices, b.vertices) and np.array_equal(a.color, b.color)
    assert a.vertices.shape != plain.vertices.shape
    assert {i.name for i in scenes.make_object(3, "chair", bank).instances} == {"chair"}
    assert any(make_thing("chair", np.random.default_rng(k), bank).parts == ("seat",) for k in range(5))


def test_plain_rooms_have_no_models_and_the_other_rooms_stay_as_they_are(folder):
    with_bank, some, plain = (MiniConfig(shapes=str(folder), plain_rooms=part) for part in (0.0, 0.5, 1.0))
    seeds = range(40, 46)

    def rooms(config):
        return [make_scene("depth", seed, config).vertices for seed in seeds]

    def same(first, second):
        return [np.array_equal(a, b) for a, b in zip(first, second, strict=True)]

    assert all(same(rooms(plain), [scenes.make_room(seed).vertices for seed in seeds]))
    bank, mixed = same(rooms(some), rooms(with_bank)), same(rooms(some), rooms(plain))
    assert 0 < sum(bank) < 6 and all(a != b for a, b in zip(bank, mixed, strict=True))
    # An object is no room
    assert same([make_scene("object", 3, plain).vertices], [make_scene("object", 3, with_bank).vertices]) == [True]


def test_bad_banks_are_refused(tmp_path, folder):
    with pytest.raises(ValueError, match="is no bank of shapes.*make shapes"):
        ShapeBank(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    for key, value, message in (("class", "spaceship", "unknown class"), ("vertices", [0, 3], "does not fit")):
        changed = json.loads(json.dumps(manifest))
        changed["shapes"][0][key] = value
        (folder / "manifest.json").write_text(json.dumps(changed))
        with pytest.raises(ValueError, match=message):
            ShapeBank(folder)
