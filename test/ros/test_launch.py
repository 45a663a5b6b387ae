"""The launch file inside of another one, and with what cannot work; node and RViz are scripts that print."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("launch_ros", reason="launch_ros is not on PyPI")

ROOT = Path(__file__).resolve().parents[2]
OUTER = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import DeclareLaunchArgument, EmitEvent, IncludeLaunchDescription, LogInfo, RegisterEventHandler
from launch.event_handlers import OnProcessStart
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events import matches_node_name
from launch_ros.events.lifecycle import ChangeState
own = {"model": "robot.urdf", "config": "nav.yaml", "input": "/joy", "vocabulary": "drive", "rviz": "true",
       "namespace": "fleet", "name": "robot", "device": "arm", "use_sim_time": "true", "log_level": "noisy"}
declared = [DeclareLaunchArgument(name, default_value=value) for name, value in own.items()]
configure = ChangeState(lifecycle_node_matcher=matches_node_name("/managed/s4token"), transition_id=1)
events = [RegisterEventHandler(OnProcessStart(on_start=[EmitEvent(event=configure)])),
          RegisterEventHandler(OnStateTransition(goal_state="inactive", entities=[LogInfo(msg="now inactive")]))]
groups = " ".join(sys.argv[2:]).split(" -- ")
includes = [IncludeLaunchDescription(PythonLaunchDescriptionSource(sys.argv[1]),
                                     launch_arguments=[tuple(word.split(":=")) for word in group.split()])
            for group in groups]
service = LaunchService()
service.include_launch_description(LaunchDescription([*declared, *events, *includes]))
sys.exit(service.run())
"""
PRINTS = '#!/bin/sh\necho "node: $@"\nfor file; do case $file in *launch_params*) cat "$file"; esac; done\n'
LIFECYCLE = f"""#!{sys.executable}
import rclpy
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
class Node(LifecycleNode):
    def on_configure(self, state):
        self.create_timer(0.5, rclpy.shutdown)
        return TransitionCallbackReturn.SUCCESS
rclpy.init()
rclpy.spin(Node("s4token"))
"""


@pytest.fixture
def launched(tmp_path):
    """Include the launch file with arguments; returns (exit code, output). `run.script` replaces node or RViz."""

    def script(package: str, executable: str, text: str) -> None:
        index = tmp_path / "share" / "ament_index" / "resource_index" / "packages" / package
        for path, content in ((tmp_path / "lib" / package / executable, text), (index, "")):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            path.chmod(0o755)

    def run(*arguments: str) -> tuple[int, str]:
        prefixes = os.pathsep.join([str(tmp_path), os.environ.get("AMENT_PREFIX_PATH", "")])
        environment = {**os.environ, "AMENT_PREFIX_PATH": prefixes, "ROS_LOG_DIR": str(tmp_path), "ROS_DOMAIN_ID": "58"}
        command = [sys.executable, "-c", OUTER, str(ROOT / "launch" / "s4token.launch.py"), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    script("s4token_ros", "s4token_node", PRINTS)
    run.script = script
    return run


def test_arguments_of_the_outer_file_are_not_taken(launched):
    code, output = launched()
    assert code == 0 and "points:=points" in output and "node.yaml" in output and "__node:=s4token" in output
    leaked = ("robot.urdf", "nav.yaml", "/joy", "launch_params", "rviz2", "fleet", "arm", "noisy")
    assert not any(word in output for word in leaked)


def test_arguments_that_are_passed_are_taken(launched):
    code, output = launched(
        "input:=/front/points", "model:=mine", "config:=live", "device:=cuda:1", "use_sim_time:=true",
        "autostart:=False", "log_level:=debug", "vocabulary:=chair,table",
    )  # fmt: skip
    taken = ("points:=/front/points", "live.yaml", "--log-level debug", "model: mine", "device: cuda:1",
             "use_sim_time: true", "autostart: false", "- chair", "- table")  # fmt: skip
    assert code == 0 and [word for word in taken if word not in output] == []


def test_two_robots_are_started_by_arguments(launched):
    code, output = launched("namespace:=robot1", "--", "namespace:=robot2", "name:=labels", "input:=/lidar")
    assert code == 0
    assert "__node:=s4token -r __ns:=/robot1" in output and "__node:=labels -r __ns:=/robot2" in output


@pytest.mark.parametrize(
    "argument, reason",
    [("config:=liv", "neither a parameter file nor one of: node, live"), ("config:=mini", "node, live"),
     ("input:=", "input:= is empty"), ("inptu:=/points", "unknown launch argument inptu:=; did you mean input:=?"),
     ("zoom:=3", "known are input, config"), ("rviz:=maybe", "rviz:=maybe is neither true nor false")],
)  # fmt: skip
def test_what_cannot_work_ends_the_launch_with_the_reason(launched, argument, reason):
    code, output = launched(argument)
    assert code == 1 and reason in output and "node:" not in output


def test_the_node_runs_without_rviz_where_it_is_missing(launched):
    code, output = launched("rviz:=true")
    assert code == 0 and "node:" in output and "rviz2 is not installed" in output


def test_rviz_shows_the_topics_of_the_node_and_ends_with_it(launched):
    launched.script("rviz2", "rviz2", '#!/bin/sh\necho "view: $@" >&2\nexec sleep 100\n')
    launched.script("s4token_ros", "s4token_node", "#!/bin/sh\nsleep 2\n")
    start = time.monotonic()
    code, output = launched("rviz:=true", "namespace:=robot1", "name:=labels", "fixed_frame:=lidar")
    assert code == 0 and time.monotonic() - start < 90 and "-f lidar" in output
    assert "/s4token/labeled:=labels/labeled" in output and "__ns:=/robot1" in output


def test_an_outer_file_configures_the_node_by_lifecycle_events(launched):
    launched.script("s4token_ros", "s4token_node", LIFECYCLE)
    code, output = launched("namespace:=managed", "autostart:=false")
    assert code == 0 and "now inactive" in output
