"""Where words belong: the sentence encoder's features, smoothed over WordNet and projected to the joint space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse

from scripts.words.wordnet import Nouns

ROUNDS = 12  # of the diffusion
WEIGHT = 1.0  # of a synset's neighbors, against its own feature
POWER = 0.45  # of the whitening: 0 keeps the encoder's angles, 1 makes all directions alike
RESIDUAL = 1.0  # of what lies outside of the projection, in the last dimension


class Projection(NamedTuple):
    """Sentence features to unit rows of the joint space; the last dimension is what the others cannot show."""

    mean: np.ndarray  # (D,)
    basis: np.ndarray  # (D, E - 1) orthonormal columns
    scale: np.ndarray  # (E - 1,)
    residual: float  # typical length outside of the basis

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Rows (K, D) -> unit rows (K, E)."""
        centered = features - self.mean
        inside = centered @ self.basis
        outside = np.sqrt(np.maximum((centered**2).sum(axis=1) - (inside**2).sum(axis=1), 0))
        last = RESIDUAL * np.maximum(outside - self.residual, 0)
        return unit(np.concatenate([inside * self.scale, last[:, None]], axis=1))


def smooth(nouns: Nouns, keys: Sequence[int], features: np.ndarray) -> np.ndarray:
    """Diffuse the features (S, D) of synsets to their general and special terms; unit rows (S, D).

    Every synset becomes the mean of its own feature, of its hypernyms and of the mean of its hyponyms, repeatedly:
    a general term is then near the middle of its kinds, and sisters are near each other.
    """
    index = {key: row for row, key in enumerate(keys)}
    pairs = [(k, index[h]) for k, key in enumerate(keys) for h in nouns.synsets[key].hypernyms if h in index]
    child, parent = np.array(pairs).T
    graph = scipy.sparse.coo_matrix((np.ones(len(pairs)), (child, parent)), (len(keys), len(keys))).tocsr()
    kinds = graph.T.tocsr()  # rows of parents
    up, down = (_normalized(matrix) for matrix in (graph, kinds))
    weight = 1 + WEIGHT * (np.diff(up.indptr) > 0) + WEIGHT * (np.diff(down.indptr) > 0)
    current = features
    for _ in range(ROUNDS):
        current = (features + WEIGHT * (up @ current) + WEIGHT * (down @ current)) / weight[:, None]
    return unit(current)


def fit(features: np.ndarray, weights: np.ndarray, dim: int) -> Projection:
    """Fit the projection to `dim` dimensions to weighted rows (K, D): principal axes, whitened by POWER."""
    weights = weights / weights.sum()
    mean = weights @ features
    centered = features - mean
    values, vectors = np.linalg.eigh((centered * weights[:, None]).T @ centered)
    values, basis = values[::-1][: dim - 1], vectors[:, ::-1][:, : dim - 1]
    outside = np.sqrt(np.maximum((centered**2).sum(axis=1) - ((centered @ basis) ** 2).sum(axis=1), 0))
    return Projection(mean, basis, (values / values[0]) ** (-POWER / 2), float(weights @ outside))


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def _normalized(matrix: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
    """Rows that sum to 1, or are empty."""
    sums = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1)
    return scipy.sparse.diags(1 / sums) @ matrix
