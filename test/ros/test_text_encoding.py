"""Texts are encoded in their own thread, within limits and a deadline; requests that would pile up are refused."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("rclpy")

from s4token_model import constants
from s4token_ros.text_encoding import QUEUE, TextEncoding, check_size


class Tower:
    """A segmenter whose text tower works until `go` is set, and looks at the check as long as it `checks`."""

    def __init__(self, checks: bool = True) -> None:
        self.go, self.checks, self.given_up = threading.Event(), checks, threading.Event()

    def make_vocabulary(self, names, templates, thresholds, check):
        while not self.go.wait(0.01):
            if self.checks:
                try:
                    check()
                except ValueError:
                    self.given_up.set()
                    raise
        return list(names)


def start(texts, tower, results):
    def call():
        try:
            results.append(texts.vocabulary(tower, ["chair"], ["a {}"], 0.0))
        except ValueError as error:
            results.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    return thread


@pytest.mark.parametrize(
    "names, templates, reason",
    [
        ([f"w{k}" for k in range(2001)], ["{}"], "2001 words; the node takes at most 2000"),
        (["q" * 30_000], ["{}"], "has 30000 letters; a word has at most 1000"),
        ([f"{k} {'q' * 900}" for k in range(120)], ["{}"], "letters in all words; the node takes at most 100000"),
        (["a"], ["{}"] * 201, "201 templates; the node takes at most 200"),
        (["a"], ["{}" + "q" * 1000], "1002 letters in a template"),
        (["a", "A"], ["{}"], "repeated"),
    ],
)
def test_what_is_too_large_is_refused_at_once_with_the_limit(names, templates, reason):
    begin = time.monotonic()
    with pytest.raises(ValueError, match=reason):
        check_size(names, templates)
    assert time.monotonic() - begin < 1.0


def test_the_largest_vocabulary_is_accepted():
    check_size([f"w{k}" for k in range(constants.MAX_LIVE_NAMES)], ["{}"] * constants.MAX_LIVE_TEMPLATES)
    check_size(["q" * constants.MAX_NAME_LETTERS], ["{}"])


@pytest.mark.parametrize("checks", [True, False])
def test_every_caller_has_an_answer_at_the_deadline(checks):
    texts, tower, results = TextEncoding(lambda: 0.2), Tower(checks), []
    begin = time.monotonic()
    start(texts, tower, results).join(5)
    assert time.monotonic() - begin < 2 and "not encoded in services.deadline, 0.2 s" in results[0]
    assert tower.given_up.wait(1) == checks
    tower.go.set()
    start(texts, tower, results).join(5)
    assert results[1] == ["chair"], "the next one is encoded"
    texts.close()


def test_one_request_waits_and_further_ones_are_refused():
    texts, tower, results = TextEncoding(lambda: 20.0), Tower(), []
    threads = [start(texts, tower, results) for _ in range(QUEUE)]
    time.sleep(0.1)
    start(texts, tower, results).join(5)
    assert results == [f"{QUEUE} other requests are at work or waiting; try again"]
    tower.go.set()
    for thread in threads:
        thread.join(5)
    assert results[1:] == [["chair"]] * QUEUE
    texts.close()


def test_closing_gives_up_what_is_at_work():
    texts, tower, results = TextEncoding(lambda: 20.0), Tower(), []
    thread = start(texts, tower, results)
    time.sleep(0.1)
    texts.close()
    thread.join(5)
    assert results == ["the node ends"]
