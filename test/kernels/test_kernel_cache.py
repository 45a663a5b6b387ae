"""Compiled kernels on disk: kept where it is safe, made again if damaged, and never a reason not to start."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from s4token_model.kernels import kernel_cache

ROOT = Path(__file__).resolve().parents[2]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change owners and users")


def double(values):
    total = 0.0
    for value in values:
        total += 2 * value
    return total


def run() -> bool:
    """Call a fresh kernel, which must be right; return whether its code came from the disk."""
    kernel = kernel_cache.njit(nogil=True)(double)
    assert kernel(np.arange(4.0)) == 12.0
    return bool(kernel._cache_hits)


@pytest.fixture
def messages(monkeypatch) -> list[str]:
    """What is logged, as in a new process."""
    logged: list[str] = []
    monkeypatch.setattr(kernel_cache, "_reported", set())
    monkeypatch.setattr(kernel_cache._log, "warning", logged.append)
    return logged


@pytest.fixture
def folder(monkeypatch, tmp_path, messages) -> Path:
    """The only folder of the cache; it belongs to the user."""
    monkeypatch.setattr(kernel_cache, "folders", lambda: iter([(tmp_path / "own", True)]))
    return tmp_path / "own"


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def signed(content: bytes) -> bytes:
    return hashlib.sha256(content).digest() + content


def test_code_is_compiled_once_and_then_loaded(folder, messages):
    assert [run(), run()] == [False, True]
    assert folder.stat().st_mode & 0o777 == 0o700 and messages == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda good: b"",
        lambda good: good[:20],
        lambda good: good[: len(good) // 2],
        lambda good: good[:-1] + bytes([good[-1] ^ 1]),
        lambda good: np.random.default_rng(0).bytes(len(good)),
        lambda good: pickle.dumps("0.57.0") + pickle.dumps(("stamp", {})),  # numba's own index
        lambda good: signed(good[32:64] + b"not a pickle"),
        lambda good: signed(good[32:64] + pickle.dumps((1, 2))),
    ],
    ids=["empty", "short", "half", "one bit", "foreign", "numba's", "no pickle", "another pickle"],
)
def test_a_damaged_file_is_made_again_and_reported_once(folder, messages, damage):
    run()
    path = only_file(folder)
    path.write_bytes(damage(path.read_bytes()))
    assert [run(), run(), run()] == [False, True, True]
    assert len(messages) == 1 and "damaged" in messages[0] and str(folder) in messages[0]


def test_code_of_other_sources_or_another_numba_is_made_again(folder, messages):
    run()
    path = only_file(folder)
    content = path.read_bytes()[32:]
    path.write_bytes(signed(bytes(32) + content[32:]))
    assert [run(), run()] == [False, True] and messages == []


def test_the_stamp_follows_every_kernel(monkeypatch, tmp_path):
    monkeypatch.setattr(kernel_cache, "PACKAGE", tmp_path)
    (tmp_path / "a.py").write_text("A = 1")
    stamp = kernel_cache.stamp.__wrapped__
    before = stamp(__file__)
    (tmp_path / "a.py").write_text("A = 2")
    assert stamp(__file__) != before
    assert stamp("/no/such/file.py") == stamp("/no/other/file.py")


class Planted:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


def plant(folder: Path, mark: Path) -> None:
    path = only_file(folder)
    path.write_bytes(signed(path.read_bytes()[32:64] + pickle.dumps(Planted(mark))))


def make_writable_by_all(folder: Path) -> None:
    folder.chmod(0o777)


def make_writable_by_the_group(folder: Path) -> None:
    folder.chmod(0o775)


def give_away(folder: Path) -> None:
    os.chown(folder, 12345, 12345)


def replace_by_a_link(folder: Path) -> None:
    folder.rename(folder.with_name("other"))
    folder.symlink_to("other")


@pytest.mark.parametrize(
    "change",
    [make_writable_by_all, make_writable_by_the_group, pytest.param(give_away, marks=AS_ROOT), replace_by_a_link],
)
def test_nothing_is_loaded_from_a_folder_that_others_may_write(folder, messages, tmp_path, change):
    run()
    plant(folder, tmp_path / "mark")
    change(folder)
    before = only_file(folder).read_bytes()
    assert [run(), run()] == [False, False]
    assert not (tmp_path / "mark").exists() and only_file(folder).read_bytes() == before
    assert len(messages) == 1 and "cannot be kept" in messages[0] and str(folder) in messages[0]


def test_a_link_in_the_folder_is_not_followed(folder, tmp_path):
    run()
    path = only_file(folder)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert [run(), run()] == [False, True] and not path.is_symlink()


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(folder, messages):
    run()
    path = only_file(folder)
    path.unlink()
    os.mkfifo(path)
    assert [run(), run()] == [False, True] and path.is_file() and len(messages) == 1


def test_code_belongs_to_the_source_that_was_imported(folder, monkeypatch):
    monkeypatch.setattr(kernel_cache, "stamp", lambda source: bytes(32))
    kernel = kernel_cache.njit(nogil=True)(double)
    monkeypatch.setattr(kernel_cache, "stamp", lambda source: bytes([1] * 32))  # an update before the first call
    kernel(np.arange(4.0))
    assert not run()


def test_without_a_folder_kernels_run_and_it_is_said_once(monkeypatch, messages):
    monkeypatch.setattr(kernel_cache, "folders", lambda: iter([(Path("/proc/none"), True), (Path("/proc/no"), False)]))
    assert [run(), run()] == [False, False]
    assert len(messages) == 1 and "XDG_CACHE_HOME" in messages[0] and "/proc/none" in messages[0]


def test_the_next_folder_is_used_and_named_once(monkeypatch, tmp_path, messages):
    own = tmp_path / "deep" / "own"
    monkeypatch.setattr(kernel_cache, "folders", lambda: iter([(Path("/proc/none"), False), (own, True)]))
    assert [run(), run()] == [False, True]
    assert len(messages) == 1 and str(own) in messages[0] and "/proc/none" in messages[0]


def test_a_full_disk_leaves_no_file_behind(folder, messages, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(kernel_cache.os, "replace", full)
    assert run() is False
    assert list(folder.iterdir()) == [] and "No space left" in messages[0]


def test_leftovers_of_killed_processes_are_removed(folder, monkeypatch):
    monkeypatch.setattr(kernel_cache, "_swept", set())
    folder.mkdir(mode=0o700)
    old, new = folder / f"a{kernel_cache.TEMPORARY}", folder / f"b{kernel_cache.TEMPORARY}"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    run()
    assert not old.exists() and new.exists()


@pytest.mark.parametrize(
    "variables, expected",
    [
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/s4token"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/s4token"),
        ({"XDG_CACHE_HOME": "", "HOME": "/"}, "/.cache/s4token"),
        ({"HOME": "/h"}, "/h/.cache/s4token"),
        ({"HOME": "relative"}, None),
    ],
)
def test_the_users_own_folder_follows_the_standard(monkeypatch, variables, expected):
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    package, *own = kernel_cache.folders()
    assert package == (kernel_cache.PACKAGE / "__pycache__", False) and all(is_own for _, is_own in own)
    assert str(own[0][0]) == expected if expected else len(own) == 1
    assert own[-1][0].name == f"s4token-{os.geteuid()}"


LOAD = """
import sys, numpy as np
from s4token_model.kernels import lzf
plain = np.zeros(3, np.int8)  # a type of these tests alone, which the cache of the package lacks
assert lzf.decompress(np.frombuffer(b"\\x02abc", np.uint8), plain) == 3 and plain.tobytes() == b"abc"
print(sum(lzf.decompress._cache_hits.values()))
"""


def start(**variables: str) -> subprocess.Popen:
    kept = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME", "TMPDIR")}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", LOAD], cwd=ROOT, env={**kept, **variables}, **streams)


def test_two_processes_at_once_leave_one_good_file(tmp_path):
    both = [start(NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2)]
    assert [process.communicate()[1] for process in both] == ["", ""]
    path = only_file(tmp_path / "s4token")
    assert path.read_bytes() == signed(path.read_bytes()[32:])
    assert start(NUMBA_CACHE_DIR=str(tmp_path)).communicate() == ("1\n", "")


@AS_ROOT
def test_a_read_only_package_without_home_starts():
    """What a container does that runs read-only as somebody without a home."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    remount = 'for d in "$1" /tmp /var/tmp; do mount --bind "$d" "$d" && mount -o remount,ro,bind "$d"; done'
    script = f'{remount}; exec "$2" -c "$3"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(ROOT), sys.executable, LOAD]
    environment = {**os.environ, "HOME": "/proc", "XDG_CACHE_HOME": "/proc/x", "TMPDIR": "/proc/y"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
