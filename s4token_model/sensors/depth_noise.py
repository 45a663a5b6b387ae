"""What a hand-held depth camera gets wrong, drawn per scan: noise, holes, flying pixels, wrong poses.

Everything works on stacks of images: depth (n, h, w) float32 meters along the optical axis, 0 = no measurement.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Share of measurements that materials swallow: light passes glass, leaves mirrors, and is lost on black screens.
SWALLOWED = {
    "window": 0.6, "mirror": 0.7, "television": 0.45, "monitor": 0.4, "bottle": 0.3, "oven": 0.2, "curtain": 0.05,
}  # fmt: skip


class DepthSensor(NamedTuple):
    """The quality of one scan. Lengths in meters, angles in degrees, the rest shares."""

    far: float  # nothing beyond
    noise: float  # white noise at 1 m, grows with z^2
    wave: float  # smooth error over the image at 1 m, grows with z^2
    ripple: float  # the same with bumps a third as wide
    grazing: float  # |cos| of the angle of incidence below which measurements get lost
    edge: float  # share of the measurements at depth edges that are removed
    flying: float  # share of the kept ones at depth edges that fly between both depths
    swallow: float  # how much of SWALLOWED happens
    dark: float  # share of measurements lost on black surfaces
    shift: float  # position error of each pose
    turn: float  # orientation error of each pose
    drift: float  # growth of the position error from pose to pose

    @classmethod
    def draw(cls, rng: np.random.Generator) -> DepthSensor:
        """A random sensor and operator; quality varies as much between scans as it does between real ones."""
        sloppy = rng.random()  # one operator, one quality: errors of poses go together
        return cls(
            far=rng.uniform(3.0, 5.0), noise=_log_uniform(rng, 0.0002, 0.001), wave=_log_uniform(rng, 0.0002, 0.001),
            ripple=_log_uniform(rng, 0.0002, 0.0008), grazing=rng.uniform(0.05, 0.25), edge=rng.uniform(0.0, 0.5),
            flying=rng.uniform(0.0, 0.06), swallow=rng.uniform(0.2, 1.3), dark=rng.uniform(0.0, 0.7),
            shift=0.001 + 0.010 * sloppy**3 * rng.uniform(0.4, 1.4),
            turn=0.02 + 0.3 * sloppy**3 * rng.uniform(0.4, 1.4), drift=0.004 * sloppy**3 * rng.uniform(0.0, 1.5),
        )  # fmt: skip


def measure(depth, incidence, luma, swallowed, sensor: DepthSensor, rng: np.random.Generator) -> np.ndarray:
    """The depth (n, h, w) float32 a sensor reports for true `depth` (inf = nothing); 0 where it reports nothing.

    incidence: |cos| between ray and normal; luma: brightness in [0, 1]; swallowed: share lost to the material; all
    (n, h, w).
    """
    z = np.where(depth < sensor.far, depth, 0).astype(np.float32)
    edge = depth_edges(z)
    # One blotchy field decides all losses, so that they come as patches, not as salt and pepper.
    blotch = _uniform_field(z.shape, rng)
    lost = np.maximum(swallowed * sensor.swallow, sensor.dark * np.clip(1.5 - 10 * luma, 0, 1))
    lost = np.maximum(lost, np.clip(2 - incidence / sensor.grazing, 0, 1))
    keep = (z > 0.3) & (blotch >= lost)
    keep &= ~edge | (rng.random(z.shape, dtype=np.float32) > sensor.edge)
    error = sensor.noise * rng.standard_normal(z.shape, dtype=np.float32)
    error += sensor.wave * _smooth_field(z.shape, 9, rng) + sensor.ripple * _smooth_field(z.shape, 28, rng)
    fly = edge & (rng.random(z.shape, dtype=np.float32) < sensor.flying)
    z = np.where(fly, _between(z, rng), z + error * z**2)
    return np.where(keep, z, 0).astype(np.float32)


def misplace(poses: np.ndarray, sensor: DepthSensor, rng: np.random.Generator) -> np.ndarray:
    """Poses (n, 4, 4) as a tracker believes them: jitter per pose, drift along the walk, the mean error zero."""
    n = len(poses)
    shift = rng.normal(0, sensor.shift, (n, 3)) + np.cumsum(rng.normal(0, sensor.drift, (n, 3)), axis=0)
    shift -= shift.mean(0)
    turn = np.radians(rng.normal(0, sensor.turn, (n, 3)))
    believed = poses.copy()
    believed[:, :3, :3] = rotations(turn) @ poses[:, :3, :3]
    believed[:, :3, 3] += shift
    return believed


def rotations(vectors: np.ndarray) -> np.ndarray:
    """Rotation matrices (n, 3, 3) of rotation vectors (n, 3) in radians (Rodrigues)."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    x, y, z = (vectors / np.maximum(angle[:, 0], 1e-12)).T
    zero = np.zeros_like(x)
    k = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def depth_edges(z: np.ndarray) -> np.ndarray:
    """Pixels (n, h, w) bool next to a jump in depth of more than 4 cm + 4 % (missing depth does not count)."""
    edge = np.zeros(z.shape, dtype=bool)
    for axis in (1, 2):
        a, b = np.moveaxis(z, axis, 0)[:-1], np.moveaxis(z, axis, 0)[1:]
        jump = (np.abs(a - b) > 0.04 + 0.04 * np.minimum(a, b)) & (a > 0) & (b > 0)
        view = np.moveaxis(edge, axis, 0)
        view[:-1] |= jump
        view[1:] |= jump
    return edge


def _between(z: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Depth mixed with that of the right-hand pixel, as a pixel that straddles an edge measures it."""
    other = np.roll(z, 1, axis=2)
    other = np.where(other > 0, other, z)
    return z + (other - z) * rng.random(z.shape, dtype=np.float32)


def _smooth_field(shape: tuple[int, int, int], knots: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth standard normal noise (n, h, w) float32, `knots` bumps per side; each image is cut from one pattern."""
    n, height, width = shape
    rows, cols = _interpolation(2 * height, 2 * knots), _interpolation(2 * width, 2 * knots)
    pattern = 1.4 * (rows @ rng.standard_normal((2 * knots, 2 * knots), dtype=np.float32) @ cols.T)
    top, left = rng.integers(height + 1, size=n), rng.integers(width + 1, size=n)
    sign = rng.choice(np.float32([-1, 1]), n)
    return np.stack([s * pattern[t : t + height, k : k + width] for s, t, k in zip(sign, top, left, strict=True)])


def _uniform_field(shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    """Blotchy noise in (0, 1), about uniform: two scales of smooth noise and a little white noise."""
    normal = 0.75 * _smooth_field(shape, 10, rng) + 0.5 * _smooth_field(shape, 40, rng)
    normal += 0.4 * rng.standard_normal(shape, dtype=np.float32)
    return 1 / (1 + np.exp(-1.7 * normal))


def _interpolation(size: int, knots: int) -> np.ndarray:
    """Matrix (size, knots) float32 of linear interpolation between evenly spaced knots."""
    at = np.linspace(0, knots - 1, size)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(knots))).astype(np.float32)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
