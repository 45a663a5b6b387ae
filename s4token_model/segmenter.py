"""The whole pipeline: a cloud in, an open-vocabulary label on every point out (the paper's Fig. 1, without
training)."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize

from s4token_model import checkpoint, constants, vocabulary
from s4token_model.config import Config, SuperpointConfig
from s4token_model.pipeline import (
    labeling,
    patches,
    preprocess,
    propagation,
    sampling,
    superpoints,
    token_context,
)
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.tokenizer import TokenInput, Tokenizer, token_input
from s4token_model.vocabulary import Vocabulary


@dataclass(frozen=True)
class PatchedCloud:
    """A cloud cut into tokens, before any network: superpoint of every working point, patches and their context."""

    working: preprocess.WorkingCloud
    superpoints: np.ndarray  # (F,) int32
    patches: patches.Patches
    context: token_context.Context
    stages_ms: dict[str, float]


@dataclass(frozen=True)
class EncodedCloud:
    """What the network made of one cloud of H points; labels under any vocabulary follow from it without the network.

    valid (H,) bool, finite points; superpoints (H,) uint32, 4294967295 on invalid points; tokens (N, E) float32 unit
    rows in CLIP's joint space; cls (E,) unit global feature; stages_ms, the time of each stage; unlabeled_reason, ""
    or why no point can be labeled.
    """

    valid: np.ndarray
    superpoints: np.ndarray
    superpoint_count: int
    tokens: np.ndarray
    cls: np.ndarray
    stages_ms: dict[str, float]
    unlabeled_reason: str = ""
    geometry: PatchedCloud | None = None

    @property
    def anchors(self) -> propagation.TokenCenters:
        """Where the tokens sit, for propagation."""
        assert self.geometry is not None
        grouped = self.geometry.patches
        return propagation.TokenCenters(grouped.centers, grouped.superpoint, grouped.radius)


@dataclass(frozen=True)
class Segmentation:
    """Labels of one cloud of H points: labels (H,) uint32 index into vocabulary.names, 65535 = unlabeled; confidence
    (H,) float32 in [0, 1], 0 on invalid points; superpoints (H,) uint32."""

    labels: np.ndarray
    confidence: np.ndarray
    superpoints: np.ndarray
    vocabulary: Vocabulary
    encoding: EncodedCloud
    stages_ms: dict[str, float] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """Number of tokens the cloud was cut into."""
        return len(self.encoding.tokens)

    @property
    def superpoint_count(self) -> int:
        """Number of superpoints."""
        return self.encoding.superpoint_count


class Segmenter:
    """Labels clouds with the words of a vocabulary.

    >>> segmenter = Segmenter.load()
    >>> result = segmenter.segment(xyz)            # labels in result.labels, names in result.vocabulary.names
    """

    def __init__(self, tokenizer: Tokenizer, clip: FrozenClip, config: Config, device: str = "cpu"):
        self.config = config
        self.device = checked_device(device)
        self.tokenizer = tokenizer.eval().to(self.device)
        self.clip = clip.to(self.device)
        self._texts: dict[str, np.ndarray] = {}
        if self.clip.precision == "int8" and self.device.type == "cpu":
            self.tokenizer.quantize()
        names = config.vocabulary.names or vocabulary.read_names(config.vocabulary.labels)
        self.vocabulary = self.make_vocabulary(names)
        self._asked: Vocabulary | None = None

    @classmethod
    def load(cls, model: str | Path = checkpoint.MINI, config: Config | None = None, device: str = "cpu") -> Segmenter:
        """Load a checkpoint by directory or built-in name; `config` (see checkpoint.read_config) replaces the saved
        one."""
        return cls(*checkpoint.load(model, config), device)

    def segment(self, xyz: np.ndarray, rgb: np.ndarray | None = None) -> Segmentation:
        """Label every finite point. xyz (H, 3), z up, any unit; rgb (H, 3) in [0, 1], used where the model has
        color."""
        return self.label(self.encode(xyz, rgb))

    def encode(self, xyz: np.ndarray, rgb: np.ndarray | None = None) -> EncodedCloud:
        """Run partition, sampling, grouping, tokenizer and frozen CLIP."""
        return self.embed(self.form(xyz, rgb), len(xyz))

    def form(self, xyz: np.ndarray, rgb: np.ndarray | None = None) -> PatchedCloud:
        """The first half of `encode`, before the network; may run while another thread is in the second."""
        return build_patches(xyz, rgb, self.config)

    def embed(self, geometry: PatchedCloud, count: int) -> EncodedCloud:
        """The second half of `encode`: the network, on what `form` made of a cloud of `count` points."""
        valid = np.zeros(count, bool)
        valid[geometry.working.original_index] = True
        ids = np.full(count, constants.NO_SUPERPOINT, np.uint32)
        ids[geometry.working.original_index] = geometry.superpoints
        if not valid.any():
            nothing = np.zeros((0, self.clip.dim), np.float32)
            reason = "the cloud has no points" if count == 0 else "no point of the cloud is finite"
            return EncodedCloud(valid, ids, 0, nothing, np.zeros(self.clip.dim, np.float32), geometry.stages_ms, reason)
        clock = _Clock(geometry.stages_ms)
        tokens, cls = self._encode_tokens(geometry)
        clock("encoder")
        pieces = int(geometry.superpoints.max()) + 1
        return EncodedCloud(valid, ids, pieces, tokens, cls, clock.stages_ms, geometry=geometry)

    def label(self, encoding: EncodedCloud, words: Vocabulary | None = None) -> Segmentation:
        """Label a cloud from its encoding; no network runs. `words` defaults to the current vocabulary.

        The confidence is the softmax of cosines over the words at vocabulary.temperature; with a single word, the
        cosine clipped to [0, 1]. Points below their word's threshold stay unlabeled.
        """
        words = words or self.vocabulary
        clock = _Clock(encoding.stages_ms)
        labels = np.full(len(encoding.valid), constants.UNLABELED, np.uint32)
        confidence = np.zeros(len(encoding.valid), np.float32)
        if encoding.geometry is not None:
            source = encoding.geometry.working.original_index
            for points, best, sure in self._decisions(encoding, words.text):
                labeling.write_labels(source[points], best, sure, words.thresholds, (labels, confidence))
        clock("propagation")
        return Segmentation(labels, confidence, encoding.superpoints, words, encoding, clock.stages_ms)

    def similarity(self, encoding: EncodedCloud, texts: Sequence[str]) -> np.ndarray:
        """Return (H, T) float32, the cosine of every point's feature with each text; NaN on invalid points.

        The features of the last texts are kept: asked again for the next cloud, the text tower does not run.
        """
        if self._asked is None or self._asked.names != vocabulary.checked_names(texts):
            self._asked = self.make_vocabulary(texts)
        out = np.full((len(encoding.valid), len(texts)), np.nan, np.float32)
        if encoding.geometry is not None:
            for points, cosines in self._cosines(encoding, self._asked.text):
                out[encoding.geometry.working.original_index[points]] = cosines
        return out

    def make_vocabulary(
        self,
        names: Sequence[str],
        templates: Sequence[str] | None = None,
        thresholds: Sequence[float] | float | None = None,
    ) -> Vocabulary:
        """Encode words by CLIP's text tower; None takes the config's templates and threshold. ValueError on bad
        words."""
        templates = templates or vocabulary.read_templates(self.config.vocabulary.templates)
        limits = self.config.vocabulary.threshold if thresholds is None or np.size(thresholds) == 0 else thresholds
        return vocabulary.build(names, templates, limits, self._encode_text)

    def _encode_text(self, texts: list[str]) -> np.ndarray:
        """Rows of CLIP's text tower, which runs for texts it has not seen in the last vocabulary."""
        new = [text for text in texts if text not in self._texts]
        rows = self._texts | (dict(zip(new, self.clip.encode_text(new), strict=True)) if new else {})
        self._texts = {text: rows[text] for text in texts}
        return np.stack([rows[text] for text in texts])

    def _encode_tokens(self, geometry: PatchedCloud) -> tuple[np.ndarray, np.ndarray]:
        inputs = network_input(geometry, self.config).to(self.device)
        half = torch.autocast(self.device.type, torch.bfloat16, enabled=self.clip.uses_bf16)
        with torch.inference_mode():
            with half:
                tokens = self.tokenizer(inputs)
            features, cls = self.clip.encode_tokens(tokens.float())
            return normalize(features[0], dim=-1).cpu().numpy(), normalize(cls[0], dim=-1).cpu().numpy()

    def _decisions(
        self, encoding: EncodedCloud, text: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Points (h,), the word of each and how sure it is, in blocks; all points once."""
        assert encoding.geometry is not None
        temperature, ids = self.config.vocabulary.temperature, encoding.geometry.superpoints
        if self.config.vocabulary.vote:
            best, sure = labeling.argmax_and_confidence(
                labeling.superpoint_means(self._cosines(encoding, text), ids), temperature
            )
            yield np.arange(len(ids)), best[ids], sure[ids]
            return
        for points, cosines in self._cosines(encoding, text):
            yield points, *labeling.argmax_and_confidence(cosines, temperature)

    def _cosines(self, encoding: EncodedCloud, text: np.ndarray):
        assert encoding.geometry is not None
        xyz, ids = encoding.geometry.working.xyz, encoding.geometry.superpoints
        tokens = torch.from_numpy(encoding.tokens)  # the threads of numpy's BLAS spin on after a product
        scores, gram = tokens @ torch.from_numpy(text).T, tokens @ tokens.T
        return propagation.score_blocks(xyz, ids, encoding.anchors, scores.numpy(), gram.numpy())


def build_patches(
    xyz: np.ndarray,
    rgb: np.ndarray | None,
    config: Config,
    rng: np.random.Generator | None = None,
) -> PatchedCloud:
    """Cut a cloud into tokens: everything before the network. `rng` draws patch points at random (training)."""
    clock = _Clock({})
    # Keep finite points in canonical order and unit scale; above max_points, one point per voxel goes on
    working = preprocess.prepare(preprocess.rotate_up(xyz, config.input.up), rgb, config.input.max_points)
    if len(working.kept) == 0:
        return PatchedCloud(working, np.zeros(0, np.int32), *_no_tokens(), clock.stages_ms)
    # Neighbors, normals and eigen-features, and the l0 partition
    settings = _scaled_regularization(config.superpoints, working.kept_fraction)
    ids, local = superpoints.partition_with_geometry(working.points, working.colors, settings)
    # Rotate the floor level, which needs the normals; superpoints do not depend on it
    if config.input.level:
        working, local = preprocess.level(working, local, config.input.level)
    points = working.points
    clock("superpoints")
    # Token centers (Eq. 2), on the same spatial index
    chosen = sampling.sample(local.index, ids, config.sampling)
    clock("sampling")
    # Patches: points of the center's superpoint within the radius (Eq. 3), and what surrounds them
    groups = patches.group(points, ids, chosen, config.patches, rng, working.extent)
    around = token_context.context_features(points, local.normals, local.eigen, ids, groups, config.tokenizer)
    clock("patches")
    return PatchedCloud(working, ids[working.kept_of_point], groups, around, clock.stages_ms)


def _scaled_regularization(config: SuperpointConfig, kept_fraction: float) -> SuperpointConfig:
    """Scale lambda with the fraction of points kept: fewer points weigh less in the energy, so boundaries cost less."""
    return dataclasses.replace(config, regularization=config.regularization * kept_fraction)


def network_input(geometry: PatchedCloud, config: Config) -> TokenInput:
    """Return the tokenizer's input for one cloud, a batch of one."""
    return token_input(geometry.patches, geometry.context, geometry.working.colors, config.tokenizer)


def checked_device(device: str) -> torch.device:
    """Return the torch device, or raise ValueError where it does not exist."""
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device {device!r} is unknown; use cpu, cuda or cuda:0") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device!r} is not available on this machine; use cpu")
    return chosen


def _no_tokens() -> tuple[patches.Patches, token_context.Context]:
    none = np.zeros((0, 3), np.float32)
    empty = patches.Patches(none, 1.0, np.zeros(0, np.int32), np.zeros((0, 1), np.int32), none[:, None])
    shape = np.zeros((0, token_context.DESCRIPTOR_DIM), np.float32)
    return empty, token_context.Context(
        np.zeros((0, 1, token_context.CHANNELS), np.float32), np.zeros((0, 1), bool), shape
    )


class _Clock:
    """Adds the milliseconds since the last call to a copy of `stages_ms`."""

    def __init__(self, stages_ms: dict[str, float]):
        self.stages_ms = dict(stages_ms)
        self._last = time.perf_counter()

    def __call__(self, stage: str) -> None:
        now = time.perf_counter()
        self.stages_ms[stage] = 1000 * (now - self._last)
        self._last = now
