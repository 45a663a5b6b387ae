"""Threads of our kernels and of torch."""

from __future__ import annotations

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
