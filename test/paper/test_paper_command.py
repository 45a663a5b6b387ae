"""Tables of the paper: one runs to its end on made data and resumes; every other takes the stages that it should."""

from __future__ import annotations

import json
import os
from pathlib import Path

import paper_data
import pytest

from s4token_model.evaluation.published import TABLES
from s4token_model.paper import paper_command, rows, stages
from s4token_model.training import settings

QUICK = ("steps=1", "batch=2", "tokens=24", "points=64", "sampling.tokens=32", "tokenizer.width=16", "held_out=0")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    pytest.importorskip("h5py")
    folder = tmp_path_factory.mktemp("data")
    paper_data.write(folder)
    return folder


def test_a_table_runs_to_its_end_and_resumes(data, tmp_path, tiny_model, capsys, monkeypatch):
    changes = (*QUICK, f"clip.name={tiny_model / 'clip'}", "clip.pretrained=", "precision=fp32")
    words = [word for change in changes for word in ("--set", change)]
    words = ["A", "--data", str(data), "--out", str(tmp_path), "--rows", "S4Token", "--every", "1", *words]
    assert paper_command.main(words) == 0
    printed = capsys.readouterr().out
    row = json.loads((tmp_path / "tableA.json").read_text())["S4Token"]
    assert len(row["figures"]) == 4 and all(0 <= figure <= 100 for figure in row["figures"])
    shown = [f"{value:.1f}" for pair in zip(row["figures"], (85.4, 87.3, 79.3, 72.6), strict=True) for value in pair]
    assert f"| S4Token | {' | '.join(shown)} |" in printed
    assert "tested on 2 ShapeNetPart shapes, not on all 2,874" in printed and "one frame in 1," in printed
    assert (tmp_path / "tableA.md").read_text() in printed + "\n"
    assert "trained without labels on 2 samples of shapenet55" in printed
    # Nothing is made twice, and nothing of other settings is taken for it
    for module, name in ((stages.train, "main"), (stages.prepare, "main"), (stages.benchmarks, "run")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("made again"))
    assert paper_command.main(words) == 0
    assert capsys.readouterr().out == printed[printed.index("Table A") :]
    with pytest.raises(ValueError, match="was begun with .*rate=1.*give another --out"):
        paper_command.main([*words, "--set", "rate=1"])
    with pytest.raises(ValueError, match="begun with other settings .data: .* if the data were only moved"):
        paper_command.main([word if word != str(data) else str(tmp_path) for word in words])


def test_wrong_rows_and_missing_data_are_named(tmp_path):
    with pytest.raises(ValueError, match="Table 2 has no row 'K=4'; choose from knn, knn"):
        paper_command.main(["2", "--data", str(tmp_path), "--rows", "K=4"])
    with pytest.raises(ValueError, match="shapenetpart is missing"):
        paper_command.main(["1", "--data", str(tmp_path), "--out", str(tmp_path)])


