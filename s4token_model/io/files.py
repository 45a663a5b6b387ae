"""Point clouds in files: one reader and one writer for every format, chosen by the suffix.

Read: .ply .pcd .las .laz .npy .bin (KITTI), meshes .off .obj and .ply, and NAME.depth.png frames. The points of a mesh
are its vertices; on CAD models, whose few vertices do not cover their large faces, points are drawn.
Write: .ply .pcd .npy, through a temporary file, so that a failed write leaves an existing file untouched.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from s4token_model import atomic
from s4token_model.io import (
    column_types,
    depth_image,
    las_npy_bin,
    mesh_files,
    off_obj,
    pcd,
    ply,
    pointcloud2,
)
from s4token_model.io.contents import Contents
from s4token_model.io.errors import check_folder_of, error, looks_like

MESH_POINTS = 30000  # drawn on a CAD model


@dataclass(frozen=True)
class Cloud:
    """A point cloud of H points with everything that its file or message holds."""

    xyz: np.ndarray  # (H, 3) float32 or float64, meters; may be non-finite
    rgb: np.ndarray | None = None  # (H, 3) float32 in [0, 1]
    fields: dict[str, np.ndarray] = field(default_factory=dict)  # the original columns, (H,) or (H, n), with x, y and z
    width: int = 0  # width * height = H
    height: int = 1  # more if the cloud is organized
    frame_id: str = ""  # of the ROS message, or camera_optical_frame for a depth image without a pose
    stamp: int = 0  # of the ROS message, ns
    notes: tuple[str, ...] = ()  # what the user should know about how it was read
    comments: tuple[str, ...] = ()  # of the file's header, and the pose of the sensor: "VIEWPOINT x y z qw qx qy qz"
    triangles: np.ndarray | None = None  # (T, 3) int64, indices of points, if the points are the vertices of a mesh

    @classmethod
    def from_fields(cls, fields: dict[str, np.ndarray], width: int = 0, height: int = 1, frame_id: str = "") -> Cloud:
        """Build a cloud from its columns; coordinates in another spelling are renamed to x, y, z, which `notes` says.

        ValueError when x, y or z is missing or the columns differ in length.
        """
        lengths = {name: len(column) for name, column in fields.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of different lengths: {lengths}")
        xyz, rgb = pointcloud2.xyz(fields), pointcloud2.rgb(fields)
        fields, notes = pointcloud2.standard_columns(fields)
        return cls(xyz, rgb, fields, width or len(xyz), height, frame_id, notes=notes)


def read_cloud(path: str | Path, mesh_points: int | None = None, bin_columns: int | None = None) -> Cloud:
    """Read a point cloud in the format that the suffix says.

    A mesh becomes its vertices if `mesh_points` is 0, and else as many points, drawn uniformly by area. By default
    MESH_POINTS are drawn on CAD models, and scans keep their vertices. A .bin file holds points of `bin_columns`
    float32; by default 4 as KITTI's, or 5 in a .pcd.bin. Cloud.notes says what else the user should know.
    """
    path = Path(path)
    if path.is_dir():
        raise error(path, "found a folder", "give a file, or a ROS 2 bag folder with its metadata.yaml")
    if not path.exists():
        raise error(path, "no such file", "check the path")
    if not path.is_file():
        raise error(path, "found a pipe or a device", "give a regular file")
    suffix = path.suffix.lower()
    if suffix not in READERS:
        fix = f"readable are {', '.join(READERS)} and ROS 2 bags (.mcap, .db3)"
        raise error(path, f"suffix {path.suffix!r} is not known (found {looks_like(path)})", fix)
    if path.stat().st_size == 0:
        raise error(path, "found an empty file", "copy it again")
    if bin_columns is not None and (suffix != ".bin" or bin_columns < 3):
        raise error(path, f"--bin-columns {bin_columns}", "give it for .bin files only, and 3 columns or more")
    try:
        contents = las_npy_bin.read_bin(path, bin_columns) if bin_columns else READERS[suffix](path)
        return _cloud(contents, mesh_points)
    except OSError as reason:
        raise error(path, f"cannot be read ({reason.strerror or reason})", "check disk and permissions") from None
    except OverflowError as reason:
        raise error(path, f"a number in it is out of range ({reason})", "it is damaged, copy it again") from None
    except ValueError as reason:
        if str(reason).startswith(str(path.parent)):
            raise
        raise ValueError(f"{path}: {reason}") from None


def read_one_of(path: Path, bin_columns: int | None = None, mesh_points: int | None = None) -> Cloud:
    """Read a cloud of a folder, whose .bin files have `bin_columns` float32 per point, see `read_cloud`."""
    return read_cloud(path, mesh_points, bin_columns if path.suffix.lower() == ".bin" else None)


def _cloud(contents: Contents, mesh_points: int | None) -> Cloud:
    """Return the points with all their fields, or points drawn on the triangles, see read_cloud."""
    fields, width, height, frame_id, read_notes, comments, triangles = contents
    cloud = Cloud.from_fields(fields, width, height, frame_id)
    notes = [*read_notes, *cloud.notes]
    if triangles is not None:
        lost = len(triangles)
        triangles = triangles[((triangles >= 0) & (triangles < len(cloud.xyz))).all(axis=1)]
        if lost := lost - len(triangles):
            notes.append(f"{lost:,} faces name vertices that are not there; they are left out")
    if triangles is None or not len(triangles):
        if mesh_points:
            notes.append(
                f"no faces are in this file; its {len(cloud.xyz):,} points are used, --mesh-points has no effect"
            )
        return dataclasses.replace(cloud, notes=tuple(notes), comments=comments)
    labeled = "label" in fields or "superpoint" in fields  # labels belong to the vertices
    if mesh_points == 0 or (mesh_points is None and (labeled or not mesh_files.is_cad(cloud.xyz, triangles))):
        return dataclasses.replace(cloud, notes=tuple(notes), comments=comments, triangles=triangles)
    mesh = mesh_files.Mesh(cloud.xyz, triangles, cloud.rgb)
    drawn = Cloud.from_fields(mesh_files.vertex_fields(*mesh_files.sample(mesh, mesh_points or MESH_POINTS)))
    reason = "" if mesh_points else ", which its vertices do not cover"
    note = (
        f"{len(drawn.xyz):,} points were drawn on the {len(triangles):,} faces of this mesh{reason}; "
        f"--mesh-points 0 keeps its {len(cloud.xyz):,} vertices instead"
    )
    return dataclasses.replace(drawn, notes=(note, *notes), comments=comments)


READERS: dict[str, Callable[[Path], Contents]] = {
    ".ply": ply.read,
    ".pcd": pcd.read,
    ".las": las_npy_bin.read_las,
    ".laz": las_npy_bin.read_las,
    ".npy": las_npy_bin.read_npy,
    ".bin": las_npy_bin.read_bin,
    ".off": off_obj.read_off,
    ".obj": off_obj.read_obj,
    ".png": depth_image.read,
}
WRITERS = (".ply", ".pcd", ".npy")


def write_cloud(path: str | Path, cloud: Cloud, extra: Mapping[str, np.ndarray] | None = None) -> tuple[str, ...]:
    """Write a cloud with all its fields and the `extra` ones, each (H,), as .ply, .pcd or .npy (structured).

    An original field with the name of an extra one is kept as `input_<name>`. Colors are stored where viewers of the
    format expect them: red, green, blue in PLY and NPY, packed rgb in PCD; extra uint32 are int32 in PLY if they fit.
    Organized clouds stay organized, PLY keeps faces. Returns what the format cannot hold, as check_writable does.
    """
    notes = check_writable(path, cloud)
    suffix = Path(path).suffix.lower()
    columns, extra = (native_colors(c, suffix == ".pcd") for c in (_columns(cloud), dict(extra or {})))
    extra = column_types.signed(extra) if suffix == ".ply" else extra
    kept = pointcloud2.renamed(columns, extra)
    columns, _ = column_types.fit({new: columns[old] for old, new in kept.items()} | extra, suffix)
    for name, column in columns.items():
        if len(column) != len(cloud.xyz):
            raise ValueError(f"field {name!r} has {len(column)} values, the cloud {len(cloud.xyz)} points")
    count = len(cloud.xyz)
    width, height = (cloud.width, cloud.height) if cloud.width * cloud.height == count else (count, 1)
    with atomic.file(path) as handle:
        if suffix == ".ply":
            sizes = (f"obj_info num_cols {width}", f"obj_info num_rows {height}") if height > 1 else ()
            ply.write(handle, columns, count, (*cloud.comments, *sizes), cloud.triangles)
        elif suffix == ".pcd":
            pcd.write(handle, columns, width, height, cloud.comments)
        else:
            points = pointcloud2.structured(columns)
            version = None if "".join(columns).isascii() else (3, 0)  # names in UTF-8
            points = points.reshape(height, width) if height > 1 else points
            np.lib.format.write_array(handle, points, version, allow_pickle=False)
    return notes


def _columns(cloud: Cloud) -> dict[str, np.ndarray]:
    return dict(cloud.fields) or {name: cloud.xyz[:, i] for i, name in enumerate("xyz")}


def check_writable(path: str | Path, cloud: Cloud | None = None) -> tuple[str, ...]:
    """Return what a file at `path` cannot hold of `cloud`; call it before long work.

    ValueError when write_cloud cannot write to `path` at all.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise error(path, f"suffix {path.suffix!r} cannot be written", f"name the output {', '.join(WRITERS)}")
    if path.is_dir():
        raise error(path, "is a folder", "give a file name")
    check_folder_of(path)
    if cloud is None:
        return ()
    _, notes = column_types.fit(native_colors(_columns(cloud), suffix == ".pcd"), suffix)
    if cloud.triangles is not None and suffix != ".ply":
        notes += (f"the {len(cloud.triangles):,} faces are not in a {suffix} file; .ply keeps them",)
    if cloud.comments and suffix == ".npy":
        notes += (f"comments are not in a .npy file; .ply and .pcd keep them: {'; '.join(cloud.comments)[:200]}",)
    return notes


def native_colors(columns: dict[str, np.ndarray], packed: bool) -> dict[str, np.ndarray]:
    """Convert red, green, blue (uint8) to packed rgb, or back; other colors are kept unchanged."""
    names = pointcloud2.COLOR_NAMES[0]
    if packed and "rgb" not in columns and all(columns.get(n, np.empty(0)).dtype == np.uint8 for n in names):
        colors = np.stack([columns[n] for n in names], axis=1)
        return {n: c for n, c in columns.items() if n not in names} | {"rgb": pointcloud2.pack_rgb(colors)}
    exact = "rgb" in columns and (columns["rgb"].ndim == 1 or columns["rgb"].dtype == np.uint8)
    if not packed and exact and not any(n in columns for n in names):
        if (unit := pointcloud2.rgb({"rgb": columns["rgb"]})) is not None:
            levels = np.rint(unit * 255).astype(np.uint8)
            return {n: c for n, c in columns.items() if n != "rgb"} | {n: levels[:, i] for i, n in enumerate(names)}
    return columns
