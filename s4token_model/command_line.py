"""The one guard of every command: whatever a command raises becomes one line on stderr and an exit code."""

from __future__ import annotations

import argparse
import os
import select
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

DEBUG_OPTION, DEBUG_VARIABLE = "--debug", "S4TOKEN_DEBUG"
DEBUG_HELP = f"also print the traceback of an error, as {DEBUG_VARIABLE}=1 in the environment does"
BIN_COLUMNS: dict[str, Any] = {"type": int, "metavar": "N", "help": "float32 per point of a .bin file (default: 4)"}
USER_ERROR, INTERRUPTED, BROKEN_PIPE = 2, 130, 141  # the last two are what a shell reports for SIGINT and SIGPIPE
MAX_LETTERS = 600  # of the text of an exception; compilers fill screens
PACKAGES = ("s4token_model", "s4token_ros")


def guard(
    program: str, main: Callable[[list[str]], int | None], words: Sequence[str] | None = None, advice: str = ""
) -> int:
    """Run `main(words)`, by default on the command line, and return the exit code: main's, 2, 130 or 141.

    2: one line says what is wrong; an exception that is nobody's wrong input is called unexpected, with where it came
    from. 130: Ctrl-C. 141: the reader of stdout has gone away. `--debug` adds the traceback.
    """
    words = list(sys.argv[1:] if words is None else words)
    debug = DEBUG_OPTION in words or os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0")
    if hasattr(sys.stdout, "reconfigure"):  # a class name that the terminal cannot show does not end the command
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _exit_code(main, [word for word in words if word != DEBUG_OPTION])
        _flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseException as reason:  # panics of native code are no Exceptions
        gone = isinstance(reason, BrokenPipeError) and _reader_is_gone()
        _drop_output()
        if gone:
            return BROKEN_PIPE
        if debug:
            with suppress(OSError, ValueError):
                traceback.print_exception(reason)
        _tell(f"{program}: {describe(reason)}{advice}")
        return USER_ERROR


def _exit_code(main: Callable[[list[str]], int | None], words: list[str]) -> int:
    """Run main; what argparse ends with is a code like any other, and the text of sys.exit(text) an error."""
    try:
        return int(main(words) or 0)
    except SystemExit as stop:
        if isinstance(stop.code, str):
            raise ValueError(stop.code) from stop
        return int(stop.code or 0)


def add_workers(command: argparse.ArgumentParser) -> None:
    """Add the options that say where jobs run, see jobs.run."""
    command.add_argument("--workers", type=int, metavar="N", help="processes on this machine (default: 1)")
    command.add_argument("--ray", metavar="ADDRESS", help="a Ray cluster (auto, local, HOST:PORT); needs [cluster]")


def checked_workers(given: argparse.Namespace) -> int:
    """Return --workers, by default 1; ValueError if it is no number of processes, or --ray makes it idle."""
    if given.workers is not None and given.workers < 1:
        raise ValueError(f"--workers {given.workers}: give at least 1")
    if given.workers is not None and given.ray:
        raise ValueError(f"--workers {given.workers} has no effect with --ray {given.ray}; leave one out")
    return given.workers or 1


def describe(reason: BaseException) -> str:
    """Return one line on an exception: its text, if that is written for users, else what it is and where it began."""
    text = one_line(str(reason))
    if isinstance(reason, MemoryError) or "OutOfMemory" in type(reason).__name__ or "t allocate memory" in text:
        return f"not enough memory ({text or 'no more said'}); take a smaller cloud, or set input.max_points lower"
    if isinstance(reason, ValueError | OSError | ImportError):
        return text or f"{type(reason).__name__}, without a reason"
    fix = f"this is a fault of the program: run it again with {DEBUG_OPTION} and report the output"
    return f"unexpected {type(reason).__name__}: {text or 'no text'}{_origin(reason)}; {fix}"


def one_line(text: str) -> str:
    """Return a text in one line of at most MAX_LETTERS, with what cannot be printed escaped."""
    line = " ".join(text.split())
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
    return line if len(line) <= MAX_LETTERS else f"{line[: MAX_LETTERS - 4]} ..."


def _origin(reason: BaseException) -> str:
    """Where in this project an exception passed last, e.g. " (pipeline/clip.py, line 7)"."""
    for frame in reversed(traceback.extract_tb(reason.__traceback__)):
        parts = Path(frame.filename).parts
        if package := next((name for name in PACKAGES if name in parts[:-1]), None):
            path = "/".join(parts[len(parts) - 1 - parts[::-1].index(package) :])
            if parts[-1] != Path(__file__).name:
                return f" ({path}, line {frame.lineno})"
    return ""


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _reader_is_gone() -> bool:
    """Whether stdout is a pipe that nobody reads any more."""
    with suppress(OSError, ValueError, AttributeError):
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    return False


def _drop_output() -> None:
    """Keep the interpreter from writing once more, at its end, what stdout did not take."""
    try:
        _flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(line: str) -> None:
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(line, file=sys.stderr, flush=True)