def test_a_table_that_made_nothing_may_be_repeated_with_other_settings(tmp_path):
    for change in ("rate=1", "rate=2"):
        with pytest.raises(ValueError, match="shapenetpart is missing"):
            paper_command.main(["1", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--set", change])


@pytest.mark.parametrize("table, change", [("7", "clusters=8"), ("2", "variant=knn"), ("A", "head=point-bert")])
def test_a_change_that_would_relabel_rows_is_refused(tmp_path, table, change):
    with pytest.raises(ValueError, match=f"the rows of Table {table} differ by it"):
        paper_command.main([table, "--data", str(tmp_path), "--set", change])
    with pytest.raises(ValueError, match="--set device: s4token paper sets it itself"):
        paper_command.main([table, "--data", str(tmp_path), "--set", "device=cuda"])


def test_rows_of_an_earlier_call_stay_and_the_baseline_needs_no_training(tmp_path, data, tiny_model, capsys):
    s4token = {"figures": [72.3] * 11, "counts": {"ShapeNetPart shapes": 2}}
    (tmp_path / "table3.json").write_text(json.dumps({"S4Token": s4token}))
    changes = (*QUICK, f"clip.name={tiny_model / 'clip'}", "clip.pretrained=", "precision=fp32")
    words = [word for change in changes for word in ("--set", change)]
    words = ["3", "--data", str(data), "--out", str(tmp_path), "--rows", "PointCLIPv2", *words]
    assert paper_command.main(words) == 0
    found = json.loads((tmp_path / "table3.json").read_text())
    assert list(found) == ["PointCLIPv2", "S4Token"] and found["S4Token"] == s4token
    assert 0 <= found["PointCLIPv2"]["figures"][0] <= 100
    assert "trained without labels" not in capsys.readouterr().out and not (tmp_path / "samples").exists()


def test_samples_of_which_some_failed_are_tried_again(data, tmp_path, monkeypatch):
    calls = []

    def prepares(words):
        calls.append(words)
        folder = Path(words[words.index("--out") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{len(calls)}.safetensors").touch()

    monkeypatch.setattr(stages.prepare, "main", prepares)
    for _ in range(3):  # of two shapes, one fails at first
        stages.prepared(stages.Run(data, tmp_path), "shapenet55")
    assert len(calls) == 2


def test_rows_are_those_of_the_paper():
    assert rows.ROWS.keys() == TABLES.keys() == rows.DIFFERENCES.keys()
    for name, table in TABLES.items():
        assert all(len(figures) == len(table.columns) for figures in table.rows.values())
        own = set(table.rows) if name in ("1", "2", "6", "7") else {"gamma=0.1"} if name == "gamma" else {"S4Token"}
        assert own <= set(rows.ROWS[name]), name


class Fake:
    """Stands in for the stages: remembers what was asked for, and answers with one number."""

    def __init__(self):
        self.trainings, self.measurements = [], []

    def pretrained(self, run, data, *changes):
        self.trainings.append((data, *changes))
        return Path(f"/{'-'.join([data, *changes])}/model")

    def untrained(self, run, data):
        return Path(f"/{data}-untrained/model")

    def fine_tuned(self, run, name, file, data, *changes):
        self.trainings.append((file, data, *changes))
        return {"miou_c": 0.25, "miou_i": 0.5, "test_shapes": 2874}

    def measured(self, run, benchmark, data, model, **options):
        self.measurements.append((benchmark, model.parent.name, options))
        scores = {"miou": 0.25, "macc": 0.5}
        if benchmark == "scanobjectnn":
            return {"variants": {name: {"accuracy": 0.5, "objects": 581} for name in ("obj_only", "obj_bg")}}
        return {
            "methods": {"model": scores}, "clouds": [{}], "miou_c": 0.25, "miou_i": 0.5, "shapes": 2874,
            "categories": {"mug": {"miou": 0.75}}, "accuracy": 0.125, "objects": 2468,
        }  # fmt: skip


@pytest.fixture
def fake(monkeypatch):
    found = Fake()
    for name in ("pretrained", "untrained", "fine_tuned", "measured"):
        monkeypatch.setattr(rows, name, getattr(found, name))
    return found


def computed(table: str) -> dict[str, tuple]:
    return {name: compute(stages.Run(Path(), Path())).figures for name, compute in rows.ROWS[table].items()}


def test_full_trainings_differ_by_the_tokenizer_alone(fake):
    assert set(computed("1").values()) == {(25, 50)}
    changes = {training[2:] for training in fake.trainings}
    assert len(changes) == 8 and ("variant=ball+rpn+spt",) in changes
    config, _ = settings.read(stages.recipe("paper/table1.yaml"), [])
    assert (config.tune_clip, config.head, config.task) == (True, "point-bert", "parts")


def test_transfer_and_rooms_are_tested_on_val_with_superpoints_of_the_data(fake):
    assert computed("2")["knn"] == (25, 25) and computed("4")["S4Token"] == (25, 50, 25, 50)
    assert [t for t in fake.trainings if t[0] == "shapenet55"] == [
        ("shapenet55", "variant=knn"), ("shapenet55", "variant=knn+rpn"), ("shapenet55",)
    ]  # fmt: skip
    of_scannet = [options for name, _, options in fake.measurements if name == "scannet"]
    assert all(options["split"] == "val" for options in of_scannet)
    assert "superpoints.source=provided" in of_scannet[0]["changes"]


def test_parts_and_classes_have_a_baseline_and_gaps_where_nothing_is(fake):
    found = computed("3")["PointCLIPv2"]
    assert found[0] == 50 and found[TABLES["3"].columns.index("mug")] == 75 and found[1] is None
    assert computed("5")["S4Token"] == (12.5, 50, 50, None)
    models = {(name, model, options["method"]) for name, model, options in fake.measurements}
    assert models == {
        ("shapenetpart", "shapenet55-untrained", "projection"), ("shapenetpart", "shapenet55", "s4token"),
        ("modelnet", "shapenet55-untrained", "projection"), ("modelnet", "shapenet55", "s4token"),
        ("scanobjectnn", "scannet-untrained", "projection"), ("scanobjectnn", "scannet", "s4token"),
    }  # fmt: skip


def test_ablations_change_one_thing_and_share_the_recipe_itself(fake):
    for table in ("6", "7", "gamma"):
        computed(table)
    assert fake.trainings.count(("shapenet55",)) == 3
    assert ("shapenet55", "local_weight=0", "global_weight=0") in fake.trainings
    assert ("shapenet55", "assign_weight=0") in fake.trainings and ("shapenet55", "clusters=8") in fake.trainings
    assert ("shapenet55", "sampling.gamma=0") in fake.trainings


@pytest.mark.parametrize(
    "path", sorted((stages.recipe("paper/table1.yaml").parent).glob("*.yaml")), ids=lambda p: p.stem
)
def test_recipes_are_read_and_use_the_paper_s_tokens_and_clip(path):
    _, pipeline = settings.read(path, [])
    assert pipeline.clip.name == "ViT-B-16-quickgelu" and pipeline.clip.pretrained == "openai"
    assert pipeline.patches.grouping == "ball+spt" and not pipeline.tokenizer.context
    assert (pipeline.sampling.gamma, pipeline.patches.points, pipeline.patches.alpha) == (0.1, 32, 1.0)


def test_the_recipe_of_scannet_is_300_epochs_of_its_training_scans():
    config, pipeline = settings.read(stages.recipe("paper/scannet.yaml"), [])
    assert config.steps == round(300 * 1201 / config.batch) and config.batch == 128 and config.redraw
    assert pipeline.superpoints.source == "provided" and pipeline.sampling.tokens == 512


def test_several_gpus_train_under_torchrun_and_a_failure_is_told(tmp_path, monkeypatch):
    commands = []
    failed = type("Ended", (), {"returncode": 1})
    monkeypatch.setattr(stages.subprocess, "run", lambda words: commands.append(words) or failed)
    run = stages.Run(tmp_path, tmp_path, ("rate=1",), "cuda", gpus=4)
    with pytest.raises(ValueError, match="the training one failed, see above; the same command resumes it"):
        stages.trained(run, Path("a.yaml"), "one", ["rate=2"])
    (words,) = commands
    assert words[1:6] == ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=4", "-m"]
    assert words[6:] == [
        "s4token_model.training.train", "a.yaml", "rate=1", "rate=2", f"run={tmp_path / 'runs' / 'one'}", "device=cuda"
    ]  # fmt: skip


def test_a_result_is_measured_again_only_if_the_model_is_newer(tmp_path, monkeypatch):
    (model := tmp_path / "runs" / "one" / "model").mkdir(parents=True)
    (model / "config.json").touch()
    (tmp_path / "cups").mkdir()
    calls = []
    monkeypatch.setattr(
        stages.benchmarks, "run", lambda name, **options: calls.append(options) or {"calls": len(calls)}
    )
    run = stages.Run(tmp_path, tmp_path)
    assert [stages.measured(run, "modelnet", "cups", model)["calls"] for _ in range(2)] == [1, 1]
    later = (tmp_path / "results" / "one-modelnet-s4token.json").stat().st_mtime + 5
    os.utime(model / "config.json", (later, later))
    assert stages.measured(run, "modelnet", "cups", model)["calls"] == 2
    assert stages.measured(run, "modelnet", "cups", model, method="projection")["calls"] == 3
