"""The point renderer: what hides what, framing, cutting rooms open, color maps, and pictures written to files."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from box_room import room
from PIL import Image

from s4token_model import constants
from s4token_model.palette import heat, index_colors, label_colors
from s4token_model.pictures import camera as viewpoint
from s4token_model.pictures import figures, plots, renderer

SIZE = (160, 120)


def palette(count: int) -> np.ndarray:
    return index_colors(np.arange(count))


def oklab_lightness(rgb: np.ndarray) -> np.ndarray:
    """Oklab's L of sRGB (..., 3) in [0, 1], see https://bottosson.github.io/posts/oklab."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_lms = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    return np.cbrt(linear @ to_lms.T) @ np.array([0.2104542553, 0.7936177850, -0.0040720468])


def square(z: float, half: float = 1.0, count: int = 60) -> np.ndarray:
    """A level square of points at height z."""
    u = np.linspace(-half, half, count)
    return np.stack([*np.meshgrid(u, u), np.full((count, count), z)], -1).reshape(-1, 3)


def test_the_nearer_surface_hides_the_farther():
    xyz = np.concatenate([square(0.0), square(1.0, 0.5)])
    tint = np.repeat(np.array([[255, 0, 0], [0, 255, 0]], np.uint8), [3600, 3600], axis=0)
    raster = renderer.trace(xyz, SIZE, "object")
    image = renderer.paint(raster, tint)
    column, row, _ = raster.camera.project(np.array([[0.0, 0.0, 1.0], [0.9, -0.9, 0.0]]))
    at = (np.stack([row, column], 1) / renderer.SUPERSAMPLE).astype(int)
    assert image[tuple(at[0])].argmax() == 1 and image[tuple(at[1])].argmax() == 0
    assert (image[0, 0] == 255).all()


