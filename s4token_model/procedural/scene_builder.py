"""Things and surfaces put together into one labeled Scene."""

from __future__ import annotations

import numpy as np

from s4token_model.procedural.classes import PARTS, PROCEDURAL
from s4token_model.procedural.mesh import Shape, doubled_areas, turn
from s4token_model.procedural.types import Instance, Scene, Thing

_LABEL = {name: k for k, name in enumerate(PROCEDURAL)}
_PART = {name: k for k, name in enumerate(PARTS)}


class Assembly:
    """Triangles of a scene while it is put together."""

    def __init__(self) -> None:
        self.instances: list[Instance] = []
        self._pieces: list[tuple[np.ndarray, np.ndarray, int, np.ndarray, np.ndarray]] = []

    def add(self, name: str, attributes: tuple[str, ...], shape: Shape, part: np.ndarray, color: np.ndarray) -> None:
        vertices, triangles = shape
        self._pieces.append((vertices.astype(np.float32), triangles, _LABEL[name], part, color))
        low, high = vertices.min(0).astype(np.float64), vertices.max(0).astype(np.float64)
        self.instances.append(Instance(name, attributes, low, high))

    def surface(self, name: str, shape: Shape, color, attributes: tuple[str, ...] = ()) -> None:
        """Add a structural surface, dropping triangles without area."""
        vertices, triangles = shape
        triangles = triangles[doubled_areas(vertices, triangles) > 1e-6]
        if len(triangles):
            color = np.broadcast_to(np.asarray(color, np.float32), (len(triangles), 3))
            self.add(name, attributes, (vertices, triangles), np.zeros(len(triangles), np.int16), color)

    def thing(self, thing: Thing, angle: float = 0.0, offset=(0.0, 0.0, 0.0)) -> None:
        """Add a thing turned by `angle` rad about z and moved."""
        vertices, _ = turn((thing.vertices.astype(np.float64), thing.triangles), angle)
        ids = np.array([_PART[p] for p in thing.parts], dtype=np.int16)
        shape = vertices + np.asarray(offset), thing.triangles
        self.add(thing.name, thing.attributes, shape, ids[thing.part], thing.color)

    def with_all(self, other: Assembly) -> Assembly:
        """This assembly, with everything of another one after its own."""
        self.instances += other.instances
        self._pieces += other._pieces
        return self

    def scene(self, kind: str, seed: int) -> Scene:
        """Everything as one Scene."""
        pieces = self._pieces
        start = np.cumsum([0] + [len(p[0]) for p in pieces])
        count = [len(p[1]) for p in pieces]
        return Scene(
            kind, seed, PROCEDURAL, PARTS, tuple(self.instances),
            np.concatenate([p[0] for p in pieces]),
            np.concatenate([p[1] + s for p, s in zip(pieces, start, strict=False)]).astype(np.int32),
            np.repeat(np.array([p[2] for p in pieces], dtype=np.int16), count),
            np.repeat(np.arange(len(pieces), dtype=np.int32), count),
            np.concatenate([p[3] for p in pieces]).astype(np.int16),
            np.concatenate([p[4] for p in pieces]).astype(np.float32),
        )  # fmt: skip
