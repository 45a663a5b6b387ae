"""Training samples: clouds cut into tokens once, and their file format.

A sample holds everything that the losses need, so that a training step computes no geometry. Its coordinates are in
units of the patch radius r, about the mean of the token centers. All kinds of samples are .safetensors files with one
array per field of `TokenSample`, e.g. "patch", or of one of its parts, e.g. "targets.feature". Those of `s4token
prepare` have a record of how they were made in the file's metadata, see provenance.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors
import safetensors.numpy

from s4token_model import atomic
from s4token_model.config import Config
from s4token_model.pipeline.patches import Patches
from s4token_model.pipeline.tokenizer import patch_colors
from s4token_model.segmenter import PatchedCloud

SUFFIX = ".safetensors"


class Targets(NamedTuple):
    """2D targets: CLIP's features of the pictures of a cloud (Eq. 8, 9); unit rows, float16 on disk."""

    superpoint: np.ndarray  # (S,) int32, superpoints that some picture shows
    feature: np.ndarray  # (S, E), mean over the pictures
    global_feature: np.ndarray  # (E,), of the whole cloud


class SeenPixels(NamedTuple):
    """Pixels that show a point of a superpoint, (Q,) int32 each."""

    superpoint: np.ndarray
    view: np.ndarray
    row: np.ndarray
    column: np.ndarray


class Pictures(NamedTuple):
    """V pictures of a procedural scene and what they show."""

    image: np.ndarray  # (V, h, w, 3) uint8
    region: np.ndarray  # (V, h, w) int16 instance, or -1
    instance_label: np.ndarray  # (K,) int16 class of each instance
    attributes: np.ndarray  # (K,) JSON text of each instance


class Cloud(NamedTuple):
    """The P points that tokens are drawn from anew, see redraw, in the unit cube of the cloud."""

    xyz: np.ndarray  # (P, 3) float32
    superpoint: np.ndarray  # (P,) int32
    unit: np.ndarray  # () float32, the edge of the cube in the unit of the sensor


@dataclass(frozen=True)
class TokenSample:
    """A cloud cut into N tokens with M patch points and C context points, and P points that the losses look at."""

    patch: np.ndarray  # (N, M, 3) float16, offsets over r; or (N, M, 6) with colors
    patch_count: np.ndarray  # (N,) uint16, the valid ones, first in each row
    context: np.ndarray  # (N, C, 5) float16, the wide patch, see token_context
    context_count: np.ndarray  # (N,) uint16
    descriptor: np.ndarray  # (N, 24) float32, see token_context
    position: np.ndarray  # (N, 3) float32, token centers
    position_scale: np.ndarray  # () float32 factor of the positions that the tokenizer reads: 1, or r in sensor units
    token_superpoint: np.ndarray  # (N,) int32
    point: np.ndarray  # (P, 3) float32
    point_superpoint: np.ndarray  # (P,) int32
    point_label: np.ndarray | None = None  # (P,) int16 class, or part within the category; -1: none
    category: np.ndarray | None = None  # () int32, of shapes with parts
    targets: Targets | None = None
    pictures: Pictures | None = None
    seen: SeenPixels | None = None
    cloud: Cloud | None = None


TEXT = ("pictures.attributes",)  # arrays of text, stored as the bytes of a JSON list
PARTS = {"targets": Targets, "pictures": Pictures, "seen": SeenPixels, "cloud": Cloud}


def make_sample(
    patched: PatchedCloud, config: Config, chosen: np.ndarray, labels: np.ndarray | None = None, min_tokens: int = 8
) -> TokenSample:
    """Return the sample of a patched cloud. ValueError if it has too few tokens.

    chosen (P,) indexes the working points that the losses look at; labels are of the cloud before `build_patches`.
    """
    patches, context, working = patched.patches, patched.context, patched.working
    count = len(patches.centers)
    if count < min_tokens:
        raise ValueError(f"only {count} tokens in {len(working.xyz)} points, {min_tokens} are needed")
    center, radius = patches.centers.mean(axis=0), np.float32(patches.radius)
    arrays = patch_arrays(patches, config)
    if config.tokenizer.features == "rgb":
        color = patch_colors(patches.index, working.colors)
        arrays["patch"] = np.concatenate([arrays["patch"], color.astype(np.float16)], axis=2)
    return TokenSample(
        **arrays,
        context=context.points.astype(np.float16),
        context_count=context.mask.sum(axis=1).astype(np.uint16),
        descriptor=context.descriptor,
        point=((working.xyz[chosen] - center) / radius).astype(np.float32),
        point_superpoint=patched.superpoints[chosen].astype(np.int32),
        point_label=None if labels is None else labels[working.original_index[chosen]].astype(np.int16),
    )


