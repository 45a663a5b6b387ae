"""SIGINT and SIGTERM in every state of the node: a table of how long it takes to end, and how it ends."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import PointCloud2

from s4token_interfaces.srv import SetVocabulary
from s4token_ros.qos import cloud_qos
from s4token_ros.session import NODE, Session, environment
from scripts.trials import samples

TOPIC = "/signals/points"
LIMIT_S = 3.0
GRACE_S = 60.0  # until it is killed
IMPORT_S, LOAD_S, COMPILE_S = 0.5, 4.0, 20.0  # after the start
WORDS = 2000  # of the service call, whose text tower takes seconds


class Ending(NamedTuple):
    """How the node ended."""

    state: str
    signal: str
    seconds: float
    code: int
    traceback: bool

    @property
    def passed(self) -> bool:
        """Whether it ended in time, with exit code 0 and without a traceback."""
        return self.seconds < LIMIT_S and self.code == 0 and not self.traceback


def importing(session: Session) -> None:
    """The interpreter imports modules."""
    session.launch_node()
    time.sleep(IMPORT_S)


def loading(session: Session) -> None:
    """The model is loaded, with compiled kernels in numba's cache."""
    session.launch_node()
    time.sleep(LOAD_S)


def compiling(session: Session) -> None:
    """The kernels are compiled, since numba's cache is empty."""
    with tempfile.TemporaryDirectory() as empty:
        os.environ["NUMBA_CACHE_DIR"] = empty
        session.launch_node()
        time.sleep(COMPILE_S)
        del os.environ["NUMBA_CACHE_DIR"]


def inference(session: Session) -> None:
    """Large clouds come faster than they are labeled."""
    seen: list[bytes] = []
    session.node.create_subscription(PointCloud2, f"{NODE}/labeled", seen.append, cloud_qos("reliable", 5), raw=True)
    session.start_node()
    session.start("sensor", ["scripts.trials.sensor", "--topic", TOPIC, "--rate", "5", "--points", "100000", "150000"])
    session.wait(lambda: seen, 60, "labeled cloud")


def service(session: Session) -> None:
    """A service call encodes many words."""
    session.start_node()
    names = [f"thing number {k}" for k in range(WORDS)]
    session.client(SetVocabulary, "set_vocabulary").call_async(SetVocabulary.Request(names=names))
    _spin(session, 0.5)


def deactivated(session: Session) -> None:
    """The node was deactivated by a transition."""
    session.start_node()
    client = session.node.create_client(ChangeState, f"{NODE}/change_state")
    session.wait(client.service_is_ready, 20, "service change_state")
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_DEACTIVATE))
    session.wait(client.call_async(request).done, 20, "transition")


def unconfigured(session: Session) -> None:
    """The node waits for its first transition."""
    session.launch_node(["autostart:=false"])
    session.wait(lambda: session.status, 60, "diagnostics")


STATES: tuple[Callable[[Session], None], ...] = (
    importing, loading, compiling, inference, service, deactivated, unconfigured,
)  # fmt: skip


def _spin(session: Session, seconds: float) -> None:
    end = time.monotonic() + seconds
    session.wait(lambda: time.monotonic() > end, seconds + 10, "time")


def end_in(state: Callable[[Session], None], number: signal.Signals) -> Ending:
    """Bring a node into a state, send it a signal and wait for its end."""
    with tempfile.TemporaryDirectory() as logs, Session("s4token_signals", TOPIC, Path(logs)) as session:
        state(session)
        node = session.child("node")
        node.grace_s, begin = GRACE_S, time.monotonic()
        code = node.stop(number)
        seconds = time.monotonic() - begin
        return Ending(state.__name__, number.name, seconds, code, "Traceback" in node.text())


def table(endings: list[Ending]) -> str:
    """Return the endings as a table of Markdown."""
    rows = []
    for e in endings:
        verdict = "ok" if e.passed else "FAILED" + ", traceback" * e.traceback
        rows.append(f"| {e.state} | {e.signal} | {e.seconds:.1f} s | {e.code} | {verdict} |")
    return "\n".join(["| state | signal | until the end | exit code | |", "|---|---|---|---|---|", *rows])


def main(arguments: list[str] | None = None) -> int:
    """Try every state with both signals, print the table and write it; return 1 if one did not pass."""
    parser = argparse.ArgumentParser(prog="make signals", description=__doc__)
    parser.add_argument("--states", nargs="*", default=[s.__name__ for s in STATES], metavar="STATE")
    parser.add_argument("--report", type=Path, metavar="FILE.md", help="write the section Signals")
    options = parser.parse_args(arguments)
    os.environ.update(environment())
    endings = []
    for state in (s for s in STATES if s.__name__ in options.states):
        for number in (signal.SIGINT, signal.SIGTERM):
            endings.append(end_in(state, number))
            print(table(endings[-1:]).splitlines()[-1], flush=True)
    if options.report:
        text = (
            f"The node has to end within {LIMIT_S:g} s with exit code 0.\n\n{table(endings)}\n\nCommand: `make signals`"
        )
        samples.write_section(options.report, "Signals", text)
    return 0 if all(e.passed for e in endings) else 1


if __name__ == "__main__":
    sys.exit(main())
