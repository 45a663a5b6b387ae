"""Words that users say in place of the class names: 100 frozen everyday words, and other forms of the names.

The words are those of config/prompts/everyday_words.yaml, for ScanNet's classes without "other furniture".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from s4token_model import constants, metrics, prompts
from s4token_model.evaluation.loading import Result, Setup
from s4token_model.evaluation.segmentation import LabeledCloud
from s4token_model.training.synonyms import plural

if TYPE_CHECKING:
    from s4token_model.segmenter import Segmenter

CLASSES = constants.SCANNET20[:-1]
OTHER = constants.SCANNET20[-1]
FORMS = {  # of a class name, by what is asked for
    "plural": "{}s",
    "article": "the {}",
    "capitals": "{}",
    "adjective": "red {}",
    "small": "small {}",
    "material": "wooden {}",
    "age": "old {}",
    "all": "the red {}s",
}


class Spoken(NamedTuple):
    """Points labeled under the class names and under other words for the same classes."""

    names: np.ndarray  # (20, 21) confusion under the class names
    words: np.ndarray  # (V, 20, 21) under the words of each vocabulary
    forms: dict[str, float]  # fraction of the points with the same label as under the names, by form


def right_by_text(segmenter: Segmenter) -> dict[str, Any]:
    """How many words have their own class as the nearest by text features: {"right", "words", "wrong"}.

    "wrong" lists (word, class, nearest class). Word and class names are averaged over the templates, as in labeling.
    """
    frozen = prompts.load_words("everyday_words", CLASSES)
    pairs = [(word, name) for name, found in frozen.words.items() for word in found]
    class_rows = segmenter.make_vocabulary(CLASSES, frozen.templates).text
    word_rows = segmenter.make_vocabulary([word for word, _ in pairs], frozen.templates).text
    nearest = [CLASSES[k] for k in (word_rows @ class_rows.T).argmax(axis=1)]
    wrong = [(word, name, found) for (word, name), found in zip(pairs, nearest, strict=True) if name != found]
    return {"right": len(pairs) - len(wrong), "words": len(pairs), "wrong": wrong}


def vocabularies_of_words() -> tuple[tuple[str, ...], ...]:
    """Return vocabularies of 20 names, every class by one of its words, such that each word occurs in at least one."""
    words = prompts.load_words("everyday_words", CLASSES).words
    count = max(map(len, words.values()))
    return tuple((*(found[k % len(found)] for found in words.values()), OTHER) for k in range(count))


def spoken_form(form: str, name: str) -> str:
    """A class name as `form` of FORMS writes it: "the red {}s" of "bookshelf" -> "the red bookshelves"."""
    if form == "capitals":
        return name.title()
    text = FORMS[form]
    return text.replace("{}s", plural(name)) if "{}s" in text else text.replace("{}", name)


def label_as_spoken(segmenter: Segmenter, clouds: Iterable[LabeledCloud]) -> Spoken:
    """Label clouds, whose labels index ScanNet's 20 names, by the names, by every vocabulary of words and form."""
    usual = segmenter.make_vocabulary(constants.SCANNET20)
    asked = [segmenter.make_vocabulary(names) for names in vocabularies_of_words()]
    in_forms = {
        form: segmenter.make_vocabulary([*(spoken_form(form, name) for name in CLASSES), OTHER]) for form in FORMS
    }
    size = len(constants.SCANNET20)
    names, words = np.zeros((size, size + 1), np.int64), np.zeros((len(asked), size, size + 1), np.int64)
    same, total = dict.fromkeys(FORMS, 0), 0
    for cloud in clouds:
        encoded = segmenter.encode(cloud.xyz, cloud.rgb)
        expected = segmenter.label(encoded, usual).labels
        names += metrics.confusion(cloud.label, expected, size)
        for counts, voc in zip(words, asked, strict=True):
            counts += metrics.confusion(cloud.label, segmenter.label(encoded, voc).labels, size)
        for form, voc in in_forms.items():
            same[form] += int((segmenter.label(encoded, voc).labels == expected).sum())
        total += len(expected)
    return Spoken(names, words, {form: count / max(total, 1) for form, count in same.items()})


def figures(segmenter: Segmenter, clouds: Iterable[LabeledCloud]) -> dict[str, Any]:
    """JSON-ready figures: right words by text, mIoU by names and by words with their ratio, agreement by form."""
    found = label_as_spoken(segmenter, clouds)
    by_names = metrics.scores(found.names).miou
    by_words = float(np.mean([metrics.scores(counts).miou for counts in found.words]))
    miou = {"names": by_names, "words": by_words, "ratio": by_words / max(by_names, 1e-9)}
    return {"text": right_by_text(segmenter), "miou": miou, "agreement": found.forms}


def everyday_words(setup: Setup, rooms: int = 20) -> Result:
    """Everyday words and forms of the names, by text features and on held-out procedural rooms."""
    from s4token_model.evaluation import procedural_rooms as held_out  # the scene generator

    clouds = held_out.in_scannet20(held_out.held_out_clouds(rooms))
    result = {"task": "words", "model": str(setup.model), "rooms": rooms} | figures(setup.labeler(), clouds)
    return result, table(result)


def table(result: dict[str, Any]) -> str:
    """The figures as lines of text."""
    text, miou = result["text"], result["miou"]
    lines = [f"right class by text features: {text['right']} of {text['words']}"]
    lines += [f"  {word}: {found}, not {name}" for word, name, found in text["wrong"]]
    lines += [f"mIoU by names {100 * miou['names']:.1f} %, by words {100 * miou['words']:.1f} %: {miou['ratio']:.2f}"]
    lines += [f"labels as under the names, {form}: {100 * same:.1f} %" for form, same in result["agreement"].items()]
    return "\n".join(lines)
