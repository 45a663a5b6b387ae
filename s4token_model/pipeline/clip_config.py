"""What a CLIP's open_clip_config.json may say: the sizes of a plain ViT and of a text tower, and nothing else.

open_clip passes this file on to libraries that open files, use the network or run code of the folder. Only keys that
are listed here, with values of their type and range, reach it; the others are refused by name, with the reason.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
from torch import Tensor

from s4token_model import atomic, bounded_files
from s4token_model.pipeline.known_words import FILE as KNOWN_WORDS

FILE = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors")
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # of OpenAI's pictures
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
VOCABULARY = 49408  # tokens of CLIP's own tokenizer, the only one that is used


class Number(NamedTuple):
    """A number in an inclusive range."""

    low: float
    high: float
    integer: bool = True
    optional: bool = False  # null stands for none
    channels: bool = False  # three of them, one per color channel


BLOCKS = {  # of either tower
    "width": Number(8, 8192), "layers": Number(1, 128), "mlp_ratio": Number(0.1, 16, integer=False),
    "ls_init_value": Number(-10, 10, integer=False, optional=True), "final_ln_after_pool": bool, "output_tokens": bool,
    "block_type": (None, "default", "custom"), "qk_norm": bool, "scaled_cosine_attn": bool, "scale_heads": bool,
    "scale_attn_inner": bool, "scale_attn": bool, "scale_fc": bool,
    "act_kwargs": {"approximate": ("none", "tanh")}, "norm_kwargs": {"eps": Number(0, 1, integer=False)},
}  # fmt: skip
VISION = BLOCKS | {
    "image_size": Number(1, 2048), "patch_size": Number(1, 512), "head_width": Number(1, 8192),
    "patch_dropout": Number(0, 0.99, integer=False), "attn_pooler_queries": Number(1, 4096),
    "attn_pooler_heads": Number(1, 256), "no_ln_pre": bool, "pos_embed_type": ("learnable", "sin_cos_2d"),
    "pool_type": ("tok", "avg"),
}  # fmt: skip
TEXT = BLOCKS | {
    "context_length": Number(3, 1024), "vocab_size": Number(VOCABULARY, 1 << 20), "heads": Number(1, 256),
    "pad_id": Number(0, VOCABULARY - 1), "eos_id": Number(0, VOCABULARY - 1), "no_causal_mask": bool,
    "pool_type": ("argmax", "first", "last"), "proj_bias": bool, "proj_type": ("linear", "none"),
}  # fmt: skip
MODEL = {
    "embed_dim": Number(1, 8192), "quick_gelu": bool, "init_logit_scale": Number(-1000, 1000, integer=False),
    "init_logit_bias": Number(-1000, 1000, integer=False, optional=True), "nonscalar_logit_scale": bool,
    "vision_cfg": VISION, "text_cfg": TEXT,
}  # fmt: skip
PREPROCESS = {
    "mean": Number(-100, 100, False, channels=True), "std": Number(1e-3, 100, False, channels=True), "mode": ("RGB",),
    "interpolation": ("bicubic", "bilinear", "nearest", "random"), "resize_mode": ("squash", "longest", "shortest"),
    "fill_color": Number(0, 255),
}  # fmt: skip
REFUSED = {  # unless unset
    "tokenizer_kwargs": "hands options to a tokenizer that may read any file, or run code of the folder",
    "hf_tokenizer_name": "loads another tokenizer, from the network or with code of the folder",
    "tokenizer_mode": "belongs to another tokenizer",
    "hf_model_name": "loads another text tower from the network",
    "timm_model_name": "loads another image tower from the network",
    "multimodal_cfg": "is a CoCa, not a CLIP",
    "custom_text": "is another class of CLIP",
    "embed_cls": "belongs to a CoCa",
    "attentional_pool": "is no plain ViT",
}
OTHER_TOWERS = (  # part of the name of a timm tower, and why its tokens cannot be ours
    ("siglip", "pools by attention, so that only the picture as one has a feature beside texts"),
    ("pe_core", "pools by attention, so that only the picture as one has a feature beside texts"),
    ("eva02", "turns queries and keys by positions in the patch grid, which tokens of a cloud do not have"),
    ("", "is not open_clip's ViT, whose class token, blocks and projection our tokens pass"),
)
# Without a timm or Hugging Face model these have no effect, and open_clip's exports hold them
IGNORED = {"timm_model_pretrained", "timm_pool", "timm_proj", "timm_proj_bias", "timm_drop", "timm_drop_path"}
IGNORED |= {"hf_model_pretrained", "hf_proj_type", "hf_pooler_type", "size"}
IGNORED |= {"output_tokens", "attn_pooler_queries", "attn_pooler_heads"}


class ClipArchitecture(NamedTuple):
    """A CLIP that `open_clip.CLIP(**model)` builds, and the colors that it reads."""

    model: dict[str, Any]
    mean: tuple[float, ...]  # of the color channels, in [0, 1]
    std: tuple[float, ...]
    pictures: bool = True  # whether its image tower encodes them; a shortened one only takes tokens


def read(directory: Path) -> ClipArchitecture:
    """Read the config of a CLIP's directory; ValueError names what is missing, unknown or refused."""
    path = bounded_files.inside(directory, FILE)
    content = bounded_files.read_json(path)
    try:
        if not isinstance(content, dict) or not isinstance(content.get("model_cfg"), dict):
            raise ValueError("it has no model_cfg")
        model = checked_model(content["model_cfg"])
        colors = _checked(content.get("preprocess_cfg") or {}, PREPROCESS, "preprocess_cfg")
        if unknown := sorted(set(content) - {"model_cfg", "preprocess_cfg", "pictures"}):
            raise ValueError(f"{unknown[0][:80]} is not known; known are model_cfg, preprocess_cfg and pictures")
        if not isinstance(pictures := content.get("pictures", True), bool):
            raise ValueError("pictures must be true or false")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return ClipArchitecture(model, tuple(colors.get("mean") or MEAN), tuple(colors.get("std") or STD), pictures)


