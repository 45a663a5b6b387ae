"""The tensors of a TorchScript archive, such as OpenAI's ViT-B-16.pt, without its program.

The archive is a zip file: NAME/data.pkl, a pickle of the modules and their attributes; NAME/data/KEY, the numbers of
one storage each; NAME/code/, the program. `torch.jit.load` compiles and runs that. Here only the pickle is read, by an
unpickler that makes tensors and containers and knows no other call.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

PICKLE_LIMIT = 16 << 20  # bytes of data.pkl
STORAGES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip


def is_archive(path: Path) -> bool:
    """Whether a file is a whole TorchScript archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def read(path: Path) -> dict[str, Tensor]:
    """Return the parameters, buffers and tensor attributes of an archive by their dotted names.

    Whatever zipfile, pickle and torch raise if it is damaged or holds something else.
    """
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1)
        if archive.getinfo(name).file_size > PICKLE_LIMIT:
            raise ValueError(f"{name} is larger than {PICKLE_LIMIT} bytes")
        return dict(_tensors(_Unpickler(archive, name).load()))


class _Module:
    """A module of the program: its attributes, without its code."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.attributes = state


class _Unpickler(pickle.Unpickler):
    """Builds modules, tensors and plain containers; every other name is refused before it is looked up."""

    def __init__(self, archive: zipfile.ZipFile, name: str):
        super().__init__(io.BytesIO(archive.read(name)))
        self.archive, self.folder = archive, name.removesuffix(".pkl")
        self.storages: dict[str, Tensor] = {}
        self.calls = {"collections.OrderedDict": OrderedDict, "torch._utils._rebuild_tensor_v2": self._tensor}
        for kind in ("restore_type_tag", "build_intlist", "build_doublelist", "build_boollist", "build_tensorlist"):
            self.calls[f"torch.jit._pickle.{kind}"] = self._first

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "__torch__":
            return _Module
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        if f"{module}.{name}" not in self.calls:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no weights need")
        return self.calls[f"{module}.{name}"]

    def persistent_load(self, pid: tuple[str, torch.dtype, str, str, int]) -> Tensor:
        """Return a storage as a flat tensor; its device does not matter, and zipfile checks its CRC."""
        kind, dtype, key, _, count = pid
        if key not in self.storages:
            entry = self.archive.getinfo(f"{self.folder}/{key}")
            stored = entry.compress_type == zipfile.ZIP_STORED and entry.file_size == count * dtype.itemsize
            if kind != "storage" or not stored:
                raise pickle.UnpicklingError(f"{entry.filename} holds {entry.file_size} bytes, not {count} numbers")
            content = bytearray(self.archive.read(entry))
            self.storages[key] = torch.frombuffer(content, dtype=dtype) if count else torch.empty(0, dtype=dtype)
        return self.storages[key]

    def _tensor(self, storage: Tensor, offset: int, size: tuple, stride: tuple, *_: Any) -> Tensor:
        return storage.as_strided(size, stride, offset)  # which compares them with the size of the storage

    def _first(self, value: Any, *_: Any) -> Any:
        return value


def _tensors(module: _Module, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    for name, value in module.attributes.items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, _Module):
            yield from _tensors(value, f"{prefix}{name}.")
