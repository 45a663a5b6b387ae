"""The same work in this process, in several, and on Ray: on a stand-in, and on Ray itself where it is installed."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from background import heed_ctrl_c

from s4token_model import jobs
from s4token_model.kernels.parallel import processors


def square_of(number: int) -> tuple[int, int]:
    return number, os.getpid()


def test_here():
    here = list(jobs.run(square_of, [1, 2, 3]))
    assert here == [(k, os.getpid()) for k in (1, 2, 3)]
    alone = list(jobs.run(square_of, [7], workers=4))  # one item needs no process; more: test_prepare_scenes.py
    assert alone == [(7, os.getpid())]


def write_text(out: Path, text: str) -> list[str]:
    if text == "bad":
        raise ValueError("it is bad")
    if text == "odd":
        out.write_text(text)
        return ["it is odd"]
    if text == "error":
        raise ZeroDivisionError("by zero")
    if text == "killed":
        while not list(out.parent.glob("*.tried")):  # the other one has died first, and is tried again
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    if text == "out of memory once" and not out.with_suffix(".tried").exists():
        out.with_suffix(".tried").touch()
        os._exit(9)
    out.write_text(text)
    return []


def test_only_missing_files_are_written_and_messages_are_printed(tmp_path, capsys):
    (tmp_path / "a").write_text("old")
    items = [(tmp_path / name, text) for name, text in (("a", "new"), ("b", "odd"), ("c", "bad"))]
    assert jobs.write_missing(write_text, items, "files") == [tmp_path / "a", tmp_path / "b"]
    printed = capsys.readouterr()
    assert (tmp_path / "a").read_text() == "old" and printed.out == ""
    assert "b: it is odd\n" in printed.err and printed.err.endswith("1 of 2 files failed:\n  c  it is bad\n")


def test_a_job_that_kills_its_process_is_named_and_counted_and_the_others_are_done(tmp_path, capsys):
    texts = ["out of memory once", "killed", "good", "error", "good"]
    items = [(tmp_path / f"f{k}", text) for k, text in enumerate(texts)]
    found = jobs.write_missing(write_text, items, "files", workers=2)
    printed = capsys.readouterr().err
    assert [path.name for path in found] == ["f0", "f2", "f4"]
    table = printed[printed.index("2 of 5 files failed:\n") :].splitlines()
    assert table[1].startswith("  f1  its process died: ")
    assert table[2].startswith("  f3  unexpected ZeroDivisionError: by zero")
    items = [(path, "good") for path, _ in items]
    assert len(jobs.write_missing(write_text, items, "files")) == 5, "the next call tries them again"


def test_after_its_time_no_further_item_is_begun_and_those_in_work_are_finished(tmp_path):
    items = [(tmp_path / f"f{k}", "good") for k in range(6)]
    found = jobs.write_missing(write_text, items, "files", 2, seconds=0.0)
    assert found == [path for path, _ in items[: len(found)]] and 2 <= len(found) <= 3
    assert len(jobs.write_missing(write_text, items, "files")) == 6


def test_processes_that_do_not_start_end_the_run_with_a_line(monkeypatch):
    monkeypatch.setattr(jobs, "_start_worker", os.abort)
    with pytest.raises(ValueError, match="end before they start to work; use one worker"):
        list(jobs.run(square_of, [1, 2, 3], workers=2))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_a_killed_parent_and_at_ctrl_c(tmp_path, number):
    code = (
        "import sys; from test_jobs import jobs, sleep_long\n"
        "if __name__ == '__main__': list(jobs.run(sleep_long, [sys.argv[1], sys.argv[1]], workers=2))"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1]), *sys.path])
    options = {"env": {**os.environ, "PYTHONPATH": paths}, "stderr": subprocess.PIPE, "text": True}
    options["preexec_fn"] = heed_ctrl_c
    parent = subprocess.Popen([sys.executable, script, tmp_path], start_new_session=True, **options)
    wait_until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    if number == signal.SIGINT:
        os.killpg(parent.pid, number)  # as a terminal does
    else:
        parent.kill()
    assert parent.communicate(timeout=60)[1].count("Traceback") == (number == signal.SIGINT), "that of the parent"
    pids = [path.stem for path in tmp_path.glob("*.pid")]
    wait_until(lambda: not any(Path("/proc", pid).exists() for pid in pids))


def sleep_long(folder: str) -> None:
    Path(folder, f"{os.getpid()}.pid").touch()
    time.sleep(100)


def wait_until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Panic(BaseException):
    """Like pyo3_runtime.PanicException of libraries in Rust, which is no Exception."""


def fail(number: int) -> int:
    if number == 2:
        raise KeyboardInterrupt
    raise Panic("of native code") if number else ValueError("none")


def test_a_panic_is_a_failure_and_ctrl_c_ends_the_run_with_the_table(capsys):
    found = jobs.outcomes(fail, [jobs.Job(str(k), (k,)) for k in range(4)], "numbers")
    assert [next(found).error[:16], next(found).error[:16]] == ["none", "unexpected Panic"]
    with pytest.raises(KeyboardInterrupt):
        next(found)
    assert "2 of 4 numbers failed:\n  0  none\n  1  unexpected Panic: of native code" in capsys.readouterr().err


def threads(_: int) -> tuple[str, int]:
    return os.environ["OMP_NUM_THREADS"], processors()


def test_workers_divide_the_threads(monkeypatch):
    monkeypatch.setattr(jobs, "processors", lambda: 5)
    allowed = min(2, len(os.sched_getaffinity(0)))
    assert list(jobs.run(threads, [1, 2], workers=3)) == [("2", allowed)] * 2, "no more workers than items"


class Crashed(Exception):
    pass


def square_or_crash(number: int) -> int:
    if number == 3:
        raise Crashed
    return number**2


class StandIn:
    """What `jobs` uses of Ray, in this process; counts how many tasks are in flight."""

    def __init__(self):
        self.address, self.in_flight, self.max_in_flight, self.stopped = "", 0, 0, False
        self.exceptions = SimpleNamespace(
            WorkerCrashedError=Crashed, OutOfMemoryError=MemoryError, NodeDiedError=OSError
        )

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


def test_a_job_whose_worker_crashes_on_ray_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", StandIn())
    found = list(jobs.run(square_or_crash, [1, 2, 3, 4], ray_address="auto"))
    assert jobs.WorkerDied(3) in found and sorted(k for k in found if isinstance(k, int)) == [1, 4, 16]


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 's4token_ros\[cluster\]'"):
        list(jobs.run(square_of, [1], ray_address="auto"))


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install ray")
def test_on_ray_itself():
    found = list(jobs.run(square_of, [1, 2, 3], ray_address="local"))
    assert sorted(k for k, _ in found) == [1, 2, 3] and os.getpid() not in {pid for _, pid in found}
