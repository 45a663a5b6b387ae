"""Point clouds in files: one reader and one writer for every format, chosen by the suffix.

Read: .ply .pcd .las .laz .npy .bin (KITTI), meshes .off .obj and .ply, and NAME.depth.png frames. The points of a mesh
are its vertices; on CAD models, whose few vertices do not cover their large faces, points are drawn.
Write: .ply .pcd .npy, through a temporary file, so that a failed write leaves an existing file untouched.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from s4token_model.io import depth_image, las_npy_bin, mesh_files, pcd, ply, pointcloud2
from s4token_model.io.errors import error, looks_like

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

    @classmethod
    def from_fields(cls, fields: dict[str, np.ndarray], width: int = 0, height: int = 1, frame_id: str = "") -> Cloud:
        """Build a cloud from its columns. ValueError when x, y or z is missing or the columns differ in length."""
        lengths = {name: len(column) for name, column in fields.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of different lengths: {lengths}")
        xyz = pointcloud2.xyz(fields)
        return cls(xyz, pointcloud2.rgb(fields), fields, width or len(xyz), height, frame_id)


def read_cloud(path: str | Path, mesh_points: int | None = None) -> Cloud:
    """Read a point cloud in the format that the suffix says.

    A mesh becomes its vertices if `mesh_points` is 0, and else as many points, drawn uniformly by area. By default
    MESH_POINTS are drawn on CAD models, and scans keep their vertices. Cloud.notes says when points were drawn.
    """
    path = Path(path)
    if path.is_dir():
        raise error(path, "found a folder", "give a file, or a ROS 2 bag folder with its metadata.yaml")
    if not path.exists():
        raise error(path, "no such file", "check the path")
    if path.suffix.lower() not in READERS:
        fix = f"readable are {', '.join(READERS)} and ROS 2 bags (.mcap, .db3)"
        raise error(path, f"suffix {path.suffix!r} is not known (found {looks_like(path)})", fix)
    if path.stat().st_size == 0:
        raise error(path, "found an empty file", "copy it again")
    try:
        return READERS[path.suffix.lower()](path, mesh_points)
    except OSError as reason:
        raise error(path, f"cannot be read ({reason.strerror or reason})", "check disk and permissions") from None
    except OverflowError as reason:
        raise error(path, f"a number in it is out of range ({reason})", "it is damaged, copy it again") from None
    except ValueError as reason:
        if str(reason).startswith(str(path.parent)):
            raise
        raise ValueError(f"{path}: {reason}") from None


def _mesh_cloud(fields: dict[str, np.ndarray], triangles: np.ndarray | None, mesh_points: int | None) -> Cloud:
    """Return the vertices with all their `fields`, or points drawn on the triangles (T, 3), see read_cloud."""
    cloud = Cloud.from_fields(fields)
    if triangles is None or not len(triangles) or mesh_points == 0:
        return cloud
    if mesh_points is None and not mesh_files.is_cad(cloud.xyz, triangles):
        return cloud
    mesh = mesh_files.Mesh(cloud.xyz, triangles, cloud.rgb)
    drawn = Cloud.from_fields(mesh_files.vertex_fields(*mesh_files.sample(mesh, mesh_points or MESH_POINTS)))
    reason = "" if mesh_points else ", which its vertices do not cover"
    note = (
        f"{len(drawn.xyz):,} points were drawn on the {len(triangles):,} faces of this mesh{reason}; "
        f"--mesh-points 0 keeps its {len(cloud.xyz):,} vertices instead"
    )
    return dataclasses.replace(drawn, notes=(note,))


READERS: dict[str, Callable[[Path, int | None], Cloud]] = {
    ".ply": lambda path, mesh_points: _mesh_cloud(*ply.read(path), mesh_points),
    ".pcd": lambda path, _: Cloud.from_fields(*pcd.read(path)),
    ".las": lambda path, _: Cloud.from_fields(las_npy_bin.read_las(path)),
    ".laz": lambda path, _: Cloud.from_fields(las_npy_bin.read_las(path)),
    ".npy": lambda path, _: Cloud.from_fields(*las_npy_bin.read_npy(path)),
    ".bin": lambda path, _: Cloud.from_fields(las_npy_bin.read_bin(path)),
    ".off": lambda path, mesh_points: _mesh_cloud(*mesh_files.read_off(path), mesh_points),
    ".obj": lambda path, mesh_points: _mesh_cloud(*mesh_files.read_obj(path), mesh_points),
    ".png": lambda path, _: Cloud.from_fields(*depth_image.read(path)),
}
WRITERS = (".ply", ".pcd", ".npy")


def write_cloud(path: str | Path, cloud: Cloud, extra: Mapping[str, np.ndarray] | None = None) -> None:
    """Write a cloud with all its fields and the `extra` ones, each (H,), as .ply, .pcd or .npy (structured).

    An original field with the name of an extra one is kept as `input_<name>`. Colors are stored where viewers of the
    format expect them: red, green, blue in PLY and NPY, packed rgb in PCD.
    """
    check_writable(path)
    suffix = Path(path).suffix.lower()
    columns = dict(cloud.fields) or {name: cloud.xyz[:, i] for i, name in enumerate("xyz")}
    columns, extra = (native_colors(c, suffix == ".pcd") for c in (columns, dict(extra or {})))
    kept = pointcloud2.renamed(columns, extra)
    columns = {new: columns[old] for old, new in kept.items()} | extra
    for name, column in columns.items():
        if len(column) != len(cloud.xyz):
            raise ValueError(f"field {name!r} has {len(column)} values, the cloud {len(cloud.xyz)} points")
    with atomic(path) as handle:
        if suffix == ".ply":
            ply.write(handle, columns, len(cloud.xyz))
        elif suffix == ".pcd":
            organized = cloud.width * cloud.height == len(cloud.xyz)
            pcd.write(handle, columns, *((cloud.width, cloud.height) if organized else (len(cloud.xyz), 1)))
        else:
            np.save(handle, pointcloud2.structured(columns), allow_pickle=False)


def check_writable(path: str | Path) -> None:
    """Raise ValueError when write_cloud cannot write to `path`; call it before long work."""
    path = Path(path)
    if path.suffix.lower() not in WRITERS:
        raise error(path, f"suffix {path.suffix!r} cannot be written", f"name the output {', '.join(WRITERS)}")
    if not path.absolute().parent.is_dir():
        raise error(path, "its folder does not exist", f"mkdir -p {path.parent}")
    if path.is_dir():
        raise error(path, "is a folder", "give a file name")


def native_colors(columns: dict[str, np.ndarray], packed: bool) -> dict[str, np.ndarray]:
    """Convert red, green, blue (uint8) to packed rgb, or back; other colors are kept unchanged."""
    names = ("red", "green", "blue")
    if packed and "rgb" not in columns and all(columns.get(n, np.empty(0)).dtype == np.uint8 for n in names):
        colors = np.stack([columns[n] for n in names], axis=1)
        return {n: c for n, c in columns.items() if n not in names} | {"rgb": pointcloud2.pack_rgb(colors)}
    if not packed and "rgb" in columns and not any(n in columns for n in names):
        if (unit := pointcloud2.rgb({"rgb": columns["rgb"]})) is not None:
            levels = np.rint(unit * 255).astype(np.uint8)
            return {n: c for n, c in columns.items() if n != "rgb"} | {n: levels[:, i] for i, n in enumerate(names)}
    return columns


@contextmanager
def atomic(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path`, which replaces `path` when the block succeeds and is removed otherwise."""
    path = Path(path)
    handle = tempfile.NamedTemporaryFile(dir=path.absolute().parent, prefix=f".{path.name}.", delete=False)
    try:
        with handle:
            yield handle
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(handle.name, 0o666 & ~umask)  # temporary files are private, results are not
        os.replace(handle.name, path)
    except BaseException:
        os.unlink(handle.name)
        raise
