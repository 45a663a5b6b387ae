"""Time what else labels a cloud beside us: `python scripts/peers.py CLOUD [CLOUD ...] [--python INTERPRETER ...]`.

Each peer of scripts/peer_models.py runs in a process of its own, by the first interpreter that has its modules: ours,
then those named, of environments with other packages. All label the same cloud in turn, after one time to warm up.
Prints a Markdown table per cloud. CLOUD: a .bin is a sweep, anything else a room.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import peer_models

from s4token_model import command_line
from s4token_model.evaluation.tables import markdown_table
from s4token_model.io import files

VARIABLE = "S4TOKEN_PEERS"  # interpreters, with colons between them
HEADER = ("who", "what it gives", "points with a label", "CPU, ms", "ours = 1", "wall, ms", "Hz", "clouds")


class Running(NamedTuple):
    """A peer's process, its answers so far, and the file of what it says on stderr."""

    process: subprocess.Popen
    answers: list[dict[str, Any]]
    log: Path

    def ask(self) -> bool:
        """Let it label the cloud once; False if it has ended."""
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return False
        answer = self.process.stdout.readline()
        if answer:
            self.answers.append(json.loads(answer))
        return bool(answer)


def interpreters(named: list[str]) -> dict[str, str]:
    """Return {peer: the first interpreter that has its modules}; ours, then `named`, then those of the environment."""
    found: dict[str, str] = {}
    for python in filter(None, [sys.executable, *named, *os.environ.get(VARIABLE, "").split(os.pathsep)]):
        done = subprocess.run([python, peer_models.__file__, "list"], capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"--python {python}: {done.stderr.strip()[-300:]}")
        found = dict.fromkeys(json.loads(done.stdout), python) | found
    return found


def measure(pythons: dict[str, str], cloud: Path, repeats: int, seconds: float) -> dict[str, Running]:
    """Let peers label a stored cloud in turn, each at most `repeats` times or until `seconds` of wall time are over."""
    environment = os.environ | {"OMP_NUM_THREADS": str(peer_models.THREADS)}
    running = {}
    for name, python in pythons.items():
        log, command = cloud.with_name(f"{name}.log"), [python, peer_models.__file__, "serve", name, str(cloud)]
        with open(log, "w", encoding="utf-8") as errors:
            pipe = subprocess.PIPE
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True, env=environment)
        running[name] = Running(process, [], log)
    alive = [peer for peer in running.values() if peer.ask()]
    for peer in alive:
        peer.answers.clear()  # of the time to warm up
    for _ in range(repeats):
        alive = [peer for peer in alive if sum(one["wall"] for one in peer.answers) <= seconds and peer.ask()]
    for peer in running.values():
        peer.process.communicate()
    return running


def rows(running: dict[str, Running], points: int) -> Iterator[list[str]]:
    """Yield the row of each peer; a row without figures says how its process ended."""

    def median(peer: Running, key: str) -> float:
        return 1000 * float(np.median([one[key] for one in peer.answers]))

    unit = median(running["ours"], "cpu") if "ours" in running and running["ours"].answers else np.nan
    for name, peer in running.items():
        known = peer_models.PEERS[name]
        if not peer.answers:
            lines = peer.log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["nothing"]
            yield [known.who, f"failed: {lines[-1][:200]}", *[""] * (len(HEADER) - 2)]
            continue
        cpu, wall, last = median(peer, "cpu"), median(peer, "wall"), peer.answers[-1]
        gives = f"{last['different']:,} {known.gives}" if known.gives == peer_models.SUPERPOINTS else known.gives
        labeled = f"{last['labeled']:,} of {points:,}"
        figures = [f"{cpu:,.0f}", f"{cpu / unit:.3g}", f"{wall:,.0f}", f"{1000 / wall:.2g}", str(len(peer.answers))]
        yield [known.who, gives, labeled, *figures]


def main(words: list[str]) -> None:
    """Measure every peer that is here on every cloud, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cloud", nargs="+", type=Path)
    parser.add_argument("--python", action="append", default=[], help=f"may be repeated; beside those in ${VARIABLE}")
    parser.add_argument("--only", help="names of peers, with commas; default: all")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=180, help="a peer that has taken as long is not asked again")
    options = parser.parse_args(words)
    pythons = interpreters(options.python)
    wanted = options.only.split(",") if options.only else list(peer_models.PEERS)
    print("not here:", ", ".join(name for name in wanted if name not in pythons) or "none")
    for path in options.cloud:
        kind, cloud = "sweep" if path.suffix == ".bin" else "room", files.read_cloud(path)
        here = {n: pythons[n] for n in wanted if n in pythons and kind in peer_models.PEERS[n].clouds}
        with tempfile.TemporaryDirectory() as folder:
            stored = Path(folder, "cloud.npy")
            xyz = np.ascontiguousarray(cloud.xyz[np.isfinite(cloud.xyz).all(axis=1)], np.float32)
            np.save(stored, xyz)
            before = os.getloadavg()[0]
            running = measure(here, stored, options.repeats, options.seconds)
            print(f"\n{path.name}: {len(xyz):,} points, {peer_models.THREADS} threads, medians; load average of the")
            print(f"machine {before:.1f} before and {os.getloadavg()[0]:.1f} after\n")
            print(markdown_table(HEADER, list(rows(running, len(xyz)))), flush=True)


if __name__ == "__main__":
    sys.exit(command_line.guard("peers", main))
