"""Weights are read only into a network that they fit; that of a .safetensors file has the size of the file."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from s4token_model import bounded_files

Network = TypeVar("Network", bound=nn.Module)
Shapes = dict[str, tuple[int, ...]]
FLOATS = ("F16", "BF16", "F32", "F64")
MAX_ITEM, MAX_ENTRY = 8, 4096  # bytes of a number, and of what the header says about a tensor
RANDOM = (torch.Tensor.normal_, torch.Tensor.uniform_)
LISTED = 2  # problems that an error lists


def load(make: Callable[[], Network], path: Path) -> Network:
    """Return the network that `make` builds, with the weights of a .safetensors file.

    The shapes are compared before anything is allocated. ValueError if the file is damaged, does not fit, or holds
    numbers that are not finite.
    """
    wanted = _shapes(make)
    try:
        limit = sum(MAX_ITEM * prod(shape) + MAX_ENTRY for shape in wanted.values())
        bounded_files.check_regular(path, limit)
        _check_header(wanted, path)
        tensors = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(f"cannot read {path}: {error}; the checkpoint is damaged, copy it again") from error
    return _filled(make, tensors, path)


def fill(make: Callable[[], Network], tensors: dict[str, Tensor], path: Path) -> Network:
    """Return the network that `make` builds, with tensors that were read from a file; ValueError as in `load`."""
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    odd = {name: str(tensor.dtype) for name, tensor in tensors.items() if not tensor.is_floating_point()}
    if reason := _difference(_shapes(make), found, odd):
        raise ValueError(f"{path} does not fit this architecture: {reason}; name that of the weights")
    return _filled(make, tensors, path)


def _shapes(make: Callable[[], nn.Module]) -> Shapes:
    with torch.device("meta"), _WithoutInitialValues():  # shapes without memory
        return {name: tuple(tensor.shape) for name, tensor in make().state_dict().items()}


def _filled(make: Callable[[], Network], tensors: dict[str, Tensor], path: Path) -> Network:
    with _WithoutInitialValues():
        network = make()
    network.load_state_dict(tensors)
    loaded = network.state_dict()  # in the network's precision, in which large float64 are infinite
    suspects = [name for name in tensors if not torch.isfinite(loaded[name].sum())]  # the sum is quicker
    broken = [name for name in suspects if not torch.isfinite(loaded[name]).all()]
    if broken:
        raise ValueError(f"{path} holds numbers that are not finite, e.g. in {broken[0]}; train again")
    return network


class _WithoutInitialValues(TorchFunctionMode):
    """Leave out the initial values of weights, random numbers that take longer than to read the file's."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in RANDOM or getattr(function, "__module__", "") == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


def _check_header(wanted: Shapes, path: Path) -> None:
    """Compare the header of a file with the shapes of a network."""
    with safetensors.safe_open(path, "pt") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}
        found = {name: tuple(one.get_shape()) for name, one in slices.items()}
        kinds = {name: str(one.get_dtype()) for name, one in slices.items()}
    odd = {name: kind for name, kind in kinds.items() if kind not in FLOATS}
    if reason := _difference(wanted, found, odd):
        raise ValueError(f"{path} does not fit its config: {reason}; copy the whole checkpoint again")


def _difference(wanted: Shapes, found: Shapes, odd: dict[str, str]) -> str:
    """Return what differs, or "": shapes and names, and `odd`, the types of those that are not floating-point."""
    problems = [f"size mismatch of {k}: {found[k]}, not {s}" for k, s in wanted.items() if found.get(k, s) != s]
    problems += [f"no {name}" for name in wanted if name not in found]
    problems += [f"an unknown {name[:80]!r}" for name in found if name not in wanted]
    problems += [f"{name[:80]} of type {kind}" for name, kind in odd.items()]
    more = f" and {len(problems) - LISTED} more" if len(problems) > LISTED else ""
    return "; ".join(problems[:LISTED]) + more
