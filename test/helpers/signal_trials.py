"""Trials: a signal in every state of the node, and how long it takes to end."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

import ros_helpers as ros
from ros_helpers import cloud, room, wait_for

from s4token_interfaces.srv import SetVocabulary

DELAYS_S = {"imports": 0.1, "torch": 2.0, "model": 4.0}  # states of the real node, about so long after its first line
STATES = (*DELAYS_S, "loading", "warm-up", "idle", "patches", "patches, overlap", "inference", "inference, overlap",
          "texts", "many points")  # fmt: skip
LIMIT_S = 3.0


class Trial(NamedTuple):
    """What came of a signal."""

    seconds: float
    code: int  # exit code
    log: str


def trial(state: str, log: Path, signals: tuple[int, ...] = (signal.SIGINT,)) -> Trial:
    """Start a node with the fake segmenter, bring it to one of STATES, and send it signals, 0.2 s one after another."""
    domain = ros.claim_domain()
    kind, _, overlap = state.partition(", ")
    command = (sys.executable, "-m", "s4token_ros.start", "--ros-args") if kind in DELAYS_S else ()
    options = ("-p", f"overlap:={bool(overlap)}".lower())
    process = ros.NodeProcess(domain, log, *options, command=command, FAKE_HANG=kind)
    peer = None if kind in ("loading", "warm-up", *DELAYS_S) else ros.Peer(domain)
    try:
        if peer:
            _reach(kind, peer)
        if kind in DELAYS_S:
            wait_for(lambda: _catches_sigterm(process.process.pid), 30)
            time.sleep(DELAYS_S[kind])
        elif kind not in ("idle", "many points"):
            wait_for(lambda: "hanging" in process.text(), 60, f"{state}; the log: {process.text()}")
        begin = time.monotonic()
        for number in signals:
            if process.process.poll() is None:
                process.process.send_signal(number)
            if len(signals) > 1:
                time.sleep(0.2)
        code = process.process.wait(30)
        return Trial(time.monotonic() - begin, code, process.text())
    finally:
        process.stop(signal.SIGKILL)
        if peer:
            peer.close()


def _reach(kind: str, peer: ros.Peer) -> None:
    vocabulary, labeled, publisher = peer.vocabulary(), peer.labeled(), peer.publisher()
    wait_for(lambda: vocabulary and publisher.get_subscription_count() and labeled.connected(), 60)
    if kind == "texts":
        client = peer.node.create_client(SetVocabulary, "/s4token/set_vocabulary")
        assert client.wait_for_service(30)
        client.call_async(SetVocabulary.Request(names=["hang"]))
        return
    peer.points = publisher
    peer.connect(labeled)
    if kind == "many points":
        for _ in range(5):
            publisher.publish(cloud(room(1_000_000)))
    elif kind != "idle":
        publisher.publish(cloud(room(ros.HANGING_POINTS)))


def _catches_sigterm(pid: int) -> bool:
    caught = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
