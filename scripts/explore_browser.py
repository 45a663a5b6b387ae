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
# Notes when a buffer of colors (bytes) was uploaded, and when the frame after it was drawn to its last pixel.
WATCH = """
(() => {
  const watch = window.watch = {uploads: 0, drawn: 0, waiting: false, typed: 0};
  const context = WebGL2RenderingContext.prototype;
  for (const name of ["bufferData", "bufferSubData"]) {
    const original = context[name];
    context[name] = function (target, first, second, ...rest) {
      const data = name === "bufferData" ? first : second;
      if (ArrayBuffer.isView(data) && data instanceof Uint8Array && data.length > 3000) {
        watch.uploads += 1;
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
        page.set_default_timeout(30_000)
        page.add_init_script(WATCH)
        page.goto(url)
        page.wait_for_selector("table.legend")
        page.wait_for_function("window.watch.drawn > 0")
        yield page
        browser.close()


def words_field(page: Any) -> Any:
    """The field for words."""
    return page.locator("textarea").first


def legend(page: Any) -> dict[str, str]:
    """Return the number of points of each class in the legend, as it is shown."""
    rows = page.locator("table.legend tr").all()
    cells = [row.locator("td").all_inner_texts() for row in rows]
    return {name.strip(): count for _, name, count, _ in cells}


def type_words(page: Any, text: str) -> float:
    """Add a text at the end of the words, all at once; return the milliseconds until its colors are drawn."""
    field = words_field(page)
    field.click()
    page.keyboard.press("Control+End")
    before = page.evaluate("window.watch.drawn")
    page.keyboard.insert_text(text)
    page.wait_for_function(f"window.watch.drawn > {before} && window.watch.drawn > window.watch.typed", polling=5)
    return float(page.evaluate("window.watch.drawn - window.watch.typed"))
