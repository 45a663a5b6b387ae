"""Connected components of voxels against scipy's."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from s4token_model.kernels.voxel_components import components, grids_beside_each_other, occupied_voxels


def test_components_are_those_of_touching_voxels():
    xyz = np.random.default_rng(0).random((600, 3)) * 20
    cells = np.floor(xyz).astype(int)
    expected = connected_components(coo_matrix(np.abs(cells[:, None] - cells).max(axis=2) <= 1), directed=False)
    found, count = components(occupied_voxels(xyz, np.zeros(3), 1.0))
    assert count == expected[0] > 1
    assert np.unique(np.stack([found, expected[1]]), axis=1).shape == (2, count)  # the same parts, in some order


def test_grids_of_groups_do_not_touch():
    rng = np.random.default_rng(1)
    xyz, groups = rng.random((500, 3)) * 8, np.arange(500) % 10
    corners = np.array([xyz[groups == g].min(axis=0) for g in range(10)])
    edges = rng.uniform(0.5, 2, 10)
    cells = np.floor(grids_beside_each_other(xyz, groups, corners, edges))
    expected = np.floor((xyz - corners[groups]) / edges[groups][:, None])
    shift = cells - expected
    for g in range(10):
        assert (shift[groups == g] == shift[g]).all()
    distance = np.abs(cells[:, None] - cells).max(axis=2)[groups[:, None] != groups]
    assert distance.min() > 1
