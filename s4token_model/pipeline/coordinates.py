"""Warnings on the coordinates of a cloud: steps that are coarser than the spacing of the points, and units."""

from __future__ import annotations

import numpy as np

from s4token_model.pipeline.geometry import LocalGeometry
from s4token_model.pipeline.preprocess import WorkingCloud

SAMPLED = 4096  # points and edges
MIN_POINTS = 200  # the spacing of fewer says nothing
COARSE = 0.99  # steps of this fraction of the spacing; on a grid the spacing is one step
COPIES = 1.5  # points at each position of a grid, from which on it is coarser than the points were
MAX_GRID_VALUES = 0.25  # distinct values per point of an axis that is a grid
MAX_SPACING, MIN_EXTENT = 2.0, 0.05  # m, of rooms, streets and maps


def warnings(xyz: np.ndarray, working: WorkingCloud, local: LocalGeometry) -> tuple[str, ...]:
    """What is wrong with the coordinates xyz (H, 3), and the fix; `local` is the geometry of the working cloud."""
    if len(working.points) < MIN_POINTS:
        return ()
    some = np.asarray(xyz)[working.labeled_index[:: -(-len(working.labeled_index) // SAMPLED)]]
    ends = working.points[local.index.order[local.edges[:: -(-len(local.edges) // SAMPLED)]]]
    spacing = float(np.quantile(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1), 0.25)) * working.extent
    copies = len(working.labeled_index) / len(working.xyz)
    with np.errstate(over="ignore", invalid="ignore"):  # coordinates beyond float32
        return _precision(some.astype(np.float64), copies, spacing) + _unit(spacing, working.extent)


def _precision(some: np.ndarray, copies: float, spacing: float) -> tuple[str, ...]:
    """Coordinates `some` (n, 3) that are or were float32, or on a grid, in steps too coarse for the spacing."""
    typical = float(np.median(np.abs(some), axis=0).max())
    step = float(np.spacing(np.float32(typical)))
    if step >= COARSE * spacing and (some == some.astype(np.float32)).all():
        return (
            f"coordinates around {_number(typical)} in float32 have steps of {step:.2g}, coarser than the spacing of"
            " the points: subtract an offset, or use float64",
        )
    step = min(_grid_step(column) for column in some.T) if copies >= COPIES else 0.0
    if step >= COARSE * spacing:
        return (
            f"coordinates have steps of {step:.2g}, and {copies:.1f} points share a position: write them with more"
            " digits",
        )
    return ()


def _grid_step(values: np.ndarray) -> float:
    """The step of the grid that values (n,) lie on, 0 if they do not."""
    distinct = np.unique(values.astype(np.float64))
    if not 1 < len(distinct) <= MAX_GRID_VALUES * len(values):
        return 0.0
    steps = np.diff(distinct)
    multiples = steps / (step := steps.min())
    return float(step) if np.abs(multiples - np.rint(multiples)).max() < 0.1 else 0.0


def _unit(spacing: float, extent: float) -> tuple[str, ...]:
    if spacing > MAX_SPACING or extent < MIN_EXTENT:
        return (
            f"the cloud is {_number(extent)} m across, its points {_number(spacing)} m apart: if the unit is not"
            " meters, labels are the same, but positions and extents of classes are in that unit; scale to meters",
        )
    return ()


def _number(value: float) -> str:
    return f"{value:,.0f}" if 10 <= value < 1e9 else f"{value:.2g}"
