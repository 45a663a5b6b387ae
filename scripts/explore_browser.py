"""A headless browser that looks at the page of `s4token explore`: for its test, its timing and its picture.

Needs playwright and a Chromium; WebGL is computed on the CPU, by SwiftShader. The page is not changed: its calls of
WebGL are counted, so that a color that was typed can be followed until it is drawn.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
PANEL = 400  # pixels, a little more than its width
# Notes when a buffer of colors (bytes) was uploaded, and when the frame after it was drawn to its last pixel.
WATCH = """
(() => {
  const watch = window.watch = {uploads: 0, uploaded: 0, drawn: 0, waiting: false, typed: 0};
  const context = WebGL2RenderingContext.prototype;
  for (const name of ["bufferData", "bufferSubData"]) {
    const original = context[name];
    context[name] = function (target, first, second, ...rest) {
      const data = name === "bufferData" ? first : second;
      if (ArrayBuffer.isView(data) && data instanceof Uint8Array && data.length > 3000) {
        watch.uploads += 1;
        watch.uploaded = performance.now();
        watch.waiting = true;
      }
      return original.call(this, target, first, second, ...rest);
    };
  }
  for (const name of ["drawArrays", "drawElements", "drawArraysInstanced", "drawElementsInstanced"]) {
    const original = context[name];
    context[name] = function (...words) {
      const result = original.apply(this, words);
      if (watch.waiting) {
        watch.waiting = false;
        this.readPixels(0, 0, 1, 1, this.RGBA, this.UNSIGNED_BYTE, new Uint8Array(4));
        watch.drawn = performance.now();
      }
      return result;
    };
  }
  document.addEventListener("input", () => { watch.typed = performance.now(); }, true);
})();
"""


def find_browser() -> str | None:
    """Return the path of a Chromium, S4TOKEN_BROWSER first; None without any."""
    named = os.environ.get("S4TOKEN_BROWSER")
    return named or next((path for path in map(shutil.which, BROWSERS) if path), None)


@contextmanager
def opened(url: str, size: tuple[int, int] = (1280, 800)) -> Iterator[Any]:
    """Open the page in a headless browser of `size` pixels, and wait until the cloud is drawn."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        page.set_default_timeout(300_000)
        page.add_init_script(WATCH)
        page.goto(url)
        page.wait_for_selector("table.legend")
        page.wait_for_function("window.watch.drawn > 0")
        yield page
        browser.close()


def legend(page: Any) -> dict[str, int]:
    """Return the number of points of each class in the legend; {} while they are being counted."""
    rows = page.evaluate(
        "[...document.querySelectorAll('table.legend tr')].map(r => [...r.cells].map(c => c.innerText))"
    )
    counts = {name.split("\n")[0].strip(): count.replace(",", "") for _, name, count, _ in rows}
    return {name: int(count) for name, count in counts.items()} if all(map(str.isdigit, counts.values())) else {}


def type_words(page: Any, text: str) -> tuple[float, float]:
    """Replace the words by a text that changes colors; return the milliseconds until these are there, and drawn."""
    page.locator("textarea").first.click()
    page.keyboard.press("Control+a")
    page.evaluate("window.watch.typed = Infinity")
    page.keyboard.insert_text(text)
    page.wait_for_function("window.watch.drawn > window.watch.typed", polling=5)
    there, drawn = page.evaluate("[window.watch.uploaded, window.watch.drawn].map(end => end - window.watch.typed)")
    return float(there), float(drawn)


def heat_field(page: Any) -> Any:
    """The field for the text of the heat map."""
    return page.locator("xpath=//label[contains(., 'Heat map')]/ancestor::div[.//input][1]//input")


def cloud_pixels(picture: bytes) -> Any:
    """Return the pixels (h, w, 3) uint8 of a screenshot left of the panel."""
    import io

    import numpy as np
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
    return pixels[:, :-PANEL]
