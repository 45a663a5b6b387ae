"""The pipeline of the paper's Fig. 1: a point cloud in, an open-vocabulary label for every point out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from s4token_model import checkpoint, constants, vocabulary
from s4token_model.config import Config, replace
from s4token_model.encoded_cloud import EncodedCloud, Segmentation, encoded_cloud
from s4token_model.pipeline import labeling, propagation
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.patched_cloud import PatchedCloud, build_patches, cut_again  # noqa: F401 - for training
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.pipeline.upright import build_upright
from s4token_model.stage_timer import StageTimer
from s4token_model.vocabulary import Vocabulary
from s4token_model.windowed_encoder import WindowedEncoder

TEXT_BATCH = 64  # texts between two looks at whether they are still wanted


class Segmenter:
    """Labels point clouds with the class names of a vocabulary.

    >>> segmenter = Segmenter.load()
    >>> result = segmenter.segment(xyz)  # labels in result.labels, class names in result.vocabulary.names
    """

    def __init__(self, tokenizer: Tokenizer, clip: FrozenClip, config: Config):
        """Compute on the device of `clip`, where the tokenizer is moved."""
        self.config, self.clip, self.device = config, clip, clip.device
        self.tokenizer = tokenizer.eval().to(self.device)
        self.encoder = WindowedEncoder(self.tokenizer, clip, config)
        self._text_cache: dict[str, np.ndarray] = {}
        self.vocabulary = self.make_vocabulary(
            config.vocabulary.names or vocabulary.read_names(config.vocabulary.labels)
        )

    @classmethod
    def load(cls, model: str | Path = checkpoint.MINI, config: Config | None = None, device: str = "cpu") -> Segmenter:
        """Load a checkpoint by directory or built-in name; `config` replaces the saved one, see `read_config`."""
        return cls(*checkpoint.load(model, config, checked_device(device)))

    def with_config(self, config: Config) -> Segmenter:
        """Return a segmenter of the same weights; tokenizer.* and clip.* of `config` must be those it has."""
        return Segmenter(self.tokenizer, self.clip, config)

    def segment(self, xyz: np.ndarray, rgb: np.ndarray | None = None, frame: str = "") -> Segmentation:
        """Label every point of a cloud that is on a surface with the current vocabulary.

        xyz (H, 3) in any unit; rgb (H, 3) in [0, 1], ignored unless the model reads color. What is up follows from the
        config's input.up; with auto from the name of the frame, e.g. camera_optical_frame, else from the floor.
        """
        return self.label(self.encode(xyz, rgb, frame))

    def encode(
        self, xyz: np.ndarray, rgb: np.ndarray | None = None, frame: str = "", superpoints: np.ndarray | None = None
    ) -> EncodedCloud:
        """Compute the token features of a cloud: partition, sampling, grouping, tokenizer and frozen CLIP.

        `superpoints` (H,) are those of the data set, which are used if the config's superpoints.source is provided.
        """
        return self.encode_patches(self.build_patches(xyz, rgb, frame, superpoints=superpoints), len(xyz))

    def build_patches(
        self, xyz: np.ndarray, rgb: np.ndarray | None = None, frame: str = "", rotation: np.ndarray | None = None,
        changes: dict[str, Any] | None = None, superpoints: np.ndarray | None = None,
    ) -> PatchedCloud:  # fmt: skip
        """First half of `encode`, before the network; may run while another thread is in `encode_patches`.

        `rotation` (3, 3) takes the points to a frame whose z is up, if one is known; `changes` {dotted path: value} are
        made in the config for this cloud.
        """
        config = replace(self.config, changes or {})
        return build_upright(xyz, rgb, config, config.windows.maximum, frame, rotation, superpoints)

    def encode_patches(self, geometry: PatchedCloud, count: int) -> EncodedCloud:
        """Second half of `encode`: run the network on the patches of a cloud of `count` points."""
        # Patches to tokens to features in CLIP's joint space
        timer = StageTimer(geometry.stages_ms)
        geometry, tokens, cls = self.encoder.encode(geometry, timer)
        repeats = []
        for number in range(1, geometry.config.sampling.passes if len(tokens) else 1):
            again = cut_again(geometry, number, geometry.config, timer)
            repeats.append((again, *self.encoder.encode_all(again)))
            timer("encoder")
        others = tuple(encoded_cloud(*repeat, count, {}) for repeat in repeats)
        return dataclasses.replace(encoded_cloud(geometry, tokens, cls, count, timer.stages_ms), repeats=others)

    def label(self, encoding: EncodedCloud, words: Vocabulary | None = None) -> Segmentation:
        """Label an encoded cloud without running the network; `words` defaults to the current vocabulary.

        The class is that of the largest cosine plus bias, see `vocabulary.build`. The confidence is the softmax of
        these at vocabulary.temperature, or, with a single name, the cosine clipped to [0, 1]. Points below the
        threshold of their class stay unlabeled.
        """
        words = words or self.vocabulary
        timer = StageTimer(encoding.stages_ms)
        labels, confidence = (np.zeros(len(encoding.geometry.superpoints), kind) for kind in (np.uint32, np.float32))
        labels[:] = constants.UNLABELED
        for points, best, sure in self._decisions(encoding, words):
            labeling.write_labels(points, best, sure, words.thresholds, (labels, confidence))
        labels = encoding.scattered(labels, constants.UNLABELED)
        confidence = encoding.scattered(confidence, 0)
        timer("propagation")
        return Segmentation(labels, confidence, encoding.superpoints, words, encoding, timer.stages_ms)

    def similarity(self, encoding: EncodedCloud, texts: Sequence[str] | Vocabulary) -> np.ndarray:
        """Return (H, T) float32, the cosine of every point's feature with each text; NaN on invalid points.

        Texts that are a Vocabulary already skip the text tower, as do those of the last call. Labels are those of the
        largest cosine plus `Vocabulary.bias`.
        """
        rows = (texts if isinstance(texts, Vocabulary) else self.make_vocabulary(texts)).text
        out = np.full((len(encoding.geometry.superpoints), len(rows)), np.nan, np.float32)
        for points, cosines in self._cosines(encoding, rows):
            out[points] = cosines
        for number, repeat in enumerate(encoding.repeats, start=2):
            for points, cosines in self._cosines(repeat, rows):
                out[points] += (cosines - out[points]) / number
        return encoding.scattered(out, np.nan)

    def make_vocabulary(
        self, names: Sequence[str], templates: Sequence[str] | None = None,
        thresholds: Sequence[float] | float | None = None, check: Callable[[], None] = lambda: None,
    ) -> Vocabulary:  # fmt: skip
        """Encode class names with CLIP's text tower, see `vocabulary.build`; None takes the config's value.

        `check`, called every TEXT_BATCH texts, may raise to give up.
        """
        templates = templates or vocabulary.read_templates(self.config.vocabulary.templates)
        limits = self.config.vocabulary.threshold if thresholds is None or np.size(thresholds) == 0 else thresholds
        encode = partial(self._encode_text, check=check)
        prior = self.config.vocabulary.prior
        return vocabulary.build(names, templates, limits, encode, clip=self.clip, check=check, prior=prior)

    def _encode_text(self, texts: list[str], check: Callable[[], None]) -> np.ndarray:
        """Rows of CLIP's text tower, which runs only for texts that the previous vocabulary did not have."""
        rows = dict(self._text_cache)  # another thread may encode other texts meanwhile
        new = [text for text in texts if text not in rows]
        for start in range(0, len(new), TEXT_BATCH):
            check()
            batch = new[start : start + TEXT_BATCH]
            rows.update(zip(batch, self.clip.encode_text(batch), strict=True))
        self._text_cache = {text: rows[text] for text in texts}
        return np.stack([rows[text] for text in texts])

    def _decisions(self, encoding: EncodedCloud, words: Vocabulary) -> Iterator[tuple[np.ndarray, ...]]:
        """Blocks of positions (h,), the class of each and its confidence, until all had their turn."""
        temperature, ids = self.config.vocabulary.temperature, encoding.geometry.superpoints
        text, bias = words.text, words.bias
        if encoding.repeats:
            passes = (encoding, *encoding.repeats)
            mean = sum(self._position_scores(one, text) for one in passes) / np.float32(len(passes))
            yield np.arange(len(ids)), *labeling.argmax_and_confidence(mean + bias, temperature)
            return
        if self.config.vocabulary.vote and len(ids):
            means = labeling.superpoint_means(self._cosines(encoding, text), ids)
            best, sure = labeling.argmax_and_confidence(means + bias, temperature)
            yield np.arange(len(ids)), best[ids], sure[ids]
            return
        for points, cosines in self._cosines(encoding, text):
            yield points, *labeling.argmax_and_confidence(cosines + bias, temperature)

    def _position_scores(self, encoding: EncodedCloud, text: np.ndarray) -> np.ndarray:
        """Cosines (F, C) of all positions with the class names; with votes, the mean of their superpoint."""
        ids = encoding.geometry.superpoints
        if self.config.vocabulary.vote:
            return labeling.superpoint_means(self._cosines(encoding, text), ids)[ids]
        scores = np.empty((len(ids), len(text)), np.float32)
        for points, cosines in self._cosines(encoding, text):
            scores[points] = cosines
        return scores

    def _cosines(self, encoding: EncodedCloud, text: np.ndarray):
        """Blocks of positions (h,) and their cosines (h, C) with the class names."""
        geometry, words = encoding.geometry, torch.from_numpy(text).T
        for window in geometry.windows:
            # torch, since the threads of numpy's BLAS keep spinning afterwards
            tokens = torch.from_numpy(encoding.tokens[window.tokens])
            scores, gram = (tokens @ words).numpy(), (tokens @ tokens.T).numpy()
            xyz, ids = geometry.working.xyz[window.points], geometry.superpoints[window.points]
            for points, cosines in propagation.score_blocks(xyz, ids, encoding.centers(window), scores, gram):
                yield window.points[points], cosines


def checked_device(device: str) -> torch.device:
    """Return the torch device, or raise ValueError if this machine does not have it."""
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device {device!r} is unknown; use cpu, cuda or cuda:0") from error
    try:
        torch.ones(1, device=chosen).item()  # mps and xpu may not be built in, meta holds no values
    except Exception as error:  # RuntimeError, AssertionError, NotImplementedError and more, by device
        raise ValueError(f"device {device!r} is not available on this machine; use cpu") from error
    return torch.device("cpu") if chosen.type == "cpu" else chosen  # cpu:1 is no device of its own
