"""The reference pipeline: the paper's parts as the usual libraries give them, a peer for timing.

Open3D normals, scipy neighbors with pgeof's (or numpy's) eigen-features, cut-pursuit-py, farthest point sampling as a
torch loop, grouping by a full distance matrix, propagation by the dense formula with masked pairs. Same numbers of
points, tokens and words as ours.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree

from s4token_model.config import Config
from s4token_model.pipeline import superpoints


def partition(xyz: np.ndarray, config: Config) -> np.ndarray:
    """Superpoint ids (H,) by Open3D normals, eigen-features of the nearest neighbors and cut-pursuit-py."""
    options = config.superpoints
    neighbors = cKDTree(xyz).query(xyz, k=max(options.feature_neighbors, options.graph_neighbors + 1), workers=-1)[1]
    features = np.concatenate([normals(xyz, options.feature_neighbors), _eigen(xyz, neighbors)], axis=1)
    source = np.repeat(np.arange(len(xyz)), options.graph_neighbors)
    pairs = np.stack([source, neighbors[:, 1 : options.graph_neighbors + 1].reshape(-1)], axis=1)
    edges = np.unique(np.sort(pairs, axis=1), axis=0).astype(np.int32)
    weights = np.full(len(edges), options.regularization, np.float32)
    return superpoints.cut_pursuit(features.astype(np.float32), edges, weights)


def normals(xyz: np.ndarray, neighbors: int) -> np.ndarray:
    """Open3D's normals (H, 3), turned upwards."""
    import open3d

    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(xyz.astype(np.float64)))
    cloud.estimate_normals(open3d.geometry.KDTreeSearchParamKNN(neighbors))
    found = np.asarray(cloud.normals)
    return found * np.where(found[:, 2:] < 0, -1, 1)


def _eigen(xyz: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """Linearity, planarity, scattering by pgeof where it is installed, else numpy."""
    try:
        import pgeof
    except ImportError:
        offset = xyz[neighbors] - xyz[:, None]
        values = np.linalg.eigvalsh(np.einsum("hka,hkb->hab", offset, offset))[:, ::-1]
        top = np.maximum(values[:, :1], 1e-12)
        return (
            np.concatenate([values[:, :1] - values[:, 1:2], values[:, 1:2] - values[:, 2:], values[:, 2:]], axis=1)
            / top
        )
    starts = np.arange(len(xyz) + 1, dtype=np.uint32) * neighbors.shape[1]
    flat = neighbors.reshape(-1).astype(np.uint32)
    return pgeof.compute_features(np.ascontiguousarray(xyz, np.float32), flat, starts)[:, :3]


def farthest_points(xyz: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Weighted farthest point sampling as a torch loop: weights (H,), indices (count,)."""
    points, scale = torch.from_numpy(xyz), torch.from_numpy(weights)
    nearest = torch.full((len(xyz),), torch.inf)
    chosen = torch.zeros(count, dtype=torch.long)
    for t in range(1, count):
        nearest = torch.minimum(nearest, ((points - points[chosen[t - 1]]) ** 2).sum(dim=1))
        chosen[t] = torch.argmax(nearest * scale)
    return chosen.numpy()


def group(xyz: np.ndarray, labels: np.ndarray, chosen: np.ndarray, radius: float, count: int) -> np.ndarray:
    """Ball and superpoint grouping by full distance rows; index (N, count), the centroid repeated where points lack."""
    points, ids = torch.from_numpy(xyz), torch.from_numpy(labels.astype(np.int64))
    rows = []
    for center in chosen:
        near = torch.cdist(points[center][None], points)[0] <= radius
        members = torch.nonzero(near & (ids == ids[center]))[:count, 0]
        rows.append(torch.cat([members, torch.full((count - len(members),), int(center))]))
    return torch.stack(rows).numpy()


def propagate(xyz, labels, centers, center_labels, radius: float, features: np.ndarray, text: np.ndarray) -> np.ndarray:
    """Eq. 4 as written: all point-centroid pairs, features of every point, then cosines with the words (H, C)."""
    points, tokens = torch.from_numpy(xyz), torch.from_numpy(np.ascontiguousarray(centers))
    out = []
    for begin in range(0, len(xyz), 16384):  # 16384 points at a time: the dense matrices of a large cloud would not fit
        part = slice(begin, begin + 16384)
        same = torch.from_numpy(labels[part, None] == center_labels[None])
        distance = torch.cdist(
            points[part], tokens, compute_mode="donot_use_mm_for_euclid_dist"
        )  # by matrices: 1e-4 off
        weights = same / (distance / radius + 1e-4)
        weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-12)
        values = torch.nn.functional.normalize(weights @ torch.from_numpy(features), dim=1)
        out.append(values @ torch.from_numpy(text).T)
    return torch.cat(out).numpy()
