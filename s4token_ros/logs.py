"""Logs of the node: a file only where one can be written, and what the library warns of."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WITHOUT_FILE = ("--ros-args", "--disable-external-lib-logs")  # console and /rosout stay


def log_folder() -> Path:
    """Return the folder of ROS's log files, by the rules of rcl_logging; OSError if no variable names one."""
    if folder := os.environ.get("ROS_LOG_DIR"):
        return Path(folder).expanduser()
    if folder := os.environ.get("ROS_HOME"):
        return Path(folder).expanduser() / "log"
    if not os.environ.get("HOME"):
        raise OSError("HOME is not set")
    return Path(os.environ["HOME"], ".ros", "log")


def init_arguments(arguments: Sequence[str] | None = None) -> list[str]:
    """Return `arguments`, by default those of the process, for rclpy.init; without a log file if it cannot be written.

    rclpy.init fails where neither ROS_LOG_DIR, ROS_HOME nor HOME names a folder that can be written.
    """
    arguments = list(sys.argv if arguments is None else arguments)
    try:
        folder = log_folder()
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        print(f"s4token: no log file ({error}); set ROS_LOG_DIR to a folder that can be written", file=sys.stderr)
        return [*arguments, *WITHOUT_FILE]
    return arguments


class _Forwarder(logging.Handler):
    def __init__(self, logger: Any) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        self._logger.warning(record.getMessage())


def forward_library_log(logger: Any) -> None:
    """Send the warnings of s4token_model to the node's `logger`, and nowhere else."""
    library = logging.getLogger("s4token_model")
    library.handlers, library.propagate = [_Forwarder(logger)], False
