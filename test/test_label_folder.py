"""s4token label FOLDER: outputs mirror the folder, a run resumes, nothing is replaced unasked, failures are counted."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from bag_files import contents, make_bag

from s4token_model import cli, jobs, label_folder
from s4token_model.io import bags, folders, manifest
from s4token_model.io.files import Cloud, read_cloud, write_cloud
from s4token_model.io.label_files import Summary

WORDS = ("--vocabulary", "floor,wall")


def make_cloud(path, seed=0, count=300):
    path.parent.mkdir(parents=True, exist_ok=True)
    xyz = np.random.default_rng(seed).random((count, 3)).astype(np.float32)
    write_cloud(path, Cloud.from_fields({name: xyz[:, i] for i, name in enumerate("xyz")}))
    return path


@pytest.fixture
def fleet(tmp_path):
    """Two clouds, one of them in a folder below with another format, a bag, and a damaged file."""
    make_cloud(tmp_path / "in" / "a.pcd")
    (tmp_path / "in" / "sub").mkdir()
    np.random.default_rng(1).random((50, 4)).astype("<f4").tofile(tmp_path / "in" / "sub" / "b.bin")
    make_bag(tmp_path / "in" / "run", clouds=1)
    (tmp_path / "in" / "damaged.ply").write_bytes(b"no cloud")
    (tmp_path / "in" / "notes.txt").write_text("not read")
    return tmp_path / "in"


@pytest.fixture
def label(tiny_model, capsys):
    """Run s4token label: its exit code, what it prints as JSON, and stderr."""

    def run(source, out, *words):
        named = () if "--vocabulary" in words else WORDS
        command = ["label", source, "-o", out, "--model", tiny_model, *named, "--json", *words]
        code = cli.main([str(word) for word in command])
        printed = capsys.readouterr()
        return code, json.loads(printed.out) if printed.out else {}, printed.err

    return run


def outputs(out):
    """{name: (bytes, time)} of every file that is no part of the manifest."""
    files = [p for p in out.rglob("*") if p.is_file() and manifest.FOLDER not in p.parts]
    return {str(p.relative_to(out)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def test_outputs_mirror_the_folder_and_what_fails_is_named_with_exit_code_1(fleet, tmp_path, label):
    code, result, err = label(fleet, tmp_path / "out")
    assert code == 1 and result["files"] == {"labeled": 3, "kept": 0, "failed": 1}
    assert sorted(outputs(tmp_path / "out")) == ["a.pcd", "run/metadata.yaml", "run/run.mcap", "sub/b.bin.ply"]
    assert result["points"] == 300 + 50 + 60 and result["clouds"] == 3
    assert list(result["failures"]) == ["damaged.ply"] and str(fleet) not in result["failures"]["damaged.ply"]
    table = err[err.index("1 of 4 files failed:\n") :].splitlines()
    assert table[1] == f"  damaged.ply  {result['failures']['damaged.ply']}"
    assert set(np.unique(read_cloud(tmp_path / "out" / "a.pcd").fields["label"])) <= {0, 1}
    assert contents(tmp_path / "out" / "run") == contents(fleet / "run")
    assert len(list(bags.read_clouds(tmp_path / "out" / "run", bags.LABELED_TOPIC))) == 1


def test_a_run_resumes_and_makes_only_what_is_missing(fleet, tmp_path, label):
    (fleet / "damaged.ply").unlink()
    out = tmp_path / "out"
    assert label(fleet, out)[0] == 0
    before = outputs(out)
    (out / "a.pcd").unlink()
    make_cloud(fleet / "new.ply")
    os.utime(fleet / "run" / "run.mcap")  # another time, the same content
    code, result, _ = label(fleet, out)
    assert code == 0 and result["files"] == {"labeled": 2, "kept": 2, "failed": 0}
    after = outputs(out)
    assert sorted(after) == sorted([*before, "new.ply"]) and after["a.pcd"][0] == before["a.pcd"][0]
    assert all(after[name] == before[name] for name in before if name != "a.pcd")
    assert result["points"] == 300 + 50 + 60 + 300, "what is kept is counted, too"


def test_nothing_that_differs_is_replaced_unasked(tmp_path, label):
    source, out = tmp_path / "in", tmp_path / "out"
    for name in ("words", "edited", "source", "theirs"):
        make_cloud(source / f"{name}.ply")
    make_bag(source / "bag", clouds=1)
    (out).mkdir()
    (out / "theirs.ply").write_bytes(b"precious")
    assert label(source, out)[0] == 1
    (out / "edited.ply").write_bytes(b"precious, too")
    make_cloud(source / "source.ply", seed=5)
    before = outputs(out)
    code, result, _ = label(source, out)
    assert code == 1 and result["files"] == {"labeled": 0, "kept": 2, "failed": 3} and outputs(out) == before
    assert "was changed after it was written; remove it" in result["failures"]["edited.ply"]
    assert "was made before source.ply was changed" in result["failures"]["source.ply"]
    assert "no run that its folder knows of wrote it" in result["failures"]["theirs.ply"]
    code, result, _ = label(source, out, "--vocabulary", "floor,sofa", "--set", "vocabulary.threshold=0.25")
    assert code == 1 and result["files"]["failed"] == 5 and outputs(out) == before
    other = "was made with other settings (vocabulary.names, vocabulary.threshold)"
    assert other in result["failures"]["words.ply"] and other in result["failures"]["bag"]
    code, result, _ = label(source, out, "--overwrite")
    assert code == 0 and result["files"] == {"labeled": 3, "kept": 2, "failed": 0}
    code, result, _ = label(source, out, "--overwrite", "--vocabulary", "floor,sofa")
    assert code == 0 and result["files"] == {"labeled": 5, "kept": 0, "failed": 0}
    assert len(list(bags.read_clouds(out / "bag", bags.LABELED_TOPIC))) == 1


def test_an_output_of_a_run_that_was_killed_before_it_was_recorded_is_made_again(tmp_path, label):
    make_cloud(tmp_path / "in" / "a.ply")
    out = tmp_path / "out"
    assert label(tmp_path / "in", out)[0] == 0
    known = manifest.read(out, "a.ply")
    manifest.write(out, "a.ply", known._replace(output=None, summary=None))
    code, result, _ = label(tmp_path / "in", out)
    assert code == 0 and result["files"]["labeled"] == 1 and manifest.read(out, "a.ply").output is not None


def test_a_failure_to_replace_keeps_the_output_and_its_record(tmp_path, label):
    make_cloud(tmp_path / "in" / "a.ply")
    out = tmp_path / "out"
    label(tmp_path / "in", out)
    before, known = outputs(out), manifest.read(out, "a.ply")
    (tmp_path / "in" / "a.ply").write_bytes(b"cut off")
    assert label(tmp_path / "in", out, "--overwrite")[0] == 1
    assert outputs(out) == before and manifest.read(out, "a.ply") == known


def die_or_label(task):
    if "killer" in task.name:
        os.kill(os.getpid(), signal.SIGKILL)
    return label_folder.label_one(task)


@pytest.mark.timeout(600)  # three processes that import torch
def test_a_file_that_kills_its_process_is_named_and_the_others_are_labeled(tmp_path, label, monkeypatch):
    for name in ("a", "killer"):
        make_cloud(tmp_path / "in" / f"{name}.ply")
    monkeypatch.setattr(label_folder, "label_one", die_or_label)
    code, result, err = label(tmp_path / "in", tmp_path / "out", "--workers", "2")
    assert code == 1 and result["files"] == {"labeled": 1, "kept": 0, "failed": 1}
    assert result["failures"]["killer.ply"].startswith("its process died: killed by the system")
    assert "1 of 2 files failed:\n  killer.ply  its process died" in err
    monkeypatch.undo()
    code, result, _ = label(tmp_path / "in", tmp_path / "out")
    assert code == 0 and result["files"] == {"labeled": 1, "kept": 1, "failed": 0}, "as with any number of workers"


def test_wrong_usage_ends_with_code_2_before_any_work(fleet, tmp_path, label):
    out = tmp_path / "out"
    (tmp_path / "file").touch()
    (tmp_path / "none").mkdir()
    for words, reason in (
        ((fleet, out, "--workers", "0"), "--workers 0: give at least 1"),
        ((fleet, out, "--workers", "2", "--ray", "auto"), "--workers 2 has no effect with --ray auto"),
        ((fleet, out, "--ray", "auto", "--device", "cuda"), "--device cuda"),
        ((fleet, out, "--mesh-points", "-1"), "--mesh-points -1"),
        ((fleet, out, "--bin-columns", "2"), "--bin-columns 2"),
        ((fleet, out, "--vocabulary", "a,a"), "'a' is repeated"),
        ((fleet, fleet / "out"), "name a folder beside it"),
        ((fleet, tmp_path / "file"), "the labels of a folder go to a folder"),
        ((tmp_path / "none", out), "holds no cloud"),
        ((fleet / "a.pcd", tmp_path / "a.pcd", "--workers", "2"), "--workers: "),
        ((fleet / "run", tmp_path / "run", "--overwrite"), "is one bag; give a folder of many"),
    ):
        code, result, err = label(*words)
        assert (code, result) == (2, {}) and reason in err and err.count("\n") == 1, err
    assert not out.exists()


def test_two_runs_do_not_write_to_one_folder(tmp_path, label):
    make_cloud(tmp_path / "in" / "a.ply")
    (tmp_path / "out" / manifest.FOLDER).mkdir(parents=True)
    lock = os.open(tmp_path / "out" / manifest.FOLDER, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    code, _, err = label(tmp_path / "in", tmp_path / "out")
    os.close(lock)
    assert code == 2 and "another run writes to it" in err and outputs(tmp_path / "out") == {}


def test_of_a_bag_those_topics_are_labeled_that_it_has(tmp_path, label):
    make_bag(tmp_path / "in" / "one", topics=("/front",), clouds=1)
    make_bag(tmp_path / "in" / "two", topics=("/front", "/rear"), clouds=1)
    make_bag(tmp_path / "in" / "none", topics=("/top",), clouds=1)
    code, result, _ = label(tmp_path / "in", tmp_path / "out", "--topic", "/front", "--topic", "/rear")
    assert code == 1 and list(result["failures"]) == ["none"] and "no PointCloud2 topic '/front'" in str(result)
    assert topics_of(tmp_path / "out" / "two") == ["/s4token/labeled/front", "/s4token/labeled/rear"]
    assert topics_of(tmp_path / "out" / "one") == ["/s4token/labeled"]


def topics_of(bag):
    with bags.open_bag(bag) as reader:
        return sorted({c.topic for c in reader.connections if c.topic.startswith(bags.LABELED_TOPIC)})


def test_warnings_of_many_files_are_told_once(tmp_path, label):
    for k in range(3):
        make_cloud(tmp_path / "in" / f"{k}.ply")
    code, result, err = label(tmp_path / "in", tmp_path / "out", "--mesh-points", "10")
    (warning,) = [text for text in result["warnings"] if "no faces" in text]
    assert code == 0 and warning.startswith("0.ply: ") and warning.endswith(" (and 2 more)") and err.count("faces") == 1


def test_warnings_about_words_are_not_repeated_for_every_file():
    total = label_folder.Total(("'x' is unknown",))
    for k, name in enumerate("ab"):
        summary = Summary().to_dict("tiny") | {"clouds": 1, "warnings": ["'x' is unknown", f"{k} faces"]}
        total.add(jobs.Outcome(name, ("labeled", summary)))
    assert total.to_dict("tiny")["warnings"] == ["'x' is unknown", "a: 0 faces (and 1 more)"]


def test_two_inputs_with_one_output_are_refused(tmp_path, label):
    for name in ("a.laz", "a.laz.ply"):
        make_cloud(tmp_path / "in" / "x.ply").rename(tmp_path / "in" / name)
    code, _, err = label(tmp_path / "in", tmp_path / "out")
    assert code == 2 and "two inputs would have this output" in err


def test_inputs_are_found_in_folders_and_behind_links_once(tmp_path):
    make_cloud(tmp_path / "in" / "a.ply")
    make_cloud(tmp_path / "elsewhere" / "b.ply")
    make_bag(tmp_path / "in" / "run", ".db3", clouds=1)
    make_cloud(tmp_path / "in" / "run" / "part_of_the_bag.ply")
    make_cloud(tmp_path / "in" / ".hidden" / "c.ply")
    (tmp_path / "in" / "old.bag").touch()
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "circle").symlink_to(tmp_path / "in")
    found = [str(path.relative_to(tmp_path / "in")) for path in folders.list_inputs(tmp_path / "in")]
    assert found == ["a.ply", "linked/b.ply", "old.bag", "run"]
    assert folders.list_inputs(tmp_path / "in" / "run") == [tmp_path / "in" / "run"]


def test_a_bag_without_metadata_is_one_bag_and_a_dataset_with_metadata_is_none(tmp_path):
    make_bag(tmp_path / "bag", clouds=1)
    assert folders.is_bag_folder(tmp_path / "bag")
    (tmp_path / "bag" / "metadata.yaml").unlink()
    assert folders.is_one_bag(tmp_path / "bag") and not folders.is_bag_folder(tmp_path / "bag")
    make_cloud(tmp_path / "bag" / "a.ply")
    (tmp_path / "bag" / "metadata.yaml").write_text("name: my data set\n")
    assert not folders.is_one_bag(tmp_path / "bag")


def test_a_damaged_record_is_no_record(tmp_path):
    manifest.write(tmp_path, "a.ply", manifest.Record([["a.ply", 1, 2, "3"]], "4"))
    assert manifest.read(tmp_path, "a.ply") == manifest.Record([["a.ply", 1, 2, "3"]], "4")
    Path(tmp_path, manifest.FOLDER, "files", "a.ply.json").write_text('{"source": ')
    assert manifest.read(tmp_path, "a.ply") is None and manifest.read(tmp_path, "b.ply") is None
