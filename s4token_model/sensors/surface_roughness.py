"""Surfaces that are not as even as their models: cloth, clutter, and what fusion of depth images makes of thin things.

In fused scans of real rooms the furniture is much rougher than the floor it stands on; a model trained on smooth
furniture takes rough surfaces for something else.
"""

from __future__ import annotations

import numpy as np

WAVES = 20
LENGTHS = (0.04, 0.2)  # m, of the waves
LUMP_LENGTHS = (0.1, 0.8)
LUMP_SHARE = 0.45  # of the surface, about, that is not as it should be
# Roughness in m, rms, log-uniform per instance, by class; so that the thickness of 20 neighboring points is that of
# ScanNet's: floors 2 mm, walls and doors 5, cabinets, sofas and beds 7, chairs 9, tables 11.
ROUGHNESS = {
    "floor": (0.0, 0.001), "wall": (0.0006, 0.006), "ceiling": (0.0006, 0.006), "whiteboard": (0.0006, 0.003),
    "door": (0.0006, 0.005), "picture": (0.0006, 0.004), "window": (0.004, 0.016), "cabinet": (0.0008, 0.012),
    "refrigerator": (0.0006, 0.005), "desk": (0.004, 0.018), "table": (0.004, 0.018), "bed": (0.003, 0.01),
    "chair": (0.004, 0.012), "sofa": (0.002, 0.01),
}  # fmt: skip
OTHERS = (0.002, 0.012)  # everything else
# The same of lumps, where they are.
LUMPS = {"floor": (0.005, 0.03), "wall": (0.015, 0.08), "ceiling": (0.015, 0.08), "door": (0.01, 0.06)}
OTHER_LUMPS = (0.015, 0.07)


def amplitudes(names: list[str], rng: np.random.Generator, scale: float = 1.0, lumps: bool = False) -> np.ndarray:
    """Roughness (I,) float32 in m of each instance, or that of its `lumps`, by the name of its class; one scan, one
    `scale` of all."""
    table, others = (LUMPS, OTHER_LUMPS) if lumps else (ROUGHNESS, OTHERS)
    low, high = np.array([table.get(name, others) for name in names]).reshape(-1, 2).T
    drawn = np.exp(rng.uniform(np.log(np.maximum(low, 1e-4)), np.log(high)))
    return (scale * drawn).astype(np.float32)


def roughen(xyz: np.ndarray, instance: np.ndarray, roughness: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Displace points (n, 3) smoothly, each `instance` (n,) by a field of its own with rms `roughness` (I,) m.

    The field is a sum of plane waves of 4 to 20 cm; a slower one makes it strong in some places and weak in others,
    as a scan that has seen one side of a thing well.
    """
    local = xyz.astype(np.float32)
    swell = (_unit(rng.normal(size=3)) * 2 * np.pi / rng.uniform(0.5, 1.5)).astype(np.float32)
    field, phase = _waves(local, instance, len(roughness), LENGTHS, rng)
    strength = roughness[instance] * (0.4 + 1.2 * np.sin(local @ swell + phase[instance, 0]) ** 2)
    return xyz + strength[:, None] * field


def bulge(xyz: np.ndarray, instance: np.ndarray, lumps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Displace points (n, 3) in patches that cover some LUMP_SHARE of the surface, by lumps of rms `lumps` (I,) m.

    Fused scans are even where they were seen well and bent where they were not: a sixth of the normals of real walls
    are off by more than 18 degrees, though most of the wall is even to millimeters.
    """
    local = xyz.astype(np.float32)
    field, _ = _waves(local, instance, len(lumps), LUMP_LENGTHS, rng)
    where = _waves(local, np.zeros(len(xyz), np.int64), 1, (0.8, 2.5), rng)[0][:, 0] * np.sqrt(3)  # about normal
    border = np.float32(np.quantile(where, 1 - LUMP_SHARE)) if len(where) else 0.0
    strength = lumps[instance] * np.clip((where - border) * 2, 0, 1)
    return xyz + strength[:, None] * field


def _waves(local, instance, count: int, lengths: tuple[float, float], rng) -> tuple[np.ndarray, np.ndarray]:
    """Field (n, 3) float32 of rms 1, a sum of plane waves, and the phases (count, WAVES) of each instance."""
    length = np.exp(rng.uniform(*np.log(lengths), WAVES))
    direction, shift = (_unit(rng.normal(size=(WAVES, 3))) for _ in range(2))
    wave = (direction * (2 * np.pi / length)[:, None]).astype(np.float32)
    phase = rng.uniform(0, 2 * np.pi, (count, WAVES)).astype(np.float32)
    return np.sin(local @ wave.T + phase[instance]) @ (shift * np.sqrt(2 / WAVES)).astype(np.float32), phase


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
