"""Which activation pretrained weights were trained with: QuickGELU (OpenAI, MetaCLIP, DFN) or GELU (most others)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import open_clip

from s4token_model import bounded_files

QUICKGELU = "-quickgelu"  # suffix of open_clip's architectures with QuickGELU instead of GELU


def check_activation(name: str, pretrained: str, is_openai: bool = False) -> bool:
    """Raise ValueError if the open_clip model `name` computes another activation than its weights were trained with.

    open_clip loads weights into either architecture, NAME (GELU) or NAME-quickgelu, and those of the wrong one give
    wrong features. Returns whether anything is known: a tag, one in the path of a file, a config.json beside the file,
    or `is_openai`, the mark of OpenAI's own files.
    """
    weights = known_weights(name, pretrained)
    quick = bool(weights.get("quick_gelu", False)) if weights else _beside(Path(pretrained))
    quick = True if is_openai else quick
    right = name.removesuffix(QUICKGELU) + QUICKGELU * bool(quick)
    if quick is None or name == right or right not in open_clip.list_models():
        return quick is not None
    computed, trained = ("GELU", "QuickGELU") if quick else ("QuickGELU", "GELU")
    raise ValueError(
        f"clip.name={name} computes {computed}, but the weights clip.pretrained={pretrained} were trained with "
        f"{trained}; use clip.name={right}. A tokenizer trained with {name} and these weights has to be trained again"
    )


def known_weights(name: str, pretrained: str) -> dict[str, Any]:
    """Return what open_clip knows about a tag, or about the one that stands in the path of a weights file, else {}."""
    base, path = name.removesuffix(QUICKGELU), Path(pretrained)
    weights = open_clip.get_pretrained_cfg(base, pretrained)
    return weights or (open_clip.get_pretrained_cfg(base, _tag_of_file(base, path)) if path.is_file() else {})


def _tag_of_file(name: str, path: Path) -> str:
    """Return the longest tag of open_clip in the name of a weights file, else in its three nearest folders, or ""."""
    tags = sorted(open_clip.list_pretrained_tags_by_model(name), key=len, reverse=True)
    for part in reversed(path.absolute().parts[-4:]):  # a Hugging Face cache is MODEL.TAG/snapshots/COMMIT/FILE
        found = next((tag for tag in tags if tag in part.lower().replace("-", "_")), None)
        if found:
            return found
    return ""


def _beside(path: Path) -> bool | None:
    """Return whether the configuration beside a weights file, Hugging Face's or open_clip's, says QuickGELU."""
    for name in ("open_clip_config.json", "config.json"):
        if not path.is_file() or not (path.parent / name).is_file():
            continue
        try:
            content = bounded_files.read_json(path.parent / name)
        except ValueError:
            continue  # it may belong to something else
        if isinstance(content, dict) and isinstance(content.get("model_cfg"), dict):
            return bool(content["model_cfg"].get("quick_gelu", False))
        if isinstance(content, dict) and content.get("model_type") == "clip":
            vision = content.get("vision_config")
            return (vision if isinstance(vision, dict) else {}).get("hidden_act", "quick_gelu") == "quick_gelu"
    return None
