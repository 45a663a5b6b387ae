"""Start the node s4token: ros2 launch s4token_ros s4token.launch.py input:=/your/points [vocabulary:="chair, table"]"""

import os
import re
from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription

CONFIG = Path(__file__).resolve().parents[1] / "config"  # in the source tree, or in share/s4token_ros
# Fast DDS 2 (Humble, Jazzy) and Fast DDS 3 read different variables, and 3 warns about the old one
PROFILE_VARIABLE = (
    "FASTRTPS_DEFAULT_PROFILES_FILE"
    if os.environ.get("ROS_DISTRO") in ("humble", "jazzy")
    else "FASTDDS_DEFAULT_PROFILES_FILE"
)


def generate_launch_description():
    """Return the launch arguments, the Fast DDS profile for large clouds, the node and, on request, RViz."""
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(CONFIG / "s4token.rviz")],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    profile = os.environ.get(PROFILE_VARIABLE) or str(CONFIG / "fastdds_large_clouds.xml")
    return LaunchDescription(
        [
            DeclareLaunchArgument("input", default_value="points", description="PointCloud2 topic to label"),
            DeclareLaunchArgument(
                "config", default_value="node", description="parameter file, or node or live for the one in config/"
            ),
            DeclareLaunchArgument("model", default_value="", description="checkpoint; empty: as in the config"),
            DeclareLaunchArgument(
                "vocabulary", default_value="", description="comma-separated class names; empty: as in the config"
            ),
            DeclareLaunchArgument("rviz", default_value="false", description="whether to start RViz, too"),
            SetEnvironmentVariable(PROFILE_VARIABLE, profile),
            OpaqueFunction(function=_node),
            rviz,
        ]
    )


def _node(context):
    """Return the node; an empty launch argument leaves its parameter to the config file."""

    def argument(name):
        return LaunchConfiguration(name).perform(context)

    config = argument("config")
    named = CONFIG / f"{config}.yaml"
    overrides = {}
    if argument("model"):
        overrides["model"] = argument("model")
    names = [name.strip() for name in re.split("[,;]", argument("vocabulary")) if name.strip()]
    if names:
        overrides["vocabulary.names"] = names
    return [
        Node(
            package="s4token_ros",
            executable="s4token_node",
            name="s4token",
            output="screen",
            parameters=[str(named) if named.is_file() else config, *([overrides] if overrides else [])],
            remappings=[("points", argument("input"))],
        )
    ]
