"""The network on a cloud: the tokens of every window, and more of them where it recognizes a street."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch.nn.functional import normalize
from tqdm import tqdm

from s4token_model.config import Config
from s4token_model.kernels.parallel import set_thread_limit, thread_count
from s4token_model.pipeline import streets
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.padding import padded_count
from s4token_model.pipeline.patched_cloud import PatchedCloud, network_input
from s4token_model.pipeline.tokenizer import TokenInput, Tokenizer
from s4token_model.stage_timer import StageTimer

MIN_WINDOWS_SHOWN = 4  # clouds of fewer windows are done before a progress bar is read
STREET_FRACTION = 0.3  # of the tokens that look like things of streets; sweeps have .35 to .87 of them, rooms up to .02

Encoded = tuple[np.ndarray, np.ndarray]  # unit features (N, E) of tokens and (E,) of all together


class WindowedEncoder:
    """Turns patches into unit features in CLIP's joint space."""

    def __init__(self, tokenizer: Tokenizer, clip: FrozenClip, config: Config):
        """Compute on the device of `clip`, where the tokenizer is."""
        self.tokenizer, self.clip, self.config = tokenizer, clip, config
        self.progress = False  # show a bar while a large cloud is encoded

    def encode(self, geometry: PatchedCloud, timer: StageTimer) -> tuple[PatchedCloud, np.ndarray, np.ndarray]:
        """Return features (N, E) of the tokens, (E,) of the cloud, and the patches that were encoded in the end.

        A cloud of one window in which the network recognizes a street is cut again, see `pipeline.streets`.
        """
        tokens, cls = self.encode_all(geometry)
        timer("encoder")
        if streets.needed_windows(geometry) > 1 and self._is_street(tokens):
            geometry = streets.cut_street(geometry, timer)
            tokens, cls = self.encode_all(geometry)
            timer("encoder")
        return geometry, tokens, cls

    def encode_all(self, geometry: PatchedCloud) -> Encoded:
        """Return features (N, E) of all tokens of a cloud, and (E,) of the cloud, window by window."""
        tokens = np.zeros((len(geometry.patches.centers), self.clip.dim), np.float32)
        cls, shown = np.zeros(self.clip.dim, np.float32), self.progress and len(geometry.windows) >= MIN_WINDOWS_SHOWN
        bar = tqdm(geometry.windows, "windows", leave=False, disable=None if shown else True)
        for window, (features, cloud) in zip(bar, self._encode_windows(geometry), strict=True):
            tokens[window.tokens[window.core]] = features[window.core]
            cls += cloud
        return tokens, cls / max(float(np.linalg.norm(cls)), 1e-12)

    def _encode_windows(self, geometry: PatchedCloud) -> Iterator[Encoded]:
        """Yield the features of all windows.

        Threads of the processor take one window each: two on one window would wait for each other in every layer.
        """

        def encode(number: int) -> Encoded:
            return self._encode_tokens(network_input(geometry, self.config, number))

        numbers = range(len(geometry.windows))
        threads = min(thread_count(), len(numbers)) if self.clip.device.type == "cpu" else 1
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

    def _is_street(self, tokens: np.ndarray) -> bool:
        known = self.clip.known_words
        return known is not None and known.fraction_outdoors(tokens) >= STREET_FRACTION