def checked_model(values: dict[str, Any]) -> dict[str, Any]:
    """Return the model_cfg of a CLIP, which `open_clip.CLIP` may be built of; ValueError names what is not allowed."""
    model = _checked(values, MODEL, "model_cfg")
    if missing := [name for name in ("embed_dim", "vision_cfg", "text_cfg") if name not in model]:
        raise ValueError(f"model_cfg has no {missing[0]}")
    return model


def check_image_tower(name: str, model: dict[str, Any]) -> None:
    """Raise ValueError with the reason if the image tower of an open_clip model is not a plain ViT."""
    vision = model["vision_cfg"]
    timm = vision.get("timm_model_name")
    if timm:
        reason = f"{timm} of timm, {next(why for part, why in OTHER_TOWERS if part in timm)}"
    elif isinstance(vision.get("layers"), list):
        reason = "a ResNet, has no tokens"
    elif "multimodal_cfg" in model or vision.get("attentional_pool"):
        reason = "that of a CoCa, pools by attention for its captions"
    else:
        return
    known = "ViT-B-16-quickgelu, ViT-L-14-quickgelu (openai, metaclip_400m, dfn2b), ViT-B-16, ViT-H-14 (laion2b, ...)"
    raise ValueError(f"clip.name={name} is refused: its image tower, {reason}; choose a plain ViT, e.g. {known}")


def clip_directory(name: str, root: Path | None = None) -> Path | None:
    """Return the directory of a CLIP in open_clip's layout; None for any other name.

    A relative name is below a checkpoint `root`, if one is given, and ValueError if it leads out of it.
    """
    absolute = root is None or Path(name).is_absolute()
    candidate = Path(name) if absolute else bounded_files.inside(root, name)
    return candidate.resolve() if (candidate / FILE).is_file() else None


def file_names(directory: Path) -> list[str]:
    """Return the names of the files that make a CLIP's directory: config, weights and, if there, known words.

    ValueError if the weights are missing or could run code.
    """
    weights = next((name for name in WEIGHTS if (directory / name).is_file()), None)
    if weights is None:
        pickles = sorted(path.name for path in directory.iterdir() if path.suffix in PICKLES)
        reason = f"{pickles[0]} is a pickle, which can run code; convert it" if pickles else "copy it there"
        raise ValueError(f"{directory} holds no {WEIGHTS[0]}; {reason}")
    return [FILE, weights] + [KNOWN_WORDS] * (directory / KNOWN_WORDS).is_file()


def save_directory(directory: Path, architecture: ClipArchitecture, tensors: dict[str, Tensor]) -> None:
    """Write a CLIP's directory in one step."""
    colors = {"mean": architecture.mean, "std": architecture.std}
    content = {"model_cfg": architecture.model, "preprocess_cfg": colors}
    if not architecture.pictures:
        content["pictures"] = False
    with atomic.folder(directory) as new:
        safetensors.torch.save_file({k: v.contiguous() for k, v in tensors.items()}, new / WEIGHTS[0])
        (new / FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _checked(values: Any, known: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the values of known keys, each of its type and in its range."""
    if not isinstance(values, dict):
        raise ValueError(f"{where} must hold keys and values")
    for name in REFUSED:
        if values.get(name) not in (None, False, "", {}):
            raise ValueError(f"{where}.{name} is refused: it {REFUSED[name]}; use a plain ViT with CLIP's tokenizer")
    found = {}
    for name in (name for name in values if name not in REFUSED and name not in IGNORED):
        key, value = f"{where}.{name[:80]}", values[name]
        if name not in known:
            raise ValueError(f"{key} is not known; known are {', '.join(sorted(known))}")
        if value is not None or known is not PREPROCESS:
            found[name] = _value(value, known[name], key)
    return found


def _value(value: Any, kind: Any, key: str) -> Any:
    if isinstance(kind, dict):
        return value if value is None else _checked(value, kind, key)
    if isinstance(kind, Number):
        return _number(value, kind, key)
    if kind is bool and isinstance(value, bool):
        return value
    if isinstance(kind, tuple) and value in kind:
        return value
    raise ValueError(f"{key} must be {'true or false' if kind is bool else 'one of ' + ', '.join(map(str, kind))}")


def _number(value: Any, kind: Number, key: str) -> Any:
    if value is None and kind.optional:
        return None
    if kind.channels:
        if isinstance(value, list) and len(value) == 3:
            return [_number(one, kind._replace(channels=False), key) for one in value]
        raise ValueError(f"{key} must be three numbers, one per color channel")
    if isinstance(value, list) and len(value) == 2 and value[0] == value[1]:  # a square, as [224, 224]
        value = value[0]
    types = int if kind.integer else (int, float)
    if isinstance(value, bool) or not isinstance(value, types) or not kind.low <= value <= kind.high:
        number = "an integer" if kind.integer else "a number"
        raise ValueError(f"{key} must be {number} from {kind.low} to {kind.high}")
    return value
