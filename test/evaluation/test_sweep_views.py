"""Views of real sweeps: what thinner sensors and projections leave of them."""

from __future__ import annotations

import numpy as np
import pytest
from real_data import real

from s4token_model.datasets import semantickitti
from s4token_model.evaluation import sweep_views


def test_beams_of_a_stored_sweep_are_counted():
    azimuth = np.concatenate([np.linspace(0.1, 6.2, n) for n in (50, 20, 70)])
    xyz = np.stack([np.cos(azimuth), np.sin(azimuth), 0 * azimuth], axis=1)
    np.testing.assert_array_equal(sweep_views.beam_numbers(xyz), np.repeat([0, 1, 2], [50, 20, 70]))


def test_views_of_a_real_sweep_are_thinner():
    root = real("semantickitti")
    sweep = semantickitti.load_sweep(root, semantickitti.list_sweeps(root)[0])
    assert sweep_views.beam_numbers(sweep.xyz)[-1] + 1 == 64
    whole, image, few = (sweep_views.view_of_sweep(sweep.xyz, view) for view in sweep_views.VIEWS)
    assert len(whole) == len(sweep.xyz) and 40_000 < len(image) < 64 * 1024 and 12_000 < len(few) < 21 * 1024
    beams = np.unique(sweep_views.beam_numbers(sweep.xyz)[few])
    assert 18 <= len(beams) <= 21


def test_an_unknown_view_is_refused():
    with pytest.raises(ValueError, match=r"'photo'.*image64"):
        sweep_views.view_of_sweep(np.ones((3, 3)), "photo")
