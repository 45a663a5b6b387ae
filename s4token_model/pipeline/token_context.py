"""Context of a token: a wide patch around it, and a descriptor of its superpoint, both independent of scale.

The bare patch of the paper sees a ball of one center spacing inside one superpoint, in which a piece of a table and a
piece of the floor look alike. Telling the tokenizer where the patch lies raises accuracy on real rooms. z is up.

Columns of the descriptor. Lengths are divided by the patch radius r and compressed by asinh; floor and ceiling are the
1st and 99th percentile of z.

    index  name                       unit
    0-2    std_small/middle/large     r       twice the standard deviations along the superpoint's principal axes
    3      bottom_above_floor         r       lowest point of the superpoint above the floor
    4      top_above_floor            r       its highest point above the floor
    5      height                     r       its extent in z
    6      ceiling_above_top          r       ceiling above its highest point
    7      center_above_floor         r       token center above the floor
    8      ceiling_above_center       r       ceiling above the token center
    9      center_offset_horizontal   r       token center from the superpoint's mean, horizontally
    10     center_offset_vertical     r       the same, vertically, signed
    11     cloud_width                r       geometric mean of the cloud's extents in x and y (2nd to 98th percentile)
    12     cloud_height               r       the cloud's extent in z (2nd to 98th percentile)
    13     room_height                r       ceiling above floor
    14-16  linearity/planarity/scattering     means over the superpoint
    17     normal_z2                          mean of n_z^2 over the superpoint
    18     small_axis_z2                      squared z of its smallest principal axis
    19     large_axis_z2                      squared z of its largest principal axis
    20     log_size                           log(512 * fraction of the cloud's points)
    21     center_normal_z2                   n_z^2 at the token center
    22-23  center_linearity/planarity         at the token center
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from s4token_model.config import TokenizerConfig
from s4token_model.kernels.ball_query import ball_query
from s4token_model.kernels.group_statistics import GroupMoments, group_moments
from s4token_model.pipeline.patches import Patches

CHANNELS = 5  # of the wide patch: offset (3), same superpoint (1), squared z of the normal (1)
DESCRIPTOR_DIM, LENGTH_DIMS = 24, 14  # columns of the descriptor, and how many of them, the first ones, are lengths
POOL = 8192  # wide patches are drawn from this many points of the cloud
TYPICAL_TOKENS = 512  # sizes are relative to the points per token of such a cloud


@dataclass(frozen=True)
class Context:
    """Context of N tokens."""

    points: np.ndarray  # (N, C, 5) float32, offset over the wide radius, same superpoint, n_z^2
    mask: np.ndarray  # (N, C) bool, False where padded
    descriptor: np.ndarray  # (N, 24) float32, see the table above


class Contexts(Sequence[Context]):
    """The contexts of several windows, each computed when it is first asked for."""

    def __init__(self, compute: Callable[[int], Context], count: int):
        """compute(number) -> context of the window `number`, of `count`."""
        self._compute, self._count, self._known = compute, count, dict[int, Context]()

    def __len__(self) -> int:
        """How many windows there are."""
        return self._count

    def __getitem__(self, number):
        """Return the context of one window."""
        if not -self._count <= number < self._count:
            raise IndexError(number)
        number %= self._count
        if number not in self._known:
            self._known[number] = self._compute(number)
        return self._known[number]


def context_features(
    xyz: np.ndarray, normals: np.ndarray, eigen: np.ndarray, superpoints: np.ndarray, patches: Patches,
    config: TokenizerConfig,
) -> Context:  # fmt: skip
    """Compute the context of each token; invariant to scale and translation, offsets rotate along about z.

    Args:
        xyz: (H, 3) points.
        normals: (H, 3) unit normals.
        eigen: (H, 3) linearity, planarity, scattering.
        superpoints: (H,) ids.
        patches: the N patches.
        config: the wide patch holds up to context_points within context_radius * r, of any superpoint.
    """
    points, mask = _wide_patches(xyz, normals, superpoints, patches, config)
    moments = group_moments(xyz, normals, eigen, superpoints)
    variances, axes = np.linalg.eigh(moments.covariance)
    lengths = np.arcsinh(_lengths(xyz, moments, variances, patches) / patches.radius)
    ratios = _ratios(normals, eigen, moments, axes, patches)
    return Context(points, mask, np.concatenate([lengths, ratios], axis=1).astype(np.float32))


def _wide_patches(xyz, normals, superpoints, patches: Patches, config: TokenizerConfig):
    """Points (N, C, 5) and mask (N, C) of the wide patches."""
    pool = np.linspace(0, len(xyz) - 1, min(POOL, len(xyz))).astype(np.int64)
    reach = np.float32(config.context_radius * patches.radius)
    index = ball_query(xyz[pool], patches.centers, reach, config.context_points)
    mask, member = index >= 0, pool.take(index)
    points = np.empty((*index.shape, CHANNELS), np.float32)
    points[..., :3] = (xyz.take(member, axis=0) - patches.centers[:, None]) / reach
    points[..., 3] = superpoints.take(member) == patches.superpoint[:, None]
    points[..., 4] = normals[member, 2] ** 2
    points[~mask] = 0
    return points, mask


def _lengths(xyz: np.ndarray, moments: GroupMoments, variances: np.ndarray, patches: Patches) -> np.ndarray:
    """Columns 0-13 of the descriptor, in the unit of the cloud."""
    floor, bottom, roof, ceiling = np.percentile(xyz[:, 2], (1, 2, 98, 99))
    width, depth = (np.ptp(np.percentile(xyz[:, a], (2, 98))) for a in range(2))
    same, z = patches.superpoint, patches.centers[:, 2]
    low, high = moments.min_z[same], moments.max_z[same]
    offset = patches.centers - moments.mean[same]
    deviation = 2 * np.sqrt(np.maximum(variances[same], 0))
    cloud = np.broadcast_to([[np.sqrt(width * depth)], [roof - bottom], [ceiling - floor]], (3, len(same)))
    columns = [*deviation.T, low - floor, high - floor, high - low, ceiling - high, z - floor, ceiling - z]
    return np.stack([*columns, np.hypot(offset[:, 0], offset[:, 1]), offset[:, 2], *cloud], axis=1)


def _ratios(normals, eigen, moments: GroupMoments, axes: np.ndarray, patches: Patches) -> np.ndarray:
    """Columns 14-23 of the descriptor."""
    same = patches.superpoint
    # The point of each patch nearest to its center: the center itself, unless the patch was thinned
    distance = np.where(patches.index >= 0, (patches.offsets**2).sum(axis=2), np.inf)
    center = patches.index[np.arange(len(patches.index)), distance.argmin(axis=1)]
    columns = [*moments.features[same].T, axes[same, 2, 0] ** 2, axes[same, 2, 2] ** 2]
    log_size = np.log(moments.size[same] / len(normals) * TYPICAL_TOKENS)
    return np.stack([*columns, log_size, normals[center, 2] ** 2, eigen[center, 0], eigen[center, 1]], axis=1)
