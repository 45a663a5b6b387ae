"""Prompts of the benchmarks: frozen, complete, and their hash changes with any word; sentences of files."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from s4token_model import prompts, vocabulary
from s4token_model.datasets import modelnet40, s3dis, scannet, scanobjectnn, semantickitti, shapenetpart
from s4token_model.vocabulary import read_names, read_templates

CLASSES = {
    "scannet20": scannet.NAMES, "s3dis": s3dis.NAMES, "semantickitti": semantickitti.NAMES,
    "modelnet40": modelnet40.NAMES, "scanobjectnn": scanobjectnn.NAMES,
}  # fmt: skip
COUNTS = {name: len(parts) for name, (_, parts) in shapenetpart.CATEGORIES.items()}
# version and SHA-256; a new hash needs a new version
FROZEN = {
    "scannet20": (1, "725b9ee152ecac055996f1427f5c785583821ef38744ddb2d74e0867f5065365"),
    "s3dis": (1, "bb2047f0c2e7ca1a68a6f7d0e93639bbd9f3cdc41b34a89fb02b9da772c93432"),
    "semantickitti": (1, "b2eeb0bd867fa288ff2fd996af972832b800505bfc5ca07814a59d0438dde3ed"),
    "modelnet40": (1, "6b9b188db48e57d3337eaa337f1e22f417af68be5c6323614239d05db26a79b4"),
    "scanobjectnn": (1, "820c1f0fe65dead34a5f093ff0b20c472293bec5d948ec01e7a681e0c28e4984"),
    "shapenetpart": (1, "cfcf7b04b33711e012b15fb6c0d860e8b2278674a829a27ef2441dc3092f6a71"),
}


@pytest.mark.parametrize("name", CLASSES)
def test_words_are_frozen(name):
    found = prompts.load(name, CLASSES[name])
    assert (found.version, prompts.digest(found.names, found.templates)) == FROZEN[name]
    assert all(template.count("{}") == 1 for template in found.templates) and len(set(found.names)) == len(found.names)


def test_words_of_parts_are_frozen():
    found = prompts.load_parts("shapenetpart", COUNTS)
    assert found["mug"].names == ("handle", "cup") and found["mug"].templates == ("the {} of a mug",)
    assert (found["mug"].version, prompts.parts_metadata(found)["prompts_sha256"]) == FROZEN["shapenetpart"]


def test_scannet_is_asked_as_the_node_asks():
    found = prompts.load("scannet20", scannet.NAMES)
    assert found.names == read_names("scannet20") and found.templates == read_templates("default")


def test_digest_is_sha256_of_the_json():
    text = json.dumps({"templates": ["a {}"], "words": ["chair", "Stühle"]}, ensure_ascii=False)
    assert prompts.digest(["chair", "Stühle"], ["a {}"]) == hashlib.sha256(text.encode()).hexdigest()
    assert prompts.digest(["chair"], ["a {}"]) != prompts.digest(["chair"], ["the {}"])


def test_what_is_wrong_is_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"looked for .*nothing\.yaml"):
        prompts.load("nothing", ())
    with pytest.raises(ValueError, match=r"s3dis\.yaml.*\['stairs'\]"):
        prompts.load("s3dis", (*s3dis.NAMES, "stairs"))
    with pytest.raises(ValueError, match="wrong words for mug"):
        prompts.load_parts("shapenetpart", COUNTS | {"mug": 3})
    monkeypatch.setattr(prompts, "config_roots", lambda: [tmp_path])
    (tmp_path / "prompts").mkdir()
    for text, reason in (("a: [", "is not YAML"), ("version: 1", "needs version, templates and words")):
        (tmp_path / "prompts" / "mine.yaml").write_text(text)
        with pytest.raises(ValueError, match=reason):
            prompts.load("mine", ())


class Letters:
    """Stands in for a Segmenter and its CLIP: the feature of a text counts its letters a, b and c."""

    clip = property(lambda self: self)

    def encode_text(self, texts):
        rows = np.array([[text.count(letter) for letter in "abc"] for text in texts], np.float32) + 1e-6
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def make_vocabulary(self, names, templates=None):
        return vocabulary.build(names, templates or ("{}",), 0.0, self.encode_text)


def test_sentences_take_the_place_of_names_as_the_mean_of_their_unit_features(tmp_path):
    frozen = prompts.Prompts("bench", 1, ("trash bin", "door"), ("a {}",))
    path = tmp_path / "gpt.yaml"
    path.write_text("bin: [a, a a b]\ndoor: cb\n")
    found = prompts.with_sentences(frozen, ("bin", "door"), path)
    words = prompts.build_vocabulary(Letters(), found)
    mean = np.array([1, 0, 0]) + np.array([2, 1, 0]) / np.sqrt(5)
    expected = [mean / np.linalg.norm(mean), np.array([0, 1, 1]) / np.sqrt(2)]
    np.testing.assert_allclose(words.text, expected, atol=1e-5)
    assert words.names == ("trash bin", "door")
    np.testing.assert_array_equal(
        prompts.build_vocabulary(Letters(), frozen).text, Letters().make_vocabulary(frozen.names, ("a {}",)).text
    )
    metadata = found.metadata()
    assert metadata["prompt_set"] == "gpt.yaml" and metadata["sentences"] == 3 and "templates" not in metadata
    moved = tmp_path / "moved.json"
    moved.write_text(json.dumps({"trash_bin": ["a"], "door": ["a a b", "cb"]}))
    other = prompts.with_sentences(frozen, ("bin", "door"), moved)
    assert other.sentences == (("a",), ("a a b", "cb")) and other.metadata() != metadata


def test_sentences_of_parts(tmp_path):
    frozen = {name: prompts.load_parts("shapenetpart", COUNTS)[name] for name in ("mug", "cap")}
    names = {name: shapenetpart.parts(name) for name in frozen}
    path = tmp_path / "gpt.json"
    path.write_text(json.dumps({"mug": {"handle": "a handle", "cup": ["b", "c"]}, "cap": {"crown": "a", "visor": "b"}}))
    found = prompts.parts_with_sentences(frozen, names, path)
    assert found["mug"].sentences == (("a handle",), ("b", "c"))
    assert prompts.parts_metadata(found)["sentences"] == 5
    path.write_text(json.dumps({"mug": {"handle": "a", "cup": "b"}}))
    with pytest.raises(ValueError, match="has no parts of cap; write CATEGORY"):
        prompts.parts_with_sentences(frozen, names, path)
    path.write_text(json.dumps({"mug": {"handle": "a", "cap": "b"}, "cap": {"crown": "a", "visor": "b"}}))
    with pytest.raises(ValueError, match="gpt.json, mug has no sentences of cup; it has cap"):
        prompts.parts_with_sentences(frozen, names, path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("bin: a\n", "has no sentences of door"),
        ("bin: a\ndoor: []\n", "door: expected a sentence, or a list of some"),
        ("bin: a\ndoor: [1]\n", "door: expected a sentence, or a list of some"),
        ("bin: a\ndoor: a\n", "trash bin has the same sentences as another class"),
        ("bin: a\ndoor: b\nsofa: c\n", "sofa is none of trash bin, door"),
        ("- a\n", "must hold a class and its sentences in each entry, not a list"),
        ("a: [", "is not YAML"),
        (None, "cannot read .*: No such file or directory; give a file of sentences"),
    ],
    ids=["one is missing", "none", "numbers", "the same", "another", "a list", "no YAML", "no file"],
)
def test_files_of_sentences_that_do_not_fit_are_named(tmp_path, text, reason):
    path = tmp_path / "gpt.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=reason):
        prompts.with_sentences(prompts.Prompts("bench", 1, ("trash bin", "door"), ("a {}",)), ("bin", "door"), path)
