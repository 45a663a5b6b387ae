"""Refuse what makes a CPU wait for a GPU, on any device: reading a value, and shapes that depend on values."""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import TorchDispatchMode

WAITING = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
INDEXING = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put.default, torch.ops.aten.index_put_.default)


class NoValueReads(TorchDispatchMode):
    """Within it, .item(), .tolist(), bool(), nonzero, bincount, unique, values[mask] and the like are errors."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        masks = [i for i in args[1] if i is not None and i.dtype == torch.bool] if function in INDEXING else None
        if masks or (masks is None and any(tag in function.tags for tag in WAITING)):
            raise AssertionError(f"{function} reads values of its inputs")
        return function(*args, **(kwargs or {}))
