"""Surfaces that are not as even as their models: cloth, clutter, and what fusion of depth images makes of thin things.

In fused scans of real rooms the furniture is much rougher than the floor it stands on; a model trained on smooth
furniture takes rough surfaces for something else.
"""

from __future__ import annotations

import numpy as np

WAVES = 20
LENGTHS = (0.04, 0.2)  # m, of the waves
EVEN = {"floor": (0.0, 0.0012), "wall": (0.001, 0.012), "ceiling": (0.001, 0.01), "whiteboard": (0.0006, 0.003)}
ROUGH = (0.006, 0.03)  # m, rms of everything else, log-uniform per instance


def amplitudes(names: list[str], rng: np.random.Generator, scale: float = 1.0) -> np.ndarray:
    """Roughness (I,) float32 in m of each instance by the name of its class; one scan, one `scale` of all."""
    low, high = np.array([EVEN.get(name, ROUGH) for name in names]).reshape(-1, 2).T
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
