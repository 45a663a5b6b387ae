"""The alternative solver around cut-pursuit-py: connected regions, a minimum size, an error without the package."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from graphs import inner_components, random_graph

from s4token_model.config import SuperpointConfig
from s4token_model.pipeline import cut_pursuit, superpoints


def test_without_the_package_the_error_names_the_fix(monkeypatch):
    monkeypatch.setitem(sys.modules, "cut_pursuit_py", None)
    xyz = np.random.default_rng(0).random((50, 3))
    with pytest.raises(ValueError, match=r"s4token_ros\[cut-pursuit\].*pip install cut-pursuit-py"):
        superpoints.partition(xyz, None, SuperpointConfig(solver="cut_pursuit"))
    assert len(superpoints.partition(xyz)) == 50, "our own solver does not need it"


@pytest.mark.parametrize("seed", range(5))
def test_components_against_scipy(seed):
    _, edges, rng = random_graph(60, seed)
    labels = rng.integers(0, 3, 60)
    split = cut_pursuit.components(labels, edges)
    assert split.max() + 1 == inner_components(edges, labels)
    assert all(labels[split == s].min() == labels[split == s].max() for s in range(split.max() + 1))


def merge_in_rounds(labels, features, edges, regularization, min_points):
    """All small regions pick the neighbor that costs least, then unite; again until none is left. Plain loops."""
    while True:
        partner = {}
        for a in sorted(set(labels.tolist())):
            own = features[labels == a].astype(float)
            if len(own) >= min_points:
                continue
            costs = []
            for b in sorted({labels[j] for i, k in edges for i, j in ((i, k), (k, i)) if labels[i] == a} - {a}):
                other = features[labels == b].astype(float)
                cut = sum({labels[i], labels[j]} == {a, b} for i, j in edges)
                weight = len(own) * len(other) / (len(own) + len(other))
                costs.append((weight * ((own.mean(axis=0) - other.mean(axis=0)) ** 2).sum() - regularization * cut, b))
            if costs:
                partner[a] = min(costs)[1]
        if not partner:
            return labels
        group = {r: r for r in set(labels.tolist())}

        def root(r, group=group):
            return r if group[r] == r else root(group[r])

        for a, b in partner.items():
            group[root(a)] = root(b)
        labels = np.array([root(r) for r in labels.tolist()])


def canonical(labels: np.ndarray) -> list[int]:
    first: dict[int, int] = {}
    return [first.setdefault(label, len(first)) for label in labels.tolist()]


@pytest.mark.parametrize("seed", range(12))
def test_merge_small_against_plain_loops(seed):
    features, edges, rng = random_graph(24, seed, 10)
    labels = cut_pursuit.components(rng.integers(0, 8, 24), edges)
    merged = cut_pursuit.merge_small(labels, features, edges, 0.4, 4)
    assert canonical(merged) == canonical(merge_in_rounds(labels, features, edges, 0.4, 4))
    sizes = np.bincount(merged)
    touching = {r for i, j in edges if merged[i] != merged[j] for r in (merged[i], merged[j])}
    assert all(sizes[r] >= 4 for r in touching), "only regions without a neighbor stay small"
