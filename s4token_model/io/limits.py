"""How much memory a file may ask for: what it unpacks to is checked against its size before anything is allocated."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from s4token_model.io.errors import error

# A compressed file may unpack to MAX_RATIO times its size, and to MIN_UNPACKED bytes in any case. Scans reach ratios of
# 5 to 30; only repeated bytes come near the limit.
MAX_RATIO = 256
MIN_UNPACKED = 256 * 2**20
MAX_DEPTH_PIXELS = 2**24  # of a depth image; each takes about 100 bytes as a point
MAX_COLOR_PIXELS = 2**26  # of the photo beside it
LARGE_READ = 2**20


def unpacked_limit(packed: int) -> int:
    """Return how many bytes `packed` compressed ones may unpack to."""
    return max(MIN_UNPACKED, MAX_RATIO * packed)


def check_unpacked(path: str | Path, unpacked: int, packed: int) -> None:
    """Raise ValueError when `packed` compressed bytes of a file claim to hold more than they may."""
    if unpacked > (limit := unpacked_limit(packed)):
        found = f"{packed:,} compressed bytes claim to hold {unpacked:,}; {limit:,} are the limit"
        raise error(path, found, "the file is damaged, or store it uncompressed")


def open_sized(path: str | Path) -> io.BufferedReader:
    """Open a file whose `read` allocates no more than the file still holds, for libraries that believe its sizes."""
    return _SizedReader(io.FileIO(path))


def load_npy(path: Path) -> Any:
    """Load a .npy file like np.load without pickle. ValueError when its header promises more than the file holds."""
    with open_sized(path) as handle:
        if handle.read(6) == np.lib.format.MAGIC_PREFIX:
            handle.seek(0)
            old = np.lib.format.read_magic(handle) == (1, 0)  # 2.0 and 3.0 differ in the encoding of names only
            header = (np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0)(handle)
            needed = math.prod(header[0]) * header[2].itemsize
            if needed > (held := os.path.getsize(path) - handle.tell()):
                raise ValueError(f"truncated: {needed} bytes promised, {held} found")
        handle.seek(0)
        return np.load(handle, allow_pickle=False)


class _SizedReader(io.BufferedReader):
    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > LARGE_READ:
            size = min(size, max(os.fstat(self.fileno()).st_size - self.tell(), 0))
        return super().read(size)
