"""Threads of our kernels and of torch."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from s4token_model.kernels import parallel
from s4token_model.kernels.parallel import parallel_for


def test_a_limit_holds_for_the_calling_thread_and_for_torch_in_it(monkeypatch):
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    before, inside = torch.get_num_threads(), []

    def work(count: int) -> None:
        parallel.set_thread_limit(count)
        inside.append((parallel.thread_count(), torch.get_num_threads()))

    for count in (1, 2, 5):
        thread = threading.Thread(target=work, args=(count,))
        thread.start()
        thread.join()
    assert inside == [(1, 1), (2, min(2, before)), (2, before)]
    assert parallel.thread_count() == 2 and torch.get_num_threads() == before


def test_waiting_threads_of_numpy_and_torch_sleep_from_the_start():
    check = (
        "import os, sys, s4token_model as s; print(not {'numpy', 'torch'} & set(sys.modules),"
        " os.environ['OMP_WAIT_POLICY'], os.environ['OPENBLAS_THREAD_TIMEOUT'])"
    )
    names = ("OMP_WAIT_POLICY", "OPENBLAS_THREAD_TIMEOUT")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    run = subprocess.run([sys.executable, "-c", check], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "PASSIVE", "4"]


def test_loops_inside_of_loops_and_in_several_threads_cover_all(monkeypatch):
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    seen = np.zeros((2, 40, 10_000), int)

    def rows(thread: int, begin: int, end: int) -> None:
        for row in range(begin, end):
            parallel_for(lambda a, b, row=row: np.add.at(seen[thread, row], slice(a, b), 1), 10_000, 100)

    threads = [threading.Thread(target=parallel_for, args=(lambda a, b, k=k: rows(k, a, b), 40, 1)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (seen == 1).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_has_threads_of_its_own(monkeypatch):
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    parallel_for(lambda a, b: None, 10_000)
    child = multiprocessing.get_context("fork").Process(target=parallel_for, args=(lambda a, b: None, 10_000))
    child.start()
    child.join(60)
    assert child.exitcode == 0


def test_parts_cover_the_whole_range(monkeypatch):
    monkeypatch.setattr(parallel, "thread_count", lambda: 3)
    seen = np.zeros(10_001, int)

    def work(start, stop):
        seen[start:stop] += 1

    parallel_for(work, len(seen), min_part=100)
    assert (seen == 1).all()
    parallel_for(work, 5)
    assert seen[:5].tolist() == [2] * 5


def test_an_error_in_a_part_is_raised(monkeypatch):
    monkeypatch.setattr(parallel, "thread_count", lambda: 2)
    with pytest.raises(ZeroDivisionError):
        parallel_for(lambda start, stop: 1 // start, 20_000)
