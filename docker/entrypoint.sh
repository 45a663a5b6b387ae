#!/usr/bin/env bash
# Run a command in the environment of ROS 2, the workspace and the Python packages.
set -e
. /opt/s4token/bin/activate
. "/opt/ros/$ROS_DISTRO/setup.bash"
. /ws/install/setup.bash
exec "$@"
