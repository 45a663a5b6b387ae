"""Word files: what may be named from where, and what is read and quoted of them."""

from __future__ import annotations

import os
import time

import pytest

from s4token_model import vocabulary, word_files


@pytest.fixture
def folder(tmp_path):
    """A folder of word files beside a file that is nobody's business, and ways to it."""
    inside = tmp_path / "words"
    inside.mkdir()
    (inside / "rooms.txt").write_text("kitchen\nbath\n")
    (tmp_path / "secret.txt").write_text("root:x:0\n")
    (inside / "link.txt").symlink_to(tmp_path / "secret.txt")
    (inside / "dangling.txt").symlink_to(tmp_path / "nothing.txt")
    (inside / "up").symlink_to(tmp_path)
    (inside / "alias.txt").symlink_to(inside / "rooms.txt")
    return inside


@pytest.mark.parametrize("name", ["rooms", "rooms.txt", "alias", "./rooms.txt"])
def test_a_name_in_the_folder_is_found(folder, name):
    found = word_files.find_inside(name, "labels", str(folder))
    assert found == (folder / "rooms.txt").resolve() == word_files.find(name, "labels", str(folder)).resolve()
    assert vocabulary.read_names(found) == ("kitchen", "bath")


def test_a_path_into_the_folder_and_a_name_of_the_package_are_found(folder):
    assert word_files.find_inside(str(folder / "rooms.txt"), "labels", str(folder)).name == "rooms.txt"
    for where in ("", str(folder)):
        assert word_files.find_inside("scannet20", "labels", where).name == "scannet20.txt"


def test_what_is_not_inside_is_refused_alike_whether_it_exists_or_not(folder):
    existing = ["/etc/passwd", "link", "link.txt", "../secret.txt", "up/secret.txt", str(folder.parent / "secret.txt")]
    existing += [f"{folder}/../secret.txt", "/proc/self/environ", "/dev/zero", ".", str(folder)]
    missing = [
        "/etc/no-such-file",
        "dangling",
        "dangling.txt",
        "../nothing.txt",
        "up/nothing.txt",
        "",
        "a\0b",
        "x" * 9999,
    ]
    reasons = set()
    for name in existing + missing:
        with pytest.raises(ValueError) as error:
            word_files.find_inside(name, "labels", str(folder))
        shown = name if len(name) <= word_files.SHOWN_LETTERS else f"{name[: word_files.SHOWN_LETTERS]}..."
        reasons.add(str(error.value).replace(repr(shown), "NAME"))
    assert len(reasons) == 1 and "rooms" in reasons.pop()


def test_no_path_outside_is_touched(folder, monkeypatch):
    """Not even looked at: an automounter or a device would notice."""
    touched = []
    monkeypatch.setattr(word_files, "is_file", lambda path: touched.append(path) or False)
    for name in ("/mnt/robot/x", "../../x", "/dev/ttyUSB0"):
        with pytest.raises(ValueError):
            word_files.find_inside(name, "labels", str(folder))
    assert touched == []


def test_pipes_devices_and_large_files_are_never_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(3 << 30)
    begin = time.monotonic()
    for path, reason in ((tmp_path / "pipe", "not a regular file"), (large, "is larger than 4194304 bytes")):
        with pytest.raises(ValueError, match=reason):
            word_files.read_text(path)
    with pytest.raises(ValueError, match="no labels file"):
        word_files.find("/dev/zero", "labels")
    assert word_files.read_text("/proc/self/environ") == ""  # files of /proc claim to be empty
    assert time.monotonic() - begin < 1


@pytest.mark.parametrize(
    "content", [b"password: hunter2\n", b"hunter2,,hunter2\n", b"\xffhunter2\n", b"{\nhunter2: 1\n}\n"]
)
def test_an_error_quotes_nothing_of_the_file(tmp_path, content):
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        vocabulary.read_names(path)
    assert "hunter2" not in str(error.value) and str(path) in str(error.value)
