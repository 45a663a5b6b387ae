"""Weights of a CLIP in a file: OpenAI's archive, Hugging Face's layout, or open_clip's. No file runs code.

All become the tensors of `open_clip.CLIP`, by its names. OpenAI's ViTs have the same names; Hugging Face's have others,
with queries, keys and values apart and both projections transposed.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path

from open_clip.factory import load_state_dict
from torch import Tensor, cat

from s4token_model import bounded_files
from s4token_model.pipeline import torchscript

OPENAI_SIZES = ("input_resolution", "context_length", "vocab_size")  # numbers beside OpenAI's weights
NO_WEIGHTS = (*OPENAI_SIZES, "position_ids", "attn_mask")  # last parts of names
HUGGING_FACE = "vision_model."
RENAMED = (  # part of a name in Hugging Face's layout, and in open_clip's
    ("vision_model.embeddings.class_embedding", "visual.class_embedding"),
    ("vision_model.embeddings.patch_embedding.", "visual.conv1."),
    ("vision_model.embeddings.position_embedding.weight", "visual.positional_embedding"),
    ("vision_model.pre_layrnorm.", "visual.ln_pre."),
    ("vision_model.post_layernorm.", "visual.ln_post."),
    ("vision_model.encoder.layers.", "visual.transformer.resblocks."),
    ("text_model.embeddings.token_embedding.", "token_embedding."),
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.final_layer_norm.", "ln_final."),
    ("text_model.encoder.layers.", "transformer.resblocks."),
    (".layer_norm1.", ".ln_1."),
    (".layer_norm2.", ".ln_2."),
    (".self_attn.out_proj.", ".attn.out_proj."),
    (".mlp.fc1.", ".mlp.c_fc."),
    (".mlp.fc2.", ".mlp.c_proj."),
)
TRANSPOSED = {"visual_projection.weight": "visual.proj", "text_projection.weight": "text_projection"}


def read(path: Path) -> tuple[dict[str, Tensor], bool]:
    """Return the tensors of a file by open_clip's names, and whether they are marked as OpenAI's own.

    ValueError if it is damaged, cut off, or no file of weights.
    """
    bounded_files.check_regular(path, bounded_files.WEIGHTS_LIMIT)
    try:
        found = torchscript.read(path) if torchscript.is_archive(path) else load_state_dict(str(path))
        if odd := [name for name, value in found.items() if not isinstance(value, Tensor)]:
            raise ValueError(f"{str(odd[0])[:80]} is no tensor")
        is_openai = all(name in found for name in OPENAI_SIZES)
        found = {name: value for name, value in found.items() if name.rpartition(".")[2] not in NO_WEIGHTS}
        is_hugging_face = any(name.startswith(HUGGING_FACE) for name in found)
        return from_hugging_face(found) if is_hugging_face else found, is_openai
    except Exception as error:  # zipfile, pickle, torch and safetensors raise whatever the bytes lead to
        fix = "copy or download it again"
        raise ValueError(f"cannot read {path}: {reason(error)}; it is damaged, or no weights: {fix}") from error


def from_hugging_face(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a `transformers.CLIPModel` by open_clip's names."""
    found = {}
    for name, tensor in tensors.items():
        if name in TRANSPOSED:
            found[TRANSPOSED[name]] = tensor.T
        elif ".q_proj." in name:
            parts = [tensors[name.replace(".q_proj.", f".{one}_proj.")] for one in "qkv"]
            found[_renamed(name).replace("self_attn.q_proj.", "attn.in_proj_")] = cat(parts)
        elif ".k_proj." not in name and ".v_proj." not in name:
            found[_renamed(name)] = tensor
    return found


def _renamed(name: str) -> str:
    for theirs, ours in RENAMED:
        name = name.replace(theirs, ours)
    return name


def reason(error: Exception) -> str:
    """Return the first sentence of an error; torch's advice on pickles that it refuses is to run them."""
    if isinstance(error, pickle.UnpicklingError) and "weights_only" in str(error):
        return "its pickle holds more than tensors"
    lines = str(error).strip().splitlines()
    return re.split(r"\. (?=[A-Z])", lines[0])[0].rstrip(".")[:200] if lines else type(error).__name__
