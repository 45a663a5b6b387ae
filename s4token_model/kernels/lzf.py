"""LZF decompression, for compressed PCD files."""

from __future__ import annotations

import numpy as np

from s4token_model.kernels.kernel_cache import njit


@njit(nogil=True)
def decompress(packed: np.ndarray, plain: np.ndarray) -> int:
    """Unpack LZF; return the number of bytes written, or -1 when `packed` is damaged.

    A control byte c < 32 is followed by c + 1 literal bytes. Otherwise, copy (c >> 5) + 2 bytes of the output, from
    1 + (c & 31) * 256 + the next byte before its end; if c >> 5 is 7, one more byte is added to the length first.
    """
    i, o = 0, 0
    while i < len(packed):
        c = int(packed[i])
        i += 1
        if c < 32:
            if i + c + 1 > len(packed) or o + c + 1 > len(plain):
                return -1
            for _ in range(c + 1):
                plain[o] = packed[i]
                o += 1
                i += 1
            continue
        length = c >> 5
        if i + 1 + (length == 7) > len(packed):
            return -1
        if length == 7:
            length += int(packed[i])
            i += 1
        source = o - ((c & 31) << 8) - int(packed[i]) - 1
        i += 1
        if source < 0 or o + length + 2 > len(plain):
            return -1
        for k in range(length + 2):  # byte by byte: source and target may overlap
            plain[o] = plain[source + k]
            o += 1
    return o
