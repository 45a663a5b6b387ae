"""Files and folders are written completely or not at all, and the leftovers of killed writers are swept."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from s4token_model import atomic

ROOT = Path(__file__).resolve().parents[1]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill(folder: Path, text: str) -> None:
    with atomic.folder(folder) as new:
        (new / "one").write_text(text)
        (new / "below").mkdir()
        (new / "below" / "two").write_text(text)


def content(folder: Path) -> set[str]:
    return {path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_file_appears_at_the_end_of_the_block_with_the_usual_permissions(tmp_path):
    path = tmp_path / "result"
    with atomic.file(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new" and names(tmp_path) == ["result"]
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_error_leaves_the_old_file_and_the_old_folder(tmp_path):
    path = tmp_path / "result"
    path.write_text("old")
    fill(tmp_path / "model", "old")
    with pytest.raises(RuntimeError), atomic.file(path) as file:
        file.write(b"half")
        raise RuntimeError
    with pytest.raises(RuntimeError), atomic.folder(tmp_path / "model") as new:
        (new / "one").write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and content(tmp_path / "model") == {"old"}
    assert names(tmp_path) == ["model", "result"]


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_takes_the_place_of_another(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    for text in ("old", "new"):
        fill(tmp_path / "model", text)
        assert content(tmp_path / "model") == {text} and names(tmp_path) == ["model"]
    (tmp_path / "link").symlink_to(tmp_path / "model")
    fill(tmp_path / "link", "newest")
    assert (tmp_path / "link").is_symlink() and content(tmp_path / "model") == {"newest"}
    os.chmod(tmp_path / "model", 0o750)
    fill(tmp_path / "model", "private")
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o750


def test_linux_exchanges_two_folders_in_one_step(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert atomic._exchange(tmp_path / "one", tmp_path / "other") == sys.platform.startswith("linux")
    assert names(tmp_path / "one") == ["other"]


def killed_writer(target: Path, before: str = "") -> None:
    """Run a process that is killed while it writes `target`."""
    code = f"""
import os, signal
from pathlib import Path
from s4token_model import atomic
{before}
with atomic.folder(Path({str(target)!r})) as new:
    (new / "one").write_text("half")
    with atomic.file(Path({str(target)!r} + ".ply")) as file:
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL


def test_leftovers_of_killed_writers_are_swept_by_the_next_and_those_of_living_ones_are_not(tmp_path):
    target = tmp_path / "model"
    fill(target, "old")
    killed_writer(target)
    assert content(target) == {"old"} and len(names(tmp_path)) == 3
    with atomic.file(tmp_path / "other") as file, atomic.folder(tmp_path / "another") as folder:
        assert len(names(tmp_path)) == 3, "only what is being written now is there"
        atomic.sweep(tmp_path)
        file.write(b"x")
        (folder / "x").touch()
    assert names(tmp_path) == ["another", "model", "other"]


def test_files_of_others_are_not_swept(tmp_path):
    for name in (".model.partial", "x.partial", ".s4token", "model.s4token-partial.txt"):
        (tmp_path / name).touch()
    before = names(tmp_path)
    atomic.sweep(tmp_path)
    assert names(tmp_path) == before


def test_a_folder_that_was_set_aside_when_its_writer_was_killed_is_put_back(tmp_path):
    target = tmp_path / "model"
    fill(target, "old")
    die = "os.rename = lambda *pair, rename=os.rename: (rename(*pair), os.kill(os.getpid(), signal.SIGKILL))"
    code = f"""
import os, signal
from pathlib import Path
from s4token_model import atomic
atomic._exchange = lambda *_: False
{die}
with atomic.folder(Path({str(target)!r})) as new:
    (new / "one").write_text("new")
"""
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL and not target.exists()
    assert atomic.recovered(target) == target and content(target) == {"old"}
    fill(target, "new")
    assert content(target) == {"new"} and names(tmp_path) == ["model"]


def test_a_reader_waits_for_a_writer_between_its_two_steps(tmp_path):
    aside = tmp_path / f".model.00ff{atomic.ASIDE}"
    aside.mkdir()
    (aside / "one").write_text("old")
    lock = os.open(aside, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    new = tmp_path / "new"
    new.mkdir()
    (new / "one").write_text("new")
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(atomic.recovered, tmp_path / "model")
        time.sleep(0.1)
        assert not found.done()
        new.rename(tmp_path / "model")
        assert content(found.result(5)) == {"new"}
    os.close(lock)


def test_where_no_folder_can_be_replaced_is_said_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file; give a folder"):
        atomic.check_folder(tmp_path / "file")
    with pytest.raises(ValueError, match="is a mount point"):
        atomic.check_folder("/proc")
    with pytest.raises(ValueError, match="is not a folder that may be written to"):
        atomic.check_folder(tmp_path / "file" / "below")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ValueError, match="is not a folder that may be written to"):
        atomic.check_folder(tmp_path / "new" / "model")
    monkeypatch.undo()
    atomic.check_folder(tmp_path / "new" / "model")


def test_long_names_can_be_written(tmp_path):
    path = tmp_path / ("ü" * 120)
    with atomic.file(path) as file:
        file.write(b"x")
    assert names(tmp_path) == [path.name]


def test_a_folder_that_takes_no_files_is_an_error_and_no_endless_loop():
    if not Path("/proc/self").exists():
        pytest.skip("no /proc here")
    with pytest.raises(OSError), atomic.file("/proc/a.ply"):
        pass
