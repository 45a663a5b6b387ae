"""Padding: a bf16 network on a CPU sees few numbers of tokens."""

from __future__ import annotations

import numpy as np
from torch.nn import functional

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.pipeline import padding, plain_clip
from s4token_model.pipeline import tokenizer as tokenizers
from s4token_model.segmenter import Segmenter


def test_a_bf16_network_on_a_cpu_sees_few_lengths(monkeypatch):
    lengths = set()

    def attention(query, *others, **more):
        lengths.add(query.shape[-2])
        return functional.scaled_dot_product_attention(query, *others, **more)

    for module in (plain_clip, tokenizers):
        monkeypatch.setattr(module, "scaled_dot_product_attention", attention)
    # Whether this processor has instructions for it or not
    config = configs.replace(checkpoint.read_config(checkpoint.MINI), {"clip.precision": "bf16"})
    model = Segmenter(*checkpoint.load(checkpoint.MINI, config, "cpu"))
    rng = np.random.default_rng(0)
    for count in (1, 3, 40, 100, 101, 130):
        model.segment(rng.random((count, 3), np.float32))
    texts = {model.clip.model.context_length}
    assert lengths - texts <= {n + more for n in range(0, 513, padding.STEP) for more in (0, 1)}
