"""Warnings on coordinates: steps of float32, grids, units; none on clouds that are in order."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.checkpoint import read_config
from s4token_model.io import samples
from s4token_model.pipeline.patched_cloud import build_patches


@pytest.fixture(scope="module")
def room() -> np.ndarray:
    return samples.load().xyz[::2].astype(np.float64)


def warnings(xyz: np.ndarray) -> tuple[str, ...]:
    return build_patches(xyz, None, read_config("s4token-mini"), max_windows=256).warnings


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("north, step", [(4.2e6, "0.5"), (1.6e6, "0.12")])
def test_map_coordinates_in_float32_are_warned_about(room, kind, north, step):
    coarse = (room + [5e5, north, 0]).astype(np.float32).astype(kind)  # float64 does not bring digits back
    (warning,) = warnings(coarse)
    assert warning.startswith(f"coordinates around {north:,.0f}"[:-3])
    assert f" in float32 have steps of {step}, coarser than the spacing" in warning
    assert warning.endswith("subtract an offset, or use float64")


def test_map_coordinates_in_float64_and_small_offsets_are_in_order(room):
    assert warnings(room + [5e5, 4.2e6, 0]) == () and warnings((room + 1000).astype(np.float32)) == ()


@pytest.mark.parametrize("step", [0.1, 0.5])
def test_coordinates_on_a_coarse_grid_are_warned_about(room, step):
    (warning,) = warnings(np.round(room / step) * step)
    assert warning.startswith(f"coordinates have steps of {step}, and ") and "write them with more digits" in warning


def test_voxel_centers_and_copies_are_no_coarse_grid(room):
    voxels = np.unique(np.round(room / 0.1).astype(np.int64), axis=0) * 0.1
    assert warnings(voxels) == () and warnings(np.repeat(room, 3, axis=0)) == ()


@pytest.mark.parametrize("scale, size", [(1000, "7,443"), (0.005, "0.037")])
def test_units_that_are_not_meters_are_warned_about(room, scale, size):
    (warning,) = warnings(room * scale)
    assert warning.startswith(f"the cloud is {size} m across") and "scale to meters" in warning


def test_tiny_clouds_are_in_order():
    assert warnings(np.zeros((1, 3))) == () and warnings(np.zeros((0, 3))) == ()
