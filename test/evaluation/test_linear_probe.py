"""Linear probe: scikit-learn's logistic regression, seeded draws of shots and classes, and the command."""

from __future__ import annotations

import json

import numpy as np
import pytest

from s4token_model import cli
from s4token_model.datasets import modelnet40
from s4token_model.evaluation import linear_probe
from s4token_model.evaluation.linear_probe import Draw, Features


def clusters(count, classes=4, spread=0.4, seed=0):
    """Unit features around one direction per class."""
    means = np.random.default_rng(7).normal(size=(classes, 12))
    rng, label = np.random.default_rng(seed), np.arange(count) % classes
    feature = means[label] + spread * rng.normal(size=(count, 12))
    return Features((feature / np.linalg.norm(feature, axis=1, keepdims=True)).astype(np.float32), label)


@pytest.mark.parametrize("strength", [0.1, 100.0])
def test_the_fit_is_that_of_scikit_learn(strength):
    linear_model = pytest.importorskip("sklearn.linear_model")
    train, test = clusters(60, spread=1.5), clusters(40, spread=1.5, seed=1)
    weight, bias = linear_probe.fit(train, 4, strength)
    theirs = linear_model.LogisticRegression(C=strength, max_iter=5000, tol=1e-8).fit(train.feature, train.label)
    logits = test.feature @ weight.T + bias
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), theirs.predict_proba(test.feature), atol=2e-3)


def test_more_shots_know_more_and_seeds_are_repeatable():
    train, test, names = clusters(400, spread=1.2), clusters(200, spread=1.2, seed=1), modelnet40.NAMES
    few, many = (linear_probe._accuracies(train, test, names, Draw(k, 0, 6), 100.0) for k in (1, 32))
    assert len(few) == 6 and np.mean(many) > np.mean(few) + 0.05 and np.std(few) > 0
    assert few == linear_probe._accuracies(train, test, names, Draw(1, 0, 6), 100.0)
    assert len(linear_probe._accuracies(train, test, names, Draw(0, 0, 6), 100.0)) == 1
    two = linear_probe._accuracies(train, test, names, Draw(5, 2, 6), 100.0)
    assert np.mean(two) > np.mean(linear_probe._accuracies(train, test, names, Draw(5, 0, 6), 100.0))
    figures = linear_probe._figures([0.5, 0.7])
    assert figures["accuracy"] == pytest.approx(0.6) and figures["std"] == pytest.approx(0.2 / np.sqrt(2))


def test_labels_beyond_those_that_occur_do_not_matter():
    train, test = clusters(80), clusters(40, seed=1)
    moved = [Features(f.feature, np.array([3, 11, 12, 39])[f.label]) for f in (train, test)]
    for draw in (Draw(0, 0, 1), Draw(3, 2, 4)):
        one, two = (linear_probe._accuracies(*pair, modelnet40.NAMES, draw, 10.0) for pair in ((train, test), moved))
        assert one == two and np.mean(one) > 0.9


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """ModelNet40 in the layout of resampled points: spheres are bowls, bars are benches; the second test bar is bad."""
    folder, rng = tmp_path_factory.mktemp("modelnet"), np.random.default_rng(0)
    listed: dict[str, list[str]] = {"train": [], "test": []}
    for name, scale in (("bowl", [1, 1, 1]), ("bench", [3, 0.2, 0.3])):
        (folder / name).mkdir()
        for number in range(6):
            xyz = rng.normal(size=(300, 3))
            rows = np.c_[xyz / np.linalg.norm(xyz, axis=1, keepdims=True) * scale, xyz]
            title = f"{name}_{number:04d}"
            np.savetxt(folder / name / f"{title}.txt", rows, delimiter=",", fmt="%.5f")
            listed["train" if number < 4 else "test"].append(title)
    (folder / "bench" / "bench_0005.txt").write_text("no,numbers,at all")
    for split, names in listed.items():
        (folder / f"modelnet40_{split}.txt").write_text("\n".join(names))
    return folder


def test_the_command(root, tiny_model, capsys):
    words = ["evaluate", "probe", "--root", str(root), "--model", str(tiny_model), "--shots", "0,2", "--seeds", "3"]
    assert cli.main([*words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["data"], result["ways"], result["train_objects"], result["test_objects"]) == ("modelnet40", 2, 8, 3)
    assert [one["name"] for one in result["skipped"]] == [str(root / "bench" / "bench_0005.txt")]
    assert result["shots"]["all"]["seeds"] == 1 and len(result["shots"]["2"]["accuracies"]) == 3
    assert result["shots"]["all"]["accuracy"] == 1.0  # even random features tell a bar from a ball
    assert cli.main(words) == 0
    assert "modelnet40: 2 classes, 3 test objects" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (("--shots", "9"), "--shots 9: bench has only 4 training objects"),
        (("--shots", "a"), "--shots a: give numbers such as 1,16"),
        (("--shots", "-1"), "--shots -1: give numbers of at least 0"),
        (("--ways", "3"), "--ways 3: the training objects are of 2 classes"),
        (("--ways", "1"), "--ways 1: give at least 2 classes"),
        (("--seeds", "0"), "--seeds 0: give at least 1"),
        (("--strength", "0"), "--strength 0.0: give a number above 0"),
    ],
    ids=["shots", "words", "negative", "ways", "one way", "seeds", "strength"],
)
def test_what_is_wrong_is_named(root, tiny_model, capsys, given, reason):
    assert cli.main(["evaluate", "probe", "--root", str(root), "--model", str(tiny_model), *given]) == 2
    assert reason in capsys.readouterr().err
