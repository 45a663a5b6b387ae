"""PointCloud2 layout: every datatype and byte order, padding, colors, appended fields, broken messages."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from s4token_model.io.pointcloud2 import Field, append, decode, layout, pack_rgb, rgb, xyz


def message(points, is_bigendian=False, height=1, row_padding=0):
    """Keyword arguments of `decode` for a structured array, with `row_padding` bytes of 0xAB behind each row."""
    fields, step, _ = layout(points)
    width = len(points) // height
    rows = points.tobytes()
    data = b"".join(rows[i * width * step : (i + 1) * width * step] + b"\xab" * row_padding for i in range(height))
    row_step = width * step + row_padding
    return {"fields": fields, "data": data, "width": width, "height": height, "point_step": step, "row_step": row_step,
                "is_bigendian": is_bigendian}  # fmt: skip


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("code", ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8"])
def test_every_datatype_and_byte_order_is_read_like_struct_does(code, order):
    kind = np.dtype(order + code)
    points = np.zeros(6, np.dtype({"names": list("xyz"), "formats": [kind] * 3, "offsets": [1, 9, 17], "itemsize": 29}))
    values = np.arange(18).reshape(6, 3) % 100
    for i, name in enumerate("xyz"):
        points[name] = values[:, i]
    got = decode(**message(points, order == ">"))
    assert np.array_equal(xyz(got), values)
    expected = np.float64 if code in ("f8", "i4", "u4") else np.float32
    assert xyz(got).dtype == expected and xyz(got).flags.c_contiguous
    letter = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "f4": "f", "f8": "d"}[code]
    assert struct.unpack_from(order + letter, points.tobytes(), 2 * 29 + 9)[0] == got["y"][2]


def test_row_padding_is_removed_and_unpadded_data_are_not_copied():
    points = np.zeros(12, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("t", "<u2")])
    points["x"] = np.arange(12)
    assert np.array_equal(decode(**message(points, height=3, row_padding=5)), points)
    plain = message(points, height=3)
    data = np.frombuffer(plain["data"], np.uint8)
    assert np.shares_memory(decode(**{**plain, "data": data}), data)


def test_row_step_of_zero_is_understood_for_packed_data():
    points = np.zeros(4, [("x", "<f4"), ("y", "<f4"), ("z", "<f4")])
    assert len(decode(**{**message(points), "row_step": 0})) == 4


def test_no_points_give_no_points():
    points = np.zeros(0, [("x", "<f4"), ("y", "<f4"), ("z", "<f4")])
    got = decode(**message(points))
    assert xyz(got).shape == (0, 3) and rgb(got) is None
    out = append(got, {"label": np.zeros(0, np.uint32)})
    assert len(out) == 0 and layout(out)[1] == 16


POINT = [("x", "<f4"), ("y", "<f4"), ("z", "<f4")]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": b"\0" * 47}, "47 bytes.*need 48"),
        ({"data": b""}, "0 bytes.*need 48"),
        ({"height": 2, "width": 2, "row_step": 20, "data": b"\0" * 51}, "row_step is 20 bytes"),
        ({"point_step": 10}, "beyond point_step 10"),
        ({"point_step": 0, "fields": []}, "point_step is 0"),
        ({"fields": [Field("x", 0, 12)]}, "datatype 12"),
        ({"fields": [Field("x", -4, 7)]}, "'x'"),
    ],
)
def test_a_broken_message_is_named(change, words):
    with pytest.raises(ValueError, match=words):
        decode(**{**message(np.zeros(4, POINT)), **change})


def test_missing_coordinates_are_named_with_what_is_there():
    with pytest.raises(ValueError, match="no field 'x'; fields there are: y, z, intensity"):
        xyz(np.zeros(2, [("y", "f4"), ("z", "f4"), ("intensity", "f4")]))
    with pytest.raises(ValueError, match="count 1"):
        xyz(np.zeros(2, [("x", "f4", (3,)), ("y", "f4"), ("z", "f4")]))


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<u4", ">u4", "<i4"])
def test_packed_colors(kind):
    levels = np.random.default_rng(0).integers(0, 256, (50, 3), np.uint8)
    points = np.zeros(50, [("x", "u1"), ("rgb", kind)])
    packed = pack_rgb(levels).view(np.uint32) | (0xFF000000 if kind[1] != "f" else 0)
    points["rgb"] = packed.view("u4").astype(kind[0] + "u4").view(kind)
    assert np.allclose(rgb(points), levels / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "scale", "names"),
    [("u1", 255, "red green blue"), ("<u2", 65535, "r g b"), ("<f4", 1.0, "r g b"), ("<f8", 255.0, "red green blue")],
)
def test_separate_colors(kind, scale, names):
    unit = np.random.default_rng(1).random((40, 3))
    unit[0] = 1
    points = np.zeros(40, [(n, kind) for n in names.split()])
    for i, name in enumerate(names.split()):
        points[name] = unit[:, i] * scale
    assert np.allclose(rgb(points), unit, atol=1 / 255)
    assert rgb(points).dtype == np.float32


def test_colors_are_finite_and_in_range_whatever_the_sensor_sends():
    points = {n: np.array([np.nan, np.inf, 0.5, -3], np.float32) for n in ("r", "g", "b")}
    assert np.allclose(rgb(points)[:, 0], [0, 0, 0.5, 0])


@pytest.mark.parametrize("order", "<>")
def test_appended_fields_leave_the_old_bytes_alone(order):
    rng = np.random.default_rng(2)
    dtype = np.dtype(
        {"names": ["x", "y", "z", "ring"], "formats": [order + "f4"] * 3 + [order + "u2"], "offsets": [0, 4, 8, 20],
         "itemsize": 26}
    )  # fmt: skip
    points = rng.integers(0, 256, 26 * 9, np.uint8).view(dtype)
    label, confidence = np.arange(9, dtype=np.uint32), rng.random(9).astype(np.float32)
    out = append(points, {"label": label, "confidence": confidence})
    fields, step, big = layout(out)
    assert big == (order == ">") and [f.name for f in fields] == ["x", "y", "z", "ring", "label", "confidence"]
    raw = out.view(np.uint8).reshape(9, step)
    assert np.array_equal(raw[:, :26], points.view(np.uint8).reshape(9, 26))
    again = decode(fields, out.tobytes(), 9, 1, step, 9 * step, big)
    assert np.array_equal(again["label"], label) and np.array_equal(again["confidence"], confidence)


def test_a_field_of_the_same_name_is_kept_under_another():
    points = np.zeros(3, [*POINT, ("label", "<u2"), ("rgb", "<f4")])
    points["label"] = [7, 8, 9]
    new = {"label": np.array([1, 2, 3], np.uint32), "rgb": np.zeros(3, np.float32)}
    once = append(points, new)
    assert list(once["input_label"]) == [7, 8, 9] and list(once["label"]) == [1, 2, 3]
    twice = append(once, {"label": np.array([4, 5, 6], np.uint32)})
    assert list(twice["input_label"]) == [7, 8, 9] and list(twice["label"]) == [4, 5, 6]
    assert sorted(twice.dtype.names) == sorted(once.dtype.names)


def test_a_column_of_another_length_is_refused():
    with pytest.raises(ValueError, match="label"):
        append(np.zeros(3, POINT), {"label": np.zeros(2, np.uint32)})


def test_types_pointfield_has_no_code_for_are_refused():
    with pytest.raises(ValueError, match="'time' is"):
        layout(np.zeros(1, [("time", "<c8")]))
    with pytest.raises(ValueError, match="one byte order"):
        layout(np.zeros(1, [("x", "<f4"), ("y", ">f4")]))
