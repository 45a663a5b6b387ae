"""Time the page of `s4token explore` in a headless browser: from words typed to their colors drawn.

    python scripts/explore_time.py scan.ply [--tiles 8]     --tiles: put so many copies side by side

Needs viser, playwright and a Chromium. The first times, in which everything is compiled, are left out. SwiftShader
draws on the CPU, beside the labeling: on a machine that does other things, compare the CPU times.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
import threading
import time
from pathlib import Path
from typing import Any

import explore_browser
import numpy as np
import psutil

from s4token_model import command_line
from s4token_model.explore.address import DRAWN, Address
from s4token_model.explore.cloud_session import CloudSession
from s4token_model.explore.page import Page
from s4token_model.explore.state import View
from s4token_model.io.files import Cloud, read_cloud
from s4token_model.segmenter import Segmenter

VOCABULARIES = ("floor, wall, chair, table", "road, building, tree, car", "lamp, door, window, sofa")
GAP = 1.05  # between tiles, in their own size


def main(words: list[str] | None = None) -> int:
    """Measure one cloud and print a line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("cloud", help="a cloud file")
    parser.add_argument("--tiles", type=int, default=1, metavar="N", help="copies of it side by side")
    parser.add_argument("--drawn", type=int, default=DRAWN, metavar="N", help="points to draw")
    parser.add_argument("--repeats", type=int, default=9, help="how often words are typed")
    parser.add_argument("--screenshot", type=Path, metavar="FILE.png", help="the page, in the end")
    options = parser.parse_args(words)
    cloud = tiled(read_cloud(options.cloud), options.tiles)
    session = Timed(Segmenter.load(), [cloud], Path(options.cloud).name, options.drawn)
    page = Page(session, Address(port=0))
    threading.Thread(target=page.run, daemon=True).start()
    with explore_browser.opened(page.address.url) as browser:
        runs = [timed(browser, VOCABULARIES[k % 3]) for k in range(options.repeats + 3)][3:]
        time.sleep(2)
        if options.screenshot:
            browser.screenshot(path=options.screenshot)
    there, times, others, drawing = zip(*runs, strict=True)
    points, drawn, labeling = len(cloud.xyz), len(session.last.drawn.points), session.cpu_ms[3:]
    print(
        f"{points:,} points, {drawn:,} drawn: words typed to colors in the browser {np.median(there):.0f} ms"
        f" (min {min(there):.0f}, max {max(there):.0f}), drawn {np.median(times):.0f} ms"
        f" (min {min(times):.0f}, max {max(times):.0f});"
        f" CPU time of server and browser {np.median(others):.0f} ms, of that labeling {np.median(labeling):.0f} ms;"
        f" of drawing by SwiftShader {np.median(drawing):.0f} ms"
    )
    return 0


def timed(browser: Any, words: str) -> tuple[float, float, float, float]:
    """Type words; return the milliseconds until their colors are there and drawn, the CPU time without and of drawing.

    A browser with a GPU draws on that, so that the last one is none.
    """
    before = cpu_ms()
    there_ms, drawn_ms = explore_browser.type_words(browser, words)
    others, drawing = (now - then for now, then in zip(cpu_ms(), before, strict=True))
    browser.wait_for_timeout(1500)
    return there_ms, drawn_ms, others, drawing


def cpu_ms() -> tuple[float, float]:
    """The CPU time of this process and its children so far [ms], but for the one that draws, and of that one."""
    spent = [0.0, 0.0]
    this = psutil.Process()
    for process in (this, *this.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            spent["--type=gpu-process" in process.cmdline()] += 1e3 * (times.user + times.system)
    return spent[0], spent[1]


class Timed(CloudSession):
    """A session that notes the CPU time of every view and preview, and the last of them."""

    def __init__(self, *arguments) -> None:
        self.cpu_ms: list[float] = []
        self.last: View | None = None
        super().__init__(*arguments)

    def preview(self, choice):
        """Time the preview, if there is one."""
        return self._timed(super().preview, choice)

    def view(self, choice):
        """Time the whole view."""
        return self._timed(super().view, choice)

    def _timed(self, call, choice):
        before = time.process_time()
        found = call(choice)
        if found is not None:
            self.cpu_ms.append(1e3 * (time.process_time() - before))
            self.last = found
        return found


def tiled(cloud: Cloud, count: int) -> Cloud:
    """Copies of a cloud in rows of four."""
    step = GAP * np.ptp(cloud.xyz[np.isfinite(cloud.xyz).all(axis=1)], axis=0)[:2].max()
    parts = [cloud.xyz + np.array([k % 4 * step, k // 4 * step, 0], cloud.xyz.dtype) for k in range(count)]
    xyz = np.concatenate(parts)
    return dataclasses.replace(Cloud.from_fields({name: xyz[:, i] for i, name in enumerate("xyz")}), notes=())


if __name__ == "__main__":
    sys.exit(command_line.guard("explore_time", main))
