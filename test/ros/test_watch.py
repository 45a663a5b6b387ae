"""What the node does to keep its memory."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

from s4token_ros.watch import release_memory

BLOCK, BLOCKS = 64 << 10, 2000  # below the size from which malloc maps a block of its own


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def test_memory_that_was_freed_below_a_used_block_goes_back_to_the_system():
    blocks = [bytearray(b"x" * BLOCK) for _ in range(BLOCKS)]
    last = blocks.pop()  # without it, the end of the heap would be returned anyway
    blocks.clear()
    before = resident()
    release_memory()
    assert resident() < before - BLOCK * BLOCKS // 2
    assert len(last) == BLOCK
