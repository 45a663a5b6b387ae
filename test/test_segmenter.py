"""The whole pipeline on a tiny random model: every finite point has an answer, whatever arrives."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
import torch

from s4token_model import checkpoint, constants, segmenter
from s4token_model import config as configs
from s4token_model.pipeline import preprocess
from s4token_model.pipeline.superpoints import partition
from s4token_model.segmenter import Segmenter, checked_device

STAGES = {"superpoints", "sampling", "patches", "encoder", "propagation"}


def load(directory, **changes) -> Segmenter:
    """The tiny model; changes as keywords with __ for the dot."""
    changed = {key.replace("__", "."): value for key, value in changes.items()}
    return Segmenter.load(directory, configs.replace(checkpoint.read_config(directory), changed))


@pytest.fixture(scope="module")
def tiny(tiny_model) -> Segmenter:
    return load(tiny_model)


def room(count: int = 4000, seed: int = 0) -> np.ndarray:
    """Floor, two walls and a box in meters, float64, in no order."""
    rng = np.random.default_rng(seed)
    part = count // 4
    floor = np.c_[rng.uniform(0, 4, (part, 2)), np.zeros(part)]
    one = np.c_[rng.uniform(0, 4, part), np.zeros(part), rng.uniform(0, 2.5, part)]
    other = np.c_[np.zeros(part), rng.uniform(0, 4, part), rng.uniform(0, 2.5, part)]
    side = rng.uniform(0, 1, (count - 3 * part, 3))
    side[np.arange(len(side)), rng.integers(0, 3, len(side))] = 1
    points = np.concatenate([floor, one, other, side * [0.8, 1.2, 0.7] + [1.5, 1.5, 0]])
    return points[rng.permutation(count)] + 0.003 * rng.normal(size=(count, 3))


def check(result, xyz) -> None:
    """What holds for every cloud."""
    count, valid = len(xyz), np.isfinite(np.asarray(xyz)).all(axis=1)
    assert result.labels.shape == result.confidence.shape == result.superpoints.shape == (count,)
    assert result.labels.dtype == result.superpoints.dtype == np.uint32 and result.confidence.dtype == np.float32
    assert np.array_equal(result.encoding.valid, valid)
    words = len(result.vocabulary.names)
    assert ((result.labels < words) | (result.labels == constants.UNLABELED)).all()
    assert ((result.confidence >= 0) & (result.confidence <= 1)).all()
    assert (result.labels[~valid] == constants.UNLABELED).all() and not result.confidence[~valid].any()
    assert (result.superpoints[~valid] == constants.NO_SUPERPOINT).all()
    assert set(result.superpoints[valid]) == set(range(result.superpoint_count))
    assert set(result.stages_ms) == STAGES or not valid.any()
    if valid.any():
        assert (result.labels[valid] < words).all() or result.vocabulary.thresholds.max() > 0
        assert result.tokens >= 1 and not result.encoding.unlabeled_reason
    else:
        assert result.tokens == 0 and result.encoding.unlabeled_reason


def with_holes(xyz):
    xyz = xyz.copy()
    xyz[::7] = np.nan
    xyz[3::11, 1] = np.inf
    xyz[5::13, 2] = -np.inf
    return xyz


CLOUDS = {
    "room": room(),
    "float32": room().astype(np.float32),
    "holes": with_holes(room()),
    "none": np.zeros((0, 3), np.float32),
    "one": np.array([[1.0, 2.0, 3.0]]),
    "two": np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 4.0]]),
    "five": room(5),
    "all NaN": np.full((50, 3), np.nan),
    "one finite": np.r_[np.full((50, 3), np.inf), [[0.0, 0.0, 0.0]]],
    "few places": np.repeat(room(9), 50, axis=0),
    "on a line": np.linspace(0, 1, 300)[:, None] * [1.0, 2.0, 3.0],
    "integers": (room() * 1000).astype(np.int32),
    "map coordinates": room() + [5.0e5, 4.2e6, 300.0],
    "huge": room() * 1e30,
    "tiny": room() * 1e-30,
    "largest": np.array([[-1.7e308, 0, 0], [1.7e308, 0, 0], [0, 1.7e308, 1.0]]),
    "largest float32": np.array([[-3.4e38, 0, 0], [3.4e38, 0, 0], [0, 3.4e38, 1.0]], np.float32),
    "list": room(40).tolist(),
}


@pytest.mark.parametrize("name", CLOUDS)
def test_every_finite_point_gets_an_answer(tiny, name):
    check(tiny.segment(CLOUDS[name]), CLOUDS[name])


@pytest.mark.parametrize("levels", [1, 3, 10**6])
def test_the_canonical_order_is_lexicographic_and_stable(levels):
    points = np.random.default_rng(levels).integers(0, levels, (3000, 3)).astype(np.float64)
    points[::5] = points[7]
    np.testing.assert_array_equal(preprocess.lexicographic_order(points), np.lexsort(points.T[::-1]))


STRAYS = np.random.default_rng(5).uniform(-20, 20, (40, 3))
STRAYS = STRAYS[np.abs(STRAYS).max(axis=1) > 6]
DIRTY = {
    "one far point": np.array([[1e7, 0, 0]]),
    "strays": STRAYS,
    "missing returns": np.zeros((1500, 3)),
    "missing returns elsewhere": np.full((300, 3), 0.25),
    "NaN": np.full((7, 3), np.nan),
}


@pytest.mark.parametrize("name", DIRTY)
def test_dirt_is_set_aside_and_changes_no_label(tiny, name):
    clean, dirty = tiny.segment(room()), tiny.segment(np.concatenate([room(), DIRTY[name]]))
    count = len(DIRTY[name])
    assert sum(dirty.encoding.set_aside.values()) == count and not clean.encoding.set_aside
    np.testing.assert_array_equal(dirty.labels[:-count], clean.labels)
    np.testing.assert_array_equal(dirty.superpoints[:-count], clean.superpoints)
    assert (dirty.labels[-count:] == constants.UNLABELED).all() and not dirty.confidence[-count:].any()
    assert not dirty.encoding.valid[-count:].any() and dirty.encoding.valid[:-count].all()


@pytest.mark.parametrize("copies", [2, 3, 6])
def test_copies_of_a_point_count_once_and_share_its_label(tiny, copies):
    once = tiny.segment(room())
    often = tiny.segment(np.concatenate([room()] * copies))
    np.testing.assert_array_equal(often.labels, np.tile(once.labels, copies))
    np.testing.assert_array_equal(often.superpoints, np.tile(once.superpoints, copies))
    np.testing.assert_array_equal(often.confidence, np.tile(once.confidence, copies))


def test_a_cloud_of_missing_returns_is_unlabeled_and_says_so(tiny):
    for xyz in (np.zeros((500, 3)), np.full((500, 3), 7.7), np.repeat([[0.0, 0, 0], [0.2, 0, 1.1]], 400, axis=0)):
        result = tiny.segment(xyz)
        assert (result.labels == constants.UNLABELED).all() and "missing returns" in result.encoding.unlabeled_reason


@pytest.mark.parametrize("shift", [[1000, 0, 0], [0, -3e4, 0], [500, 500, 500]])
def test_two_scans_far_apart_in_one_cloud_are_labeled_as_well_as_side_by_side(tiny, shift):
    near, far = (tiny.segment(np.concatenate([room(), room(seed=1) + np.array(s)])) for s in ([30, 0, 0], shift))
    assert far.superpoint_count >= 0.8 * near.superpoint_count and not far.encoding.set_aside
    assert far.encoding.geometry.patches.radius * far.encoding.geometry.working.extent < 1.3


@pytest.mark.parametrize("xyz", [np.zeros(3), np.zeros((5, 2)), np.zeros((5, 4)), np.zeros((2, 3, 3)), 5.0])
def test_wrong_shapes_are_refused(tiny, xyz):
    with pytest.raises(ValueError, match=r"must be \(points, 3\)"):
        tiny.segment(xyz)


@pytest.mark.parametrize(
    ("xyz", "fix"),
    [
        (np.zeros((3, 2000)), r"shape \(3, 2000\), which looks transposed.*pass xyz\.T"),
        (np.zeros((3, 2)), r"looks transposed.*pass xyz\.T"),
        (np.zeros((4, 2000)), r"looks transposed.*pass xyz\[:3\]\.T"),
        (np.zeros((6, 2000)), r"looks transposed.*pass xyz\[:3\]\.T"),
        (np.zeros((2000, 6)), r"pass xyz\[:, :3\]"),
        (np.zeros((48, 64, 3)), r"pass xyz\.reshape\(-1, 3\)"),
        (np.zeros((20, 3), complex), "type complex128; give real numbers"),
        (np.zeros((20, 3), object), "type object; give real numbers"),
        (np.zeros(20, [("x", "f4"), ("y", "f4"), ("z", "f4")]), "give real numbers"),
    ],
)
def test_arrays_of_another_layout_are_refused_with_the_fix(tiny, xyz, fix):
    for run in (tiny.segment, partition):
        with pytest.raises(ValueError, match=fix):
            run(xyz)


def test_three_points_and_integers_are_clouds(tiny):
    assert len(tiny.segment(np.eye(3)).labels) == 3
    assert len(tiny.segment(np.arange(60).reshape(20, 3)).labels) == len(partition(np.arange(60).reshape(20, 3))) == 20


def test_color_of_another_length_is_refused_and_of_nan_survives(tiny):
    with pytest.raises(ValueError, match="rgb has shape"):
        tiny.segment(room(100), np.zeros((99, 3)))
    check(tiny.segment(room(100), np.full((100, 3), np.nan, np.float32)), room(100))


def test_the_order_of_the_points_does_not_matter(tiny):
    xyz = with_holes(room())
    order = np.random.default_rng(5).permutation(len(xyz))
    once, shuffled = tiny.segment(xyz), tiny.segment(xyz[order])
    valid = once.encoding.valid[order]
    assert (once.labels[order] == shuffled.labels)[valid].mean() >= 0.999
    assert np.array_equal(once.superpoints[order], shuffled.superpoints)


@pytest.mark.parametrize("solver", ["merge", "cut_pursuit"])
@pytest.mark.parametrize(("scale", "shift"), [(1.0, (10.0, -3.0, 2.0)), (7.3, (0, 0, 0)), (1e-3, (0.1, 5.0, -7.0))])
def test_scale_and_translation_change_no_label(tiny_model, solver, scale, shift):
    # In float64: float32 would round the coordinates themselves anew, and a rounded cloud is another cloud.
    if solver == "cut_pursuit":
        pytest.importorskip("cut_pursuit_py")
    model = load(tiny_model, superpoints__anchors="fps", superpoints__anchor_count=1500, superpoints__solver=solver)
    once, moved = model.segment(room()), model.segment(scale * room() + shift)
    assert np.array_equal(once.superpoints, moved.superpoints)
    assert np.array_equal(once.labels, moved.labels)
    np.testing.assert_allclose(once.confidence, moved.confidence, atol=1e-4)


def test_the_same_cloud_gives_the_same_answer_in_every_segmenter_and_on_any_number_of_threads(tiny, tiny_model):
    once = tiny.segment(room())
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        again = load(tiny_model).segment(room())
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(once.superpoints, again.superpoints)
    assert (once.labels == again.labels).mean() >= 0.999
    np.testing.assert_allclose(once.confidence, again.confidence, atol=1e-5)
    same = tiny.segment(room())
    assert np.array_equal(once.labels, same.labels) and np.array_equal(once.confidence, same.confidence)


def test_another_config_needs_no_other_weights(tiny, tiny_model):
    read = load(tiny_model, superpoints__regularization=0.02)
    shared, expected = tiny.with_config(read.config).segment(room()), read.segment(room())
    assert shared.superpoints.max() != tiny.segment(room()).superpoints.max(), "the value has an effect"
    assert np.array_equal(shared.superpoints, expected.superpoints)
    assert np.array_equal(shared.labels, expected.labels)


def test_new_words_need_no_network(tiny, monkeypatch):
    encoding = tiny.encode(room())
    words = tiny.make_vocabulary(["chair", "стол", "a lamp"])

    def forbidden(*_):
        raise AssertionError("the network ran")

    monkeypatch.setattr(tiny.clip, "encode_tokens", forbidden)
    monkeypatch.setattr(tiny.tokenizer, "forward", forbidden)
    result = tiny.label(encoding, words)
    check(result, room())
    assert result.vocabulary is words and tiny.vocabulary is not words
    assert np.array_equal(tiny.label(encoding, words).labels, result.labels)


def test_labels_are_the_words_of_largest_cosine(tiny):
    encoding = tiny.encode(with_holes(room()))
    names = ["chair", "table", "floor"]
    words = tiny.make_vocabulary(names)
    cosines, result = tiny.similarity(encoding, names), tiny.label(encoding, words)
    valid = encoding.valid
    assert cosines.shape == (4000, 3) and cosines.dtype == np.float32
    assert np.isnan(cosines[~valid]).all() and (np.abs(cosines[valid]) <= 1 + 1e-5).all()
    assert np.array_equal(result.labels[valid], cosines[valid].argmax(axis=1))
    scores = np.exp(cosines[valid] / tiny.config.vocabulary.temperature)
    expected = scores.max(axis=1) / scores.sum(axis=1)
    np.testing.assert_allclose(result.confidence[valid], expected, rtol=1e-3)


@pytest.mark.parametrize(("vote", "passes"), [(False, 1), (True, 1), (False, 2)])
def test_a_bias_is_added_to_the_cosines_that_are_compared(tiny_model, vote, passes):
    model = load(tiny_model, vocabulary__vote=vote, sampling__passes=passes)
    encoding, words = model.encode(room()), model.make_vocabulary(["chair", "table", "floor"])
    cosines = model.similarity(encoding, words)
    plain = model.label(encoding, words)
    bias = -np.median(cosines, axis=0)
    biased = model.label(encoding, dataclasses.replace(words, bias=bias))
    if vote:
        size = np.bincount(biased.superpoints)
        cosines = np.stack([np.bincount(biased.superpoints, c) / size for c in cosines.T], axis=1)[biased.superpoints]
    scores = cosines + bias
    sorted_scores = np.sort(scores, axis=1)
    clear = sorted_scores[:, -1] - sorted_scores[:, -2] > 1e-5
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(biased.labels[clear], scores.argmax(axis=1)[clear])
    assert (biased.labels != plain.labels).mean() > 0.1
    softmax = np.exp(scores / model.config.vocabulary.temperature)
    np.testing.assert_allclose(biased.confidence, softmax.max(axis=1) / softmax.sum(axis=1), rtol=2e-3)


def test_superpoints_vote(tiny_model):
    names, xyz = ["chair", "table", "floor"], room(seed=4)
    xyz[7] = np.nan
    voting = load(tiny_model, vocabulary__vote=True)
    encoding = voting.encode(xyz)
    cosines, result = voting.similarity(encoding, names), voting.label(encoding, voting.make_vocabulary(names))
    check(result, xyz)
    for number in range(result.superpoint_count):
        own = result.superpoints == number
        mean = cosines[own].astype(np.float64).mean(axis=0)
        assert mean[result.labels[own][0]] >= mean.max() - 1e-6
        assert len(set(result.labels[own])) == len(set(result.confidence[own])) == 1
    check(voting.label(encoding, voting.make_vocabulary(["chair"])), xyz)
    check(voting.segment(np.full((3, 3), np.nan)), np.full((3, 3), np.nan))


@pytest.mark.parametrize("tokens, windows", [(64, 1), (24, 4)])
def test_the_features_of_superpoints_give_the_cosines_of_their_votes(tiny_model, tokens, windows):
    segmenter = load(tiny_model, sampling__tokens=tokens, windows__maximum=windows)
    xyz = room(8000)
    xyz[:3], xyz[3:9] = np.nan, xyz[9]
    encoded, text = segmenter.encode(xyz), segmenter.vocabulary.text
    assert (len(encoded.geometry.windows) > 1) == (windows > 1)
    cosines = segmenter.similarity(encoded, segmenter.vocabulary.names)
    working = encoded.geometry.working
    one_per_position = np.zeros(len(working.xyz), np.int64)
    one_per_position[working.position] = working.labeled_index
    ids = encoded.superpoints[one_per_position]
    expected = np.stack([cosines[one_per_position[ids == s]].mean(axis=0) for s in range(encoded.superpoint_count)])
    np.testing.assert_allclose(encoded.superpoint_features() @ text.T, expected, atol=2e-5)


def test_a_vocabulary_of_one_word_is_a_detector(tiny):
    encoding = tiny.encode(room())
    result = tiny.label(encoding, tiny.make_vocabulary(["chair"], thresholds=0.0))
    cosine = tiny.similarity(encoding, ["chair"])[:, 0]
    np.testing.assert_allclose(result.confidence, np.clip(cosine, 0, 1), atol=1e-5)
    assert not result.labels.any()


def test_thresholds_leave_points_unlabeled(tiny):
    encoding = tiny.encode(room())
    names = ["chair", "table", "floor", "wall"]
    free = tiny.label(encoding, tiny.make_vocabulary(names))
    middle = float(np.median(free.confidence))
    strict = tiny.label(encoding, tiny.make_vocabulary(names, thresholds=middle))
    expected = np.where(free.confidence >= np.float32(middle), free.labels, constants.UNLABELED)
    assert np.array_equal(strict.labels, expected) and 0 < (strict.labels == constants.UNLABELED).mean() < 1
    assert (tiny.label(encoding, tiny.make_vocabulary(names, thresholds=1.0)).labels == constants.UNLABELED).any()
    one = [1.0 if k == free.labels[0] else 0.0 for k in range(4)]
    picky = tiny.label(encoding, tiny.make_vocabulary(names, thresholds=one))
    assert set(picky.labels[free.labels != free.labels[0]]) <= set(range(4))


def test_a_thousand_words(tiny):
    result = tiny.label(tiny.encode(room(1000)), tiny.make_vocabulary([f"word {k}" for k in range(1000)], ["{}"]))
    check(result, room(1000))


@pytest.mark.parametrize("names", [[], ["chair", "chair"], [""]])
def test_bad_words_leave_the_segmenter_as_it_was(tiny, names):
    before = tiny.vocabulary
    with pytest.raises(ValueError):
        tiny.make_vocabulary(names)
    assert tiny.vocabulary is before


def test_clouds_above_the_limit_are_thinned_and_wholly_labeled(tiny_model):
    model = load(tiny_model, input__max_points=1000)
    xyz = with_holes(room(8000))
    result = model.segment(xyz)
    check(result, xyz)
    assert 600 < len(result.encoding.geometry.working.kept) < 1500


def test_a_million_points(tiny_model):
    model = load(tiny_model, input__max_points=20000)
    xyz = room(1_000_000).astype(np.float32)
    started = time.process_time()
    result = model.segment(xyz)
    assert time.process_time() - started < 40
    check(result, xyz)


def test_the_words_of_the_config(tiny_model):
    model = load(tiny_model, vocabulary__names=("bed", "lamp"), vocabulary__threshold=0.25)
    assert model.vocabulary.names == ("bed", "lamp") and model.vocabulary.thresholds.tolist() == [0.25, 0.25]
    assert len(load(tiny_model).vocabulary.names) == 20


@pytest.mark.parametrize("grouping", ["knn", "ball", "spt", "knn+spt", "ball+spt"])
def test_all_groupings_run(tiny_model, grouping):
    check(load(tiny_model, patches__grouping=grouping).segment(room(1000)), room(1000))


def test_the_encoding_keeps_its_promises(tiny):
    encoding = tiny.encode(room())
    np.testing.assert_allclose(np.linalg.norm(encoding.tokens, axis=1), 1, atol=1e-5)
    assert encoding.cls.shape == (32,) and np.linalg.norm(encoding.cls) == pytest.approx(1, abs=1e-5)
    geometry = encoding.geometry
    own = geometry.working.xyz[geometry.working.kept][geometry.patches.index]
    inside = geometry.patches.index >= 0
    offsets = (own - geometry.patches.centers[:, None]) / geometry.patches.radius
    np.testing.assert_allclose(offsets[inside], geometry.patches.offsets[inside], atol=1e-5)
    assert dataclasses.is_dataclass(encoding) and segmenter.build_patches(room(), None, tiny.config).patches.radius > 0


def test_devices():
    assert checked_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="device 'gpu9' is unknown"):
        checked_device("gpu9")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="not available on this machine; use cpu"):
            checked_device("cuda")


def test_a_thinned_cloud_keeps_its_superpoints(tiny_model):
    xyz = room(40000)
    whole, thin = load(tiny_model), load(tiny_model, input__max_points=8000)
    result = thin.segment(xyz)
    assert len(result.encoding.geometry.working.kept) < 12000
    assert 0.5 < result.superpoint_count / whole.segment(xyz).superpoint_count < 2


def test_the_text_tower_runs_for_new_words_only(tiny_model, monkeypatch):
    model, asked = load(tiny_model), []
    encode = model.clip.encode_text
    monkeypatch.setattr(model.clip, "encode_text", lambda texts: asked.extend(texts) or encode(texts))
    first = model.make_vocabulary(["kayak", "lynx"], ["a {}", "the {}"])
    second = model.make_vocabulary(["lynx", "tuba"], ["a {}", "the {}"], [0.1, 0.2])
    assert asked == ["a kayak", "the kayak", "a lynx", "the lynx", "a tuba", "the tuba"]
    np.testing.assert_array_equal(second.text[0], first.text[1])
    np.testing.assert_allclose(
        second.text, load(tiny_model).make_vocabulary(["lynx", "tuba"], ["a {}", "the {}"]).text, atol=1e-6
    )


def test_passes_are_averaged_and_keep_the_superpoints_of_the_first(tiny):
    """Labels of two passes are those of the mean of both passes' superpoint means, computed one by one."""
    changed = configs.replace(tiny.config, {"sampling.passes": 2, "vocabulary.vote": True})
    twice = Segmenter(tiny.tokenizer, tiny.clip, changed)
    once = Segmenter(tiny.tokenizer, tiny.clip, configs.replace(changed, {"sampling.passes": 1}))
    encoding, alone = twice.encode(room()), once.encode(room())
    np.testing.assert_array_equal(encoding.superpoints, alone.superpoints)
    np.testing.assert_array_equal(encoding.tokens, alone.tokens)
    (repeat,) = encoding.repeats
    assert not np.array_equal(repeat.superpoints, encoding.superpoints)
    text = twice.vocabulary.text
    expected = np.zeros((len(room()), len(text)))
    for one in (encoding, repeat):
        cosines = once.similarity(dataclasses.replace(one, repeats=()), twice.vocabulary.names)
        for number in range(one.superpoint_count):
            mine = one.superpoints == number
            expected[mine] += cosines[mine].mean(axis=0) / 2
    sure = np.sort(expected)[:, -1] - np.sort(expected)[:, -2] > 1e-4
    np.testing.assert_array_equal(twice.label(encoding).labels[sure], expected.argmax(axis=1)[sure])
    both = twice.similarity(encoding, twice.vocabulary.names)
    halves = [once.similarity(dataclasses.replace(e, repeats=()), twice.vocabulary.names) for e in (encoding, repeat)]
    np.testing.assert_allclose(both, (halves[0] + halves[1]) / 2, atol=1e-5)
