# Lets plain cmake, pip and colcon build against ROS packages that came as Python wheels.
# Changes nothing where a ROS installation is sourced.

# 1. ROS's own cmake code looks packages up in AMENT_PREFIX_PATH, which no setup file has set for wheels. Add the prefix
#    of the environment (or pip's temporary overlay) that holds them.
set(ros_found FALSE)
string(REPLACE ":" ";" ros_prefixes "$ENV{AMENT_PREFIX_PATH}")
foreach(prefix IN LISTS ros_prefixes)
  if(EXISTS "${prefix}/share/rosidl_typesupport_c")
    set(ros_found TRUE)
  endif()
endforeach()

if(NOT ros_found)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  execute_process(
    COMMAND ${Python3_EXECUTABLE} -c
      "import ament_package, pathlib; print(pathlib.Path(ament_package.__file__).resolve().parents[4])"
    OUTPUT_VARIABLE prefix OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE missing ERROR_QUIET)
  if(missing OR NOT EXISTS "${prefix}/share/rosidl_typesupport_c")
    message(FATAL_ERROR "No ROS 2 found: source /opt/ros/<distro>/setup.bash, or install the ros-kilted-* wheels "
      "listed in s4token_interfaces/pyproject.toml into the environment of ${Python3_EXECUTABLE}.")
  endif()
  list(APPEND ros_prefixes "${prefix}")
  list(JOIN ros_prefixes ":" ros_prefixes)
  set(ENV{AMENT_PREFIX_PATH} "${ros_prefixes}")
  list(PREPEND CMAKE_PREFIX_PATH "${prefix}")
endif()

# 2. The wheels' Python targets carry an include directory of the machine they were built on, and cmake refuses include
#    directories that do not exist. Strip it once all packages are found, at the end of CMakeLists.txt.
function(ros_wheels_strip_missing_includes)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(includes ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(target MATCHES "__rosidl_generator_py$" AND includes AND NOT EXISTS "/opt/python")
      list(FILTER includes EXCLUDE REGEX "^/opt/python/")
      set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${includes}")
    endif()
  endforeach()
endfunction()

if(NOT CMAKE_VERSION VERSION_LESS 3.19)   # Humble's Ubuntu has 3.22
  cmake_language(DEFER CALL ros_wheels_strip_missing_includes)
endif()
