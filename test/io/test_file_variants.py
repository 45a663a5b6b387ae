"""Files as other programs write them: spellings, line ends, padding, types and lines that no reader of ours chose."""

from __future__ import annotations

import time

import numpy as np
import pytest

from s4token_model.io.files import read_cloud, write_cloud

COUNT = 12
XYZ = np.random.default_rng(0).random((COUNT, 3)).round(3).astype(np.float32)
RING = np.arange(COUNT) % 4
PLY = "ply\nformat ascii 1.0\nelement vertex 12\nproperty float x\nproperty float y\nproperty float z\n"
RING_PLY = PLY + "property uchar ring\nend_header\n"
ROWS = [f"{x:.3f} {y:.3f} {z:.3f}" for x, y, z in XYZ.tolist()]
WITH_RING = [f"{row} {ring}" for row, ring in zip(ROWS, RING, strict=True)]
PCD = [
    "# .PCD v0.7", "VERSION 0.7", "FIELDS x y z ring", "SIZE 4 4 4 1", "TYPE F F F U", "COUNT 1 1 1 1", "WIDTH 12",
    "HEIGHT 1", "VIEWPOINT 0 0 0 1 0 0 0", "POINTS 12", "DATA ascii",
]  # fmt: skip


def ply(rows=WITH_RING, head=RING_PLY):
    return head + "\n".join(rows) + "\n"


def pcd(rows=WITH_RING, **lines):
    head = [lines.pop(line.split()[0], line) for line in PCD]
    return "\n".join([*head[:1], *lines.values(), *head[1:], *rows, ""])


def check(path, blob, ring=True):
    """The file holds XYZ, and RING if it has one; returns the cloud."""
    path.write_bytes(blob if isinstance(blob, bytes) else blob.encode())
    cloud = read_cloud(path)
    assert np.array_equal(cloud.xyz, XYZ)
    assert not ring or np.array_equal(cloud.fields["ring"], RING)
    return cloud


TEXTS = {
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "CR": lambda text: text.replace("\n", "\r"),
    "byte order mark": lambda text: "\ufeff" + text,
    "UTF-16": lambda text: text.encode("utf-16"),
    "blanks behind lines": lambda text: text.replace("\n", " \t\n"),
    "tabs": lambda text: text.replace(" ", "\t"),
    "indented": lambda text: text.replace("\n", "\n  "),
    "blank lines": lambda text: text.replace("\n", "\n\n"),
    "no last line end": lambda text: text.rstrip("\n"),
    "end of file mark": lambda text: text + "\x1a",
    "commas": lambda text: "\n".join(",".join(s.split()) if s[0].isdigit() else s for s in text.splitlines()),
    "commas and blanks": lambda text: "\n".join(
        ", ".join(s.split()) if s[0].isdigit() else s for s in text.splitlines()
    ),
    "decimal commas": lambda text: "\n".join(s.replace(".", ",") if s[0].isdigit() else s for s in text.splitlines()),
    "semicolons": lambda text: "\n".join(
        s.replace(".", ",").replace(" ", ";") if s[0].isdigit() else s for s in text.splitlines()
    ),
    "a comment between the values": lambda text: text.replace(WITH_RING[3], "# here\n" + WITH_RING[3]),
}  # fmt: skip


