"""The demo as users start it: processes, DDS, services, pictures; and what it says when something does not come."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from s4token_model.constants import SAMPLE_ROOM, SAMPLE_STREET
from s4token_model.io import pointcloud2, samples
from s4token_model.io.files import read_cloud
from s4token_ros import demo

rclpy = pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces.msg")

from std_msgs.msg import Header  # noqa: E402

from s4token_ros import cloud_messages, demo_report, replay  # noqa: E402
from s4token_ros.demo_client import DemoClient  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def box(count: int = 3000) -> np.ndarray:
    """Points (count, 6) on a floor, a wall and a block, with colors 0-255."""
    rng = np.random.default_rng(5)
    xyz = rng.uniform((0, 0, 0), (4, 3, 0.01), (count, 3))
    xyz[: count // 3, 1:] = np.stack([rng.uniform(0, 0.01, count // 3), rng.uniform(0, 2.5, count // 3)], axis=1)
    xyz[-count // 4 :] = rng.uniform((1, 1, 0.5), (2, 2, 0.51), (count // 4, 3))
    return np.concatenate([xyz, rng.integers(0, 256, (count, 3))], axis=1).astype(np.float32)


def run_demo(*arguments: object, seconds: float = 280) -> subprocess.CompletedProcess:
    """Run the demo to its end; SIGTERM, so that it stops its own processes, when that takes too long."""
    command = [sys.executable, "-m", "s4token_ros.demo", *map(str, arguments)]
    kept = {k: v for k, v in os.environ.items() if k != "ROS_DOMAIN_ID"}
    demo_process = subprocess.Popen(
        command, cwd=ROOT, env=kept, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        printed = demo_process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        demo_process.terminate()
        printed = demo_process.communicate(timeout=30)
        raise AssertionError(f"not at its end after {seconds} s: {printed}") from None
    return subprocess.CompletedProcess(command, demo_process.returncode, *printed)


@pytest.mark.timeout(320)
def test_the_whole_demo_on_a_file(tmp_path, tiny_model):
    source, out = tmp_path / "box.npy", tmp_path / "out"
    np.save(source, box())
    run = run_demo(
        "--input",
        source,
        "--model",
        tiny_model,
        "--vocabulary",
        "floor,wall,wooden box",
        "--query",
        "a box",
        "--out",
        out,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert summary["points"] == 3000 and summary["clouds"] >= demo.MEASURED and summary["model"] == str(tiny_model)
    assert {"decode", "superpoints", "encoder", "publish"} <= summary["stages_ms"].keys()
    (words,) = summary["vocabularies"]
    assert words["names"] == ["floor", "wall", "wooden box"] and words["version"] == 2
    assert sum(words["classes"].values()) + words["unlabeled"] == 3000
    assert [m["text"] for m in summary["matches"]] == ["a box"] * len(summary["matches"]) and summary["matches"]
    check_files(out, words)
    named = max(words["classes"], key=words["classes"].get)  # random weights: any of the words
    for text in ("superpoints", "set_vocabulary: 3 classes", named, "a box", str(out)):
        assert text in run.stdout
    assert (out / "node.log").exists() and "Traceback" not in (out / "node.log").read_text()


def check_files(out: Path, words: dict) -> None:
    for name in ("labels.png", "superpoints.png", "similarity.png"):
        picture = np.asarray(Image.open(out / name).convert("RGB"))
        assert min(picture.shape[:2]) > 300 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 50
    labeled = read_cloud(out / "labeled.ply")
    assert len(labeled.xyz) == 3000
    labels, counts = np.unique(labeled.fields["label"], return_counts=True)
    assert {words["names"][i]: n for i, n in zip(labels, counts, strict=True) if i != 65535} == words["classes"]


@pytest.mark.timeout(320)
def test_what_cannot_be_read_is_said_and_everything_stopped(tmp_path, tiny_model):
    source = tmp_path / "broken.ply"
    source.write_bytes(b"ply\nformat binary_little_endian 1.0\nelement vertex 100\nproperty float x\nend_header\n1234")
    run = run_demo("--input", source, "--model", tiny_model, "--out", tmp_path / "out")
    assert run.returncode == 2 and len(run.stderr.strip().splitlines()) == 1
    assert "the player ended" in run.stderr and "broken.ply" in run.stderr


@pytest.mark.timeout(320)
def test_a_model_that_cannot_be_loaded_is_said(tmp_path):
    run = run_demo("--input", __file__, "--model", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert run.returncode == 2 and len(run.stderr.strip().splitlines()) == 1 and "nowhere" in run.stderr


def test_the_command_line(tmp_path, capsys):
    given = demo.parse(["--vocabulary", " chair , table,chair,", "--rate", "5"])
    assert given.vocabulary == ("chair", "table") and given.rate == 5 and given.source == SAMPLE_ROOM
    for wrong in (["--vocabulary", " , "], ["--input", str(tmp_path / "none.ply")], ["--rate", "0"]):
        with pytest.raises(SystemExit) as stopped:
            demo.parse(wrong)
        assert stopped.value.code == 2 and wrong[0] in capsys.readouterr().err


def test_help_needs_neither_ros_nor_torch():
    code = "import sys, s4token_ros.demo; assert not {'rclpy', 'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_player_keeps_positions_colors_and_shape(tmp_path):
    points = box(600)
    np.save(tmp_path / "box.npy", points)
    (message,) = replay.load(str(tmp_path / "box.npy"))
    cloud = cloud_messages.decode(message)
    np.testing.assert_array_equal(cloud.xyz, points[:, :3])
    np.testing.assert_allclose(cloud.rgb, points[:, 3:] / 255, atol=1e-6)
    organized = replay.to_message(points[:, :3], None, height=20)
    assert (organized.height, organized.width) == (20, 30) and [f.name for f in organized.fields] == ["x", "y", "z"]


def test_the_player_reads_bags(tmp_path):
    """A bag written by rosbags, an xyz cloud in float64, comes out with the same bytes."""
    rosbags = pytest.importorskip("rosbags.rosbag2")
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_KILTED)
    points = np.zeros(50, [("x", "<f8"), ("y", "<f8"), ("z", "<f8")])
    points["x"] = np.arange(50)
    types = store.types
    fields, step, big = pointcloud2.layout(points)
    kinds = [types["sensor_msgs/msg/PointField"](f.name, f.offset, f.datatype, f.count) for f in fields]
    header = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](1, 2), "lidar")
    kind = "sensor_msgs/msg/PointCloud2"
    recorded = types[kind](header, 1, 50, kinds, big, step, 50 * step, points.view(np.uint8), True)
    with rosbags.Writer(tmp_path / "bag", version=9) as writer:
        connection = writer.add_connection("/lidar", kind, typestore=store)
        writer.write(connection, 5, store.serialize_cdr(recorded, kind))
    (message,) = replay.load(str(tmp_path / "bag"))
    assert message.header.frame_id == "lidar" and bytes(message.data) == points.tobytes()


def test_the_player_plays_both_samples():
    for name, path in replay.SAMPLES.items():
        (message,) = replay.load(name)
        np.testing.assert_array_equal(cloud_messages.decode(message).xyz, samples.load(path).xyz)


def test_the_street_follows_the_room_and_is_told_from_it_by_its_points():
    calls, street = [], samples.load(samples.STREET)
    sizes = {1: 5, 2: len(street.xyz), 3: 5}  # points of clouds by stamp
    session = SimpleNamespace(vocabularies={7: "words"}, wait=lambda done, seconds, what: done())
    session.node = SimpleNamespace(create_subscription=lambda *arguments: None)
    session.stop_children, session.start_player = (lambda *a, n=n: calls.append((n, *a)) for n in ("stop", "start"))
    client = DemoClient(session)
    client.set_vocabulary = lambda names: calls.append(("words", *names)) or 7
    client._clouds = {stamp: SimpleNamespace(width=size, height=1) for stamp, size in sizes.items()}
    client._classes = {stamp: [SimpleNamespace(vocabulary_version=7)] for stamp in sizes}
    found = demo._street(session, client, 2.0)
    assert calls == [("stop", "player"), ("start", SAMPLE_STREET, 2.0), ("words", *street.names)]
    assert found.name == "street" and found.result.cloud is client._clouds[2]
    assert client.wait_for_cloud(7).cloud is client._clouds[3] and client.wait_for_cloud(7, 6) is None


def test_a_prediction_is_drawn_beside_its_truth(tmp_path):
    sample = samples.load()
    labels = np.where(np.arange(len(sample.xyz)) % 4 == 0, 65535, sample.label).astype(np.uint16)
    columns = {name: sample.xyz[:, i].copy() for i, name in enumerate("xyz")} | {"label": labels}
    cloud = cloud_messages.encode(pointcloud2.structured(columns), Header(frame_id="map"))
    compared = demo_report.Comparison("room", SimpleNamespace(cloud=cloud), sample)
    assert compared.accuracy == pytest.approx(0.75, abs=1e-4)
    demo_report.save_comparison(tmp_path / "room.png", compared)
    with Image.open(tmp_path / "room.png") as picture:
        width, height = picture.size
        assert width > 2 * height > 1000
    report = demo_report.Report("sample", accuracy={"room": compared.accuracy})
    assert "75.0 %" in demo_report.accuracy_table(report) and json.dumps(demo_report.as_json(report))


def test_tables_hold_what_came():
    report = demo_report.Report(
        "sample", model="m", device="cpu", ready_s=1.5, stages_ms={"decode": 1.0, "encoder": 2.0}
    )
    assert "3.0" in demo_report.latency_table(report) and "encoder" in demo_report.latency_table(report)
    match = {"text": "a box", "score": 0.5, "superpoint": 3, "points": 1234, "centroid": [1, 2, 3], "extent": [1, 1, 1]}
    report.matches = [match]
    assert "1,234 points at (1.00, 2.00, 3.00) m" in demo_report.match_table(report)
    assert json.dumps(demo_report.as_json(report))
