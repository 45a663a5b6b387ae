# Source this (bash) from the root of the repository: the environment of the node, its clients and the tests.
ROS_FLAVOUR=${ROS_DISTRO:-wheels}
if [ "$ROS_FLAVOUR" = wheels ]; then VENV=${VENV:-.venv}; else VENV=${VENV:-.venv-$ROS_FLAVOUR}; fi
case $VENV in /*) s4token_prefix=$VENV ;; *) s4token_prefix=$PWD/$VENV ;; esac

# The ROS wheels set this for the libraries of one environment; it is wrong in any other.
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE
case ":${AMENT_PREFIX_PATH:-}:" in
    *":$s4token_prefix:"*) ;;
    *) export AMENT_PREFIX_PATH="$s4token_prefix${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}" ;;
esac
if [ "$ROS_FLAVOUR" != wheels ]; then  # pip installs our messages into the environment, not into the sourced ROS
    export LD_LIBRARY_PATH="$s4token_prefix/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi

# Fast DDS loses clouds of more than half a megabyte by default; every process needs the same profile.
case $ROS_FLAVOUR in  # Fast DDS 2 and 3 read different variables, and 3 warns about the other one
    humble | jazzy) export FASTRTPS_DEFAULT_PROFILES_FILE=${FASTRTPS_DEFAULT_PROFILES_FILE:-$PWD/config/fastdds_large_clouds.xml} ;;
    *) export FASTDDS_DEFAULT_PROFILES_FILE=${FASTDDS_DEFAULT_PROFILES_FILE:-$PWD/config/fastdds_large_clouds.xml} ;;
esac
if [ "$ROS_FLAVOUR" = wheels ]; then export RMW_IMPLEMENTATION=rmw_fastrtps_cpp; fi
# Demo, tests and benchmark stay on this machine.
if [ "$ROS_FLAVOUR" = humble ]; then
    export ROS_LOCALHOST_ONLY=1
else
    export ROS_AUTOMATIC_DISCOVERY_RANGE=${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}
fi
