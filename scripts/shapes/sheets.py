"""Contact sheets of a bank, one picture per class, for the eyes of whoever reviews models.csv."""

from __future__ import annotations

from pathlib import Path

import numpy as np

COLUMNS = 8
VIEW = np.array([[0.87, 0.5, 0], [-0.17, 0.3, 0.94]])  # rows: right and up of a picture from the front right, above
TOWARD = np.array([0.47, -0.82, 0.35])  # to the camera
SUN = np.array([0.2, -0.5, 0.84])


def write_sheets(folder: Path, shapes: list) -> None:
    """Write CLASS.png with each shape seen from its front right, its base at the bottom, and its size in m."""
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    for label in sorted({shape.model.label for shape in shapes}):
        chosen = [shape for shape in shapes if shape.model.label == label]
        rows = -(-len(chosen) // COLUMNS)
        figure = Figure(figsize=(2.4 * COLUMNS, 2.6 * rows))
        for k, shape in enumerate(chosen):
            axes = figure.add_subplot(rows, COLUMNS, k + 1)
            corners = shape.vertices[shape.triangles]
            normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
            order = np.argsort(corners.mean(axis=1) @ TOWARD)
            light = 0.45 + 0.55 * np.abs(normals @ SUN)
            color = (
                np.where((shape.part > 0)[:, None], shape.color * 0.6 + [0, 90, 0], shape.color) / 255 * light[:, None]
            )
            axes.add_collection(
                PolyCollection((corners @ VIEW.T)[order], facecolors=color[order].clip(0, 1), edgecolors="none")
            )
            axes.set_aspect("equal")
            axes.autoscale()
            axes.axis("off")
            size = "x".join(f"{s:.2f}" for s in np.ptp(shape.vertices, axis=0))
            axes.set_title(f"{Path(shape.model.model).stem[:24]}\n{size} t{len(shape.triangles)}", fontsize=7)
        figure.savefig(folder / f"{label.replace(' ', '_')}.png", dpi=80, bbox_inches="tight")
