"""Kernels are compiled in two processes until all have been compiled on a machine, and only then."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from s4token_model import compile_beside
from s4token_model.kernels import kernel_cache


@pytest.fixture
def started(monkeypatch) -> Iterator[list[subprocess.Popen]]:
    """The processes that were started; each waits in place of compiling."""
    found: list[subprocess.Popen] = []
    real = subprocess.Popen

    def start(command, **options):
        assert command[1:] == ["-m", "s4token_model.compile_beside", str(os.getpid())]
        found.append(real(["sleep", "60"], **options))
        return found[-1]

    monkeypatch.setattr(compile_beside.subprocess, "Popen", start)
    monkeypatch.setattr(compile_beside, "_process", None)
    yield found
    for process in found:
        process.kill()
        process.wait()


def test_the_first_start_on_a_machine_compiles_in_a_second_process_and_says_so(monkeypatch, started, caplog):
    monkeypatch.setattr(kernel_cache, "is_complete", lambda: False)
    assert not compile_beside.is_running()
    with caplog.at_level(logging.WARNING):
        compile_beside.start()
    assert "compiling for this processor, once" in caplog.text and compile_beside.is_running()
    started[0].kill()
    started[0].wait()
    assert not compile_beside.is_running()


def test_later_starts_have_no_second_process(monkeypatch, started):
    monkeypatch.setattr(kernel_cache, "is_complete", lambda: True)
    compile_beside.start()
    assert not started and not compile_beside.is_running()


PARENT = """
import os, subprocess, sys
code = "import sys; from s4token_model import compile_beside; compile_beside.end_with(int(sys.argv[1]))"
print(subprocess.Popen([sys.executable, "-c", code, str(os.getpid())]).pid, flush=True)
os._exit(0)
"""


def test_the_second_process_ends_with_the_first():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert int(parent.stdout.readline()) and parent.stdout.read() == ""  # the child has it open until it ends


def test_a_cache_is_complete_once_the_second_process_has_ended_with_these_sources(monkeypatch, tmp_path):
    monkeypatch.setattr(kernel_cache, "folders", lambda: iter([(tmp_path / "file" / "none", True), (tmp_path, True)]))
    (tmp_path / "file").touch()
    current = kernel_cache.stamp(str(kernel_cache.PACKAGE / "kernel_cache.py"))
    kernel_cache.write(tmp_path, True, "a.kernel", current + b"code")  # of a start that was broken off
    assert not kernel_cache.is_complete()
    kernel_cache.write(tmp_path, True, kernel_cache.COMPLETE, bytes(len(current)))  # of older sources
    assert not kernel_cache.is_complete()
    (tmp_path / kernel_cache.COMPLETE).write_bytes(os.urandom(50))  # damaged
    assert not kernel_cache.is_complete()
    kernel_cache.mark_complete()
    assert kernel_cache.is_complete()
