"""`s4token words`: what the shipped model reads, in a table and as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from s4token_model import cli, vocabulary, words_command


def test_trained_read_and_unknown_words_are_told(capsys):
    assert cli.main(["words", "sofa, office chair", "xyzzy"]) == 0
    out, error = capsys.readouterr()
    rows = [line.split(maxsplit=1) for line in out.splitlines()]
    assert rows[0] == ["sofa", "1.00  trained"] and rows[2][1].endswith("unknown")
    assert out.splitlines()[1].startswith("  office chair") and out.splitlines()[1].endswith("read as chair")
    assert error.count("\n") == 1 and "'xyzzy' is unknown" in error


def test_a_file_of_names_gives_json(tmp_path, capsys):
    (tmp_path / "names.txt").write_text("wall\noffice chair\n")
    assert cli.main(["words", "--labels", str(tmp_path / "names.txt"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["taken_for"] == {"office chair": "chair"} and list(found["known"]) == ["wall", "office chair"]
    assert found["unknown"] == found["warnings"] == [] and found["model"] == "s4token-mini"


@pytest.mark.parametrize("words", [[], ["wall", "--labels", "scannet20"]])
def test_words_come_from_one_place(words, capsys):
    assert cli.main(["words", *words]) == 2
    assert "give either words or --labels FILE" in capsys.readouterr().err


def test_a_clip_without_a_record_says_so():
    words = vocabulary.build(["wall", "floor"], ["{}"], 0.0, lambda texts: np.eye(len(texts)))
    assert "no record of the words" in words_command.table(words)
