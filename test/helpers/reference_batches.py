"""A training batch by brute force in numpy: cloud by cloud, each drawn, rotated and weighted on its own."""

from __future__ import annotations

import numpy as np

from s4token_model.training.token_samples import TokenSample


def draw(sample: TokenSample, config, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The arrays of one cloud of a training batch, named as in TokenInput and Batch."""
    points = np.arange(len(sample.point))
    if len(points) != config.points:
        points = rng.choice(len(points), config.points, replace=len(points) < config.points)
    kept = np.resize(rng.permutation(len(sample.position)), config.tokens)
    patch, mask = draw_points(sample.patch[kept], sample.patch_count[kept], config.patch_points, rng)
    context, context_mask = draw_points(sample.context[kept], sample.context_count[kept], config.context_points, rng)
    angle, flip = (rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0])) if config.rotate else (0.0, 1.0)
    turn = np.array([[np.cos(angle) * flip, np.sin(angle), 0], [-np.sin(angle) * flip, np.cos(angle), 0], [0, 0, 1]])
    patch[..., :3], context[..., :3] = patch[..., :3] @ turn, context[..., :3] @ turn
    position, point = sample.position[kept] @ turn, sample.point[points] @ turn
    token, own = sample.token_superpoint[kept], sample.point_superpoint[points]
    return {
        "patch": patch, "mask": mask, "context": context, "context_mask": context_mask,
        "shape": sample.descriptor[kept], "position": position * sample.position_scale, "point": point,
        "weights": weights(point, position, own, token), "label": sample.point_label[points], "superpoint": own,
    }  # fmt: skip


def draw_points(points: np.ndarray, count: np.ndarray, limit: int, rng: np.random.Generator):
    """At most `limit` valid points of each row, those of the smallest random keys, and their mask."""
    valid = np.arange(points.shape[1]) < count[:, None]
    if limit >= points.shape[1]:
        return points.astype(float), valid
    order = np.argsort(np.where(valid, rng.random(points.shape[:2], np.float32), 2), axis=1, kind="stable")[:, :limit]
    return np.take_along_axis(points, order[..., None], 1).astype(float), np.take_along_axis(valid, order, 1)


def weights(point: np.ndarray, position: np.ndarray, own: np.ndarray, token: np.ndarray) -> np.ndarray:
    """Eq. 4: the tokens of a point's superpoint, or the three nearest, by 1 / (distance + 1e-4)."""
    found = np.zeros((len(point), len(position)))
    for i, row in enumerate(found):
        distance = np.linalg.norm(position - point[i], axis=1)
        members = np.flatnonzero(token == own[i])
        members = members if len(members) else np.argsort(distance)[:3]
        row[members] = 1 / (distance[members] + 1e-4)
    return found / found.sum(axis=1, keepdims=True)