@pytest.mark.parametrize("kind", ["object", "street", "camera", "room"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_every_point_is_inside_the_picture(kind, scale):
    xyz = scale * (np.random.default_rng(0).random((500, 3)) * [3, 2, 1] + [5, -1, 4])
    camera = viewpoint.choose_camera(xyz, np.tile([0.0, 0, 1], (500, 1)), kind, SIZE)
    shown = viewpoint.cut_away(xyz, np.tile([0.0, 0, 1], (500, 1)), "object" if kind == "room" else kind, camera)
    column, row, depth = camera.project(xyz[shown])
    assert (depth > 0).all()
    assert (column >= 0).all() and (column <= SIZE[0]).all() and (row >= 0).all() and (row <= SIZE[1]).all()


def test_cameras_stand_upright_and_are_not_mirrored():
    xyz = np.random.default_rng(1).random((200, 3))
    camera = viewpoint.look_at(xyz, -90.0, 10.0, SIZE)  # from -y: +x is right, +z is up
    column, row, _ = camera.project(np.array([[0.5, 0.5, 0.5], [0.6, 0.5, 0.5], [0.5, 0.5, 0.6]]))
    assert column[1] > column[0] and row[2] < row[0]
    np.testing.assert_allclose(np.linalg.det(camera.axes), 1.0)
    optical = viewpoint.look_at(xyz + [0, 0, 1], -90.0, 10.0, SIZE, viewpoint.OPTICAL)
    column, row, depth = optical.project(np.array([[0.5, 0.5, 1.5], [0.6, 0.5, 1.5], [0.5, 0.6, 1.5], [0.5, 0.5, 1.6]]))
    assert column[1] > column[0] and row[2] > row[0] and depth[3] > depth[0]


def test_rooms_are_cut_open():
    xyz, part = room()
    raster = renderer.trace(xyz, SIZE)
    assert raster.kind == "room"
    seen = np.bincount(part[raster.index[raster.index >= 0]], minlength=4)
    assert seen[2] == 0, "the ceiling must go"
    assert seen[0] > 500 and seen[3] > 200 and seen[1] > 200


@pytest.mark.parametrize(
    ("points", "kind"),
    [
        (np.random.default_rng(5).normal(size=(4000, 3)) ** 3 * [6, 6, 0.1] + [0, 0, -2], "street"),
        (square(0.0, 40.0), "object"),
        (room()[0], "room"),
        (square(0.0, 0.3) + [0, 0, 5], "camera"),
        (np.random.default_rng(2).random((100, 3)) - 0.5, "object"),
        (np.zeros((0, 3)), "object"),
    ],
)
def test_kinds_are_told_apart(points, kind):
    assert viewpoint.guess_kind(points) == kind


def test_pictures_do_not_depend_on_scale_or_place():
    xyz = np.random.default_rng(3).normal(size=(3000, 3)) * [1, 0.7, 0.5]
    one = renderer.trace(xyz, SIZE, "object").index
    two = renderer.trace(64.0 * xyz + [128.0, -32.0, 8.0], SIZE, "object").index
    assert (one == two).mean() > 0.995


@pytest.mark.parametrize(
    "xyz",
    [
        np.zeros((0, 3)),
        np.zeros((1, 3)),
        np.ones((50, 3)),
        np.full((5, 3), np.nan),
        np.array([[0, 0, 0], [1, 1, 1], [np.nan, 0, 0], [np.inf, 0, 0]], float),
    ],
)
def test_degenerate_clouds_give_a_picture(xyz):
    image = renderer.paint(renderer.trace(xyz, SIZE), np.zeros((len(xyz), 3), np.uint8))
    assert image.shape == (120, 160, 3) and image.dtype == np.uint8
    assert (image < 255).any() == bool(np.isfinite(xyz).all(1).any())


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"\(4,\)"):
        renderer.trace(np.zeros(4))
    with pytest.raises(ValueError, match="'sky'"):
        renderer.trace(np.zeros((4, 3)), SIZE, "sky")
    with pytest.raises(ValueError, match="'green'"):
        renderer.paint(renderer.trace(np.zeros((4, 3)), SIZE), np.zeros((4, 3)), "green")


def test_heat_is_perceptually_uniform():
    levels = oklab_lightness(heat(np.linspace(0, 1, 65)) / 255.0)
    assert (np.diff(levels) > 0).all()
    np.testing.assert_allclose(np.diff(levels), np.diff(levels).mean(), atol=0.008)
    assert tuple(heat(np.array(np.nan))) == constants.UNLABELED_COLOR


def test_legend_lists_only_what_occurs_by_frequency():
    labels = np.array([2] * 6 + [0] * 3 + [65535])
    entries = figures._legend_entries(figures.Legend(labels, ("chair", "bed", "wall"), palette(3)))
    assert [(name, round(fraction, 2)) for name, _, fraction in entries] == [
        ("wall", 0.6),
        ("chair", 0.3),
        ("unlabeled", 0.1),
    ]


def test_pictures_are_written(tmp_path):
    xyz, part = room(0.1)
    xyz[7] = np.nan
    names, tints = ("floor", "wall", "ceiling", "писалка"), palette(4)
    labels = np.where(np.arange(len(part)) % 50 == 0, 65535, part)
    figures.save_labels_picture(
        tmp_path / "new" / "labels.png", xyz, labels, names, tints, "a room", figures.trace(xyz, SIZE)
    )
    with Image.open(tmp_path / "new" / "labels.png") as picture:
        assert picture.size == (SIZE[0] + figures.PANEL, SIZE[1] + 52)
    ids = np.where(np.isfinite(xyz).all(1), part, 4294967295).astype(np.uint32)
    figures.save_superpoints_picture(tmp_path / "superpoints.png", xyz, ids, raster=figures.trace(xyz, SIZE))
    columns = [("a", label_colors(labels, tints)), ("b", np.full((len(xyz), 3), 0.5))]
    figures.save_comparison(tmp_path / "both.png", xyz, columns, SIZE, figures.Legend(labels, names, tints))
    with Image.open(tmp_path / "both.png") as picture:
        assert picture.size == (2 * SIZE[0] + figures.PANEL, SIZE[1] + 52)
    many = [f"class {i}" for i in range(100)]
    raster = figures.trace(xyz, SIZE)
    figures.save_labels_picture(
        tmp_path / "many.png", xyz, np.arange(len(xyz)) % 100, many, palette(100), raster=raster
    )


def test_the_best_superpoint_is_marked(tmp_path):
    xyz, part = room(0.1)
    score = np.where(part == 3, 0.9, 0.1)
    score[:3] = np.nan
    raster = figures.trace(xyz, (320, 240))
    for name, ids in (("plain", None), ("marked", part)):
        figures.save_similarity_picture(tmp_path / f"{name}.png", xyz, score, "box", ids, top=1, raster=raster)
    plain, marked = (np.asarray(Image.open(tmp_path / f"{n}.png")).astype(int) for n in ("plain", "marked"))
    rows, columns = np.nonzero(np.abs(plain - marked).sum(2))
    column, row, _ = raster.camera.project(xyz[part == 3].mean(0, keepdims=True))
    assert abs(rows.mean() - 52 - row[0] / 2) < 20 and abs(columns.mean() - column[0] / 2) < 20


def test_a_confusion_matrix_is_drawn_or_says_what_is_missing(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="matplotlib belongs to the train requirements")
    counts = np.array([[5, 1, 0, 2], [0, 0, 0, 0], [3, 0, 9, 0]])
    plots.save_confusion_picture(tmp_path / "new" / "confusion.png", counts, ("wall", "floor", "bed"))
    with Image.open(tmp_path / "new" / "confusion.png") as picture:
        assert min(picture.size) > 100
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        plots.new_figure(1, 1)
