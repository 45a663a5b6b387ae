"""Kernels are compiled in two processes at the first start on a machine, and only then."""

from __future__ import annotations

import logging
import os
import subprocess

import pytest

from s4token_model import compile_beside
from s4token_model.kernels import kernel_cache


@pytest.fixture
def started(monkeypatch) -> list[subprocess.Popen]:
    """The processes that were started; each waits in place of compiling."""
    found: list[subprocess.Popen] = []
    real = subprocess.Popen

    def start(command, **options):
        assert command[1:] == ["-m", "s4token_model.compile_beside"]
        found.append(real(["sleep", "60"], **options))
        return found[-1]

    monkeypatch.setattr(compile_beside.subprocess, "Popen", start)
    return found


def test_at_the_first_start_a_second_process_compiles_until_the_first_has_ended(monkeypatch, started, caplog):
    monkeypatch.setattr(kernel_cache, "is_cold", lambda: True)
    with pytest.raises(RuntimeError), caplog.at_level(logging.WARNING), compile_beside.compiling():
        assert started[0].poll() is None
        assert "compiling for this processor, once" in caplog.text
        raise RuntimeError
    assert started[0].poll() is not None


def test_later_starts_have_no_second_process(monkeypatch, started):
    monkeypatch.setattr(kernel_cache, "is_cold", lambda: False)
    with compile_beside.compiling():
        assert not started


def test_a_cache_is_cold_until_a_kernel_of_these_sources_lies_in_it(monkeypatch, tmp_path):
    monkeypatch.setattr(kernel_cache, "folders", lambda: iter([(tmp_path / "none", True), (tmp_path / "own", True)]))
    current = kernel_cache.stamp(str(kernel_cache.PACKAGE / "kernel_cache.py"))
    assert kernel_cache.is_cold()
    kernel_cache.write(tmp_path / "own", True, "a.kernel", bytes(len(current)) + b"older sources")
    kernel_cache.write(tmp_path / "own", True, "notes.txt", current)
    assert kernel_cache.is_cold()
    (tmp_path / "own" / "b.kernel").write_bytes(os.urandom(50))  # damaged
    assert kernel_cache.is_cold()
    kernel_cache.write(tmp_path / "own", True, "c.kernel", current + b"code")
    assert not kernel_cache.is_cold()
