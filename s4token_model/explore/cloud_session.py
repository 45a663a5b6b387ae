"""A session over clouds in memory: encodes each once, and labels it again for whatever the user sets."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from s4token_model import word_checks, word_lists
from s4token_model.encoded_cloud import EncodedCloud, Segmentation
from s4token_model.explore import coloring, drawing, saving
from s4token_model.explore.state import HEAT, LABELS, SCAN, SUPERPOINTS, About, Bar, Choice, Inspection, Row, View
from s4token_model.io import label_files
from s4token_model.io.files import Cloud
from s4token_model.palette import label_colors
from s4token_model.segmenter import Segmenter
from s4token_model.vocabulary import Vocabulary

ENCODED = 4  # clouds of a bag that are kept


class Frame:
    """One encoded cloud, and the part of it that is drawn."""

    def __init__(self, cloud: Cloud, encoding: EncodedCloud, limit: int) -> None:
        working = encoding.geometry.working
        rows = drawing.thin(working.xyz, limit)
        points = working.xyz[rows].astype(np.float64) * working.extent
        self.cloud, self.encoding = cloud, encoding
        self.drawn = drawing.draw(points, working.original_index[rows], len(cloud.xyz))
        self.drawn_part = encoding.part(rows) if len(rows) < len(working.xyz) else None
        self._features: np.ndarray | None = None

    @property
    def superpoint_features(self) -> np.ndarray:
        """(S, E) float32, computed when first asked for."""
        if self._features is None:
            self._features = self.encoding.superpoint_features()
        return self._features


class CloudSession:
    """Answers of the model about a few clouds; one thread asks."""

    def __init__(self, segmenter: Segmenter, clouds: Sequence[Cloud], source: str, limit: int) -> None:
        """Encode the first cloud and label it, so that no browser waits for that; `limit` bounds the drawn points."""
        self.wake = threading.Event()  # set when there is something new to look at
        self._segmenter, self._clouds, self._limit = segmenter, clouds, limit
        settings = segmenter.config.vocabulary
        first = Choice(", ".join(segmenter.vocabulary.names), settings.threshold, settings.vote)
        self.about = About(source, first, len(clouds), True)
        self._frame = lru_cache(ENCODED)(self._encode)
        self._words = lru_cache(2)(self._encode_words)
        self._found = lru_cache(2)(self._label)
        self._cosines = lru_cache(2)(self._similarity)
        self._voting = lru_cache(2)(self._with_vote)
        self.view(first)

    def preview(self, choice: Choice) -> View | None:
        """Label the drawn points alone, if they are few of the cloud; None if `view` takes no longer."""
        part = self._frame(choice.cloud).drawn_part
        if choice.coloring != LABELS or part is None:
            return None
        words = self._vocabulary(choice)
        labels = self._voting(choice.vote).label(part, words).labels
        return View(self._frame(choice.cloud).drawn, label_colors(labels, words.colors), _rows(words, None))

    def view(self, choice: Choice) -> View:
        """Color the drawn points and count all; ValueError says what is wrong with the words or the text."""
        frame = self._frame(choice.cloud)
        found = self._segmentation(choice)
        notes = (*found.vocabulary.warnings, *frame.encoding.warnings, *frame.cloud.notes)
        if choice.coloring == HEAT:
            colors, bar = self._heat(choice)
            return View(frame.drawn, colors, bar=bar, notes=notes)
        if choice.coloring == SUPERPOINTS:
            return coloring.superpoint_view(frame.drawn, found.superpoints, notes)
        if choice.coloring == SCAN:
            return coloring.scan_view(frame.drawn, frame.cloud.rgb, notes)
        colors = label_colors(found.labels[frame.drawn.index], found.vocabulary.colors)
        return View(frame.drawn, colors, _rows(found.vocabulary, found.labels), notes=notes)

    def inspect(self, choice: Choice, row: int) -> Inspection:
        """Say what is known about a drawn point, by its row."""
        frame, found = self._frame(choice.cloud), self._segmentation(choice)
        point, ids = frame.drawn.index[row], found.superpoints
        superpoint, label = int(ids[point]), int(found.labels[point])
        feature = frame.superpoint_features[superpoint]
        words, known = found.vocabulary, self._segmenter.clip.known_words
        cosines = words.text @ feature
        other = (cosines + words.bias).argmax() != cosines.argmax()
        return Inspection(
            coloring.label_name(words.names, label),
            float(found.confidence[point]),
            superpoint,
            np.flatnonzero(ids[frame.drawn.index] == superpoint),
            int((ids == superpoint).sum()),
            coloring.best_matches(words.names, cosines),
            coloring.best_matches(known.words, known.features @ feature) if known else (),
            "Words that were frequent in training are preferred to the first word (vocabulary.prior)" if other else "",
        )

    def labels_file(self, choice: Choice, suffix: str) -> bytes:
        """Return a file of the cloud with its labels, as `s4token label` writes it."""
        columns = label_files.label_columns(self._segmentation(choice))
        return saving.cloud_file(self._frame(choice.cloud).cloud, columns, suffix)

    def words_file(self, choice: Choice) -> str:
        """Return the words as a labels file, with the command that uses it."""
        return saving.words_file(self._vocabulary(choice).names, choice)

    def _segmentation(self, choice: Choice) -> Segmentation:
        return self._found(dataclasses.replace(choice, coloring=LABELS, text=""))

    def _label(self, choice: Choice) -> Segmentation:
        words = self._vocabulary(choice)
        return self._voting(choice.vote).label(self._frame(choice.cloud).encoding, words)

    def _vocabulary(self, choice: Choice) -> Vocabulary:
        words = self._words(word_lists.split_list(choice.words))
        return dataclasses.replace(words, thresholds=np.full(len(words.names), choice.threshold, np.float32))

    def _encode_words(self, names: tuple[str, ...]) -> Vocabulary:
        return self._segmenter.make_vocabulary(names)

    def _with_vote(self, vote: bool) -> Segmenter:
        config = self._segmenter.config
        if vote == config.vocabulary.vote:
            return self._segmenter
        voting = dataclasses.replace(config.vocabulary, vote=vote)
        return self._segmenter.with_config(dataclasses.replace(config, vocabulary=voting))

    def _encode(self, number: int) -> Frame:
        cloud = self._clouds[number]
        return Frame(cloud, self._segmenter.encode(cloud.xyz, cloud.rgb, cloud.frame_id), self._limit)

    def _similarity(self, text: str, number: int) -> np.ndarray:
        frame = self._frame(number)
        encoding = frame.drawn_part or frame.encoding
        values = self._segmenter.similarity(encoding, [text])[:, 0]
        return values if frame.drawn_part else values[frame.drawn.index]

    def _heat(self, choice: Choice) -> tuple[np.ndarray, Bar]:
        coloring.check_heat_text(choice.text)
        return coloring.heat_colors(self._cosines(choice.text, choice.cloud), choice.text)


def _rows(words: Vocabulary, labels: np.ndarray | None) -> tuple[Row, ...]:
    notes = word_checks.meanings(words.unknown, words.taken_for)
    return coloring.class_rows(words.names, words.colors, labels, notes)
