"""Turn a cloud upright before it is cut into tokens: the model learned from clouds with z up.

What is up: a rotation that is known, input.up, or with input.up auto the name of the frame, else the floor.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from s4token_model.config import Config
from s4token_model.pipeline.patched_cloud import PatchedCloud, build_patches
from s4token_model.pipeline.preprocess import checked_positions, rotate_up

OPTICAL = ("_optical_frame", "_optical")  # of the frames of images: x right, y down, z forward (REP 103)
MAX_TILT = 20.0  # degrees off an axis, which input.level takes away


def is_optical(frame: str) -> bool:
    """Whether a frame_id is named as the optical frame of a camera, where -y is up."""
    return frame.endswith(OPTICAL)


def build_upright(
    xyz: np.ndarray, rgb: np.ndarray | None, config: Config, max_windows: int = 1, frame: str = "",
    rotation: np.ndarray | None = None, provided: np.ndarray | None = None,
) -> PatchedCloud:  # fmt: skip
    """Turn a cloud (H, 3) of the frame_id `frame` upright and build its patches, with warnings if that may be wrong.

    `rotation` (3, 3) takes it to a frame whose z is up; None leaves that to input.up. `provided` as in `build_patches`.
    """
    up, optical, xyz = config.input.up, is_optical(frame or ""), checked_positions(xyz, rgb)
    if rotation is not None:
        xyz, axis = _rotated(xyz, rotation), "z"
    else:
        axis = up if up != "auto" else "-y" if optical else "z"
    patched = build_patches(xyz, rgb, _with_up(config, axis), None, max_windows, provided)
    floor_up = patched.partition.floor_up if patched.partition else None
    # What the frame's name or the floor say
    if rotation is None and up == "z" and optical:
        warning = f"{frame} is a camera's optical frame, where -y is up, but input.up is z: set input.up to -y or auto"
    elif floor_up is None:
        return patched
    elif rotation is None and up == "auto" and optical:
        name, _ = _axis_of_input(floor_up, "-y")
        warning = f"{frame} is named as a camera's optical frame, but the floor shows that {name} is up:"
        warning += f" set input.up to {name}"
    elif rotation is not None:
        name, _ = nearest_axis(floor_up)
        warning = f"the floor shows that {name} is up in input.gravity_frame: name a frame whose z points up"
    elif up == "auto":
        return _by_floor(xyz, rgb, config, max_windows, patched, provided)
    else:
        warning = _floor_warning(floor_up, up)
    return _with_warning(patched, warning)


def _by_floor(xyz, rgb, config: Config, max_windows: int, first: PatchedCloud, provided) -> PatchedCloud:
    """Build the patches once more, with the floor below: as if input.up were the axis, or rotated if it is between."""
    assert first.partition is not None and first.partition.floor_up is not None
    axis, tilt = nearest_axis(first.partition.floor_up)
    if tilt > MAX_TILT:
        xyz, axis = _rotated(xyz, rotation_from(first.partition.floor_up)), "z"
    again = build_patches(xyz, rgb, _with_up(config, axis), None, max_windows, provided)
    stages_ms = {name: ms + first.stages_ms.get(name, 0.0) for name, ms in again.stages_ms.items()}
    return dataclasses.replace(again, stages_ms=stages_ms)


def nearest_axis(direction: np.ndarray) -> tuple[str, float]:
    """Return the axis (x, -x, y, -y, z, -z) nearest to a unit vector (3,), and the angle between them in degrees."""
    k = int(np.abs(direction).argmax())
    angle = np.degrees(np.arccos(min(abs(float(direction[k])), 1.0)))
    return ("-" if direction[k] < 0 else "") + "xyz"[k], float(angle)


def rotation_from(direction: np.ndarray) -> np.ndarray:
    """Return a rotation (3, 3) float64 that takes the unit vector `direction` (3,) to +z."""
    side = np.cross(direction, np.eye(3)[np.abs(direction).argmin()])
    side /= np.linalg.norm(side)
    return np.stack([side, np.cross(direction, side), direction])


def _axis_of_input(floor_up: np.ndarray, up: str) -> tuple[str, float]:
    """The axis nearest to `floor_up` before `rotate_up` turned the axis `up` to z, and the angle between them."""
    return nearest_axis(floor_up @ rotate_up(np.eye(3), up).T)


def _floor_warning(floor_up: np.ndarray, up: str) -> str:
    axis, tilt = _axis_of_input(floor_up, up)
    if axis == up:
        return f"the floor is tilted by {tilt:.0f} degrees against input.up: set input.up to auto"
    fix = f"set input.up to {axis} or auto" if tilt <= MAX_TILT else "set input.up to auto"
    return f"the floor shows that {axis} is up, but input.up is {up}: {fix}"


def _with_warning(patched: PatchedCloud, warning: str) -> PatchedCloud:
    """Add a warning, also to clouds that are cut out of the partition later."""
    partition = patched.partition and patched.partition._replace(warnings=(*patched.partition.warnings, warning))
    return dataclasses.replace(patched, warnings=(*patched.warnings, warning), partition=partition)


def _with_up(config: Config, up: str) -> Config:
    return dataclasses.replace(config, input=dataclasses.replace(config.input, up=up))


def _rotated(xyz: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Rotate (H, 3) in float64, since coordinates may be large; points that are not finite stay so."""
    with np.errstate(invalid="ignore", over="ignore"):
        return (xyz.astype(np.float64) @ rotation.T).astype(xyz.dtype)
