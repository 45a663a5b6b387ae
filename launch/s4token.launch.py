"""Start the node s4token: ros2 launch s4token_ros s4token.launch.py input:=/your/points [vocabulary:="chair, table"]"""

import os
from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription

CONFIG = Path(__file__).resolve().parents[1] / "config"  # of the source tree, or of share/s4token_ros
# Fast DDS 3 warns about the name that Fast DDS 2, of Humble and Jazzy, reads
PROFILE_VARIABLE = (
    "FASTRTPS_DEFAULT_PROFILES_FILE"
    if os.environ.get("ROS_DISTRO") in ("humble", "jazzy")
    else "FASTDDS_DEFAULT_PROFILES_FILE"
)


def generate_launch_description():
    """Arguments, the shared-memory profile for large clouds, the node and, if asked for, RViz."""
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
                "config", default_value="node", description="parameter file, or the name of one in config/: node, live"
            ),
            DeclareLaunchArgument("model", default_value="", description="checkpoint; empty: as the config says"),
            DeclareLaunchArgument(
                "vocabulary", default_value="", description="words separated by commas; empty: as the config says"
            ),
            DeclareLaunchArgument("rviz", default_value="false", description="true: also start RViz"),
            SetEnvironmentVariable(PROFILE_VARIABLE, profile),
            OpaqueFunction(function=_node),
            rviz,
        ]
    )


def _node(context):
    """The node; arguments that are empty leave the parameter to the config file."""

    def argument(name):
        return LaunchConfiguration(name).perform(context)

    config = argument("config")
    named = CONFIG / f"{config}.yaml"
    overrides = {}
    if argument("model"):
        overrides["model"] = argument("model")
    words = [word.strip() for word in argument("vocabulary").split(",") if word.strip()]
    if words:
        overrides["vocabulary.names"] = words
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
