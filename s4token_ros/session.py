"""A client's session: the node and the player as child processes, and a ROS node that listens to and calls them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")  # before rclpy reads it

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from s4token_interfaces.msg import Vocabulary
from s4token_ros import heap
from s4token_ros.logs import init_arguments
from s4token_ros.qos import LATCHED, PROFILE_VARIABLES

NODE = "/s4token"
PROFILE = "fastdds_large_clouds.xml"
DOMAINS = 100  # 1 to 100; the UDP ports of domains above 101 are also given to ordinary programs
READY_S, ANSWER_S = 180.0, 60.0

_domain_claims: list[socket.socket] = []  # open sockets, one per claimed domain


class SessionError(ValueError):
    """Something did not arrive; the message says what, and what is known about the reason."""


def claim_domain() -> int:
    """Return a ROS domain that no other session on this machine uses while this process runs."""
    # The claim is a socket bound to a UDP port of the domain's range that DDS leaves free (offsets 2 to 9)
    for attempt in range(DOMAINS):
        domain = 1 + (os.getpid() + attempt) % DOMAINS
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", 7400 + 250 * domain + 9))
        except OSError:
            claim.close()
        else:
            _domain_claims.append(claim)
            return domain
    raise SessionError(f"all ROS domains from 1 to {DOMAINS} are in use; stop other demos, benchmarks or tests")


def environment() -> dict[str, str]:
    """Return variables for all processes of a session: a separate domain on this machine, room for large clouds."""
    variables = {"ROS_DOMAIN_ID": str(claim_domain()), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    variables["GLIBC_TUNABLES"] = os.environ.get("GLIBC_TUNABLES") or heap.TUNABLES
    distro = os.environ.get("ROS_DISTRO", "")
    if distro == "humble":
        variables["ROS_LOCALHOST_ONLY"] = "1"
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    if Path(sys.prefix, "share", "ament_index").is_dir() and sys.prefix not in prefixes:
        variables["AMENT_PREFIX_PATH"] = os.pathsep.join([sys.prefix, *prefixes])
    # The Fast DDS profile of the source checkout, else of an installation, unless the caller has set one
    installed = [Path(prefix, "share", "s4token_ros", "config", PROFILE) for prefix in (sys.prefix, *prefixes)]
    profiles = (Path(__file__).resolve().parents[1] / "config" / PROFILE, *installed)
    if profile := next((p for p in profiles if p.is_file()), None):
        name = PROFILE_VARIABLES[distro in ("humble", "jazzy")]  # with Fast DDS 2; others have 3
        if not Path(os.environ.get(name, "")).is_file():
            variables[name] = str(profile)
    return variables


class ChildProcess:
    """A process whose stdout and stderr go to a log file."""

    grace_s = 8.0  # from the signal that ends it to SIGKILL

    def __init__(self, name: str, command: Sequence[str], log: Path, **variables: str) -> None:
        """Start `command` with environment variables added to those of this process."""
        self.name, self.log = name, log
        env = {**os.environ, **variables}
        env.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)  # holds for the parent's environment only
        with log.open("w") as output:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
            self.process = subprocess.Popen(command, env=env, **streams)

    def text(self) -> str:
        """Return the whole log."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def last_log_line(self) -> str:
        """Return the last line of the log."""
        return (self.text().strip().splitlines() or ["no output"])[-1]

    def stop(self, signal_number: int = signal.SIGINT) -> int:
        """Send a signal, and SIGKILL after `grace_s` seconds; return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
            try:
                self.process.wait(self.grace_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


class Session:
    """A context manager: children start in it and messages arrive at `node`; leaving it stops everything."""

    def __init__(self, name: str, topic: str, logs: Path, patience: float = 1.0) -> None:
        """Prepare a client node `name`; clouds travel on `topic`; `patience` is a factor on every time limit."""
        self.vocabularies: dict[int, Vocabulary] = {}  # by version, all that were received
        self.status: DiagnosticStatus | None = None  # the newest one of the node
        self._name, self._topic, self._logs, self._patience = name, topic, logs, patience
        self._children: list[ChildProcess] = []
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Session:
        rclpy.init(args=init_arguments([]))
        self.node = rclpy.create_node(self._name)
        self.node.create_subscription(Vocabulary, f"{NODE}/vocabulary", self._on_vocabulary, LATCHED)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        return self

    def __exit__(self, *reason: object) -> None:
        self.stop_children()
        self.node.destroy_node()
        rclpy.try_shutdown()

    def start_node(self, parameters: Sequence[str] = ()) -> float:
        """Start the node with parameters "name:=value"; return the seconds until its model was loaded."""
        start = time.monotonic()
        self.launch_node(parameters)
        self.wait(self._configured, READY_S, "vocabulary: the model is not loaded")
        return time.monotonic() - start

    def launch_node(self, parameters: Sequence[str] = ()) -> None:
        """Start the node and do not wait for it."""
        pairs = [word for parameter in parameters for word in ("-p", parameter)]
        self.start("node", ["s4token_ros.start", "--ros-args", "-r", f"points:={self._topic}", *pairs])

    def start_player(self, source: str, rate: float, bag_topic: str = "") -> None:
        """Publish `source` at `rate` Hz from another process; `bag_topic` selects a topic of a bag."""
        selection = ["--bag-topic", bag_topic] if bag_topic else []
        self.start("player", ["s4token_ros.replay", source, "--topic", self._topic, "--rate", str(rate), *selection])

    def start(self, name: str, module: Sequence[str]) -> ChildProcess:
        """Start a Python module with its arguments as the child `name`, and return it."""
        self._children.append(ChildProcess(name, [sys.executable, "-m", *module], self._logs / f"{name}.log"))
        return self._children[-1]

    def child(self, name: str) -> ChildProcess:
        """Return the child of this name."""
        return next(child for child in self._children if child.name == name)

    def stop_children(self, *names: str) -> None:
        """Stop the named children, by default all of them; the one started last goes first."""
        for child in reversed(self._children.copy()):
            if not names or child.name in names:
                child.stop()
                self._children.remove(child)

    def wait(self, done: Callable[[], Any], seconds: float, what: str) -> Any:
        """Spin until `done` returns something true and return that; SessionError on timeout or if a child ended."""
        limit = seconds * self._patience
        end = time.monotonic() + limit
        while not (value := done()):
            for child in self._children:
                if (code := child.process.poll()) is not None:
                    raise SessionError(f"the {child.name} ended ({code}): {child.last_log_line()}; log: {child.log}")
            if time.monotonic() > end:
                raise SessionError(f"no {what} after {limit:.0f} s; {self._explain()}")
            rclpy.spin_once(self.node, timeout_sec=0.05)
        return value

    def client(self, kind: type, name: str) -> Any:
        """Return the client of one of the node's services once the service is available."""
        if name not in self._clients:
            self._clients[name] = self.node.create_client(kind, f"{NODE}/{name}")
        self.wait(self._clients[name].service_is_ready, ANSWER_S, f"service {NODE}/{name}")
        return self._clients[name]

    def call(self, kind: type, name: str, **request: Any) -> Any:
        """Call one of the node's services and return the response; SessionError if it was rejected."""
        future = self.client(kind, name).call_async(kind.Request(**request))
        self.wait(future.done, ANSWER_S, f"response of {NODE}/{name}")
        if not future.result().success:
            raise SessionError(f"{name} was rejected: {future.result().message}")
        return future.result()

    @property
    def diagnostics(self) -> dict[str, str]:
        """The key-value pairs of the newest diagnostics."""
        return {pair.key: pair.value for pair in self.status.values} if self.status else {}

    def _configured(self) -> bool:
        if self.status is not None and self.status.message.startswith("not configured"):
            raise SessionError(f"the node could not load its model: {self.status.message}")
        return bool(self.vocabularies)

    def _explain(self) -> str:
        """Say what is known about why nothing arrived."""
        logs = ", ".join(str(child.log) for child in self._children)
        if self.status is None:
            domain = os.environ.get("ROS_DOMAIN_ID", "0")
            return f"no diagnostics from the node either (ROS_DOMAIN_ID {domain}); logs: {logs}"
        keys = ("clouds_received", "clouds_labeled", "dropped_failed", "last_error")
        values = ", ".join(f"{key} {self.diagnostics[key]}" for key in keys if self.diagnostics.get(key))
        return f"the node reports: {self.status.message} ({values}); logs: {logs}"

    def _on_vocabulary(self, message: Vocabulary) -> None:
        self.vocabularies[message.version] = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.lstrip("/").startswith(NODE.lstrip("/")):
                self.status = status