def patch_arrays(patches: Patches, config: Config) -> dict[str, np.ndarray]:
    """The arrays of a sample that follow from its patches alone, by name."""
    positions = (patches.centers - patches.centers.mean(axis=0)) / np.float32(patches.radius)
    scale = 1.0 if config.tokenizer.position_scaled else patches.radius * patches.unit
    return {
        "patch": patches.offsets.astype(np.float16),
        "patch_count": (patches.index >= 0).sum(axis=1).astype(np.uint16),
        "position": positions.astype(np.float32),
        "position_scale": np.asarray(scale, np.float32),
        "token_superpoint": patches.superpoint.astype(np.int32),
    }


def save_sample(path: Path, sample: TokenSample, metadata: dict[str, str] | None = None) -> None:
    """Write a sample, and the record of how it was made, in one atomic step."""
    save_arrays(path, to_arrays(sample), metadata)


def load_sample(path: Path, pictures: bool = True) -> TokenSample:
    """Read a sample, without what only the preparation of targets reads unless `pictures`. ValueError if damaged."""
    arrays = load_arrays(path, lambda key: pictures or not key.startswith(("pictures.", "seen.")))
    missing = [f.name for f in fields(TokenSample) if f.default is MISSING and f.name not in arrays]
    if missing:
        raise ValueError(f"{path} holds no {', '.join(missing)}: not a prepared sample; see s4token prepare")
    names = (f.name for f in fields(TokenSample))
    return TokenSample(**{name: _to_part(arrays, name) if name in PARTS else arrays.get(name) for name in names})


def targets_folder(path: Path) -> Path:
    """The folder, beside that of a sample, of the 2D targets that it does not hold itself, in a file of its name."""
    return path.parent.parent / "targets"


def load_with_targets(path: Path, folder: Path) -> TokenSample:
    """Read a sample without pictures; its 2D targets are in itself, in a file of its name in `folder`, or nowhere."""
    sample, beside = load_sample(path, pictures=False), folder / path.name
    if sample.targets is None and beside.is_file():
        return replace(sample, targets=load_part(beside, "targets"))
    return sample


def to_arrays(sample: TokenSample) -> dict[str, np.ndarray]:
    """The arrays of a sample by name, absent ones left out; those of a part are called PART.NAME."""
    arrays = {}
    for name, value in vars(sample).items():
        if value is not None:
            arrays |= part_to_arrays(value, name) if name in PARTS else {name: value}
    return arrays


def part_to_arrays(part: NamedTuple, name: str) -> dict[str, np.ndarray]:
    """The arrays of a part, called NAME.FIELD."""
    return {f"{name}.{key}": value for key, value in part._asdict().items()}


def load_part(path: Path, name: str) -> Targets | Pictures | SeenPixels:
    """Read one part of a sample, or a file that holds nothing else. ValueError if it is damaged or not there."""
    part = _to_part(load_arrays(path, lambda key: key.startswith(f"{name}.")), name)
    if part is None:
        raise ValueError(f"{path} holds no {name}; delete it and run the preparation again")
    return part


def save_arrays(path: Path, arrays: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> None:
    """Write arrays of numbers or of text in one atomic step."""
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    for name in (name for name, array in arrays.items() if array.dtype.kind == "U"):
        arrays[name] = np.frombuffer(json.dumps(arrays[name].tolist()).encode(), np.uint8)
    with atomic.file(path) as file:
        file.write(safetensors.numpy.save(arrays, metadata))


def load_arrays(path: Path, wanted: Callable[[str], bool] = lambda key: True) -> dict[str, np.ndarray]:
    """Read the arrays whose names are `wanted`. ValueError if the file is damaged."""
    try:
        with safetensors.safe_open(path, "numpy") as file:
            arrays = {key: file.get_tensor(key) for key in file.keys() if wanted(key)}
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(f"{path} is damaged ({error}); delete it and run the preparation again") from error
    return {k: np.array(json.loads(array.tobytes())) if k in TEXT else array for k, array in arrays.items()}


def find_samples(folder: Path) -> list[Path]:
    """The samples in a folder, sorted."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def _to_part(arrays: dict[str, np.ndarray], name: str):
    kind = PARTS[name]
    found = [arrays.get(f"{name}.{key}") for key in kind._fields]
    return None if any(value is None for value in found) else kind(*found)