@pytest.mark.parametrize("change", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
def test_text_is_read_whatever_program_wrote_its_lines(tmp_path, suffix, change):
    assert check(tmp_path / f"a{suffix}", change(ply() if suffix == ".ply" else pcd())).notes == ()


@pytest.mark.parametrize(
    ("word", "value"),
    [("-nan(ind)", np.nan), ("nan(snan)", np.nan), ("-nan", np.nan), ("1.#IND", np.nan), ("-1.#QNAN", np.nan),
     ("1.#INF", np.inf), ("-1.#INF00", -np.inf), ("Infinity", np.inf), ("-inf", -np.inf), ("null", np.nan),
     ("N/A", np.nan), ("1.5D0", 1.5), ("15e-1", 1.5), ("+1.5f", 1.5), ("0x10", 16)],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
def test_numbers_are_read_as_c_and_fortran_print_them(tmp_path, suffix, word, value):
    rows = [WITH_RING[0].replace(ROWS[0].split()[0], word, 1), *WITH_RING[1:]]
    (tmp_path / f"a{suffix}").write_text(ply(rows) if suffix == ".ply" else pcd(rows))
    x = read_cloud(tmp_path / f"a{suffix}").xyz[:, 0]
    assert np.array_equal(x, [value, *XYZ[1:, 0].tolist()], equal_nan=True)


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
def test_integers_with_a_point_and_truth_values_keep_their_type(tmp_path, suffix):
    for words in ([f"{r}.0" for r in RING], [f"{r}.000e0" for r in RING]):
        rows = [f"{a} {b}" for a, b in zip(ROWS, words, strict=True)]
        cloud = check(tmp_path / f"a{suffix}", ply(rows) if suffix == ".ply" else pcd(rows))
        assert cloud.fields["ring"].dtype == np.uint8 and cloud.notes == ()
    rows = [f"{row} {word}" for row, word in zip(ROWS, ["True", "false"] * 6, strict=True)]
    cloud = check(tmp_path / f"a{suffix}", ply(rows) if suffix == ".ply" else pcd(rows), ring=False)
    assert list(cloud.fields["ring"]) == [1, 0] * 6


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
@pytest.mark.parametrize("words", [["-1"] * 12, ["300"] * 12, ["0.5"] * 12, ["nan"] * 12])
def test_values_that_their_type_cannot_hold_stay_and_are_noted(tmp_path, suffix, words):
    rows = [f"{a} {b}" for a, b in zip(ROWS, words, strict=True)]
    cloud = check(tmp_path / f"a{suffix}", ply(rows) if suffix == ".ply" else pcd(rows), ring=False)
    assert np.array_equal(cloud.fields["ring"], np.array(words, float), equal_nan=True)
    assert "'ring' holds values that uint8 cannot hold" in cloud.notes[0]


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
def test_words_are_left_out_beside_coordinates_and_refused_as_coordinates(tmp_path, suffix):
    rows = [f"{a} chair" for a in ROWS]
    cloud = check(tmp_path / f"a{suffix}", ply(rows) if suffix == ".ply" else pcd(rows), ring=False)
    assert "'ring' is left out" in cloud.notes[0] and "ring" not in cloud.fields
    rows = ["chair 1 2 3", *WITH_RING[1:]]
    (tmp_path / f"a{suffix}").write_text(ply(rows) if suffix == ".ply" else pcd(rows))
    with pytest.raises(ValueError, match="x: 'chair' is no number"):
        read_cloud(tmp_path / f"a{suffix}")


@pytest.mark.parametrize(
    "head",
    [RING_PLY.replace("ply\n", "ply \n", 1), RING_PLY.upper().replace("RING", "ring"),
     RING_PLY.replace("uchar", "uint8_t"), RING_PLY.replace("uchar", "bool"),
     RING_PLY.replace("vertex", "point"), RING_PLY.replace("end_header", "comment\nobj_info\nend_header  "),
     RING_PLY.replace("element", "comment end_header is not here\nelement"), "\n" + RING_PLY,
     RING_PLY.replace("float x", "float X").replace("float y", "float Y").replace("float z", "float Z"),
     RING_PLY.replace("float z", "float z // [m]"), RING_PLY.replace("element", "a line of another program\nelement")],
)  # fmt: skip
def test_ply_headers_are_read_as_programs_write_them(tmp_path, head):
    check(tmp_path / "a.ply", ply(head=head))


@pytest.mark.parametrize("line", ["propety float y", "elemnt face 3", "element vertex -3", "property flot t"])
def test_ply_header_lines_that_the_values_depend_on_are_refused(tmp_path, line):
    (tmp_path / "a.ply").write_text(ply(head=RING_PLY.replace("end_header", f"{line}\nend_header")))
    with pytest.raises(ValueError, match=f"PLY header line '{line}' is not understood"):
        read_cloud(tmp_path / "a.ply")


def binary_ply(order=">", ends="\n", lists=(), before=False):
    """A binary PLY file with a ring, and a list of these lengths in every vertex."""
    head = RING_PLY.replace("ascii", {"<": "binary_little_endian", ">": "binary_big_endian"}[order])
    blob = b""
    for i, row in enumerate(XYZ):
        numbers = np.arange(lists[i % len(lists)] if lists else 0, dtype=f"{order}i4").tobytes()
        blob += row.astype(f"{order}f4").tobytes() + bytes([RING[i]])
        blob += bytes([lists[i % len(lists)]]) + numbers if lists else b""
    if lists:
        head = head.replace("end_header", "property list uchar int seen by\nend_header")
    if before:
        head = head.replace("element", "element camera 2\nproperty list char double p\nelement", 1)
        blob = b"".join(bytes([n]) + np.arange(n, dtype=f"{order}f8").tobytes() for n in (2, 1)) + blob
    return head.replace("\n", ends).encode() + blob


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("lists", [(), (2,), (0,), (0, 3, 1)])
@pytest.mark.parametrize("before", [False, True])
def test_binary_ply_files_with_lists_and_other_elements(tmp_path, order, ends, lists, before):
    blob = binary_ply(order, ends, lists, before)
    cloud = check(tmp_path / "a.ply", blob)
    assert cloud.notes == (("lists of the vertices are left out: seen by",) if lists else ()) + (
        ("elements are left out: camera",) if before else ()
    )
    (tmp_path / "a.ply").write_bytes(blob[:-1])
    with pytest.raises(ValueError, match="truncated: the header promises 12 rows of vertex, the file holds 11"):
        read_cloud(tmp_path / "a.ply")


def test_ascii_ply_files_with_lists_and_rows_that_are_no_lines(tmp_path):
    head = RING_PLY.replace("end_header", "property list uchar int tags\nproperty float t\nend_header")
    rows = [f"{row} {i % 3} {'7 ' * (i % 3)}{i}" for i, row in enumerate(WITH_RING)]
    for lines in (rows, [" ".join(rows)], " ".join(rows).split()):
        cloud = check(tmp_path / "a.ply", ply(lines, head))
        assert np.array_equal(cloud.fields["t"], np.arange(COUNT)) and "tags" not in cloud.fields
        assert cloud.notes == ("lists of the vertices are left out: tags",)


@pytest.mark.parametrize(
    "text",
    [
        pcd(TYPE="TYPE f f f u"), pcd(FIELDS="COLUMNS x y z ring"), pcd(TYPE="type F F F U"), pcd(DATA="DATA ASCII"),
        pcd(FIELDS="FIELDS X Y Z ring"), pcd(FIELDS="FIELDS pos_x pos_y pos_z ring"), pcd(TYPE="TYPE F F F B"),
        pcd(HEIGHT=""), pcd(COUNT=""), pcd(POINTS=""), pcd(WIDTH=""), pcd(VIEWPOINT=""), pcd(VERSION="VERSION .5"),
        pcd(WIDTH="WIDTH 12.0"), pcd(STAMP="STAMP 1.5"), pcd(NOTE="# a comment"),
        pcd(FIELDS="FIELDS x y z _ ring _", COUNT="COUNT 1 1 1 3 1 2",
            SIZE="SIZE 4 4 4 1 1 1", TYPE="TYPE F F F U U U"),
        pcd(FIELDS="FIELDS x y z _ ring", SIZE="SIZE 4 4 4 1 1", TYPE="TYPE F F F U U", COUNT="COUNT 1 1 1 0 1"),
    ],
)  # fmt: skip
def test_pcd_headers_are_read_as_programs_write_them(tmp_path, text):
    cloud = check(tmp_path / "a.pcd", text)
    assert set(cloud.fields) == {"x", "y", "z", "ring"}


def binary_pcd(columns, counts=None, **lines):
    """A binary PCD of [(name, (12,) or (12, n) array)]."""
    counts = counts or [int(np.prod(c.shape[1:], dtype=int)) for _, c in columns]
    lines = {
        "FIELDS": " ".join(["FIELDS", *(name for name, _ in columns)]),
        "SIZE": " ".join(["SIZE", *(str(c.dtype.itemsize) for _, c in columns)]),
        "TYPE": " ".join(["TYPE", *(c.dtype.kind.upper() for _, c in columns)]),
        "COUNT": " ".join(["COUNT", *map(str, counts)]),
        "DATA": "DATA binary",
    } | lines
    rows = np.rec.fromarrays(
        [c for _, c in columns], dtype=[(f"f{i}", c.dtype, c.shape[1:]) for i, (_, c) in enumerate(columns)]
    )
    return pcd([], **lines).encode() + rows.tobytes()


X = [(name, np.ascontiguousarray(XYZ[:, i])) for i, name in enumerate("xyz")]
R = [("ring", RING.astype(np.uint8))]


@pytest.mark.parametrize("mode", ["binary", "binary_compressed"])
def test_pcd_with_padding_types_that_numpy_lacks_and_fields_without_values(tmp_path, mode):
    columns = [*X, ("_", np.zeros((12, 4), "u1")), *R, ("_", np.zeros((12, 3), "u1")), ("odd", np.ones((12, 6), "u1")),
               ("nothing", np.ones((12, 0), "u1")), ("_x", np.ones(12, "u1"))]  # fmt: skip
    size, kind = "SIZE 4 4 4 1 1 1 3 1 1", "TYPE F F F U U U U U I"
    blob = binary_pcd(columns, SIZE=size, TYPE=kind, COUNT="COUNT 1 1 1 4 1 3 2 0 1")
    if mode == "binary_compressed":
        head, _, body = blob.partition(b"DATA binary\n")
        body = b"".join(np.ascontiguousarray(c).tobytes() for _, c in columns)
        packed = b"".join(bytes([len(part) - 1]) + part for part in (body[i : i + 32] for i in range(0, len(body), 32)))
        sizes = np.array([len(packed), len(body)], "<u4").tobytes()  # runs of literal bytes are LZF, too
        blob = head + b"DATA binary_compressed\n" + sizes + packed
    cloud = check(tmp_path / "a.pcd", blob)
    assert set(cloud.fields) == {"x", "y", "z", "ring", "odd", "_x"} and cloud.fields["odd"].shape == (12, 6)
    assert cloud.notes == ("fields of unknown types are kept as bytes: odd",)


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
def test_fields_of_one_name_are_told_apart(tmp_path, suffix):
    extra = np.arange(12, dtype=np.float32)
    if suffix == ".pcd":
        blob = binary_pcd([*X, ("x", extra), *R, ("x", 2 * extra)])
    else:
        head = RING_PLY.replace("property uchar ring", "property float x\nproperty uchar ring\nproperty float x")
        blob = ply([f"{a} {i} {r} {2 * i}" for i, (a, r) in enumerate(zip(ROWS, RING, strict=True))], head)
    cloud = check(tmp_path / f"a{suffix}", blob)
    assert np.array_equal(cloud.fields["x_2"], extra) and np.array_equal(cloud.fields["x_3"], 2 * extra)
    assert cloud.notes == ("fields are renamed: 'x' -> 'x_2', 'x' -> 'x_3'",)


@pytest.mark.parametrize("words", ["1 2 3 0 1 0 0", "0 0 1.5 0.7071 0 0 -0.7071"])
@pytest.mark.parametrize("through", [".pcd", ".ply"])
def test_the_viewpoint_of_a_pcd_file_is_kept_and_noted(tmp_path, words, through):
    cloud = check(tmp_path / "a.pcd", pcd(VIEWPOINT=f"VIEWPOINT {words}"))
    assert words in cloud.notes[0] and "used as the file has them" in cloud.notes[0]
    write_cloud(tmp_path / f"b{through}", cloud)
    write_cloud(tmp_path / "c.pcd", read_cloud(tmp_path / f"b{through}"))
    assert f"\nVIEWPOINT {words}\n".encode() in (tmp_path / "c.pcd").read_bytes()
    (note,) = write_cloud(tmp_path / "d.npy", cloud)
    assert words in note


@pytest.mark.parametrize("words", ["0 0 0 1 0 0 0", "0.0 0.0 0.0 1.0 0 0 0", "-0 0 0 1 0 0 0"])
def test_a_viewpoint_at_the_origin_needs_no_note(tmp_path, words):
    assert check(tmp_path / "a.pcd", pcd(VIEWPOINT=f"VIEWPOINT {words}")).notes == ()


def test_values_behind_the_fields_are_left_out_and_too_few_are_refused(tmp_path):
    cloud = check(tmp_path / "a.pcd", pcd([f"{row} 8 9" for row in WITH_RING]))
    assert cloud.notes == ("2 values behind the fields of the header are left out in every row",)
    (tmp_path / "a.pcd").write_text(pcd(ROWS))
    with pytest.raises(ValueError, match="bad PCD values .row 0 holds 3 values instead of 4"):
        read_cloud(tmp_path / "a.pcd")


def test_a_point_of_more_values_than_a_row_has_letters_is_refused_before_it_is_allocated(tmp_path):
    (tmp_path / "a.pcd").write_text(pcd(COUNT="COUNT 1 1 1 1500000000"))
    with pytest.raises(ValueError, match="row 0 holds 4 values instead of 1500000003"):
        read_cloud(tmp_path / "a.pcd")


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
def test_files_of_very_many_fields_are_read_in_seconds(tmp_path, suffix):
    names = [f"p{i}" for i in range(20_000)] + ["x", "y", "z"]
    values = np.arange(len(names), dtype="<f4")
    path = tmp_path / f"a{suffix}"
    if suffix == ".ply":
        header = ["ply", "format binary_little_endian 1.0", "element vertex 1", *(f"property float {n}" for n in names)]
        path.write_bytes("\n".join([*header, "end_header", ""]).encode() + values.tobytes())
    else:
        header = ["VERSION 0.7", f"FIELDS {' '.join(names)}", "WIDTH 1", "DATA ascii"]
        path.write_text("\n".join([*header, " ".join(map(str, values))]))
    start = time.process_time()
    cloud = read_cloud(path)
    assert np.array_equal(cloud.xyz[0], values[-3:]) and cloud.fields["p7"][0] == 7
    assert time.process_time() - start < 8
