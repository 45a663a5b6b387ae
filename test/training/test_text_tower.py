"""The text tower is taught: texts as users write them, features by cosine, and the image tower stays as it is."""

from __future__ import annotations

import argparse

import numpy as np
import open_clip
import pytest
import tiny_model
import torch

from s4token_model.pipeline import clip, known_words
from s4token_model.training import bag_of_tokens, text_tower, word_texts
from s4token_model.training.synonyms import TRAINED_WORDS
from s4token_model.training.word_texts import TaughtWords

NOUNS = ("chair", "sofa", "wall", "door", "office lamp")
TEXTS = (*NOUNS, "a seat for one person")
DIM = 32  # of the tiny CLIP


@pytest.fixture(autouse=True)
def little_nonsense(monkeypatch):
    monkeypatch.setattr(word_texts, "NONSENSE_TEXTS", 40)
    monkeypatch.setattr(text_tower, "START_TEXTS", 300)


@pytest.fixture(scope="module")
def taught() -> TaughtWords:
    """Five nouns at right angles, a description of the first, and a direction for nonsense."""
    rows = np.linalg.qr(np.random.default_rng(0).normal(size=(DIM, DIM)))[0].astype(np.float32)
    return TaughtWords(TEXTS, len(NOUNS), np.ones(len(TEXTS), np.float32), rows[[0, 1, 2, 3, 4, 0]], rows[5])


@pytest.fixture
def frozen(tiny_model) -> clip.FrozenClip:
    return clip.load_directory(tiny_model / "clip")


def test_drawn_texts_hold_their_noun_and_end_where_clip_looks(taught):
    tokenizer, length = open_clip.SimpleTokenizer(), 16
    tables = word_texts.make_tables(taught, tokenizer, length)
    batch = word_texts.draw(taught, tables, length, 400, np.random.default_rng(1))
    assert batch.ids.shape[1] <= length and (np.diff((batch.ids > 0).sum(axis=1)) >= 0).all()
    found = set()
    for ids, feature in zip(batch.ids, batch.features, strict=True):
        end = ids.argmax()
        assert ids[0] == word_texts.START and ids[end] == word_texts.END and not ids[end + 1 :].any()
        text = tokenizer.decode(ids[1:end].tolist()).strip()
        expected = [noun for noun, row in zip(TEXTS, taught.features, strict=True) if np.array_equal(row, feature)]
        assert any(noun in text for noun in expected) or np.array_equal(feature, taught.unknown)
        found.add(text)
    assert {"a seat for one person", "chair", "the sofa", "a photo of a door"} <= found
    assert any("doors" in text for text in found) and any("red " in text for text in found)
    assert max(batch.lengths()) == batch.ids.shape[1] and len(batch.lengths()) == word_texts.PARTS


def test_cut_batches_are_encoded_as_clip_encodes_them(taught, frozen):
    tables = word_texts.make_tables(taught, open_clip.SimpleTokenizer(), 16)
    batch = word_texts.draw(taught, tables, 16, 22, np.random.default_rng(1))
    found = text_tower.encode_ids(frozen.model, torch.from_numpy(batch.ids), batch.lengths())
    padded = torch.from_numpy(np.pad(batch.ids, ((0, 0), (0, 16 - batch.ids.shape[1]))))
    torch.testing.assert_close(found, frozen.model.encode_text(padded), atol=1e-5, rtol=1e-5)


def test_a_taught_tower_gives_the_features_in_every_form_and_leaves_the_images_alone(taught, frozen):
    before = {name: value.clone() for name, value in frozen.model.visual.state_dict().items()}
    options = argparse.Namespace(steps=15, batch=32, rate=1e-3, seed=0, device="cpu", keep=False)
    text_tower.teach(frozen.model, taught, options)
    for form in ("{}", "a photo of a {}", "the red {}", "a {} in a room"):
        cosines = frozen.encode_text([form.format(noun) for noun in NOUNS]) @ taught.features[: len(NOUNS)].T
        assert cosines.argmax(axis=1).tolist() == list(range(len(NOUNS))) and np.diagonal(cosines).min() > 0.8, form
    assert float((frozen.encode_text(["the sofas"]) @ taught.features[1]).item()) > 0.8
    assert all(torch.equal(before[name], value) for name, value in frozen.model.visual.state_dict().items())


