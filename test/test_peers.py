"""scripts/peers.py: each peer that is installed somewhere labels a small cloud, and those that fail say so."""

from __future__ import annotations

import sys

import numpy as np
import peer_models
import peers
import pytest
from box_room import room


@pytest.fixture(scope="module")
def pythons():
    return peers.interpreters([])


@pytest.fixture
def cloud(tmp_path):
    xyz = room(0.1)[0] * [2, 2, 1] + np.random.default_rng(0).normal(0, 0.005, (len(room(0.1)[0]), 3))
    np.save(tmp_path / "cloud.npy", xyz.astype(np.float32))
    return tmp_path / "cloud.npy"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", peer_models.PEERS)
def test_a_peer_gives_every_point_a_label(name, cloud, pythons):
    if name not in pythons:
        pytest.skip(f"{name} needs {', '.join(peer_models.PEERS[name].modules)} here or in ${peers.VARIABLE}")
    points = len(np.load(cloud))
    running = peers.measure({name: pythons[name]}, cloud, repeats=2, seconds=300)
    assert [answer["labeled"] for answer in running[name].answers] == [points] * 2, running[name].log.read_text()
    assert all(answer["cpu"] > 0 and answer["wall"] > 0 for answer in running[name].answers)
    (row,) = peers.rows(running, points)
    assert row[0] == peer_models.PEERS[name].who and row[2] == f"{points:,} of {points:,}" and row[-1] == "2"


def test_a_peer_that_cannot_start_is_a_row_that_says_so(cloud):
    running = peers.measure({"spt_partition": "/usr/bin/false"}, cloud, repeats=1, seconds=1)
    (row,) = peers.rows(running, 10)
    assert row[1] == "failed: nothing" and len(row) == len(peers.HEADER)


def test_a_peer_is_not_asked_again_once_its_time_is_over(cloud):
    running = peers.measure({"our_partition": sys.executable}, cloud, repeats=5, seconds=0)
    assert len(running["our_partition"].answers) == 1


def test_the_network_and_the_superpoints_of_this_project_are_always_here(pythons):
    assert {"ours", "our_partition"} <= pythons.keys()


def test_an_interpreter_that_is_none_is_an_error():
    with pytest.raises(ValueError, match="--python /usr/bin/false"):
        peers.interpreters(["/usr/bin/false"])


def test_voxels_hold_the_points_that_lie_in_them():
    xyz = np.random.default_rng(0).random((500, 3)) * 4
    cells, first, voxel = peer_models.voxels_of(xyz, 0.5)
    assert (cells == cells[first][voxel]).all() and len(np.unique(cells, axis=0)) == len(first)
