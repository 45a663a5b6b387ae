"""What others wrote is read only if it is regular, inside, small enough and plain."""

from __future__ import annotations

import hashlib
import os
import time

import pytest

from s4token_model import bounded_files


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "repeated key 'c'"),
        ('{"a": NaN}', "not finite"),
        ('{"a": -Infinity}', "not finite"),
        ('{"a": 1e999}', "not finite"),
        ('{"a": ' + "9" * 5000 + "}", "is not JSON"),
        ("[" * 20 + "]" * 20, "nested more than 12 deep"),
        ("[" * 100000, "is not JSON"),
        ('{"a": 1', "is not JSON"),
        ("", "is not JSON"),
        ("\ufeff{}", "is not JSON"),
    ],
)
def test_json_is_strict(path, text, message):
    path.write_text(text)
    with pytest.raises(ValueError, match=f"file.*{message}"):
        bounded_files.read_json(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nb: *x\n", "an alias"),
        ("a: {b: 1, b: 2}", "repeated key 'b'"),
        ("!!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("[" * 5000, "is not YAML"),
        ("- " * 5000 + "x", "is not YAML"),
        ("a: 2024-13-45", "month must be"),
        ("a: \x00", "is not YAML"),
        ("? [a]\n: 1", "is not YAML"),
    ],
)
def test_yaml_is_plain(path, text, message):
    path.write_text(text)
    with pytest.raises(ValueError, match=f"file is not YAML.*{message}" if "YAML" not in message else message):
        bounded_files.read_yaml(path)


def test_an_alias_bomb_takes_no_time(path):
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 20)]
    path.write_text("\n".join(rows))
    begin = time.monotonic()
    with pytest.raises(ValueError, match="alias"):
        bounded_files.read_yaml(path)
    assert time.monotonic() - begin < 5


def test_good_files_are_read(path):
    path.write_text('{"a": [1, 2.5, null, true], "ü": {}}', encoding="utf-8")
    assert bounded_files.read_json(path) == {"a": [1, 2.5, None, True], "ü": {}}
    path.write_text("a: [1, 2.5, null, true]\nb: {c: x}\n")
    assert bounded_files.read_yaml(path) == {"a": [1, 2.5, None, True], "b": {"c": "x"}}
    path.write_bytes(bytes(range(256)) * 5000)
    assert bounded_files.sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("read", [bounded_files.read_json, bounded_files.read_yaml, bounded_files.sha256])
def test_pipes_devices_folders_and_huge_files_are_refused_at_once(path, read):
    os.mkfifo(path)
    with pytest.raises(ValueError, match="not a regular file"):
        read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match="not a regular file"):
        read(path)
    path.rmdir()
    path.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="not a regular file"):
        read(path)
    path.unlink()
    path.touch()
    os.truncate(path, 20 << 30)  # sparse
    with pytest.raises(ValueError, match="is larger than"):
        read(path)


def test_names_and_links_that_lead_out_of_a_folder_are_refused(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").touch()
    (folder / "inner").symlink_to("config.json")
    (folder / "outer").symlink_to(tmp_path / "secret")
    (folder / "loop").symlink_to("loop")
    for name in ("config.json", "inner", "clip/config.json"):
        assert bounded_files.inside(folder, name) == folder / name
    for name in ("../secret", str(tmp_path / "secret"), "outer", "clip/../../secret"):
        with pytest.raises(ValueError, match="lies outside of"):
            bounded_files.inside(folder, name)
    for name in ("loop", "a\0b"):
        with pytest.raises(ValueError):
            bounded_files.inside(folder, name)


def test_a_snapshot_of_a_hugging_face_cache_is_inside(tmp_path):
    folder, blobs = tmp_path / "snapshots" / "0123", tmp_path / "blobs"
    folder.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "aa").touch()
    (folder / "config.json").symlink_to(blobs / "aa")
    assert bounded_files.inside(folder, "config.json") == folder / "config.json"
    # A folder of the snapshot; the cache's other folders are outside
    (folder / "clip").mkdir()
    (folder / "clip" / "model").symlink_to("../../../blobs/aa")
    assert bounded_files.inside(folder / "clip", "model") == folder / "clip" / "model"
    (tmp_path / "refs").touch()
    (folder / "clip" / "refs").symlink_to("../../../refs")
    with pytest.raises(ValueError, match="lies outside of"):
        bounded_files.inside(folder / "clip", "refs")


@pytest.mark.parametrize(
    "key", ['{"\\ud800": 1}', '{"a": ["\\ud800x"]}', '{"\\u001b[2J": 1}', '{"a\\nERROR all is fine": 1}']
)
@pytest.mark.parametrize("read", [bounded_files.read_json, bounded_files.read_yaml])
def test_what_could_not_be_shown_or_sent_is_refused_in_a_line_that_can(path, read, key):
    path.write_text(key)
    with pytest.raises(ValueError, match="half a letter|cannot be printed") as caught:
        read(path)
    assert str(caught.value).isprintable()
