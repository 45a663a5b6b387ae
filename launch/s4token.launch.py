"""Start the node: ros2 launch s4token_ros s4token.launch.py input:=/your/points [vocabulary:="chair, table"]

A launch file that includes this one passes arguments to it; its own arguments of the same names do not count here.
"""

import difflib
import inspect
import os
import re
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import matches_action
from launch.events.process import ShutdownProcess
from launch.substitutions import LaunchConfiguration
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch_ros.actions import LifecycleNode, Node

from launch import LaunchContext, LaunchDescription

CONFIG = Path(__file__).resolve().parents[1] / "config"  # in the source tree, or in share/s4token_ros
CONFIGS = ("node", "live")
# Fast DDS 2 (Humble, Jazzy) and Fast DDS 3 read different variables, and 3 warns about the old one
PROFILE_VARIABLE = (
    "FASTRTPS_DEFAULT_PROFILES_FILE"
    if os.environ.get("ROS_DISTRO") in ("humble", "jazzy")
    else "FASTDDS_DEFAULT_PROFILES_FILE"
)
TUNABLES = "glibc.malloc.tcache_max=256"  # of s4token_ros.heap, which need not be importable here
FLAGS = {"true": True, "1": True, "false": False, "0": False}
ARGUMENTS = {
    "input": ("points", "PointCloud2 topic to label"),
    "config": ("node", f"parameter file, or one of those in config/: {', '.join(CONFIGS)}"),
    "model": ("", "checkpoint; empty: as in the config"),
    "vocabulary": ("", "comma-separated class names; empty: as in the config"),
    "device": ("", "cpu, cuda or cuda:<n>; empty: as in the config"),
    "namespace": ("", "namespace of the node and of relative topics, for example robot1"),
    "name": ("s4token", "name of the node"),
    "use_sim_time": ("", "true: time from /clock; empty: as in the config"),
    "autostart": ("", "false: wait for a lifecycle manager; empty: as in the config"),
    "log_level": ("", "debug, info, warn, error or fatal; empty: info"),
    "rviz": ("false", "true: start RViz, too, if it is installed; it ends with the node"),
    "fixed_frame": ("", "fixed frame of RViz: the frame_id of your clouds; empty: map"),
}


def generate_launch_description():
    """Return the launch arguments and what starts the node and, on request, RViz."""
    passed = _passed_arguments()
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, (default, description) in ARGUMENTS.items()
    ]
    inherited = {name: default for name, (default, _) in ARGUMENTS.items() if passed is not None and name not in passed}
    actions = [*declared, OpaqueFunction(function=_start, args=[passed or set()])]
    # In a scope, so that the defaults do not reach the files that are included next
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


def _start(context, passed):
    """Return the node and RViz."""
    for name in sorted(passed - set(ARGUMENTS)):
        near = difflib.get_close_matches(name, ARGUMENTS, 1)
        hint = f"did you mean {near[0]}:=?" if near else f"known are {', '.join(ARGUMENTS)}"
        raise ValueError(f"unknown launch argument {name}:=; {hint}")
    values = {name: LaunchConfiguration(name).perform(context).strip() for name in ARGUMENTS}
    if not values["input"]:
        raise ValueError("input:= is empty; name a PointCloud2 topic, e.g. input:=/camera/points")
    profile = os.environ.get(PROFILE_VARIABLE) or str(CONFIG / "fastdds_large_clouds.xml")
    environment = {PROFILE_VARIABLE: profile}
    tunables = os.environ.get("GLIBC_TUNABLES") or TUNABLES
    overrides = _overrides(values)
    node = LifecycleNode(
        package="s4token_ros",
        executable="s4token_node",
        name=values["name"],
        namespace=values["namespace"],
        output="screen",
        parameters=[_parameter_file(values["config"]), *([overrides] if overrides else [])],
        remappings=[("points", values["input"])],
        ros_arguments=["--log-level", values["log_level"]] if values["log_level"] else [],
        additional_env={**environment, "GLIBC_TUNABLES": tunables},
    )
    return [node, *(_rviz(values, environment, node) if _flag(values, "rviz") else [])]


def _overrides(values):
    """Return the parameters that launch arguments name; an empty argument leaves its parameter to the config file."""
    overrides = {name: values[name] for name in ("model", "device") if values[name]}
    overrides.update({name: _flag(values, name) for name in ("use_sim_time", "autostart") if values[name]})
    names = [name.strip() for name in re.split("[,;]", values["vocabulary"]) if name.strip()]
    return {**overrides, **({"vocabulary.names": names} if names else {})}


def _flag(values, name):
    if values[name].lower() not in FLAGS:
        raise ValueError(f"{name}:={values[name]} is neither true nor false")
    return FLAGS[values[name].lower()]


def _parameter_file(config):
    """Return the path of the parameter file that `config` names; launch would start the node without a missing one."""
    if config in CONFIGS:
        return str(CONFIG / f"{config}.yaml")
    if not Path(config).is_file():
        raise ValueError(f"config:={config} is neither a parameter file nor one of: {', '.join(CONFIGS)}")
    return config


def _rviz(values, environment, node):
    """Return RViz with the topics of this node, ending when the node ends; a line in the log where it is missing."""
    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError:
        return [LogInfo(msg="s4token runs without RViz: rviz2 is not installed (apt install ros-$ROS_DISTRO-rviz2)")]
    view = CONFIG / "s4token.rviz"
    topics = sorted(set(re.findall(r"/s4token/(\S+)", view.read_text(encoding="utf-8"))))
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=values["namespace"],
        arguments=["-d", str(view), *(["-f", values["fixed_frame"]] if values["fixed_frame"] else [])],
        parameters=[{"use_sim_time": _flag(values, "use_sim_time")}] if values["use_sim_time"] else [],
        remappings=[(f"/s4token/{topic}", f"{values['name']}/{topic}") for topic in topics],
        additional_env=environment,
    )
    end = EmitEvent(event=ShutdownProcess(process_matcher=matches_action(rviz)))
    return [rviz, RegisterEventHandler(OnProcessExit(target_action=node, on_exit=[end]))]
