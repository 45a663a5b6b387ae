"""A session: labels, counts, heat maps and files are those of the library for what the user has set."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from box_room import room

from s4token_model import vocabulary
from s4token_model.explore.cloud_session import CloudSession
from s4token_model.explore.state import HEAT, SCAN, SUPERPOINTS, Choice
from s4token_model.io.files import Cloud, read_cloud
from s4token_model.palette import heat, index_colors, label_colors
from s4token_model.segmenter import Segmenter

WORDS = ("floor", "wall", "chair")


@pytest.fixture(scope="module")
def segmenter(tiny_model):
    return Segmenter.load(tiny_model)


@pytest.fixture(scope="module")
def cloud():
    xyz = room(0.1)[0].astype(np.float32)
    xyz[::50] = np.nan
    colors = {"red": np.arange(len(xyz)) % 256, "green": np.full(len(xyz), 9), "blue": np.full(len(xyz), 200)}
    fields = {name: xyz[:, i] for i, name in enumerate("xyz")}
    return Cloud.from_fields(fields | {name: column.astype(np.uint8) for name, column in colors.items()})


@pytest.fixture(scope="module")
def session(segmenter, cloud):
    return CloudSession(segmenter, [cloud], "room.ply", 10**6)


def choice(**changes):
    return Choice(**{"words": ", ".join(WORDS), **changes})


def expected(segmenter, cloud, vote=False, threshold=0.0):
    config = segmenter.config
    settings = dataclasses.replace(config.vocabulary, vote=vote)
    voting = segmenter.with_config(dataclasses.replace(config, vocabulary=settings))
    return voting.label(segmenter.encode(cloud.xyz), voting.make_vocabulary(WORDS, thresholds=threshold))


@pytest.mark.parametrize("vote", [False, True])
def test_the_colors_are_those_of_the_labels(session, segmenter, cloud, vote):
    found, view = expected(segmenter, cloud, vote), session.view(choice(vote=vote))
    positions = np.unique(cloud.xyz[found.encoding.valid], axis=0)
    assert len(view.drawn.points) == len(positions) and view.drawn.total == len(cloud.xyz)
    np.testing.assert_array_equal(view.colors, label_colors(found.labels, found.vocabulary.colors)[view.drawn.index])


def test_the_legend_counts_all_points_most_frequent_class_first(session, segmenter, cloud):
    threshold = float(np.median(expected(segmenter, cloud).confidence))
    labels, rows = expected(segmenter, cloud, False, threshold).labels, session.view(choice(threshold=threshold)).rows
    counts = {name: int((labels == k).sum()) for k, name in enumerate(WORDS)}
    assert {row.name: row.points for row in rows[:-1]} == counts and rows[-1][0] == "unlabeled"
    assert sum(row.points for row in rows) == len(cloud.xyz) and rows[-1].points > len(cloud.xyz) // 3
    assert [row.points for row in rows[:-1]] == sorted(counts.values(), reverse=True)


def test_few_points_are_drawn_of_a_large_cloud_and_all_are_counted(session, segmenter, cloud):
    few = CloudSession(segmenter, [cloud], "room.ply", 500)
    view, preview, full = few.view(choice()), few.preview(choice()), session.view(choice())
    assert 200 < len(view.drawn.points) < 1000 and view.rows == full.rows
    color_of = dict(zip(full.drawn.index.tolist(), full.colors.tolist(), strict=True))
    assert [color_of[k] for k in view.drawn.index.tolist()] == view.colors.tolist() == preview.colors.tolist()
    assert {row.points for row in preview.rows} == {None} and session.preview(choice()) is None


def test_a_heat_map_is_the_similarity_to_a_text(session, segmenter, cloud):
    view = session.view(choice(coloring=HEAT, text="a place to sit"))
    values = segmenter.similarity(segmenter.encode(cloud.xyz), ["a place to sit"])[view.drawn.index, 0]
    low, high = np.percentile(values, [1, 99])
    np.testing.assert_array_equal(view.colors, heat((values - low) / (high - low)))
    assert view.bar.text == "a place to sit" and np.allclose([view.bar.low, view.bar.high], [low, high])
    with pytest.raises(ValueError, match="type a text for the heat map"):
        session.view(choice(coloring=HEAT, text=" "))


def test_superpoints_and_the_scan_itself_are_shown(session, segmenter, cloud):
    view, ids = session.view(choice(coloring=SUPERPOINTS)), segmenter.encode(cloud.xyz).superpoints
    np.testing.assert_array_equal(view.colors, index_colors(ids[view.drawn.index]))
    assert view.caption.startswith(f"{len(np.unique(ids[view.drawn.index]))} superpoints") and view.rows == ()
    scan = session.view(choice(coloring=SCAN))
    np.testing.assert_array_equal(scan.colors[:, 0], view.drawn.index % 256)
    assert scan.caption == "the colors of the scan"


def test_a_clicked_point_tells_its_superpoint_and_the_cosines_of_its_words(session, segmenter, cloud):
    found, row = expected(segmenter, cloud), 777
    drawn = session.view(choice()).drawn
    point, told = drawn.index[row], session.inspect(choice(), row)
    members = found.superpoints == found.superpoints[point]
    assert told.superpoint == found.superpoints[point] and told.points == members.sum()
    assert told.label == WORDS[found.labels[point]] and told.confidence == found.confidence[point]
    np.testing.assert_array_equal(np.sort(told.members), np.flatnonzero(members[drawn.index]))
    cosines = segmenter.similarity(found.encoding, found.vocabulary)[members].mean(axis=0)
    assert [m.name for m in told.words] == [WORDS[k] for k in np.argsort(-cosines)]
    np.testing.assert_allclose([m.cosine for m in told.words], np.sort(cosines)[::-1], atol=1e-4)
    assert told.note == ""


def test_a_label_that_is_not_the_first_word_is_explained(session, monkeypatch):
    made = session._segmenter.make_vocabulary(WORDS)
    bias = np.where(np.arange(len(WORDS)) == len(WORDS) - 1, np.float32(3), 0).astype(np.float32)
    monkeypatch.setattr(session, "_words", lambda names: dataclasses.replace(made, bias=bias))
    told = session.inspect(choice(threshold=0.0, vote=True), 777)
    assert told.label == WORDS[-1] != told.words[0].name and "preferred to the first word" in told.note


@pytest.mark.parametrize("suffix", [".ply", ".npy"])
def test_saved_clouds_hold_what_is_shown(session, segmenter, cloud, suffix, tmp_path):
    path = tmp_path / f"saved{suffix}"
    path.write_bytes(session.labels_file(choice(), suffix))
    saved, found = read_cloud(path), expected(segmenter, cloud)
    np.testing.assert_array_equal(saved.fields["label"], found.labels)
    np.testing.assert_array_equal(saved.fields["superpoint"].astype(np.uint32), found.superpoints)
    np.testing.assert_array_equal(saved.fields["input_red"], cloud.fields["red"])


def test_saved_words_are_a_labels_file(session, tmp_path):
    path = tmp_path / "words.txt"
    path.write_text(session.words_file(choice(threshold=0.25, vote=True)), encoding="utf-8")
    assert vocabulary.read_names(path) == WORDS
    assert "--labels words.txt --set vocabulary.threshold=0.25 --set vocabulary.vote=true" in path.read_text()


@pytest.mark.parametrize(
    "words, reason",
    [("", "empty word"), ("chair, , table", "empty word"), ("chair, Chairs", "repeated"), ("x" * 1001, "at most 1000")],
)
def test_wrong_words_are_refused_in_one_line_and_the_next_ones_work(session, words, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        session.view(choice(words=words))
    assert "\n" not in str(caught.value)
    assert session.view(choice()).rows


def test_the_first_choice_is_that_of_the_model(session, segmenter):
    first = session.about.first
    assert session.view(first).rows and first.words == ", ".join(segmenter.vocabulary.names)
    assert (first.threshold, first.vote) == (segmenter.config.vocabulary.threshold, segmenter.config.vocabulary.vote)


def test_the_clouds_of_a_bag_are_shown_one_by_one(segmenter, cloud):
    half = Cloud.from_fields({name: column[::2] for name, column in cloud.fields.items()})
    several = CloudSession(segmenter, [cloud, half], "bag", 10**6)
    assert several.about.clouds == 2
    assert [several.view(choice(cloud=k)).drawn.total for k in (1, 0)] == [len(half.xyz), len(cloud.xyz)]


def test_a_cloud_without_points_is_shown_as_nothing(segmenter):
    xyz = np.full((4, 3), np.nan, np.float32)
    cloud = Cloud.from_fields({name: xyz[:, i] for i, name in enumerate("xyz")})
    empty = CloudSession(segmenter, [cloud], "nan.ply", 100)
    view = empty.view(choice())
    assert len(view.drawn.points) == len(view.colors) == 0 and view.rows[-1].points == 4
