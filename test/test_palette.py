"""Colors of numbered things: stable, and different for near numbers."""

from __future__ import annotations

import numpy as np

from s4token_model.palette import index_colors


def test_colors_are_stable_and_differ():
    ids = np.arange(2000)
    colors = index_colors(ids)
    np.testing.assert_array_equal(colors[::-1], index_colors(ids[::-1]))
    np.testing.assert_array_equal(colors[:20], index_colors(ids[:20]))
    steps = np.abs(np.diff(colors.astype(int), axis=0)).sum(1)
    assert np.median(steps) > 90 and len(np.unique(colors, axis=0)) > 1900
    assert len(np.unique(colors[:40], axis=0)) == 40
    assert colors.dtype == np.uint8 and index_colors(np.uint32(7)).shape == (3,)
