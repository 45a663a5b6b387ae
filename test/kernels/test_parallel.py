"""Threads of our kernels and of torch."""

from __future__ import annotations

import threading

import torch

from s4token_model.kernels import parallel


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
