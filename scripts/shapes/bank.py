"""Build the bank: read, repair, orient, scale and decimate each model, and write one folder."""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from s4token_model import atomic
from scripts.shapes import attribution, foliage, frames, meshes, parts, repair
from scripts.shapes.catalogs import Entry
from scripts.shapes.sources import Model, Source

VERSION = 1  # of the format
STEMS = 0.35  # of a plant's triangles, for its stems


class Shape(NamedTuple):
    """One shape of the bank: vertices (V, 3) float32 m, triangles (T, 3) int32, color (T, 3) uint8, part (T,) int16."""

    model: Model
    entry: Entry
    license: str
    vertices: np.ndarray
    triangles: np.ndarray
    color: np.ndarray
    part: np.ndarray


def build_shape(source: Source, model: Model, entry: Entry, triangles: int) -> Shape:
    """Make one shape of at most about `triangles` triangles; ValueError that names the file if it cannot be read."""
    mesh = repair.repaired(meshes.read(entry.path))
    mesh = mesh._replace(vertices=mesh.vertices * source.meters)
    rotation = frames.UP[model.up or source.up]
    if entry.rotation is not None:
        rotation = rotation @ entry.rotation
    rotation = frames.turn(model.turn) @ rotation
    # Scaled before it is decimated, so that errors are in meters, and again, as edges that collapse move hulls.
    size = frames.parse_size(model.size) or _turned(entry.size, model.turn)
    mesh = mesh._replace(vertices=frames.placed(mesh.vertices, rotation, size))
    extent = tuple(np.ptp(mesh.vertices, axis=0))
    mesh = _fewer(mesh, model.label, triangles)
    mesh = mesh._replace(vertices=frames.placed(mesh.vertices, np.eye(3), extent))
    return Shape(
        model,
        entry,
        model.license or source.license,
        mesh.vertices.astype(np.float32).round(3),
        mesh.triangles.astype(np.int32),
        mesh.color,
        parts.part_ids(mesh, model.label),
    )


def build_shapes(jobs: list[tuple], workers: int) -> list[Shape | str]:
    """For each of the arguments of build_shape, the shape, or a line that says why there is none."""
    if workers == 1:
        return [_shape_or_reason(job) for job in jobs]
    # Spawned: Open3D's threads do not survive a fork.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(_shape_or_reason, jobs))


def _shape_or_reason(job: tuple) -> Shape | str:
    try:
        return build_shape(*job)
    except ValueError as error:
        return f"{job[0].name}: {job[1].model} skipped: {error}"


def _fewer(mesh: meshes.Mesh, label: str, triangles: int) -> meshes.Mesh:
    if label not in foliage.LEAFY or len(mesh.triangles) <= triangles or not (halves := foliage.split(mesh)):
        return repair.decimated(mesh, triangles)
    stems, leaves = halves
    stems = repair.decimated(stems, int(STEMS * triangles)) if len(stems.triangles) else stems
    if not len(leaves.triangles):
        return stems
    return repair.joined(stems, foliage.thinned(leaves, triangles - len(stems.triangles)))


def _turned(size: tuple[float, ...], degrees: float) -> tuple[float, ...]:
    """The catalogue's (width, depth, height) of a model that is turned by a multiple of 90 degrees."""
    return (size[1], size[0], size[2]) if size and round(degrees / 90) % 2 else size


def write_bank(folder: Path, sources: Iterable[Source], shapes: list[Shape]) -> None:
    """Write manifest.json, shapes.npz and ATTRIBUTION.md; the folder appears complete or not at all.

    shapes.npz: vertices (V, 3) float32 m, triangles (T, 3) int32 with indices local to the shape, color (T, 3) uint8,
    part (T,) int16 index into classes.PARTS. manifest.json: "sources", and of each shape its class, license, creator,
    size, rows of these arrays ("vertices", "triangles": [start, stop]), tags, and the elevation at which it hangs.
    """
    manifest = _manifest(sources, shapes)
    with atomic.folder(folder) as partial:
        text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
        (partial / "manifest.json").write_text(text, encoding="utf-8")
        (partial / "ATTRIBUTION.md").write_text(attribution.page(manifest), encoding="utf-8")
        columns = {key: [getattr(shape, key) for shape in shapes] for key in ("vertices", "triangles", "color", "part")}
        np.savez_compressed(partial / "shapes.npz", **{key: np.concatenate(rows) for key, rows in columns.items()})


def _manifest(sources: Iterable[Source], shapes: list[Shape]) -> dict:
    used = [source for source in sources if any(shape.model.source == source.name for shape in shapes)]
    names = [source.name for source in used]
    vertex = np.cumsum([0] + [len(shape.vertices) for shape in shapes]).tolist()
    triangle = np.cumsum([0] + [len(shape.triangles) for shape in shapes]).tolist()
    rows = []
    for k, shape in enumerate(shapes):
        source = names.index(shape.model.source)
        rows.append(
            {
                "id": f"{shape.model.source}/{shape.model.model}",
                "class": shape.model.label,
                "source": source,
                "creator": shape.entry.creator or used[source].creator,
                "license": shape.license,
                "size": [round(float(s), 3) for s in np.ptp(shape.vertices, axis=0)],
                "elevation": round(shape.entry.elevation, 3),
                "vertices": vertex[k : k + 2],
                "triangles": triangle[k : k + 2],
                "tags": list(shape.entry.tags),
            }
        )
    keys = ("name", "version", "sha256", "license", "url", "attribution")
    listed = [{key: getattr(source, key) for key in keys} for source in used]
    return {"version": VERSION, "sources": listed, "shapes": rows}


def count_table(shapes: Iterable[Shape]) -> str:
    """Lines of classes with the number of shapes of each set."""
    counts: dict[str, Counter] = {}
    for shape in shapes:
        counts.setdefault(shape.model.label, Counter())[shape.model.source.partition("/")[0]] += 1
    rows = sorted(counts.items(), key=lambda item: -item[1].total())
    return "\n".join(
        f"{label:16}{count.total():5}  {', '.join(f'{name} {n}' for name, n in count.most_common())}"
        for label, count in rows
    )
