"""Scenes that are made while they are trained on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fake_samples import fake_sample

from s4token_model.training import growing_scenes, token_samples
from s4token_model.training.growing_scenes import GrowingScenes, made_beside


def write(folder: Path, *seeds: int) -> None:
    folder.mkdir(exist_ok=True)
    for seed in seeds:
        token_samples.save_sample(folder / f"{seed}.safetensors", fake_sample(seed, 8))


def write_slowly(folder: Path, count: int) -> None:
    """Also stands for a maker of the training's scenes, so at module level."""
    for seed in range(count):
        write(folder, seed)
        time.sleep(0.05)
    time.sleep(600)


def fail(folder: Path) -> None:
    raise SystemExit(3)


def test_samples_are_taken_in_when_there_are_many_more(tmp_path, monkeypatch):
    monkeypatch.setattr(growing_scenes, "LOOK", 0.0)
    write(tmp_path, *range(5))
    scenes = GrowingScenes(tmp_path)
    first = scenes.wait(100)  # nobody makes more: those that are there
    assert len(first) == 5 and scenes.look() == []
    write(tmp_path, 5)
    assert scenes.look() == []
    write(tmp_path, 6)
    more = scenes.look()
    assert len(more) == 7 and more[0] is first[0]  # nothing is read twice
    monkeypatch.setattr(growing_scenes, "LOOK", 1e9)
    write(tmp_path, *range(7, 20))
    assert scenes.look() == []


def test_scenes_are_made_beside_and_the_process_ends_with_the_block(tmp_path, monkeypatch):
    monkeypatch.setattr(growing_scenes, "LOOK", 0.0)
    with made_beside(tmp_path, write_slowly, tmp_path, 4) as scenes:
        assert 2 <= len(scenes.wait(2)) <= 4
        assert len(scenes.wait(4)) == 4
        maker = scenes.maker
        assert maker.is_alive()
    assert not maker.is_alive()


def test_the_last_scenes_are_taken_in_however_few(tmp_path, monkeypatch):
    monkeypatch.setattr(growing_scenes, "LOOK", 0.0)
    write(tmp_path, *range(10))
    with made_beside(tmp_path, write, tmp_path, 10) as scenes:
        scenes.wait(10)
        scenes.maker.join()
        assert len(scenes.look() or scenes.samples) == 11 and scenes.look() == []
        write(tmp_path, 11)
        assert scenes.look() == []


def test_a_failed_making_of_scenes_is_told(tmp_path, monkeypatch):
    with made_beside(tmp_path, fail, tmp_path) as scenes, pytest.raises(ValueError, match="no more scenes are made in"):
        scenes.wait(1)
    with pytest.raises(ValueError, match=r"holds no sample to train on; give scene_minutes="):
        GrowingScenes(tmp_path).wait(1)
