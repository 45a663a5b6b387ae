"""The network on a cloud: tokens of one window after the other, and more tokens where it recognizes more by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch.nn.functional import normalize
from tqdm import tqdm

from s4token_model.config import Config
from s4token_model.kernels.parallel import set_thread_limit, thread_count
from s4token_model.pipeline import windows
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.padding import padded_count
from s4token_model.pipeline.patched_cloud import PatchedCloud, cut, network_input
from s4token_model.pipeline.tokenizer import TokenInput, Tokenizer
from s4token_model.stage_timer import StageTimer

MIN_WINDOWS_SHOWN = 4  # clouds of fewer windows are done before a progress bar is read
FINER = 3  # times the windows, with tokens at 0.6 of the distance
PROBES = 4  # windows that decide whether all are encoded
MIN_GAIN = 0.015  # of the familiarity
UNFAMILIAR = 0.8  # of windows.familiar: below it, a cloud counts as large whatever the spacing of its tokens

Encoded = tuple[np.ndarray, np.ndarray]  # unit features (N, E) of tokens and (E,) of all together


class WindowedEncoder:
    """Turns patches into unit features in CLIP's joint space."""

    def __init__(self, tokenizer: Tokenizer, clip: FrozenClip, config: Config):
        """Compute on the device of `clip`, where the tokenizer is."""
        self.tokenizer, self.clip, self.config = tokenizer, clip, config
        self.progress = False  # show a bar while a large cloud is encoded

    def encode(self, geometry: PatchedCloud, timer: StageTimer) -> tuple[PatchedCloud, np.ndarray, np.ndarray]:
        """Return features (N, E) of the tokens, (E,) of the cloud, and the patches that were encoded in the end."""
        tokens, cls = self.encode_all(geometry)
        timer("encoder")
        while (finer := self._finer(geometry, tokens, timer)) is not None:
            geometry, probed = finer
            tokens, cls = self.encode_all(geometry, probed)
            timer("encoder")
        return geometry, tokens, cls

    def encode_all(self, geometry: PatchedCloud, probed: dict[int, Encoded] | None = None) -> Encoded:
        """Return features (N, E) of all tokens of a cloud, and (E,) of the cloud, window by window.

        `probed` are the features of windows that have been encoded already, by their number.
        """
        tokens = np.zeros((len(geometry.patches.centers), self.clip.dim), np.float32)
        cls, shown = np.zeros(self.clip.dim, np.float32), self.progress and len(geometry.windows) >= MIN_WINDOWS_SHOWN
        encoded = self._encode_windows(geometry, range(len(geometry.windows)), probed or {})
        bar = tqdm(geometry.windows, "windows", leave=False, disable=None if shown else True)
        for window, (features, cloud) in zip(bar, encoded, strict=True):
            tokens[window.tokens[window.core]] = features[window.core]
            cls += cloud
        return tokens, cls / max(float(np.linalg.norm(cls)), 1e-12)

    def _encode_windows(
        self, geometry: PatchedCloud, numbers: Sequence[int], known: dict[int, Encoded]
    ) -> Iterator[Encoded]:
        """Yield the features of some windows in their order, those in `known` as they are.

        Threads of the processor take one window each: two on one window would wait for each other in every layer.
        """

        def encode(number: int) -> Encoded:
            return known.get(number) or self._encode_tokens(network_input(geometry, self.config, number))

        threads = min(thread_count(), len(numbers) - len(known)) if self.clip.device.type == "cpu" else 1
        if threads <= 1:
            yield from map(encode, numbers)
            return
        with ThreadPoolExecutor(threads, initializer=set_thread_limit, initargs=(1,)) as pool:
            yield from pool.map(encode, numbers)

    def _encode_tokens(self, inputs: TokenInput) -> Encoded:
        """Unit features (N, E) of the tokens and (E,) of all together."""
        device = self.clip.device
        inputs, count = inputs.to(device), inputs.mask.shape[1]
        if self.clip.uses_bf16 and device.type == "cpu":
            inputs = inputs.padded(padded_count(count))
        with torch.inference_mode():
            with torch.autocast(device.type, torch.bfloat16, enabled=self.clip.uses_bf16):
                tokens = self.tokenizer(inputs, count)[:, :count]
            features, cls = self.clip.encode_tokens(tokens.float())
            return normalize(features[0], dim=-1).cpu().numpy(), normalize(cls[0], dim=-1).cpu().numpy()

    def _finer(
        self, geometry: PatchedCloud, tokens: np.ndarray, timer: StageTimer
    ) -> tuple[PatchedCloud, dict[int, Encoded]] | None:
        """The cloud in FINER times the windows, if it looks more familiar to the network then; else None.

        With it the features of the windows that were tried, by their number.

        Only clouds that look unfamiliar are tried: those whose tokens are unusually far apart, and very strange ones.
        The familiarity of tokens is their largest cosine with a word that the model was trained with, on average.
        """
        known, config, partition = self.clip.known_words, geometry.config, geometry.partition
        if known is None or partition is None:
            return None
        familiarity = known.score(tokens)
        if familiarity.mean() >= config.windows.familiar * (1.0 if partition.large else UNFAMILIAR):
            return None
        # With fewer points than a patch holds to each token, all patches overlap and show the same
        tokens_limit = len(partition.superpoints) // config.patches.points
        limit = min(windows.count_of(tokens_limit, config.sampling.tokens), config.windows.maximum)
        # Far too few tokens look as strange as too few: look two steps ahead
        for count in (FINER * len(geometry.windows), FINER**2 * len(geometry.windows)):
            if count > limit:
                return None
            finer = cut(partition, count, config, timer)
            gain, probed = self._gain(finer, geometry, familiarity, timer)
            if gain >= MIN_GAIN:
                return finer, probed
        return None

    def _gain(
        self, finer: PatchedCloud, coarse: PatchedCloud, familiarity: np.ndarray, timer: StageTimer
    ) -> tuple[float, dict[int, Encoded]]:
        """How much more familiar some windows of `finer` are than the tokens of `coarse` there; and their features."""
        known, there = self.clip.known_words, dict[int, np.ndarray]()
        assert known is not None
        # The tokens of `coarse` in each of the windows that are tried
        for i in np.unique(np.linspace(0, len(finer.windows) - 1, PROBES).astype(int)).tolist():
            window = finer.windows[i]
            seen = finer.patches.centers[window.tokens[window.core]]
            low, high = seen.min(axis=0) - finer.patches.radius, seen.max(axis=0) + finer.patches.radius
            same = windows.inside(coarse.patches.centers, low, high)
            if same.any():
                there[i] = familiarity[same]
        probed = dict(zip(there, self._encode_windows(finer, list(there), {}), strict=True))
        gains = [
            known.score(features[finer.windows[i].core]).mean() - there[i].mean()
            for i, (features, _) in probed.items()
        ]  # fmt: skip
        timer("encoder")
        return (float(np.mean(gains)) if gains else 0.0), probed
