"""Surfaces that are not as even as their models: cloth, clutter, and what fusion of depth images makes of thin things.

In fused scans of real rooms the furniture is much rougher than the floor it stands on; a model trained on smooth
furniture takes rough surfaces for something else.
"""

from __future__ import annotations

import numpy as np

WAVES = 20
LENGTHS = (0.04, 0.2)  # m, of the waves
# Roughness in m, rms, log-uniform per instance, by class. Within 12 cm, real floors are even to 1-3 mm, walls and doors
# to 2-10, soft furniture to 14-25 (ScanNet).
ROUGHNESS = {
    "floor": (0.0, 0.0012),
    "wall": (0.001, 0.02),
    "ceiling": (0.001, 0.015),
    "whiteboard": (0.0006, 0.003),
    "door": (0.0008, 0.01),
    "picture": (0.0006, 0.006),
    "window": (0.001, 0.02),
    "cabinet": (0.0008, 0.02),
    "refrigerator": (0.001, 0.014),
    "desk": (0.006, 0.04),
    "table": (0.006, 0.04),
    "bed": (0.008, 0.028),
    "chair": (0.012, 0.035),
    "sofa": (0.012, 0.04),
}
OTHERS = (0.005, 0.03)  # everything else


def amplitudes(names: list[str], rng: np.random.Generator, scale: float = 1.0) -> np.ndarray:
    """Roughness (I,) float32 in m of each instance by the name of its class; one scan, one `scale` of all."""
    low, high = np.array([ROUGHNESS.get(name, OTHERS) for name in names]).reshape(-1, 2).T
    drawn = np.exp(rng.uniform(np.log(np.maximum(low, 1e-4)), np.log(high)))
    return (scale * drawn).astype(np.float32)


def roughen(xyz: np.ndarray, instance: np.ndarray, roughness: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Displace points (n, 3) smoothly, each `instance` (n,) by a field of its own with rms `roughness` (I,) m.

    The field is a sum of plane waves of 5 to 30 cm; a slower one makes it strong in some places and weak in others,
    as a scan that has seen one side of a thing well.
    """
    length = np.exp(rng.uniform(*np.log(LENGTHS), WAVES))
    direction, shift = (_unit(rng.normal(size=(WAVES, 3))) for _ in range(2))
    wave = (direction * (2 * np.pi / length)[:, None]).astype(np.float32)
    phase = rng.uniform(0, 2 * np.pi, (len(roughness), WAVES)).astype(np.float32)
    swell = (_unit(rng.normal(size=3)) * 2 * np.pi / rng.uniform(0.5, 1.5)).astype(np.float32)
    local = xyz.astype(np.float32)
    field = np.sin(local @ wave.T + phase[instance]) @ (shift * np.sqrt(2 / WAVES)).astype(np.float32)
    strength = roughness[instance] * (0.4 + 1.2 * np.sin(local @ swell + phase[instance, 0]) ** 2)
    return xyz + strength[:, None] * field


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
