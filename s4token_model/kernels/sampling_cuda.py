"""Weighted farthest point sampling on a CUDA device: one kernel launch draws all samples of all clouds of a batch.

Imported only where a CUDA device is used: Triton comes with torch's CUDA builds and is no dependency of its own. Under
TRITON_INTERPRET=1 the kernel runs on CPU tensors, which is how it is tested without a GPU.
"""

from __future__ import annotations

import numpy as np
import torch
import triton
import triton.language as tl

TILE = 1024  # points that a program looks at together


def works(device: str) -> bool:
    """Whether the kernel compiles, runs and is right on this device, by a cloud of known samples."""
    xyz = np.array([[0, 0, 0], [1, 0, 0], [3, 0, 0], [3, 0, 0]], np.float32)
    return sample_arrays(xyz, np.ones(4, np.float32), 0, 4, device).tolist() == [0, 2, 1]


def sample_arrays(xyz: np.ndarray, weights: np.ndarray, first: int, count: int, device: str) -> np.ndarray:
    """`weighted_fps` of arrays on the host: one upload, one launch, one answer."""
    points, factors = (torch.from_numpy(np.ascontiguousarray(a, np.float32)).to(device) for a in (xyz, weights))
    return weighted_fps(points, factors, first, count).cpu().numpy()


def weighted_fps(xyz: torch.Tensor, weights: torch.Tensor, first: int, count: int) -> torch.Tensor:
    """Samples of one cloud, index for index those of `sampling`: i_t = argmax_i D_i * weights_i, ties to the lowest.

    xyz (H, 3) and weights (H,) float32 on one device. Returns (N,) int32, N <= count: fewer where all candidates left
    coincide with a chosen point. Waits for the device once, to learn N.
    """
    if len(xyz) == 0 or count == 0:
        return torch.zeros(0, dtype=torch.int32, device=xyz.device)
    limits = torch.tensor([0, len(xyz)], dtype=torch.int32, device=xyz.device)
    starts = torch.tensor([first], dtype=torch.int32, device=xyz.device)
    chosen = weighted_fps_batch(xyz, weights, limits, starts, min(count, len(xyz)))[0]
    return chosen[: int((chosen >= 0).sum())]


def weighted_fps_batch(
    xyz: torch.Tensor, weights: torch.Tensor, limits: torch.Tensor, first: torch.Tensor, count: int
) -> torch.Tensor:
    """Samples of B clouds that lie behind one another; nothing leaves the device.

    xyz (H, 3), weights (H,) float32 >= 0; limits (B + 1,) int32, cloud b holds the points limits[b]..limits[b + 1] - 1,
    at least one; first (B,) int32, the first sample of each, counted from the start of its cloud. Returns (B, count)
    int32 indices counted likewise, -1 once every candidate coincides with a chosen point.
    """
    assert xyz.shape == (len(weights), 3) and len(limits) == len(first) + 1 and count > 0
    planes = xyz.to(torch.float32).t().contiguous()
    squared = torch.full_like(planes[0], torch.inf)
    factors = weights.to(torch.float32).contiguous()
    chosen = torch.full((len(first), count), -1, dtype=torch.int32, device=xyz.device)
    with torch.cuda.device_of(planes):
        _sample_clouds[(len(first),)](
            *(planes, factors, squared, limits, first, chosen, planes.shape[1], count, TILE),
            num_warps=16,
            enable_fp_fusion=False,  # fused multiply-adds would round other than the definition does
        )
    return chosen


@triton.jit
def _sample_clouds(planes, weights, squared, limits, first, chosen, stride, count, TILE: tl.constexpr):
    """One program per cloud. `squared` (H,) is scratch, inf at first; the barriers inside the reductions at the end of
    a sample also order its writes before the reads of the next.

    Every lane keeps the best of the points it has seen, the first of equal ones; the lowest index among the best lanes
    then is the lowest of all.
    """
    cloud = tl.program_id(0)
    begin = tl.load(limits + cloud)
    end = tl.load(limits + cloud + 1)
    lane = tl.arange(0, TILE)
    place = begin + tl.load(first + cloud)
    t = 0
    while t < count:
        tl.store(chosen + cloud * count + t, place - begin)
        x = tl.load(planes + place)
        y = tl.load(planes + stride + place)
        z = tl.load(planes + 2 * stride + place)
        best = tl.zeros([TILE], tl.float32)
        at = tl.full([TILE], 2147483647, tl.int32)
        for start in range(begin, end, TILE):
            i = start + lane
            inside = i < end
            dx = tl.load(planes + i, inside, 0.0) - x
            dy = tl.load(planes + stride + i, inside, 0.0) - y
            dz = tl.load(planes + 2 * stride + i, inside, 0.0) - z
            near = tl.minimum(dx * dx + dy * dy + dz * dz, tl.load(squared + i, inside, 0.0))
            tl.store(squared + i, near, inside)
            value = near * tl.load(weights + i, inside, 0.0)
            better = value > best
            best = tl.where(better, value, best)
            at = tl.where(better, i, at)
        top = tl.max(best, axis=0)
        place = tl.min(tl.where(best == top, at, 2147483647), axis=0)
        t = tl.where(top > 0, t + 1, count)