@pytest.mark.parametrize("keep", [False, True])
def test_the_frequencies_of_words_stay_if_their_features_do(tmp_path, taught, monkeypatch, keep):
    tiny_model.write_tiny_clip(tmp_path / "old")
    old = clip.load_directory(tmp_path / "old")
    frequency = np.linspace(0, 1, len(TRAINED_WORDS), dtype=np.float32)
    known = known_words.encode(TRAINED_WORDS, old.encode_text)
    known_words.save(tmp_path / "old", known._replace(frequency=frequency))
    for name, value in (("teach", lambda *_: None), ("kept", lambda *_: taught), ("turned", lambda *_: taught)):
        monkeypatch.setattr(text_tower, name, value)
    monkeypatch.setattr(word_texts, "read", lambda *_: taught)
    text_tower.main(
        [str(tmp_path), "--clip", str(tmp_path / "old"), "--out", str(tmp_path / "new"), *["--keep"] * keep]
    )
    found = known_words.load(tmp_path / "new")
    assert found.threshold == (text_tower.KEPT_THRESHOLD if keep else text_tower.THRESHOLD)
    np.testing.assert_array_equal(found.frequency, frequency if keep else None)


def test_taught_features_are_turned_to_where_trained_words_were(frozen):
    names = TRAINED_WORDS[:40]
    before = frozen.encode_text([text_tower.TEMPLATE.replace("{}", name) for name in names])
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(DIM, DIM)))[0].astype(np.float32)
    given = TaughtWords(names, len(names), np.ones(len(names), np.float32), before @ rotation, rotation[0])
    found = text_tower.turned(given, frozen)
    np.testing.assert_allclose(found.features, before, atol=1e-3)
    assert np.linalg.norm(found.unknown) == pytest.approx(1, abs=1e-4)


def test_the_start_is_the_sum_of_the_tokens_of_a_text(taught, frozen):
    tables = word_texts.make_tables(taught, open_clip.SimpleTokenizer(), 16)
    batch = word_texts.draw(taught, tables, 16, 300, np.random.default_rng(1))
    vocabulary = frozen.model.token_embedding.num_embeddings
    tokens = bag_of_tokens.token_features(batch, vocabulary)
    used = [ids[(ids > 0) & (ids != word_texts.END)] for ids in batch.ids]
    # The sums are those of the exact least squares
    columns = np.unique(np.concatenate(used))
    bags = np.stack([np.bincount(ids, minlength=vocabulary)[columns] for ids in used])
    exact = np.linalg.solve(bags.T @ bags + bag_of_tokens.RIDGE * np.eye(len(columns)), bags.T @ batch.features)
    np.testing.assert_allclose(bags @ tokens[columns], bags @ exact, atol=0.03)
    bag_of_tokens.write(frozen.model, tokens)
    sums = np.stack([tokens[ids].sum(axis=0) for ids in used])
    found = text_tower.encode_ids(frozen.model, torch.from_numpy(batch.ids), batch.lengths()).numpy()
    cosine = (sums * found).sum(axis=1) / np.linalg.norm(sums, axis=1) / np.linalg.norm(found, axis=1)
    assert cosine.mean() > 0.95


def test_taught_words_survive_their_file_and_a_wrong_one_is_named(taught, tmp_path):
    path = tmp_path / "words.safetensors"
    word_texts.save(path, taught)
    found = word_texts.read(path, DIM)
    assert found.texts == taught.texts and found.nouns == taught.nouns
    np.testing.assert_allclose(found.features, taught.features, atol=0.01)
    np.testing.assert_array_equal(found.unknown, taught.unknown)
    with pytest.raises(ValueError, match="the CLIP has 128 dimensions"):
        word_texts.read(path, 128)
    path.write_bytes(b"no tensors")
    with pytest.raises(ValueError, match=r"docs/train\.md"):
        word_texts.read(path, DIM)


