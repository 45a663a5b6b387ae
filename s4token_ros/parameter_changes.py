"""Changes of parameters while the node runs: what a caller may set, and the model that the new values require."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter
from rclpy.parameter_service import ParameterService

from s4token_model import config as configs
from s4token_model import vocabulary as vocabularies
from s4token_model import word_files
from s4token_model.config import Config
from s4token_ros import filtered, parameters, temporal, topic_names, transforms
from s4token_ros.parameters import Settings
from s4token_ros.word_store import Words, WordStore
from s4token_ros.worker import Model

SHOWN_LETTERS = 500  # of a reason
BUSY_S = 2.0  # that a change of a parameter waits for another one, or for the model


class CheckedParameterService(ParameterService):
    """rclpy's services of parameters, except that a request that rclpy raises an exception on is refused."""

    def __init__(self, node: Any) -> None:
        self._setter = node
        super().__init__(node)

    def _set_parameters_callback(self, request: Any, response: Any) -> Any:
        response.results = [self._set([message]) for message in request.parameters]
        return response

    def _set_parameters_atomically_callback(self, request: Any, response: Any) -> Any:
        response.result = self._set(request.parameters)
        return response

    def _set(self, messages: Sequence[Any]) -> SetParametersResult:
        try:
            for message in messages:
                if not self._setter.has_parameter(message.name):
                    raise ValueError(parameters.unknown(message.name))
            return self._setter.set_parameters_atomically([Parameter.from_parameter_msg(m) for m in messages])
        except Exception as error:
            return refused(error)


def answered(lock: Any, change: Callable[[dict[str, Any]], None], values: dict[str, Any]) -> SetParametersResult:
    """Apply the values of parameters under a lock; an exception refuses them with the reason, the old ones stay."""
    if not lock.acquire(timeout=BUSY_S):
        return refused(ValueError("the node is loading its model or changes another parameter; try again"))
    try:
        change(values)
    except Exception as error:
        return refused(error)
    finally:
        lock.release()
    return SetParametersResult(successful=True)


def refused(error: Exception) -> SetParametersResult:
    """Return the answer to a change that failed."""
    return SetParametersResult(successful=False, reason=(str(error) or repr(error))[:SHOWN_LETTERS])


def check(node: Any, values: dict[str, Any], settings: Settings, names: Sequence[str]) -> None:
    """Raise ValueError if `values`, which made `settings`, cannot work, as far as that shows before they are used.

    `names` are the class names in use, none if there are none yet.
    """
    if "input.topics" in values:
        topic_names.checked_inputs(node, settings.node.input.topics)
    if "vocabulary.labels" in values:
        vocabularies.check_labels_have_effect(settings.pipeline.vocabulary)
    if settings.node.temporal.enabled and any(name.startswith("temporal.") for name in values):
        transforms.check_installed("temporal.enabled")
        temporal.check_memory(settings.node.temporal, max(len(names), 1))
    if settings.node.output.frame and "output.frame" in values:
        transforms.check_installed("output.frame")
    if names and any(name.startswith("output.filtered_") for name in values):
        filtered.check(settings.node.output, names)


def word_file(settings: Settings, kind: str) -> Path:
    """Return the file of vocabulary.labels or vocabulary.templates: anywhere if it was named at the start.

    Whoever sets the parameter later, which is anyone on the network, may name only files that are there to be named.
    """
    name, folder = getattr(settings.pipeline.vocabulary, kind), settings.node.vocabulary.folder
    find = word_files.find if settings.start_files.get(kind) == name else word_files.find_inside
    return find(name, kind, folder)


def config_with_paths(settings: Settings) -> Config:
    """Return the config of the pipeline with paths instead of the names of word files."""
    kinds = ("templates",) if settings.pipeline.vocabulary.names else ("templates", "labels")
    return configs.replace(settings.pipeline, {f"vocabulary.{kind}": str(word_file(settings, kind)) for kind in kinds})


def changed_words(settings: Settings, paths: set[str], last: Words | None) -> Words:
    """Return the words after the dotted `paths` were set: each changes what it names, the rest stays as in `last`.

    ValueError, which quotes nothing of a file, if one is wrong. Without `last` all come from the parameters.
    """
    config = settings.pipeline.vocabulary
    renamed = last is None or bool(paths & {"vocabulary.names", "vocabulary.labels"})
    names = _names(settings) if last is None or renamed else last.names
    templates = last.templates if last and "vocabulary.templates" not in paths else _templates(settings)
    kept = last and not renamed and "vocabulary.threshold" not in paths
    return Words(names, templates, last.thresholds if last and kept else (config.threshold,) * len(names))


def _names(settings: Settings) -> tuple[str, ...]:
    if names := settings.pipeline.vocabulary.names:
        return vocabularies.checked_names(names)
    return _read(vocabularies.read_names, word_file(settings, "labels"))


def _templates(settings: Settings) -> tuple[str, ...]:
    return _read(vocabularies.read_templates, word_file(settings, "templates"))


def _read(read: Callable[[Any], tuple[str, ...]], path: Any) -> tuple[str, ...]:
    found = read(path)
    try:
        check = vocabularies.checked_names if read is vocabularies.read_names else vocabularies.checked_templates
        return check(found)
    except ValueError:
        wrong = "holds a word that is empty, a list or repeated" if read is vocabularies.read_names else "lacks {}"
        raise ValueError(f"{path}: a line {wrong}; s4token label shows which") from None


def changed_model(
    old: Settings, new: Settings, current: Model | None, kept: WordStore, load: Callable[..., Model],
    encode: Callable[..., Any],
) -> Model | None:  # fmt: skip
    """Return the model that `new` requires, None before the first is loaded; ValueError if there is none.

    Then the words that are `kept` for it change. load(settings, weights=MODEL or None) returns a model, `encode` is
    TextEncoding.vocabulary.
    """
    paths = old.differences(new)
    last = Words.of(current.vocabulary) if current else kept.words
    words = changed_words(new, paths, last) if paths & parameters.VOCABULARY_KEYS else None
    if current is None:
        kept.words = words if words and last else last
        return None
    model = current
    if any(not path.startswith(parameters.PREFIXES_WITHOUT_MODEL) for path in paths - parameters.VOCABULARY_KEYS):
        model = load(new, weights=None if paths & parameters.WEIGHT_KEYS else current)
    if words:
        return replace(model, vocabulary=encode(model.segmenter, *words))
    if last and model.segmenter is not current.segmenter:  # a vocabulary set by a service call survives
        return replace(model, vocabulary=encode(model.segmenter, *last))
    return model
