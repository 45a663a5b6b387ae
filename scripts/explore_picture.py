"""Make docs/explore.gif: words typed into the page of `s4token explore`, over the sample room.

    python scripts/explore_picture.py [--out docs/explore.gif]

Needs viser, playwright and a Chromium. The frames are screenshots of the browser.
"""

from __future__ import annotations

import argparse
import io
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import explore_browser
from PIL import Image

from s4token_model import command_line
from s4token_model.explore.address import Address
from s4token_model.explore.cloud_session import CloudSession
from s4token_model.explore.page import Page
from s4token_model.io import samples
from s4token_model.io.files import read_cloud
from s4token_model.segmenter import Segmenter

SIZE, SHOWN = (1180, 700), (826, 490)  # pixels of the browser and of the picture
FIRST = "floor, wall"
TYPED = (", door", ", table", ", sofa")
TEXT = "a place to sit"
FRAME_MS, PAUSE_MS, END_MS = 130, 900, 2200
COLORS = 128


def main(words: list[str] | None = None) -> int:
    """Serve the page, type, and write the frames."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/explore.gif"))
    out = parser.parse_args(words).out
    session = CloudSession(Segmenter.load(), [read_cloud(samples.ROOM)], samples.ROOM.name, 10**6)
    page = Page(session, Address(port=0))
    page.panel.words.value = FIRST
    threading.Thread(target=page.run, daemon=True).start()
    with explore_browser.opened(page.address.url, SIZE) as browser:
        browser.add_style_tag(content=".mantine-Notification-root{display:none}")
        frames = list(shots(browser))
    pictures = [one.quantize(COLORS, dither=Image.Dither.NONE) for one, _ in frames]
    pictures[0].save(
        out, save_all=True, append_images=pictures[1:], duration=[ms for _, ms in frames], loop=0, optimize=True
    )
    print(f"{out}: {len(frames)} frames, {out.stat().st_size / 1e6:.2f} MB")
    return 0


def shots(browser: Any) -> Iterator[tuple[Image.Image, int]]:
    """Type words letter by letter, then a text for the heat map; yield (picture, milliseconds that it is shown)."""
    yield shot(browser), PAUSE_MS
    browser.locator("textarea").first.click()
    browser.keyboard.press("Control+End")
    for word in TYPED:
        yield from typed(browser, word)
    explore_browser.heat_field(browser).click()
    yield from typed(browser, TEXT)
    yield shot(browser), END_MS - PAUSE_MS


def typed(browser: Any, text: str) -> Iterator[tuple[Image.Image, int]]:
    """Type a text; every letter is a picture, the last one when its colors are drawn."""
    for letter in text:
        browser.keyboard.type(letter)
        browser.wait_for_timeout(400)
        yield shot(browser), FRAME_MS
    browser.wait_for_timeout(1500)
    yield shot(browser), PAUSE_MS


def shot(browser: Any) -> Image.Image:
    """A screenshot at the size of the picture."""
    picture = Image.open(io.BytesIO(browser.screenshot())).convert("RGB")
    return picture.resize(SHOWN, Image.Resampling.LANCZOS)


if __name__ == "__main__":
    sys.exit(command_line.guard("explore_picture", main))