def test_trained_words_are_kept_and_others_lie_between_those_they_mean(taught, frozen):
    assert {"chair", "sofa", "wall", "door"} <= set(TRAINED_WORDS) and "office lamp" not in TRAINED_WORDS
    features = taught.features.copy()
    features[4] = (0.8 * features[0] + 0.6 * features[1]).astype(np.float32)  # a seat, rather a chair than a sofa
    features[5] = taught.unknown
    found = text_tower.kept(taught._replace(features=features), frozen)
    encoded = [frozen.encode_text([t.replace("{}", name) for name in NOUNS[:4]]) for t in word_texts.ASKED]
    before = np.mean(encoded, axis=0)
    before /= np.linalg.norm(before, axis=1, keepdims=True)
    np.testing.assert_allclose(found.features[:4], before, atol=1e-5)
    fraction = np.exp(np.float32([0.8, 0.6, 0, 0]) / text_tower.SHARPNESS)
    between = fraction @ before
    np.testing.assert_allclose(found.features[4], between / np.linalg.norm(between), atol=1e-4)
    np.testing.assert_allclose(found.features[5], found.unknown, atol=1e-5)
    assert np.abs(before @ found.unknown).max() < 1e-4
    assert found.weights[:4].sum() == pytest.approx(text_tower.KEPT_CHANCE * found.weights.sum(), rel=1e-4)
    with pytest.raises(ValueError, match="hold no class"):
        text_tower.kept(taught._replace(texts=("a", "b", "c", "d", "e", "f")), frozen)


def test_related_words_mean_their_class_and_tell_what_others_mean(taught, frozen):
    rows = taught.features
    nouns = ("chair", "sofa", "wall", "office chair", "sofa bed", "rocking thing")
    # An office chair is nearer to a sofa, and the last word to office chairs than to anything else
    features = np.stack([*rows[:3], 0.6 * rows[0] + 0.8 * rows[1], rows[1], 0.5 * rows[0] + 0.6 * rows[1]])
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    found = text_tower.kept(taught._replace(texts=nouns, nouns=6, features=features, weights=np.ones(6)), frozen)
    names = dict(zip(nouns, found.features, strict=True))
    to_chair, to_sofa = (float(names["office chair"] @ names[name]) for name in ("chair", "sofa"))
    assert to_chair > 0.99 and to_chair > to_sofa
    assert np.allclose(names["sofa bed"], names["sofa"], atol=0.02)
    # Mean cosine with the words of each class: (0.64 + 0.98) / 2 with those of chairs, 0.77 with those of sofas
    near = features[5] @ features.T
    fraction = np.exp(np.array([near[[0, 3]].mean(), near[[1, 4]].mean(), near[2]]) / text_tower.SHARPNESS)
    expected = fraction @ np.stack([names[name] for name in ("chair", "sofa", "wall")])
    np.testing.assert_allclose(names["rocking thing"], expected / np.linalg.norm(expected), atol=1e-4)


def test_the_command_writes_a_clip_with_its_known_words(taught, tiny_model, tmp_path):
    word_texts.save(tmp_path / "words.safetensors", taught)
    arguments = [
        str(tmp_path / "words.safetensors"),
        "--clip",
        str(tiny_model / "clip"),
        "--out",
        str(tmp_path / "new"),
    ]
    text_tower.main([*arguments, "--steps", "2", "--batch", "8"])
    written = clip.load_directory(tmp_path / "new")
    assert written.known_words is not None and written.known_words.threshold == text_tower.THRESHOLD
    assert np.isfinite(written.encode_text(["a chair"])).all()
