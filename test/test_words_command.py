"""`s4token words`: what the shipped model reads, in a table and as JSON."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np

from s4token_model import cli, vocabulary, words, words_command
from s4token_model.training.synonyms import TRAINED_WORDS


def test_trained_read_and_unknown_words_are_told(capsys):
    assert cli.main(["words", "sofa, office chair", "xyzzy"]) == 0
    out, error = capsys.readouterr()
    rows = [line.split(maxsplit=1) for line in out.splitlines()]
    assert rows[0] == ["sofa", "1.000  trained word"] and rows[2][1].endswith("unknown word")
    assert out.splitlines()[1].startswith("  office chair") and out.splitlines()[1].endswith("read as chair")
    assert error.count("\n") == 1 and "'xyzzy' is unknown" in error


def test_a_file_of_names_gives_json(tmp_path, capsys):
    (tmp_path / "names.txt").write_text("wall\noffice chair\n")
    assert cli.main(["words", "--labels", str(tmp_path / "names.txt"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["taken_for"] == {"office chair": "chair"} and list(found["known"]) == ["wall", "office chair"]
    assert found["unknown"] == found["warnings"] == [] and found["model"] == "s4token-mini"


def test_without_words_the_trained_ones_are_listed(tmp_path, capsys):
    assert cli.main(["words"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0] == "wall" and set(listed) < set(TRAINED_WORDS)
    assert {words.repeat_key(word) for word in TRAINED_WORDS} == {words.repeat_key(word) for word in listed}
    # A list that the command reads again
    (tmp_path / "names.txt").write_text("\n".join(listed))
    assert cli.main(["words", "--labels", str(tmp_path / "names.txt"), "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["known"]) == listed


def test_words_come_from_one_place(capsys):
    assert cli.main(["words", "wall", "--labels", "scannet20"]) == 2
    assert "--labels scannet20 and words; give one of them" in capsys.readouterr().err
    assert cli.main(["words", "--labels", ""]) == 2


def test_a_clip_without_a_record_says_so():
    found = vocabulary.build(["wall", "floor"], ["{}"], 0.0, lambda texts: np.eye(len(texts)))
    assert words_command.table(found) == words_command.NO_RECORD
    assert words_command.trained_words(SimpleNamespace(known_words=None)) == []
