"""The legend and notes as HTML: what users type is text, never markup."""

from __future__ import annotations

import numpy as np

from s4token_model.explore import coloring, html_text
from s4token_model.explore.state import Bar, Inspection, Match, Row


def test_classes_come_with_color_count_and_percentage_and_absent_ones_in_one_line():
    labels, colors = np.array([1, 1, 1, 0, 65535], np.uint32), np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.uint8)
    notes = {"lamp": "unknown word", "table": "read as <desk>"}
    rows = coloring.class_rows(("chair", "table", "lamp"), colors, labels, notes)
    assert [row[:3] for row in rows[:2]] == [("table", (4, 5, 6), 3), ("chair", (1, 2, 3), 1)]
    assert rows[-1] == Row("unlabeled", (96, 96, 96), 1)
    text = html_text.legend(rows, 5)
    assert "rgb(4, 5, 6)" in text and "60.0 %" in text and text.index("table") < text.index("chair")
    assert "without points: lamp" in text and "unknown word" in text
    assert "read as &lt;desk&gt;" in text


def test_words_are_escaped_everywhere():
    word = "<script>alert(1)</script>"
    match = Match(word, 0.5)
    texts = (
        html_text.legend([Row(word, (0, 0, 0), 1), Row(word, (0, 0, 0), 0)], 1),
        html_text.color_bar(Bar(word, 0, 1)),
        html_text.inspection(Inspection(word, 0.5, 3, np.zeros(0, int), 9, (match,), (match,), word)),
        html_text.notes([word]),
        html_text.error(word),
    )
    assert all("<script>" not in text and "&lt;script&gt;" in text for text in texts)


def test_long_legends_are_cut_and_empty_lines_take_no_room():
    rows = [Row(f"thing {k}", (0, 0, 0), 1) for k in range(html_text.MAX_ROWS + 7)]
    assert "and 7 more words" in html_text.legend(rows, 100)
    assert html_text.notes([]) == html_text.error("") == ""
