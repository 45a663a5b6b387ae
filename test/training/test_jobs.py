"""The same work in this process, in several, and on Ray: on a stand-in, and on Ray itself where it is installed."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from s4token_model.training import jobs


def square_of(number: int) -> tuple[int, int]:
    return number, os.getpid()


def test_here():
    here = list(jobs.run(square_of, [1, 2, 3]))
    assert here == [(k, os.getpid()) for k in (1, 2, 3)]
    alone = list(jobs.run(square_of, [7], workers=4))  # one item needs no process; more: test_prepare_scenes.py
    assert alone == [(7, os.getpid())]


def write_text(out: Path, text: str) -> list[str]:
    if text == "bad":
        return [f"{out.name} left out"]
    out.write_text(text)
    return []


def test_only_missing_files_are_written_and_messages_are_printed(tmp_path, capsys):
    (tmp_path / "a").write_text("old")
    items = [(tmp_path / name, text) for name, text in (("a", "new"), ("b", "new"), ("c", "bad"))]
    assert jobs.write_missing(write_text, items, "files") == [tmp_path / "a", tmp_path / "b"]
    assert (tmp_path / "a").read_text() == "old" and "c left out" in capsys.readouterr().out


class StandIn:
    """What `jobs` uses of Ray, in this process; counts how many tasks are in flight."""

    def __init__(self):
        self.address, self.in_flight, self.max_in_flight, self.stopped = "", 0, 0, False

    def init(self, address, **_):
        self.address = address

    def cluster_resources(self):
        return {"CPU": 2.0}

    def remote(self, function):
        def start(item):
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
            return lambda: function(item)

        return SimpleNamespace(remote=start)

    def wait(self, pending, num_returns):
        return pending[-num_returns:], pending[:-num_returns]

    def get(self, reference):
        self.in_flight -= 1
        return reference()

    def shutdown(self):
        self.stopped = True


def test_ray_gets_every_item_a_few_at_a_time(monkeypatch):
    ray = StandIn()
    monkeypatch.setitem(sys.modules, "ray", ray)
    found = list(jobs.run(square_of, list(range(11)), ray_address="auto"))
    assert sorted(k for k, _ in found) == list(range(11))
    assert (ray.address, ray.max_in_flight, ray.in_flight, ray.stopped) == ("auto", 4, 0, True)


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 's4token_ros\[cluster\]'"):
        list(jobs.run(square_of, [1], ray_address="auto"))


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install ray")
def test_on_ray_itself():
    found = list(jobs.run(square_of, [1, 2, 3], ray_address="local"))
    assert sorted(k for k, _ in found) == [1, 2, 3] and os.getpid() not in {pid for _, pid in found}
