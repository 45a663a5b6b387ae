"""The services without DDS: what a request does that meets another change."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

from s4token_interfaces.srv import SetVocabulary
from s4token_ros.parameters import Settings
from s4token_ros.services import Services
from s4token_ros.text_encoding import TextEncoding
from s4token_ros.worker import Model


def test_words_that_meet_a_change_of_the_model_are_encoded_by_the_new_one():
    def vocabulary(model: str) -> SimpleNamespace:
        return SimpleNamespace(model=model, version=1, templates=("a {}",), warnings=(), note=str)

    class Segmenter:
        def __init__(self, name: str, then: Segmenter | None = None) -> None:
            self.name, self.then = name, then

        def make_vocabulary(self, names, templates, thresholds, check):
            if self.then:
                worker.model = replace(worker.model, segmenter=self.then)  # a parameter changes it meanwhile
            return vocabulary(self.name)

    class Worker:
        publishers = SimpleNamespace(filter_problem="")

        def swap(self, model: Model) -> bool:
            self.model = model
            return True

    worker = Worker()
    worker.model = Model(Segmenter("first", Segmenter("second", Segmenter("third"))), vocabulary("none"))
    services = Services.__new__(Services)
    services._settings, services._changing = Settings, threading.RLock()
    services.names, services._show_words = TextEncoding(lambda: 5.0), lambda words: "not stored"
    response = SetVocabulary.Response()
    services._set_vocabulary(worker, SetVocabulary.Request(names=["chair"]), response)
    assert worker.model.segmenter.name == worker.model.vocabulary.model == "third"
    assert response.relabeled and response.version == 1 and response.message == "not stored"
    services.names.close()
