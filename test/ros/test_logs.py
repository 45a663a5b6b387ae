"""Logs of the node: it starts where no log file can be written, and passes the library's warnings on."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from s4token_ros import logs

VARIABLES = ("ROS_LOG_DIR", "ROS_HOME", "HOME")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("variable, below", [("ROS_LOG_DIR", ""), ("ROS_HOME", "log"), ("HOME", ".ros/log")])
def test_a_folder_that_can_be_written_is_made_and_used(monkeypatch, tmp_path, capsys, variable, below):
    monkeypatch.setenv(variable, str(tmp_path / "new"))
    assert logs.init_arguments(["node", "-x"]) == ["node", "-x"]
    assert (tmp_path / "new" / below).is_dir() and capsys.readouterr().err == ""


@pytest.mark.parametrize("variables", [{}, {"HOME": "/proc"}, {"ROS_LOG_DIR": "/proc/none"}, {"ROS_HOME": "/dev/null"}])
def test_elsewhere_there_is_no_log_file_and_one_line_says_so(monkeypatch, capsys, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert logs.init_arguments(["node"]) == ["node", *logs.WITHOUT_FILE]
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and "ROS_LOG_DIR" in error and next(iter(variables.values()), "HOME") in error


def test_rclpy_starts_without_a_home():
    code = "import rclpy; from s4token_ros.logs import init_arguments; rclpy.init(args=init_arguments()); print('up')"
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True)
    assert done.stdout == "up\n", done.stderr


def test_warnings_of_the_library_go_to_the_node_alone(monkeypatch):
    class Logger(list):
        warning = list.append

    library = logging.getLogger("s4token_model")
    monkeypatch.setattr(library, "propagate", library.propagate)
    monkeypatch.setattr(library, "handlers", library.handlers)
    first, second = Logger(), Logger()
    logs.forward_library_log(first)
    logs.forward_library_log(second)
    logging.getLogger("s4token_model.kernels").warning("kept in %s", "here")
    assert (first, second) == ([], ["kept in here"]) and not library.propagate
