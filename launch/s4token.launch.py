"""Start the node s4token: ros2 launch s4token_ros s4token.launch.py input:=/your/points [vocabulary:="chair, table"]

A launch file that includes this one passes arguments to it; its own arguments of the same names do not count here.
"""

import inspect
import os
import re
from pathlib import Path

from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetEnvironmentVariable,
)
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription

CONFIG = Path(__file__).resolve().parents[1] / "config"  # in the source tree, or in share/s4token_ros
CONFIGS = ("node", "live")
# Fast DDS 2 (Humble, Jazzy) and Fast DDS 3 read different variables, and 3 warns about the old one
PROFILE_VARIABLE = (
    "FASTRTPS_DEFAULT_PROFILES_FILE"
    if os.environ.get("ROS_DISTRO") in ("humble", "jazzy")
    else "FASTDDS_DEFAULT_PROFILES_FILE"
)
ARGUMENTS = {
    "input": ("points", "PointCloud2 topic to label"),
    "config": ("node", f"parameter file, or one of those in config/: {', '.join(CONFIGS)}"),
    "model": ("", "checkpoint; empty: as in the config"),
    "vocabulary": ("", "comma-separated class names; empty: as in the config"),
    "rviz": ("false", "whether to start RViz, too"),
}


def generate_launch_description():
    """Return the launch arguments, the Fast DDS profile for large clouds, the node and, on request, RViz."""
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(CONFIG / "s4token.rviz")],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    profile = os.environ.get(PROFILE_VARIABLE) or str(CONFIG / "fastdds_large_clouds.xml")
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    passed = _passed_arguments()
    inherited = {name: default for name, (default, _) in ARGUMENTS.items() if passed is not None and name not in passed}
    actions = [*declared, SetEnvironmentVariable(PROFILE_VARIABLE, profile), OpaqueFunction(function=_node), rviz]
    # In a scope, so that neither the defaults nor the variable reach the files that are included next
    return LaunchDescription([GroupAction(actions, launch_configurations=inherited)])


def _passed_arguments():
    """Return the names of the arguments that were passed to this file, None if no file or command includes it.

    Launch has no scope for included files: a launch argument `model` of a robot's launch file is set in here, too, and
    nothing in the context tells it from one that was passed. The action that includes this file knows; it is running.
    """
    for caller in inspect.stack():
        include = caller.frame.f_locals.get("self")
        if isinstance(include, IncludeLaunchDescription):
            names = [normalize_to_list_of_substitutions(name) for name, _ in include.launch_arguments]
            return {perform_substitutions(LaunchContext(), name) for name in names}
    return None


def _node(context):
    """Return the node; an empty launch argument leaves its parameter to the config file."""
    arguments = {name: LaunchConfiguration(name).perform(context).strip() for name in ARGUMENTS}
    overrides = {}
    if arguments["model"]:
        overrides["model"] = arguments["model"]
    names = [name.strip() for name in re.split("[,;]", arguments["vocabulary"]) if name.strip()]
    if names:
        overrides["vocabulary.names"] = names
    if not arguments["input"]:
        raise ValueError("input:= is empty; name a PointCloud2 topic, e.g. input:=/camera/points")
    return [
        Node(
            package="s4token_ros",
            executable="s4token_node",
            name="s4token",
            output="screen",
            parameters=[_parameter_file(arguments["config"]), *([overrides] if overrides else [])],
            remappings=[("points", arguments["input"])],
        )
    ]


def _parameter_file(config):
    """Return the path of the parameter file that `config` names; launch would start the node without a missing one."""
    if config in CONFIGS:
        return str(CONFIG / f"{config}.yaml")
    if not Path(config).is_file():
        raise ValueError(f"config:={config} is neither a parameter file nor one of: {', '.join(CONFIGS)}")
    return config
