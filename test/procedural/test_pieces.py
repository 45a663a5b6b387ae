"""The language of pieces: positions, mirror images, repetitions and optional parts, measured on what they draw."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.procedural.catalog import tables
from s4token_model.procedural.classes import PROCEDURAL
from s4token_model.procedural.mesh import doubled_areas
from s4token_model.procedural.pieces import Maker, parse


def drawn(pieces: str, seed: int = 0, size=(1.0, 0.5, 2.0), header: str = "chair:odd 1 10 10 10 s40 wood/metal"):
    return Maker(f"{header}\n- {pieces}").draw("chair", np.random.default_rng(seed), "odd", size)


def boxes(thing) -> np.ndarray:
    """Bounds (n, 2, 3) of the boxes that a thing is made of, 12 triangles each."""
    corners = thing.vertices[thing.triangles].reshape(-1, 36, 3)
    return np.stack([corners.min(axis=1), corners.max(axis=1)], axis=1)


def test_positions_are_percent_of_the_size_centimeters_and_the_level():
    low, high = boxes(drawn("seat box -50 50-10c -20 20 s-5c s+2.5c"))[0]
    assert np.allclose(low, [-0.5, -0.1, 0.35]) and np.allclose(high, [0.4, 0.1, 0.425])
    low, high = boxes(drawn("top box -5c 5c -50 50 100-.5c 100"))[0]
    assert np.allclose(low, [-0.05, -0.25, 1.995]) and np.allclose(high, [0.05, 0.25, 2.0])


def test_pieces_are_mirrored_and_repeated():
    legs = boxes(drawn("leg box/xy 40 50 40 50 0 50"))
    centers = {tuple(np.round(center[:2].astype(float), 3)) for center in legs.mean(axis=1)}
    assert centers == {(x, y) for x in (-0.45, 0.45) for y in (-0.225, 0.225)}
    slats = boxes(drawn("back box*3z:10 -50 50 -50 50 0 100"))
    assert np.allclose(slats[:, :, 2], [[0, 0.1], [0.95, 1.05], [1.9, 2.0]])
    halves = boxes(drawn("seat box*2x:0 -50 50 -50 50 0 100"))
    assert np.allclose(halves[:, :, 0], [[-0.5, 0], [0, 0.5]])
    assert len(boxes(drawn("panel box*@25x:2 -50 50 -50 50 0 100"))) == 4
    counts = {len(boxes(drawn("back box*2-4z:5 -50 50 -50 50 0 100", seed))) for seed in range(20)}
    assert counts == {2, 3, 4}


def test_optional_parts_come_together():
    things = [
        drawn("seat box -50 50 -50 50 0 10; arm? box 0 10 0 10 0 10; arm? box 20 30 0 10 0 10", k) for k in range(40)
    ]
    assert {thing.parts.count("arm") for thing in things} == {0, 1}
    assert {len(boxes(thing)) for thing in things} == {1, 3}


def test_alternatives_and_kinds_are_chosen():
    maker = Maker("sofa:wide 1 200 80 90 fabric\nsofa:small 3 100 80 90 fabric\n- #soft seat box -50 50 -50 50 0 100")
    widths = [np.ptp(maker.draw("sofa", np.random.default_rng(k)).vertices[:, 0]) for k in range(60)]
    assert 5 < sum(np.isclose(widths, 2.0)) < 30
    small = maker.draw("sofa", np.random.default_rng(0), "small")
    assert np.isclose(np.ptp(small.vertices[:, 0]), 1.0) and "soft" in small.attributes
    assert np.allclose(maker.limits("sofa", "wide"), [[2.0, 0.8, 0.9]] * 2)
    assert maker.limits("sofa", "round") is None and np.allclose(maker.limits("sofa")[:, 0], [1.0, 2.0])


def test_bad_lines_are_named():
    for text in ("seat box 0 0 0", "seat cube 0 1 0 1 0 1", "seat box a 1 0 1 0 1"):
        with pytest.raises(ValueError, match="no piece"):
            parse(f"chair 1 10 10 10 wood\n- {text}")


def test_hollow_things_are_hollow_and_cloth_fills_its_box():
    bowl = drawn("bowl bowl -50 50 -50 50 0 100")
    inside = np.abs(bowl.vertices[:, :2]).max(axis=1) < 0.05
    assert bowl.vertices[inside, 2].max() < 0.3 and np.isclose(bowl.vertices[:, 2].max(), 2.0)
    cloth = drawn("fabric cloth -50 50 -50 50 0 100")
    assert np.allclose(np.ptp(cloth.vertices, axis=0)[[0, 2]], [1.0, 2.0], atol=0.02)
    assert doubled_areas(cloth.vertices, cloth.triangles).sum() / 2 > 2.2  # more than the flat 1 x 2 m


def test_every_class_of_the_tables_can_be_drawn_in_a_given_size():
    maker = tables()
    for name in (name for name in PROCEDURAL if maker.limits(name) is not None):
        thing = maker.draw(name, np.random.default_rng(1), "", (None, None, 1.7))
        assert thing.name == name and len(thing.triangles) and np.isfinite(thing.vertices).all()
