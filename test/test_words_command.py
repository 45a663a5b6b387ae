"""`s4token words`: what the shipped model reads, in a table and as JSON."""

from __future__ import annotations

import json

import numpy as np

from s4token_model import checkpoint, cli, vocabulary, words_command
from s4token_model.pipeline import known_words
from s4token_model.training.synonyms import TRAINED_WORDS


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


def test_without_words_the_trained_ones_are_listed(capsys):
    assert cli.main(["words", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["trained"]) == set(TRAINED_WORDS)
    assert cli.main(["words"]) == 0
    assert capsys.readouterr().out.split("\n")[:-1] == list(mini_words())


def mini_words() -> tuple[str, ...]:
    found = known_words.load(checkpoint.resolve(checkpoint.MINI) / "clip")
    assert found is not None
    return found.words


def test_words_come_from_one_place(capsys):
    assert cli.main(["words", "wall", "--labels", "scannet20"]) == 2
    assert "--labels scannet20 and words; give one of them" in capsys.readouterr().err


def test_a_clip_without_a_record_says_so():
    words = vocabulary.build(["wall", "floor"], ["{}"], 0.0, lambda texts: np.eye(len(texts)))
    assert "no record of the words" in words_command.table(words)
