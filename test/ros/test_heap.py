"""What the node does to keep its memory."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from s4token_model.kernels.parallel import processors
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

MULTIPLY = """
import sys
from s4token_ros import heap
if sys.argv[1] == "configured": heap.configure()
import numpy as np
def anonymous():
    return int(open("/proc/self/status").read().split("RssAnon:")[1].split()[0])
rng = np.random.default_rng(0)
points, turned, turn = rng.random((150_000, 3), np.float32), np.ones((150_000, 3), np.float32), np.eye(3, dtype="f4")
def multiply(sizes):
    for size in sizes: np.matmul(points[:size], turn.T, out=turned[:size])
multiply([len(points)] * 3)
before = anonymous()
multiply(rng.integers(1000, len(points), 200))
print(anonymous() - before)
"""
FILL_CACHE = """
import ctypes, sys
from s4token_ros import heap
import numpy as np
class Info(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]
libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
if sys.argv[1] == "filled": heap.fill()
before = libc.mallinfo2().uordblks
for size in range(1, 1200): del [np.empty(size, np.uint8) for _ in range(9)][:]
print(libc.mallinfo2().uordblks - before)
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


def test_what_python_keeps_of_freed_tuples_is_let_go():
    heap.release()
    before = sys.getallocatedblocks()
    rows = [(k,) * 6 for k in range(1500)]
    del rows
    kept = sys.getallocatedblocks() - before
    heap.release()
    assert sys.getallocatedblocks() - before < 300 < kept


def number(code: str, how: str) -> int:
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    run = subprocess.run([sys.executable, "-c", code, how], capture_output=True, text=True, check=True, env=environment)
    return int(run.stdout)


def test_products_of_many_sizes_keep_no_memory():
    assert number(MULTIPLY, "configured") < 300  # kB
    if processors() > 1 and "openblas" in str(np.show_config("dicts")):
        assert number(MULTIPLY, "default") > 3000


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33 or later")
def test_small_arrays_of_new_sizes_take_no_memory_after_the_cache_of_numpy_was_filled():
    filled, empty = (number(FILL_CACHE, how) for how in ("filled", "empty"))
    assert filled < 100_000 < 2_000_000 < empty


def test_the_heap_is_configured_before_numpy_reads_the_environment():
    code = "import sys; from s4token_ros import start; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


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
