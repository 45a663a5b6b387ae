"""The command line: labels in files and bags, the JSON summary, errors of one line, a help that loads nothing heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bag_files import contents, make_bag
from mesh_text import mesh_text
from real_data import real

from s4token_model import cli, constants, label_command
from s4token_model.evaluation import benchmarks
from s4token_model.explore import explore_command
from s4token_model.io import bags, files, label_files
from s4token_model.io.files import Cloud, read_cloud, write_cloud
from s4token_model.palette import index_colors
from s4token_model.segmenter import Segmenter

ROOT = Path(__file__).resolve().parents[1]
KEYS = [
    "points",
    "finite_points",
    "superpoints",
    "tokens",
    "unlabeled",
    "unlabeled_reason",
    "unlabeled_reasons",
    "warnings",
    "classes",
    "stages_ms",
    "total_ms",
    "model",
    "known",
    "unknown",
    "taken_for",
]


@pytest.fixture(scope="module")
def segmenter(tiny_model):
    return Segmenter.load(tiny_model)


def room(count=3000, seed=0):
    """A floor, a wall and a box, with colors and ground truth."""
    rng = np.random.default_rng(seed)
    u = rng.random((count, 3)).astype(np.float32)
    kind = np.arange(count) % 3
    xyz = np.where(kind[:, None] == 0, u * [4, 4, 0.01], np.where(kind[:, None] == 1, u * [4, 0.01, 2.5], 1 + u * 0.6))
    fields = {name: xyz[:, i].astype(np.float32) for i, name in enumerate("xyz")}
    fields |= {name: rng.integers(0, 256, count, np.uint8) for name in ("red", "green", "blue")}
    return Cloud.from_fields(fields | {"label": kind.astype(np.int32)})


def run(capsys, *words):
    code = cli.main([str(w) for w in words])
    return code, *capsys.readouterr()


def labeled_with(tmp_path, capsys, tiny_model, *more):
    write_cloud(tmp_path / "in.ply", room())
    words = ("--vocabulary", "chair,table", "--model", tiny_model)
    return run(capsys, "label", tmp_path / "in.ply", "-o", tmp_path / "out.ply", *words, *more)


def test_label_draws_a_picture_with_the_objects(tmp_path, capsys, tiny_model):
    from PIL import Image

    code, _, err = labeled_with(tmp_path, capsys, tiny_model, "--picture", tmp_path / "out.png")
    assert code == 0, err
    image = np.asarray(Image.open(tmp_path / "out.png"))
    assert image.shape[0] > 500 and len(np.unique(image.reshape(-1, 3), axis=0)) > 50


def test_label_writes_a_recording_for_rerun(tmp_path, capsys, tiny_model):
    pytest.importorskip("rerun", reason="rerun-sdk is not installed")
    code, _, err = labeled_with(tmp_path, capsys, tiny_model, "--rerun", tmp_path / "out.rrd")
    assert code == 0, err
    content = (tmp_path / "out.rrd").read_bytes()
    assert content[:3] == b"RRF" and all(word in content for word in (b"/labels", b"/superpoints", b"/objects"))


def test_a_picture_or_recording_that_cannot_be_written_is_refused_before_the_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(label_command, "load_segmenter", lambda arguments: pytest.fail("began to work"))
    monkeypatch.setitem(sys.modules, "rerun", None)
    write_cloud(tmp_path / "in.ply", room())
    bag = tmp_path / "bag"
    make_bag(bag)
    for source, option, name, reason in (
        ("in.ply", "--picture", "a.jpg", "a.jpg: give a name that ends in .png"),
        ("in.ply", "--picture", "none/a.png", "its folder does not exist"),
        ("in.ply", "--rerun", "a.png", "ends in .rrd"),
        ("in.ply", "--rerun", "a.rrd", "pip install rerun-sdk"),
        (bag, "--picture", "a.png", "holds several"),
    ):
        target = "new_bag" if source == bag else "out.ply"
        code, out, err = run(capsys, "label", tmp_path / source, "-o", tmp_path / target, option, tmp_path / name)
        assert code == 2 and reason in err and not out, err


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".npy"])
def test_label_writes_the_input_and_its_labels_and_prints_one_json_object(tmp_path, capsys, tiny_model, suffix):
    cloud = room()
    cloud.fields["x"][7], cloud.fields["z"][8] = np.nan, np.inf
    write_cloud(tmp_path / "in.ply", cloud)
    target = tmp_path / f"out{suffix}"
    code, out, _ = run(
        capsys,
        "label",
        tmp_path / "in.ply",
        "-o",
        target,
        "--model",
        tiny_model,
        "--vocabulary",
        "floor, wall,box",
        "--json",
    )
    result = json.loads(out)
    assert code == 0 and list(result) == KEYS and out.count("\n") == 1
    assert (result["points"], result["finite_points"], result["unlabeled"]) == (3000, 2998, 2)
    assert result["unlabeled_reason"] == "2 points: not finite"
    assert sum(result["classes"].values()) + result["unlabeled"] == result["points"]
    assert set(result["classes"]) <= {"floor", "wall", "box"}
    assert result["total_ms"] == pytest.approx(sum(result["stages_ms"].values()), abs=0.01)
    again = read_cloud(target)
    assert np.array_equal(again.xyz, read_cloud(tmp_path / "in.ply").xyz, equal_nan=True)
    assert np.array_equal(again.fields["input_label"], cloud.fields["label"])
    labels = again.fields["label"]
    kinds = [labels.dtype, again.fields["confidence"].dtype, again.fields["superpoint"].dtype]
    assert kinds == ["i4" if suffix == ".ply" else "u4", "f4", "u4"]  # 4294967295 is no int32
    assert list(labels[[7, 8]]) == [65535] * 2 and list(again.fields["superpoint"][[7, 8]]) == [4294967295] * 2
    assert (np.delete(labels, [7, 8]) < 3).all() and len(np.unique(again.fields["superpoint"])) == result[
        "superpoints"
    ] + 1
    assert len(np.unique(again.rgb[labels == labels[0]], axis=0)) == 1  # one color per class


def test_label_of_a_bag_adds_a_topic(tmp_path, capsys, tiny_model):
    make_bag(tmp_path / "in", clouds=2)
    code, out, _ = run(
        capsys,
        "label",
        tmp_path / "in",
        "-o",
        tmp_path / "out.mcap",
        "--model",
        tiny_model,
        "--vocabulary",
        "floor",
        "--json",
    )
    result = json.loads(out)
    assert code == 0 and (result["points"], result["clouds"], result["skipped"]) == (120, 2, [])
    assert contents(tmp_path / "out.mcap") == contents(tmp_path / "in")
    labeled = [bags.cloud_of(m)[0] for _, _, m in bags.read_clouds(tmp_path / "out.mcap", "/s4token/labeled")]
    assert sum((p["label"] == 0).sum() for p in labeled) == result["classes"]["floor"]


def test_the_optical_frame_of_a_bag_is_used_or_warned_about_once(tmp_path, capsys, tiny_model, segmenter):
    clouds = make_bag(tmp_path / "in", clouds=2, frame="camera_depth_optical_frame")
    words = ("label", tmp_path / "in", "--model", tiny_model, "--vocabulary", "floor,wall", "--json", "-o")
    code, out, error = run(capsys, *words, tmp_path / "auto.mcap")
    assert code == 0 and error == "" and json.loads(out)["warnings"] == []
    labeled = [bags.cloud_of(m)[0] for _, _, m in bags.read_clouds(tmp_path / "auto.mcap", "/s4token/labeled")]
    for points, found in zip(clouds, labeled, strict=True):
        xyz = np.stack([points["x"], points["z"], -points["y"]], axis=1)  # x right, y down, z forward
        expected = segmenter.encode(xyz).superpoints
        assert np.array_equal(found["superpoint"], expected)
    code, out, error = run(capsys, *words, tmp_path / "z.mcap", "--set", "input.up=z")
    assert (
        code == 0 and error.count("\n") == 1 and json.loads(out)["warnings"] == [error[len("s4token: warning: ") : -1]]
    )
    assert "camera_depth_optical_frame" in error and "set input.up to -y or auto" in error


def test_warnings_that_differ_in_numbers_are_told_once(segmenter):
    summary = label_files.Summary()
    for scale in (1e4, 2e4, 3e4):
        summary.add(segmenter.segment(room().xyz * scale))
    (warning,) = summary.to_dict("tiny")["warnings"]
    assert warning.startswith("the cloud is 39,992 m across")


def test_label_prints_a_table_for_people(tmp_path, capsys, tiny_model):
    write_cloud(tmp_path / "in.npy", room())
    (tmp_path / "words.txt").write_text("# words\nfloor\n\nwall\n")
    code, out, _ = run(
        capsys, "label", tmp_path / "in.npy", "-o", tmp_path / "out.ply", "--model", tiny_model, "--labels",
        tmp_path / "words.txt", "--set", "vocabulary.threshold=1.0"
    )  # fmt: skip
    assert code == 0 and "3,000 points" in out and "unlabeled (3000 points: below the threshold)" in out
    assert np.allclose(read_cloud(tmp_path / "out.ply").rgb * 255, constants.UNLABELED_COLOR)


def test_words_that_the_model_does_not_know_are_told(tmp_path, capsys):
    write_cloud(tmp_path / "in.npy", room(300))
    words = ("label", tmp_path / "in.npy", "-o", tmp_path / "out.ply", "--vocabulary", "Floors; xyzzy")
    code, out, error = run(capsys, *words, "--json")
    result = json.loads(out)
    assert code == 0 and result["unknown"] == ["xyzzy"] and error.count("\n") == 1
    assert result["known"]["Floors"] == 1 and result["known"]["xyzzy"] < 0.9
    assert error.startswith("s4token: warning: 'xyzzy' is unknown to this model") and result["warnings"][0] in error
    assert ("unknown word" in run(capsys, *words)[1]) == ("xyzzy" in result["classes"])


def odd_clouds():
    rng = np.random.default_rng(1)
    yield "no points", np.zeros((0, 3), np.float32)
    yield "one point", np.ones((1, 3), np.float32)
    yield "two points", rng.random((2, 3))
    yield "fewer than neighbors", rng.random((6, 3))
    yield "all NaN", np.full((50, 3), np.nan)
    yield "all equal", np.full((50, 3), 2.5)
    yield "inf", np.where(rng.random((50, 3)) < 0.2, np.inf, rng.random((50, 3)))
    yield "float64 far away", rng.random((200, 3)) + [4e5, 5e6, 100]
    yield "a line", np.linspace([0, 0, 0], [1, 1, 1], 80)
    yield "integers", rng.integers(0, 9, (80, 3))
    yield "unsigned bytes", rng.integers(0, 256, (300, 3)).astype(np.uint8)
    yield "two equal points", np.ones((2, 3))
    yield "beyond float32", rng.random((300, 3)) * 1e300


@pytest.mark.parametrize(("name", "xyz"), list(odd_clouds()), ids=[name for name, _ in odd_clouds()])
def test_odd_clouds_are_labeled_as_far_as_possible(tmp_path, segmenter, name, xyz):
    cloud = Cloud.from_fields({n: xyz[:, i] for i, n in enumerate("xyz")})
    summary = label_files.label_cloud(cloud, tmp_path / "out.ply", segmenter).to_dict("m")
    again = read_cloud(tmp_path / "out.ply")
    assert len(again.xyz) == len(xyz) == summary["points"]
    finite = np.isfinite(xyz.astype(float)).all(axis=1)
    assert summary["finite_points"] == finite.sum() and summary["unlabeled"] == (~finite).sum()
    assert ((again.fields["label"] == 65535) == ~finite).all()
    assert bool(summary["unlabeled_reason"]) == (len(xyz) == 0 or not finite.all())
    json.dumps(summary, allow_nan=False)
    ids = label_files.partition_cloud(cloud, segmenter.config)
    assert ((ids == constants.NO_SUPERPOINT) == ~finite).all()


@pytest.mark.parametrize("suffix", [".ply", ".pcd"])
def test_superpoints_is_a_tool_of_its_own(tmp_path, capsys, suffix):
    cloud = room()
    cloud.fields["y"][0] = np.nan
    write_cloud(tmp_path / "in.ply", cloud)
    results = []
    for strength in ("0.05", "2"):
        words = ["--set", f"superpoints.regularization={strength}", "--json"]
        code, out, _ = run(capsys, "superpoints", tmp_path / "in.ply", "-o", tmp_path / f"out{suffix}", *words)
        results.append(json.loads(out))
        assert code == 0
    again = read_cloud(tmp_path / f"out{suffix}")
    ids = again.fields["superpoint"]
    assert ids[0] == 4294967295 and sorted(np.unique(ids[1:])) == list(range(results[1]["superpoints"]))
    assert (results[1]["points"], results[1]["finite_points"]) == (3000, 2999)
    assert results[1]["superpoints"] <= results[0]["superpoints"]
    assert "label" in again.fields
    levels = np.rint(again.rgb * 255).astype(int)
    assert np.array_equal(levels[1:], index_colors(ids[1:]))  # the colors of pictures
    assert tuple(levels[0]) == constants.UNLABELED_COLOR


def test_superpoints_are_those_of_the_pipeline(segmenter):
    cloud = room(2000, seed=2)
    cloud.xyz[5] = np.nan
    assert np.array_equal(
        label_files.partition_cloud(cloud, segmenter.config), segmenter.encode(cloud.xyz, cloud.rgb).superpoints
    )


def test_errors_are_one_line_with_the_fix_and_exit_code_2(tmp_path, capsys, tiny_model):
    write_cloud(tmp_path / "in.ply", room(300))
    make_bag(tmp_path / "bag", topics=("/front", "/rear"), clouds=1)
    (tmp_path / "cut.ply").write_bytes((tmp_path / "in.ply").read_bytes()[:-5])
    nowhere = np.full((50, 3), np.nan, np.float32)
    for name, xyz in (("nan.npy", nowhere), ("empty.npy", nowhere[:0])):
        np.save(tmp_path / name, xyz)
    source, out = tmp_path / "in.ply", ["-o", tmp_path / "out.ply"]
    model, names = ["--model", tiny_model], ["--set", "vocabulary.names=floor,wall"]
    for words, fix in (
        (["label", tmp_path / "none.ply", *out, *model], "no such file"),
        (["label", tmp_path / "cut.ply", *out, *model], "truncated"),
        (["label", tmp_path / "nan.npy", *out, *model], "nan.npy: none of its 50 points is finite"),
        (["label", tmp_path / "empty.npy", *out, *model], "none of its 0 points is finite"),
        (["superpoints", tmp_path / "nan.npy", *out], "none of its 50 points is finite"),
        (["label", source, "-o", tmp_path / "out.xyz", *model], "name the output .ply, .pcd, .npy"),
        (["label", source, "-o", tmp_path / "no" / "out.ply", *model], "mkdir -p"),
        (["label", source, *out, "--model", tmp_path / "none"], "no checkpoint"),
        (["label", source, *out, *model, "--vocabulary", ""], "empty word"),
        (["label", source, *out, *model, "--vocabulary", "a,b,a"], "'a' is repeated"),
        (["label", source, *out, *model, "--vocabulary", "Chair,chair"], "'chair' is repeated (as 'Chair'"),
        (["label", source, *out, *model, "--labels", tmp_path / "none.txt"], "no labels file"),
        (
            ["label", source, *out, *model, *names, "--set", "vocabulary.labels=/no/such/file"],
            "vocabulary.labels='/no/such/file' has no effect: vocabulary.names (floor, wall) takes precedence; empty",
        ),
        (["label", source, *out, *model, *names, "--vocabulary", "sofa"], "given twice: 'sofa' and 'floor,wall'"),
        (["label", source, *out, *model, *names, "--labels", "scannet20"], "takes precedence; empty it first"),
        (
            ["label", source, *out, *model, "--vocabulary", "floor", "--set", "vocabulary.labels=scannet20"],
            "takes precedence; empty it first",
        ),
        (["label", source, *out, *model, "--device", "abacus"], "use cpu, cuda"),
        (["label", source, *out, *model, "--set", "sampling.tokens"], "key=value"),
        (["label", source, *out, *model, "--set", "sampling.tokens=0"], "below its minimum 1"),
        (["label", source, *out, *model, "--set", "sampling.toxens=1"], "unknown config key"),
        (["label", source, *out, *model, "--set", "tokenizer.position=none"], "do not fit this config"),
        (["label", source, *out, *model, "--topic", "/front"], "leave --topic out"),
        (["label", source, *out, *model, "--mesh-points", "-1"], "or 0 for the vertices"),
        (["label", tmp_path / "bag", "-o", tmp_path / "o", *model], "add --topic /front"),
        (["label", tmp_path / "bag", *out, *model, "--topic", "/rear"], "a bag in gives a bag out"),
        (["superpoints", tmp_path / "bag", *out], "cloud files"),
        (["superpoints", source, *out, "--set", "superpoints.solver=magic"], "not one of"),
        (["evaluate", "scannet", "--root", tmp_path], str(tmp_path)),
        (["evaluate", "agreement", "--root", source, *model, "--topic", "/front"], "leave --topic out"),
        (["evaluate", "agreement", "--root", tmp_path / "bag", *model], "add --topic /front"),
        (["label", tmp_path / "bag", "-o", tmp_path / "o", *model, "--topic", "/front", "--topic", "/x"], "'/x'"),
        *((["label", source, *out, *model, "--device", name], "use cpu") for name in ("mps", "xpu", "meta", "cuda:99")),
        (["benchmark", "--repeats", "0"], "at least 1"),
    ):
        code, stdout, stderr = run(capsys, *words)
        assert code == 2 and stdout == "", words
        assert stderr.startswith("s4token: ") and stderr.count("\n") == 1 and fix in stderr, stderr
    assert not (tmp_path / "out.ply").exists() and not (tmp_path / "o").exists()


class Panic(BaseException):
    """Like pyo3_runtime.PanicException of libraries in Rust, which is no Exception."""


RAISED = [
    (ValueError("chair is\nno number"), "chair is no number"),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "can't decode byte 0xff"),
    (OSError(28, "No space left on device", "/out.ply"), "No space left on device"),
    (ImportError("this needs ray"), "this needs ray"),
    (MemoryError(), "not enough memory"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "not enough memory"),
    (ZeroDivisionError("division by zero"), "unexpected ZeroDivisionError: division by zero"),
    (RecursionError("maximum recursion depth exceeded"), "unexpected RecursionError"),
    (KeyError("x"), "unexpected KeyError: 'x'"),
    (RuntimeError("x" * 9000), "unexpected RuntimeError: xxx"),
    (AssertionError(), "unexpected AssertionError: no text"),
    (Panic("attempt to subtract with overflow"), "unexpected Panic: attempt to subtract"),
    (SystemExit("no such thing"), "no such thing"),
]
COMMAND_LINES = [
    *([name] for name in {**cli.COMMANDS, **cli.INSTALLED}),
    ["benchmark", "--live"],
    ["explore", "--live=/topic"],
    ["explore", "in.ply"],
    ["label", "in.ply", "-o", "out.ply"],
    ["superpoints", "in.ply", "-o", "out.ply"],
    *(["evaluate", name, "--root", "."] for name in ("scannet", "s3dis", "semantickitti", "agreement")),
    ["evaluate", "temporal"],
]


def stub_every_command(monkeypatch, reason):
    """Let every command raise `reason` as soon as it has parsed its words."""

    def fail(*_, **__):
        raise reason

    for name in ("label", "superpoints"):
        monkeypatch.setattr(label_command, name, fail)
    monkeypatch.setattr(explore_command, "explore", fail)
    monkeypatch.setattr(benchmarks, "run", fail)
    monkeypatch.setattr(cli, "load_command", lambda name: fail)


@pytest.mark.parametrize("reason, text", RAISED, ids=[type(reason).__name__ for reason, _ in RAISED])
@pytest.mark.parametrize("words", COMMAND_LINES, ids=" ".join)
def test_whatever_a_command_raises_is_one_line_and_exit_code_2(capsys, monkeypatch, words, reason, text):
    stub_every_command(monkeypatch, reason)
    code, out, err = run(capsys, *words)
    assert code == 2 and out == "" and text in err
    assert err.startswith("s4token: ") and err.count("\n") == 1 and len(err) < 1000


@pytest.mark.parametrize("by_variable", [False, True])
def test_debug_adds_the_traceback(capsys, monkeypatch, by_variable):
    stub_every_command(monkeypatch, ZeroDivisionError("division by zero"))
    monkeypatch.setenv("S4TOKEN_DEBUG", "1" if by_variable else "0")
    for words in (["label", "in.ply", "-o", "out.ply"], ["train", "x.yaml"], ["evaluate", "temporal"]):
        code, _, err = run(capsys, *words, *([] if by_variable else ["--debug"]))
        assert code == 2 and err.startswith("Traceback") and "in fail" in err
        assert err.splitlines()[-1].startswith("s4token: unexpected ZeroDivisionError")


def test_an_unexpected_error_says_where_and_what_to_do(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(label_command.files, "check_writable", lambda path: 1 / 0)
    _, _, err = run(capsys, "label", tmp_path / "in.ply", "-o", tmp_path / "out.ply")
    assert "(s4token_model/label_command.py, line " in err and "run it again with --debug and report" in err


def test_an_interrupted_command_says_nothing(capsys, monkeypatch):
    stub_every_command(monkeypatch, KeyboardInterrupt())
    assert run(capsys, "train", "x.yaml") == (130, "", "")


@pytest.mark.parametrize(
    "shell, code, text",
    [
        ("{} | head -c 0; exit ${{PIPESTATUS[0]}}", 141, ""),
        ("{} > /dev/full", 2, "No space left on device"),
        ("{} >&-", 0, ""),
        ("{} 2>&-", 0, ""),
        ("PYTHONIOENCODING=ascii {}", 0, ""),
    ],
)
def test_a_broken_output_ends_in_no_traceback(tmp_path, shell, code, text):
    line = "raise SystemExit(command_line.guard('s4token', lambda words: print('Caf\u00e9 table')))\n"
    (tmp_path / "program.py").write_text("from s4token_model import command_line\n" + line, encoding="utf-8")
    command = shell.format(f"{sys.executable} {tmp_path / 'program.py'}")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == code and "Traceback" not in done.stderr and "Exception" not in done.stderr
    assert text in done.stderr and done.stderr.count("\n") <= 1


@pytest.mark.parametrize(
    "module",
    [
        *dict.fromkeys(module for module, _ in cli.COMMANDS.values()),
        "s4token_ros.demo",
        "s4token_ros.live_benchmark",
        "s4token_ros.live_explore",
        "s4token_ros.replay",
    ],
)
def test_every_module_that_can_be_run_is_guarded(module):
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    text = path.read_text(encoding="utf-8")
    assert "__main__" not in text.split('if __name__ == "__main__":')[0] or module.endswith("__main__")
    if "if __name__" in text:
        assert "command_line.guard(" in text.split('if __name__ == "__main__":')[1]


@pytest.mark.parametrize("path", sorted((ROOT / "scripts").glob("*.py")), ids=lambda path: path.name)
def test_every_script_is_guarded(path):
    text = path.read_text(encoding="utf-8")
    # peer_models.py runs in environments without us, for scripts/peers.py, which reports its errors
    if "if __name__" in text and path.name != "peer_models.py":
        assert "command_line.guard(" in text.split('if __name__ == "__main__":')[1]


def test_every_script_that_can_be_run_answers_help():
    """In one process, since most of them import torch."""
    code = "import contextlib, io, runpy, sys\nsys.path.insert(0, 'scripts')\n"
    code += "for path in sys.argv[1:]:\n    sys.argv = [path, '--help']\n"
    code += "    with contextlib.redirect_stdout(io.StringIO()) as out:\n        try:\n"
    code += "            runpy.run_path(path, run_name='__main__')\n        except SystemExit as end:\n"
    code += "            assert not end.code and 'usage' in out.getvalue(), (path, end.code)\n"
    code += "        else:\n            raise AssertionError(path)\n"
    paths = [path for path in (ROOT / "scripts").glob("*.py") if path.name != "peer_models.py"]
    paths = [str(path) for path in paths if "if __name__" in path.read_text(encoding="utf-8")]
    command = [sys.executable, "-c", code, *sorted(paths)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert len(paths) > 10 and done.returncode == 0, done.stderr


def test_commands_without_a_parser_print_their_keys(capsys):
    for name, key in (("train", "mask_ratio=0.6"), ("mini-model", "clip_scenes=1200")):
        code, out, err = run(capsys, name, "--help")
        assert code == 0 and err == "" and out.startswith(f"usage: s4token {name} ") and key in out


@pytest.mark.parametrize("name", ["benchmark", "robustness", "prepare", "experiments", "demo", "live-benchmark"])
def test_a_wrong_option_is_told_by_the_name_of_the_command(capsys, name):
    code, _, err = run(capsys, name, "--no-such-option")
    assert code == 2 and f"s4token {name.replace('live-benchmark', 'benchmark --live')}: error" in err


@pytest.mark.parametrize("words", [[], ["label"], ["superpoints"], ["explore"], ["evaluate"], ["evaluate", "scannet"]])
def test_help_loads_nothing_heavy(words):
    code = "import sys\nfrom s4token_model import cli\nif cli.main([*sys.argv[1:], '--help']) == 0:\n"
    code += "    heavy = {'torch', 'numpy', 'open_clip', 'numba', 'rosbags', 'rclpy', 'scipy'} & set(sys.modules)\n"
    code += "    assert not heavy, heavy\n"
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "usage: s4token" in done.stdout


def test_commands_with_their_own_parser_get_the_rest_of_the_line(monkeypatch, capsys):
    seen = []
    module = type(sys)("s4token_model.training.train_mini")
    module.main = lambda words: seen.append(words)
    monkeypatch.setitem(sys.modules, "s4token_model.training.train_mini", module)
    assert cli.main(["mini-model", "--seed", "3"]) == 0 and seen == [["--seed", "3"]]
    monkeypatch.setitem(cli.COMMANDS, "train", ("no_such_module", ""))
    code, _, stderr = run(capsys, "train")
    assert code == 2 and "no_such_module" in stderr and stderr.count("\n") == 1


def test_other_packages_provide_commands_by_entry_points(tmp_path, monkeypatch, capsys):
    info = tmp_path / "another-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: another\nVersion: 1.0\n")
    entries = "[s4token.commands]\nlive-benchmark = another_module:main\nlive-explore = another_module:main\n"
    entries += "demo = no_such_module:main\n"
    (info / "entry_points.txt").write_text(entries)
    (tmp_path / "another_module.py").write_text("def main(words):\n    print(*words)\n    return 7\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert run(capsys, "live-benchmark", "--rate", "5") == (7, "--rate 5\n", "")
    assert run(capsys, "benchmark", "--live", "--rate", "5") == (7, "--live --rate 5\n", "")
    assert run(capsys, "explore", "--live=/points") == (7, "--live=/points\n", "")
    code, _, stderr = run(capsys, "demo")
    assert code == 2 and "this command needs no_such_module, which is not installed" in stderr
    (info / "entry_points.txt").write_text("")
    code, _, stderr = run(capsys, "demo")
    assert code == 2 and "no installed package provides the command demo" in stderr and stderr.count("\n") == 1


def test_a_benchmark_refuses_the_options_of_others(capsys):
    for words, wrong in (
        (["scannet", "--root", "x", "--method", "projection"], "--method"),
        (["semantickitti", "--root", "x", "--split", "val"], "--split"),
        (["agreement", "--root", "x", "--pictures", "out"], "--pictures"),
        (["procedural", "--rooms", "3a"], "--rooms"),
        (["scannet"], "--root"),
    ):
        code, _, err = run(capsys, "evaluate", *words)
        assert code == 2 and wrong in err


@pytest.mark.parametrize("parts", [("modelnet", "chair", "chair_0001.off"), ("bags", "watercan_ros2")])
def test_real_input_is_labeled(tmp_path, capsys, tiny_model, parts):
    source = real(*parts)
    target = tmp_path / ("out" if source.is_dir() else "out.ply")
    words = ["label", source, "-o", target, "--model", tiny_model, "--mesh-points", 4000, "--json"]
    code, out, _ = run(capsys, *words)
    result = json.loads(out)
    assert code == 0 and result["points"] > 1000
    assert sum(result["classes"].values()) + result["unlabeled"] == result["points"]


def test_drawn_points_are_said_once_and_in_the_json(tmp_path, capsys, tiny_model):
    (tmp_path / "cube.off").write_text(mesh_text("off"))
    said = "points were drawn on the 12 faces of this mesh, which its vertices do not cover; --mesh-points 0 keeps"
    for command, more in (("label", ["--model", tiny_model]), ("superpoints", [])):
        words = [command, tmp_path / "cube.off", "-o", tmp_path / "out.ply", *more]
        code, out, stderr = run(capsys, *words, "--json")
        assert code == 0 and json.loads(out)["points"] == files.MESH_POINTS
        assert json.loads(out)["warnings"] == stderr.rstrip("\n").split("s4token: warning: ")[1:]
        assert said in json.loads(out)["warnings"][0] and len(json.loads(out)["warnings"]) == 1
        code, out, stderr = run(capsys, *words, "--json", "--mesh-points", 0)
        assert code == 0 and stderr == "" and json.loads(out)["points"] == 8 and json.loads(out)["warnings"] == []


def test_a_real_frame_and_scans_are_labeled(tmp_path, segmenter):
    frame = read_cloud(real("rgbd_7scenes", "frame-000000.depth.png"))
    scan = read_cloud(real("scannet_full", "scene0000_00_vert_all.npy"))
    lidar = read_cloud(real("semantickitti", "sequences", "00", "velodyne", "000000.bin"))
    for cloud in (frame, scan, lidar):
        thin = Cloud.from_fields({name: column[::20] for name, column in cloud.fields.items()})
        summary = label_files.label_cloud(thin, tmp_path / "out.pcd", segmenter)
        assert summary.finite_points == np.isfinite(thin.xyz).all(axis=1).sum()
        assert summary.unlabeled == sum(summary.reasons.values())
        assert summary.unlabeled - summary.reasons["not finite"] <= 0.01 * summary.points
