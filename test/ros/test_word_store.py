"""Words that outlive transitions, other parameters and restarts: in memory, and in a file."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

from s4token_ros import parameter_changes, parameters
from s4token_ros.parameters import Settings
from s4token_ros.word_store import Words, WordStore

WORDS = Words(("chair", "lamp"), ("a {}", "the {}"), (0.3, 0.5))


def made(words: Words = WORDS, version: int = 1):
    return SimpleNamespace(names=words.names, templates=words.templates, version=version,
                           thresholds=np.float32(words.thresholds))  # fmt: skip


def settings(path="", **changes) -> Settings:
    return Settings().changed({"vocabulary.store": str(path), **{f"vocabulary.{k}": v for k, v in changes.items()}})


def node(set_parameters=lambda shown: None):
    return SimpleNamespace(set_parameters_atomically=set_parameters)


def opened(path, **changes) -> tuple[WordStore, list[str]]:
    warnings: list[str] = []
    return WordStore(settings(path, **changes), warnings.append), warnings


def test_words_come_back_after_a_restart(tmp_path):
    path = tmp_path / "words.json"
    store, _ = opened(path)
    assert store.words is None and store.show(node(), made()) == "" and path.is_file()
    again, warnings = opened(path)
    assert again.words == WORDS and again.problem == "" and warnings == [] and again.from_caller
    assert [one.name for one in tmp_path.iterdir()] == ["words.json"]


def test_parameters_that_were_changed_since_win_over_the_file(tmp_path):
    path = tmp_path / "words.json"
    opened(path)[0].show(node(), made())
    store, warnings = opened(path, names=["sofa"])
    assert store.words is None and "the parameters of the words have changed since" in warnings[0]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b'{"format": 9}', b"\xff\xfe", b'{"format": 1, "format": 1}',
        json.dumps({"format": 1, **WORDS._asdict(), "names": ["chair", "chair"]}).encode(),
        json.dumps({"format": 1, **WORDS._asdict(), "names": ["chair", 3]}).encode(),
        json.dumps({"format": 1, **WORDS._asdict(), "names": []}).encode(),
        json.dumps({"format": 1, **WORDS._asdict(), "names": "chair"}).encode(),
        json.dumps({"format": 1, **WORDS._asdict(), "templates": ["no braces"]}).encode(),
        json.dumps({"format": 1, **WORDS._asdict(), "thresholds": [0.1, 7]}).encode(),
        json.dumps({"format": 1, **WORDS._asdict(), "thresholds": ["x", None]}).encode(),
        json.dumps({"format": 1, **WORDS._asdict(), "thresholds": [10**400, 0]}).encode(),  # no float holds it
        json.dumps({"format": 1, **WORDS._asdict(), "names": [f"w{k}" for k in range(5000)]}).encode(),
    ],
    ids=range(15),
)  # fmt: skip
def test_a_damaged_file_is_told_and_ignored(tmp_path, content):
    path = tmp_path / "words.json"
    path.write_bytes(content)
    store, warnings = opened(path)
    assert store.words is None and store.problem.startswith("vocabulary.store is ignored until words are set: ")
    assert warnings == [store.problem] and "hunter" not in store.problem
    assert store.show(node(), made()) == "" and store.problem == ""
    assert opened(path)[0].words == WORDS


def test_a_store_that_is_no_regular_file_is_refused_since_writing_would_replace_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "words.json").write_bytes(b"")
    for name in ("pipe", "", "gone/words.json"):
        with pytest.raises(ValueError, match="must be a regular file in a folder that is there"):
            parameters.check_store(str(tmp_path / name))
    for name in ("words.json", "new.json"):
        parameters.check_store(str(tmp_path / name))
    parameters.check_store("")


def test_a_file_that_cannot_be_written_is_told_and_the_words_are_used(tmp_path):
    store, _ = opened(tmp_path / "gone" / "words.json")
    assert "the words are not stored: " in store.show(node(), made())


def test_the_parameters_show_what_a_caller_has_set(tmp_path):
    shown: dict[str, object] = {}
    keep = node(lambda given: shown.update({one.name: one.value for one in given}))
    store, _ = opened("")
    store.show(keep, made())
    assert shown == {"vocabulary.names": ["chair", "lamp"]}  # one threshold cannot show two
    store.show(keep, made(WORDS._replace(thresholds=(0.3, 0.3))))
    assert shown["vocabulary.threshold"] == 0.3 and not store.showing
    # A labels file replaces names that no parameter has set
    assert store.completed({"vocabulary.labels": "rooms"}) == {"vocabulary.labels": "rooms", "vocabulary.names": []}
    store.follow(keep, store.completed({"vocabulary.labels": "rooms"}), None)
    assert shown["vocabulary.names"] == [""]
    assert store.completed({"vocabulary.labels": "rooms"}) == {"vocabulary.labels": "rooms"}


def test_words_of_a_caller_are_kept_for_the_next_configuration():
    store, _ = opened("")
    store.keep(made(version=3))
    assert store.words is None and store.version == 3  # those of parameters are read again
    store.show(node(), made())
    store.keep(made(version=4))
    segmenter = SimpleNamespace(make_vocabulary=lambda *words: dataclass_like(Words(*words)))
    model = parameter_changes.Model(segmenter, dataclass_like(Words(("floor",), ("a {}",), (0.0,))))
    applied = store.applied(model)
    assert Words.of(applied.vocabulary) == WORDS and applied.vocabulary.version == 5


def dataclass_like(words: Words):
    from s4token_model import vocabulary

    rows = np.eye(4, dtype=np.float32)
    return vocabulary.build(words.names, words.templates, words.thresholds, lambda texts: rows[: len(texts)])


def test_a_parameter_changes_what_it_names_and_the_rest_of_the_words_stays():
    def after(*paths, **changes):
        return parameter_changes.changed_words(settings(**changes), {f"vocabulary.{p}" for p in paths}, WORDS)

    assert after("threshold", threshold=0.7) == WORDS._replace(thresholds=(0.7, 0.7))
    assert after("names", names=["sofa"], threshold=0.2) == (("sofa",), WORDS.templates, (0.2,))
    assert after("templates").names == WORDS.names and after("templates").thresholds == WORDS.thresholds
    assert after("templates").templates != WORDS.templates
    assert len(after("labels").names) == 20
