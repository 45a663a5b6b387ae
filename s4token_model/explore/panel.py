"""The panel beside the cloud: its controls, and the Choice that they make. Only viser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from s4token_model.explore import html_text
from s4token_model.explore.state import CLOUD_SUFFIXES, COLORINGS, HEAT, LABELS, About, Choice, View

BRAND = (32, 118, 180)
CLICK_HINT = "Click on a point of the cloud."


class Panel:
    """The controls of a page; `changed` is called from other threads after each change."""

    def __init__(self, gui: Any, about: About, changed: Callable[[], None], save: Callable[[str], None]) -> None:
        """Build the controls in viser's `gui`; `save` is called with a suffix of a file."""
        self._gui = gui
        gui.set_panel_label(f"s4token: {about.source}")
        self._add_words(about.first)
        self._add_thresholds(about)
        self._legend = gui.add_html("")
        with gui.add_folder("Clicked point"):
            self._inspection = gui.add_html(html_text.hint(CLICK_HINT))
        self._add_appearance(about)
        with gui.add_folder("Save"):
            for suffix in CLOUD_SUFFIXES:
                gui.add_button(f"Labeled cloud ({suffix})").on_click(lambda _, s=suffix: save(s))
            gui.add_button("Words (.txt)").on_click(lambda _: save(".txt"))
        self._notes = gui.add_html("")
        self._listen(changed)

    def _add_words(self, first: Choice) -> None:
        add = self._gui
        self.words = add.add_text("Words", first.words, multiline=True)
        self._error = add.add_html("")
        self.text = add.add_text("Heat map for", "")
        self.coloring = add.add_dropdown("Show", COLORINGS, initial_value=first.coloring)

    def _add_thresholds(self, about: About) -> None:
        hint = "Points with a smaller confidence stay unlabeled."
        self.threshold = self._gui.add_slider("Threshold", 0.0, 1.0, 0.01, about.first.threshold, hint=hint)
        hint = "One label per superpoint, by the mean of its points, instead of one per point."
        self.vote = self._gui.add_checkbox("Vote", about.first.vote, hint=hint, visible=about.can_vote)
        last = max(about.clouds - 1, 1)
        self.cloud = self._gui.add_slider("Cloud", 0, last, 1, 0, visible=about.clouds > 1)

    def _add_appearance(self, about: About) -> None:
        with self._gui.add_folder("Appearance"):
            self.size = self._gui.add_slider("Point size", 0.2, 4.0, 0.1, 1.0, hint="times the spacing of the points")
            hint = "Hide the ceiling and the walls in front of the first view."
            self.cut = self._gui.add_checkbox("Open rooms", True, hint=hint)
            self.dark = self._gui.add_checkbox("Dark", False)
            self._drawn = self._gui.add_html("")

    def _listen(self, changed: Callable[[], None]) -> None:
        for control in (self.words, self.threshold, self.vote, self.cloud, self.coloring, self.size, self.cut):
            control.on_update(lambda _: changed())
        self.dark.on_update(lambda _: self.set_theme())

        @self.text.on_update
        def _(event: Any) -> None:
            self.coloring.value = HEAT if self.text.value.strip() else LABELS
            changed()

        self.set_theme()

    def set_theme(self) -> None:
        """Tell the browsers whether the page is light or dark; no button makes it public."""
        self._gui.configure_theme(
            dark_mode=self.dark.value, control_width="large", show_logo=False, show_share_button=False,
            brand_color=BRAND,
        )  # fmt: skip

    def choice(self) -> Choice:
        """Return what is set now."""
        return Choice(
            self.words.value, self.threshold.value, self.vote.value, self.coloring.value, self.text.value,
            int(self.cloud.value),
        )  # fmt: skip

    def show_view(self, view: View, shown: int) -> None:
        """Show the legend of a view of which `shown` points are not cut away."""
        if view.bar:
            legend = html_text.color_bar(view.bar)
        elif view.caption:
            legend = html_text.hint(view.caption)
        else:
            legend = html_text.legend(view.rows, view.drawn.total)
        for element, content in (
            (self._error, ""), (self._legend, legend), (self._notes, html_text.notes(view.notes)),
            (self._drawn, html_text.drawn_points(view.drawn, shown)),
        ):  # fmt: skip
            if element.content != content:
                element.content = content

    def show_error(self, line: str) -> None:
        """Say what is wrong with what was set; the legend stays."""
        self._error.content = html_text.error(line)

    def show_inspection(self, content: str) -> None:
        """Show what is known about the clicked point, as HTML."""
        self._inspection.content = content
