"""parallel_for: complete coverage, errors."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.kernels import parallel
from s4token_model.kernels.parallel import parallel_for


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
