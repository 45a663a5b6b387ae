"""PointCloud2 layout: every datatype and byte order, padding, colors, appended fields, broken messages."""

from __future__ import annotations

import struct
import time
from contextlib import nullcontext

import numpy as np
import pytest

from s4token_model.io.pointcloud2 import Field, append, decode, layout, notes, pack_rgb, rgb, xyz


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


def test_float_colors_that_rounding_raised_above_1_are_not_divided_by_255():
    points = {n: np.array([0, 0.5, 1.0000001], np.float32) for n in ("r", "g", "b")}
    assert points["r"].max() > 1 and np.array_equal(rgb(points)[:, 0], np.float32([0, 0.5, 1]))
    assert np.array_equal(rgb({"rgb": np.float64([[0, 0.5, 1.004]])}), np.float32([[0, 0.5, 1]]))


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


XYZ = [Field(name, 4 * i, 7) for i, name in enumerate("xyz")]


def cloud(count=6, step=16, **changes):
    """Keyword arguments of `decode` for points whose x, y, z and 4 more bytes are known."""
    values = np.arange(count * step, dtype=np.uint8).reshape(count, step)
    values[:, :12] = np.arange(count * 3, dtype="<f4").view(np.uint8).reshape(count, 12)
    base = {"fields": XYZ, "data": values.tobytes(), "width": count, "height": 1, "point_step": step, "row_step": 0}
    return {**base, "is_bigendian": False, **changes}


POSITIONS = np.arange(18, dtype=np.float32).reshape(6, 3)


