"""The launch file inside of another one, and with a config that is not there; the node is a script that prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("launch_ros", reason="launch_ros is not on PyPI")

ROOT = Path(__file__).resolve().parents[2]
OUTER = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
own = {"model": "robot.urdf", "config": "nav.yaml", "input": "/joy", "vocabulary": "drive", "rviz": "true"}
declared = [DeclareLaunchArgument(name, default_value=value) for name, value in own.items()]
passed = [tuple(word.split(":=")) for word in sys.argv[2:]]
include = IncludeLaunchDescription(PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=passed)
service = LaunchService()
service.include_launch_description(LaunchDescription([*declared, include]))
sys.exit(service.run())
"""


@pytest.fixture
def launched(tmp_path):
    """Include the launch file with arguments; returns (exit code, output)."""
    script = tmp_path / "lib" / "s4token_ros" / "s4token_node"
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages" / "s4token_ros"
    for path, text in (
        (script, '#!/bin/sh\necho "node: $@"\nfor file; do case $file in *launch_params*) cat "$file"; esac; done\n'),
        (index, ""),
    ):
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o755)

    def run(*arguments: str) -> tuple[int, str]:
        prefixes = os.pathsep.join([str(tmp_path), os.environ.get("AMENT_PREFIX_PATH", "")])
        environment = {**os.environ, "AMENT_PREFIX_PATH": prefixes, "ROS_LOG_DIR": str(tmp_path)}
        command = [sys.executable, "-c", OUTER, str(ROOT / "launch" / "s4token.launch.py"), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    return run


def test_arguments_of_the_outer_file_are_not_taken(launched):
    code, output = launched()
    assert code == 0 and "points:=points" in output and "node.yaml" in output
    assert not any(word in output for word in ("robot.urdf", "nav.yaml", "/joy", "launch_params", "rviz2"))


def test_arguments_that_are_passed_are_taken(launched):
    code, output = launched("input:=/front/points", "model:=mine", "config:=live")
    assert code == 0 and "points:=/front/points" in output and "live.yaml" in output and "model: mine" in output


@pytest.mark.parametrize(
    "argument, reason",
    [("config:=liv", "neither a parameter file nor one of: node, live"), ("config:=mini", "node, live"),
     ("input:=", "input:= is empty")],
)  # fmt: skip
def test_what_cannot_work_ends_the_launch_with_the_reason(launched, argument, reason):
    code, output = launched(argument)
    assert code == 1 and reason in output and "node:" not in output
