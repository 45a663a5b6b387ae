"""What the node does to keep its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from s4token_ros import heap

BLOCK, BLOCKS = 64 << 10, 2000  # below the size from which malloc maps a block of its own
COUNT_HEAPS = """
import ctypes, sys, threading
from s4token_ros import heap
assert heap.configure() if sys.argv[1] == "shared" else True
blocks = []
threads = [threading.Thread(target=lambda: blocks.append(bytes(10_000))) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def test_memory_that_was_freed_below_a_used_block_goes_back_to_the_system():
    blocks = [bytearray(b"x" * BLOCK) for _ in range(BLOCKS)]
    last = blocks.pop()  # without it, the end of the heap would be returned anyway
    blocks.clear()
    before = resident()
    heap.release()
    assert resident() < before - BLOCK * BLOCKS // 2
    assert len(last) == BLOCK


def test_threads_share_one_heap():
    heaps = [
        subprocess.run([sys.executable, "-c", COUNT_HEAPS, how], capture_output=True, text=True, check=True).stdout
        for how in ("shared", "default")
    ]
    assert [text.count("<heap nr=") for text in heaps][0] == 1 < heaps[1].count("<heap nr=")


def test_numpy_asks_for_no_huge_pages():
    code = (
        "from s4token_ros import heap; heap.configure(); import numpy as np; a = np.ones(4 << 20)\n"
        "print(sum(' hg' in line for line in open('/proc/self/smaps') if line.startswith('VmFlags')))"
    )
    found = [
        subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout.strip()
        for text in (code, code.replace("heap.configure()", "None"))
    ]
    assert found[0] == "0"
    assert int(found[1]) > 0 or not Path("/sys/kernel/mm/transparent_hugepage").exists()