@pytest.mark.parametrize("row_step", [0, 1, 16, 47, 48, 49, 96, 1000, 2**32 - 1])
@pytest.mark.parametrize("height", [1, 2, 3, 6])
def test_data_without_padding_is_read_whatever_row_step_says(row_step, height):
    points = decode(**cloud(width=6 // height, height=height, row_step=row_step))
    assert np.array_equal(xyz(points), POSITIONS)


@pytest.mark.parametrize("row_step", [0, 1, 48, 53, 106, 2**31])
@pytest.mark.parametrize("tail", [5, 0])
def test_padded_rows_are_found_by_row_step_or_by_the_size(row_step, tail):
    data = cloud()["data"]
    padded = data[:48] + b"\xab" * 5 + data[48:] + b"\xab" * tail
    if tail or row_step == 53:
        points = decode(**cloud(width=3, height=2, row_step=row_step, data=padded))
        if row_step != 48:  # which these bytes allow
            assert np.array_equal(xyz(points), POSITIONS)
    else:
        with pytest.raises(ValueError, match=f"row_step is {row_step} bytes") if row_step != 48 else nullcontext():
            decode(**cloud(width=3, height=2, row_step=row_step, data=padded))


@pytest.mark.parametrize(
    ("more", "names", "words"),
    [
        ([Field("_", 12, 2), Field("_", 13, 2), Field("", 14, 2)], "", ""),
        ([Field("t", 12, 5), Field("t", 12, 4)], "t t_2", "'t' -> 't_2'"),
        ([Field("x", 12, 7)], "x_2", "'x' -> 'x_2'"),
        ([Field("far", 12, 8)], "", "field 'far' ends at byte 20, beyond point_step 16: it is not used"),
        ([Field("far", 400, 2)], "", "'far' ends at byte 401"),
        ([Field("odd", 12, 77)], "odd", "'odd' has datatype 77"),
        ([Field("odd", 12, 0), Field("r", 14, 4)], "odd r", "'odd' has datatype 0"),
        ([Field("big", 12, 7, 2**32 - 1)], "", "'big' ends at byte"),
        ([Field("Höhe", 12, 7, 0)], "Höhe", ""),
    ],
)
def test_fields_that_are_not_used_never_cost_the_cloud(more, names, words):
    for fields in ([*XYZ, *more], [*more, *XYZ]) if names != "x_2" else ([*XYZ, *more],):
        points = decode(**cloud(fields=fields))
        assert np.array_equal(xyz(points), POSITIONS) and points.itemsize == 16
        assert set(points.dtype.names) == {*"xyz", *names.split()}
        assert words in " ".join(notes(fields, 16)) and bool(words) == bool(notes(fields, 16))
        out = append(points, {"label": np.arange(6, dtype=np.uint32)})
        again = decode(layout(out)[0], out.tobytes(), 6, 1, out.itemsize, 0, False)
        assert list(again["label"]) == list(range(6)) and np.array_equal(xyz(again), POSITIONS)
        assert out.tobytes()[:16] == points.tobytes()[:16]  # the bytes are there, whatever they mean


@pytest.mark.parametrize("field", [Field("y", 4, 77), Field("y", 4, 7, 5), Field("y", 14, 7), Field("y", 4, 11)])
def test_coordinates_that_cannot_be_read_are_refused(field):
    with pytest.raises(ValueError, match="y"):
        xyz(decode(**cloud(fields=[XYZ[0], field, XYZ[2]])))


@pytest.mark.parametrize(("datatype", "kind"), [(9, "<i8"), (10, "<u8"), (11, "?")])
def test_datatypes_of_pcl_are_read_and_published_again(datatype, kind):
    points = decode(**cloud(step=20, fields=[*XYZ, Field("t", 12, datatype)]))
    assert points["t"].dtype == np.dtype(kind) and np.array_equal(xyz(points), POSITIONS)
    fields, step, _ = layout(points)
    assert step == 20 and fields[3] == Field("t", 12, datatype)


@pytest.mark.parametrize("names", ["X Y Z", "pos_x pos_y pos_z", "Px Py Pz"])
def test_coordinates_in_other_spellings_are_called_x_y_z(names):
    fields = [Field(name, 4 * i, 7) for i, name in enumerate(names.split())]
    points = decode(**cloud(fields=fields))
    assert np.array_equal(xyz(points), POSITIONS) and points.dtype.names == ("x", "y", "z")
    assert "'x'" in notes(fields, 16)[0]


@pytest.mark.parametrize("name", ["xyz", "position", "XYZ", "points"])
def test_one_field_of_three_values_holds_the_coordinates(name):
    assert np.array_equal(xyz(decode(**cloud(fields=[Field(name, 0, 7, 3)]))), POSITIONS)


@pytest.mark.parametrize(
    "change",
    [
        {"fields": [], "point_step": 0, "width": 0, "height": 0, "data": b""},
        {"fields": [], "width": 0}, {"point_step": 0, "width": 0}, {"height": 0}, {"width": 0, "data": b"\0" * 7},
        {"fields": [Field("range", 0, 7)], "width": 0}, {"fields": [Field("x", 0, 99)], "width": 0, "row_step": 5},
    ],
)  # fmt: skip
def test_clouds_without_points_are_empty_whatever_their_fields_say(change):
    message = cloud(**change)
    points = decode(**message)
    assert xyz(points).shape == (0, 3) and rgb(points) is None
    assert notes(message["fields"], message["point_step"]) in ((), notes(message["fields"], 16))
    assert layout(append(points, {"label": np.zeros(0, np.uint32)}))[0][-1].name == "label"


@pytest.mark.parametrize(
    "names", ["red green blue", "R G B", "Red Green Blue", "diffuse_red diffuse_green diffuse_blue"]
)
def test_colors_are_found_in_usual_spellings(names):
    levels = np.arange(9, dtype=np.uint8).reshape(3, 3)
    assert np.allclose(rgb({name: levels[:, i] for i, name in enumerate(names.split())}), levels / 255)


def test_many_fields_are_read_in_a_moment():
    fields = [*XYZ, *(Field(f"f{i % 8000}", 12, 2) for i in range(16000))]
    start = time.perf_counter()
    assert len(decode(**cloud(fields=fields)).dtype.names) == 16003
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("row_step", [48, 96])  # of a row, and of the whole cloud
def test_bytes_behind_the_last_row_move_no_point(row_step):
    fields = [Field(name, 4 * i, 7) for i, name in enumerate("xyz")]
    points = np.arange(24, dtype="<f4").reshape(8, 3)
    assert np.array_equal(xyz(decode(fields, points.tobytes() + b"\xff" * 24, 4, 2, 12, row_step, False)), points)
