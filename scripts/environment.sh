# Sourced (bash) from the repository's root: the environment in which the node, its clients and the tests run.
ROS_FLAVOUR=${ROS_DISTRO:-wheels}
if [ "$ROS_FLAVOUR" = wheels ]; then VENV=${VENV:-.venv}; else VENV=${VENV:-.venv-$ROS_FLAVOUR}; fi
case $VENV in /*) s4token_prefix=$VENV ;; *) s4token_prefix=$PWD/$VENV ;; esac

# Set by the ROS wheels for one environment's libraries; wrong for any other environment.
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE
case ":${AMENT_PREFIX_PATH:-}:" in
    *":$s4token_prefix:"*) ;;
    *) export AMENT_PREFIX_PATH="$s4token_prefix${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}" ;;
esac
if [ "$ROS_FLAVOUR" != wheels ]; then  # messages built by pip lie in the environment, beside those of the sourced ROS
    export LD_LIBRARY_PATH="$s4token_prefix/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi

# Clouds of more than half a megabyte are lost by Fast DDS's default shared memory; every process needs the same profile.
case $ROS_FLAVOUR in  # Fast DDS 2 and 3 read different variables, and 3 warns of the other one
    humble | jazzy) export FASTRTPS_DEFAULT_PROFILES_FILE=${FASTRTPS_DEFAULT_PROFILES_FILE:-$PWD/config/fastdds_large_clouds.xml} ;;
    *) export FASTDDS_DEFAULT_PROFILES_FILE=${FASTDDS_DEFAULT_PROFILES_FILE:-$PWD/config/fastdds_large_clouds.xml} ;;
esac
if [ "$ROS_FLAVOUR" = wheels ]; then export RMW_IMPLEMENTATION=rmw_fastrtps_cpp; fi
# Demo, tests and benchmark talk to this machine only.
if [ "$ROS_FLAVOUR" = humble ]; then
    export ROS_LOCALHOST_ONLY=1
else
    export ROS_AUTOMATIC_DISCOVERY_RANGE=${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}
fi
