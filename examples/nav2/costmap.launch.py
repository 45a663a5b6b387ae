"""Label clouds, and keep a costmap without floor and people: ros2 launch costmap.launch.py input:=/points layer:=stvl

Needs nav2_costmap_2d and nav2_lifecycle_manager, for layer:=stvl also spatio_temporal_voxel_layer, and tf from odom to
base_link and to the frame of the clouds. The costmap is published on /costmap/costmap.
"""

from pathlib import Path

from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node, SetParameter, SetRemap

from launch import LaunchDescription

FOLDER = Path(__file__).resolve().parent


def generate_launch_description():
    """Return the labeling node, a costmap of its own, and the manager that activates the costmap."""
    layer = [f"{FOLDER}/", LaunchConfiguration("layer"), ".yaml"]
    manager = {"autostart": True, "node_names": ["costmap/costmap"]}
    return LaunchDescription(
        [
            DeclareLaunchArgument("input", default_value="/points", description="PointCloud2 topic to label"),
            DeclareLaunchArgument("layer", default_value="voxel_layer", choices=["voxel_layer", "stvl"]),
            DeclareLaunchArgument("use_sim_time", default_value="false"),
            SetParameter("use_sim_time", LaunchConfiguration("use_sim_time")),
            SetRemap("/points", LaunchConfiguration("input")),
            Node(
                package="s4token_ros",
                executable="s4token_node",
                name="s4token",
                output="screen",
                parameters=[str(FOLDER / "s4token.yaml")],
            ),
            Node(package="nav2_costmap_2d", executable="nav2_costmap_2d", output="screen", parameters=[layer]),
            Node(
                package="nav2_lifecycle_manager",
                executable="lifecycle_manager",
                name="lifecycle_manager_costmap",
                output="screen",
                parameters=[manager],
            ),
        ]
    )
