"""Real sweeps of KITTI's sensor as thinner sensors and projections leave them."""

from __future__ import annotations

import numpy as np

from s4token_model.datasets.semantickitti import Sweep
from s4token_model.evaluation.segmentation import LabeledCloud
from s4token_model.sensors.spinning_lidar import HDL32, image_fov, range_image

VIEWS = ("sweep", "image64", "image32")  # "sweep": all of it


def beam_numbers(xyz: np.ndarray) -> np.ndarray:
    """Beam (H,) of each point of a sweep that is stored beam by beam, as KITTI's are: 0 is the first one stored.

    xyz (H, 3) in the sensor's frame; each beam runs counter-clockwise from +x, so that azimuth falls back at its end.
    """
    azimuth = np.mod(np.arctan2(xyz[:, 1], xyz[:, 0]), 2 * np.pi)
    return np.cumsum(np.diff(azimuth, prepend=azimuth[:1]) < -np.pi)


def labeled_view(sweep: Sweep, view: str) -> LabeledCloud:
    """What a view of VIEWS has of a sweep, and its labels."""
    seen = view_of_sweep(sweep.xyz, view)
    return LabeledCloud(sweep.name, sweep.xyz[seen], None, sweep.label[seen])


def view_of_sweep(xyz: np.ndarray, view: str) -> np.ndarray:
    """Indices (n,) of the points of a sweep (H, 3) of KITTI's sensor that a thinner view of VIEWS has.

    image64: its range image of 64 x 1024 pixels; image32: 32 x 1024 pixels of the beams that an HDL-32E would have.
    """
    if view not in VIEWS:
        raise ValueError(f"unknown view {view!r}; use one of {', '.join(VIEWS)}")
    if view == "sweep":
        return np.arange(len(xyz))
    if view == "image64":
        return range_image(xyz, (64, 1024))
    beam = beam_numbers(xyz)
    elevation = np.degrees(np.arcsin(xyz[:, 2] / np.linalg.norm(xyz, axis=1)))
    of_beam = np.array([np.median(elevation[beam == k]) for k in range(beam[-1] + 1)])
    inside = HDL32.elevations[(HDL32.elevations > of_beam.min() - 0.7) & (HDL32.elevations < of_beam.max() + 0.7)]
    kept = np.flatnonzero(np.isin(beam, np.abs(of_beam[:, None] - inside).argmin(axis=0)))
    return kept[range_image(xyz[kept], (32, 1024), image_fov(HDL32))]
