"""The pipeline of the paper's Fig. 1: a point cloud in, an open-vocabulary label for every point out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize

from s4token_model import checkpoint, constants, vocabulary
from s4token_model.config import Config
from s4token_model.pipeline import labeling, patches, preprocess, propagation, sampling, superpoints, token_context
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.tokenizer import TokenInput, Tokenizer, token_input
from s4token_model.stage_timer import StageTimer
from s4token_model.vocabulary import Vocabulary


@dataclass(frozen=True)
class PatchedCloud:
    """A cloud cut into patches, before the network."""

    working: preprocess.WorkingCloud  # the finite points in canonical order and unit scale, F of them
    superpoints: np.ndarray  # (F,) int32, superpoint of every working point
    patches: patches.Patches  # the points of each of the N patches
    context: token_context.Context  # what surrounds each patch
    stages_ms: dict[str, float]  # milliseconds of each stage


@dataclass(frozen=True)
class EncodedCloud:
    """Token features of one cloud of H points; any vocabulary can label it without running the network again."""

    valid: np.ndarray  # (H,) bool, finite points
    superpoints: np.ndarray  # (H,) uint32, constants.NO_SUPERPOINT on points that are not finite
    superpoint_count: int  # number of superpoints
    tokens: np.ndarray  # (N, E) float32 unit rows in CLIP's joint space
    cls: np.ndarray  # (E,) float32, unit global feature
    stages_ms: dict[str, float]  # milliseconds of each stage
    unlabeled_reason: str = ""  # why no point can be labeled; empty if points can
    geometry: PatchedCloud | None = None  # what the network read; None if there is no finite point

    @property
    def centers(self) -> propagation.TokenCenters:
        """Center, superpoint and radius of the tokens, for propagation."""
        assert self.geometry is not None
        grouped = self.geometry.patches
        return propagation.TokenCenters(grouped.centers, grouped.superpoint, grouped.radius)


@dataclass(frozen=True)
class Segmentation:
    """Labels of one cloud of H points."""

    labels: np.ndarray  # (H,) uint32, index into vocabulary.names, or constants.UNLABELED
    confidence: np.ndarray  # (H,) float32 in [0, 1], 0 on points that are not finite
    superpoints: np.ndarray  # (H,) uint32, constants.NO_SUPERPOINT on points that are not finite
    vocabulary: Vocabulary  # the class names the points were labeled with
    encoding: EncodedCloud  # the token features; label them again with `Segmenter.label`
    stages_ms: dict[str, float] = field(default_factory=dict)  # milliseconds of each stage

    @property
    def tokens(self) -> int:
        """Number of tokens the cloud was cut into."""
        return len(self.encoding.tokens)

    @property
    def superpoint_count(self) -> int:
        """Number of superpoints."""
        return self.encoding.superpoint_count


class Segmenter:
    """Labels point clouds with the class names of a vocabulary.

    >>> segmenter = Segmenter.load()
    >>> result = segmenter.segment(xyz)  # labels in result.labels, class names in result.vocabulary.names
    """

    def __init__(self, tokenizer: Tokenizer, clip: FrozenClip, config: Config):
        """Compute on the device of `clip`, where the tokenizer is moved."""
        self.config, self.clip, self.device = config, clip, clip.device
        self.tokenizer = tokenizer.eval().to(self.device)
        self._text_cache: dict[str, np.ndarray] = {}
        self._last_query: Vocabulary | None = None
        self.vocabulary = self.make_vocabulary(
            config.vocabulary.names or vocabulary.read_names(config.vocabulary.labels)
        )

    @classmethod
    def load(cls, model: str | Path = checkpoint.MINI, config: Config | None = None, device: str = "cpu") -> Segmenter:
        """Load a checkpoint by directory or built-in name; `config` replaces the saved one, see `read_config`."""
        return cls(*checkpoint.load(model, config, checked_device(device)))

    def segment(self, xyz: np.ndarray, rgb: np.ndarray | None = None) -> Segmentation:
        """Label every finite point of a cloud with the current vocabulary.

        xyz (H, 3), z up (see config input.up), in any unit; rgb (H, 3) in [0, 1], ignored unless the model reads color.
        """
        return self.label(self.encode(xyz, rgb))

    def encode(self, xyz: np.ndarray, rgb: np.ndarray | None = None) -> EncodedCloud:
        """Compute the token features of a cloud: partition, sampling, grouping, tokenizer and frozen CLIP."""
        return self.encode_patches(self.build_patches(xyz, rgb), len(xyz))

    def build_patches(self, xyz: np.ndarray, rgb: np.ndarray | None = None) -> PatchedCloud:
        """First half of `encode`, before the network; may run while another thread is in `encode_patches`."""
        return build_patches(xyz, rgb, self.config)

    def encode_patches(self, geometry: PatchedCloud, count: int) -> EncodedCloud:
        """Second half of `encode`: run the network on the patches of a cloud of `count` points."""
        # Scatter the working points back to the cloud's order
        valid = np.zeros(count, bool)
        valid[geometry.working.original_index] = True
        ids = np.full(count, constants.NO_SUPERPOINT, np.uint32)
        ids[geometry.working.original_index] = geometry.superpoints
        if not valid.any():
            no_tokens, no_cls = np.zeros((0, self.clip.dim), np.float32), np.zeros(self.clip.dim, np.float32)
            reason = "the cloud has no points" if count == 0 else "no point of the cloud is finite"
            return EncodedCloud(valid, ids, 0, no_tokens, no_cls, geometry.stages_ms, reason)
        # Patches to tokens to features in CLIP's joint space
        timer = StageTimer(geometry.stages_ms)
        tokens, cls = self._encode_tokens(geometry)
        timer("encoder")
        superpoint_count = int(geometry.superpoints.max()) + 1
        return EncodedCloud(valid, ids, superpoint_count, tokens, cls, timer.stages_ms, geometry=geometry)

    def label(self, encoding: EncodedCloud, words: Vocabulary | None = None) -> Segmentation:
        """Label an encoded cloud without running the network; `words` defaults to the current vocabulary.

        The confidence is the softmax of the cosines over all class names at vocabulary.temperature, or, with a single
        name, the cosine clipped to [0, 1]. Points below the threshold of their class stay unlabeled.
        """
        words = words or self.vocabulary
        timer = StageTimer(encoding.stages_ms)
        labels = np.full(len(encoding.valid), constants.UNLABELED, np.uint32)
        confidence = np.zeros(len(encoding.valid), np.float32)
        if encoding.geometry is not None:
            source = encoding.geometry.working.original_index
            for points, best, sure in self._decisions(encoding, words.text):
                labeling.write_labels(source[points], best, sure, words.thresholds, (labels, confidence))
        timer("propagation")
        return Segmentation(labels, confidence, encoding.superpoints, words, encoding, timer.stages_ms)

    def similarity(self, encoding: EncodedCloud, texts: Sequence[str]) -> np.ndarray:
        """Return (H, T) float32, the cosine of every point's feature with each text; NaN on invalid points.

        The features of the last texts are cached, so that the same query on the next cloud skips the text tower.
        """
        if self._last_query is None or self._last_query.names != vocabulary.checked_names(texts):
            self._last_query = self.make_vocabulary(texts)
        out = np.full((len(encoding.valid), len(texts)), np.nan, np.float32)
        if encoding.geometry is not None:
            for points, cosines in self._cosines(encoding, self._last_query.text):
                out[encoding.geometry.working.original_index[points]] = cosines
        return out

    def make_vocabulary(
        self, names: Sequence[str], templates: Sequence[str] | None = None,
        thresholds: Sequence[float] | float | None = None,
    ) -> Vocabulary:  # fmt: skip
        """Encode class names with CLIP's text tower, see `vocabulary.build`; None takes the config's value."""
        templates = templates or vocabulary.read_templates(self.config.vocabulary.templates)
        limits = self.config.vocabulary.threshold if thresholds is None or np.size(thresholds) == 0 else thresholds
        return vocabulary.build(names, templates, limits, self._encode_text)

    def _encode_text(self, texts: list[str]) -> np.ndarray:
        """Rows of CLIP's text tower, which runs only for texts that the previous vocabulary did not have."""
        new = [text for text in texts if text not in self._text_cache]
        rows = self._text_cache | (dict(zip(new, self.clip.encode_text(new), strict=True)) if new else {})
        self._text_cache = {text: rows[text] for text in texts}
        return np.stack([rows[text] for text in texts])

    def _encode_tokens(self, geometry: PatchedCloud) -> tuple[np.ndarray, np.ndarray]:
        """Unit features (N, E) of the tokens and (E,) of the whole cloud."""
        inputs = network_input(geometry, self.config).to(self.device)
        with torch.inference_mode():
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.clip.uses_bf16):
                tokens = self.tokenizer(inputs)
            features, cls = self.clip.encode_tokens(tokens.float())
            return normalize(features[0], dim=-1).cpu().numpy(), normalize(cls[0], dim=-1).cpu().numpy()

    def _decisions(self, encoding: EncodedCloud, text: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
        """Blocks of points (h,), the class of each and its confidence, until all points had their turn."""
        assert encoding.geometry is not None
        temperature, ids = self.config.vocabulary.temperature, encoding.geometry.superpoints
        if self.config.vocabulary.vote:
            means = labeling.superpoint_means(self._cosines(encoding, text), ids)
            best, sure = labeling.argmax_and_confidence(means, temperature)
            yield np.arange(len(ids)), best[ids], sure[ids]
            return
        for points, cosines in self._cosines(encoding, text):
            yield points, *labeling.argmax_and_confidence(cosines, temperature)

    def _cosines(self, encoding: EncodedCloud, text: np.ndarray):
        """Blocks of points (h,) and their cosines (h, C) with the class names."""
        assert encoding.geometry is not None
        xyz, ids = encoding.geometry.working.xyz, encoding.geometry.superpoints
        tokens = torch.from_numpy(encoding.tokens)  # torch, since the threads of numpy's BLAS keep spinning afterwards
        scores, gram = tokens @ torch.from_numpy(text).T, tokens @ tokens.T
        return propagation.score_blocks(xyz, ids, encoding.centers, scores.numpy(), gram.numpy())


def build_patches(
    xyz: np.ndarray, rgb: np.ndarray | None, config: Config, rng: np.random.Generator | None = None
) -> PatchedCloud:
    """Cut a cloud into tokens: everything before the network. `rng` draws patch points at random (training)."""
    timer = StageTimer()
    # Keep finite points in canonical order and unit scale; above max_points, one point per voxel goes on
    working = preprocess.prepare(preprocess.rotate_up(xyz, config.input.up), rgb, config.input.max_points)
    if len(working.kept) == 0:
        return PatchedCloud(working, np.zeros(0, np.int32), *_no_tokens(), timer.stages_ms)
    # Neighbors, normals and eigen-features, and the l0 partition; fewer points weigh less in the energy, so that
    # boundaries cost less
    regularization = config.superpoints.regularization * working.kept_fraction
    settings = dataclasses.replace(config.superpoints, regularization=regularization)
    ids, local = superpoints.partition_with_geometry(working.points, working.colors, settings)
    # Rotate the floor level, which needs the normals; superpoints do not depend on it
    if config.input.level:
        working, local = preprocess.level(working, local, config.input.level)
    points = working.points
    timer("superpoints")
    # Token centers (Eq. 2), on the same spatial index
    chosen = sampling.sample(local.index, ids, config.sampling)
    timer("sampling")
    # Patches: points of the center's superpoint within the radius (Eq. 3), and what surrounds them
    groups = patches.group(points, ids, chosen, config.patches, rng, working.extent)
    around = token_context.context_features(points, local.normals, local.eigen, ids, groups, config.tokenizer)
    timer("patches")
    return PatchedCloud(working, ids[working.kept_of_point], groups, around, timer.stages_ms)


def network_input(geometry: PatchedCloud, config: Config) -> TokenInput:
    """Return the tokenizer's input for one cloud, a batch of one."""
    return token_input(geometry.patches, geometry.context, geometry.working.colors, config.tokenizer)


def checked_device(device: str) -> torch.device:
    """Return the torch device, or raise ValueError if this machine does not have it."""
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device {device!r} is unknown; use cpu, cuda or cuda:0") from error
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {device!r} is not available on this machine; use cpu")
    return chosen


def _no_tokens() -> tuple[patches.Patches, token_context.Context]:
    none, no_index = np.zeros((0, 3), np.float32), np.zeros((0, 1), np.int32)
    around = np.zeros((0, 1, token_context.CHANNELS), np.float32)
    descriptor = np.zeros((0, token_context.DESCRIPTOR_DIM), np.float32)
    empty = patches.Patches(none, 1.0, no_index[:, 0], no_index, none[:, None])
    return empty, token_context.Context(around, no_index > 0, descriptor)
