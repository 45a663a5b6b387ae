"""Which activation the pretrained weights of open_clip were trained with."""

from __future__ import annotations

from pathlib import Path

import open_clip

QUICKGELU = "-quickgelu"  # suffix of open_clip's architectures with QuickGELU instead of GELU


def check_activation(name: str, pretrained: str) -> None:
    """Raise ValueError if the open_clip model `name` computes another activation than its weights were trained with.

    open_clip loads weights into either architecture, NAME (GELU) or NAME-quickgelu, and those of the wrong one give
    wrong features. Nothing is known about an unknown tag, nor about a file whose path names no tag.
    """
    base = name.removesuffix(QUICKGELU)
    tag = _tag_of_file(base, Path(pretrained)) if Path(pretrained).is_file() else pretrained
    weights = open_clip.get_pretrained_cfg(base, tag)
    quick = bool(weights.get("quick_gelu", False))
    right = base + QUICKGELU * quick
    if not weights or name == right or right not in open_clip.list_models():
        return
    computed, trained = ("GELU", "QuickGELU") if quick else ("QuickGELU", "GELU")
    raise ValueError(
        f"clip.name={name} computes {computed}, but the weights clip.pretrained={pretrained} were trained with "
        f"{trained}; use clip.name={right}. A tokenizer trained with {name} and these weights has to be trained again"
    )


def _tag_of_file(name: str, path: Path) -> str:
    """Return the longest tag of open_clip in the name of a weights file, else in its three nearest folders, or ""."""
    tags = sorted(open_clip.list_pretrained_tags_by_model(name), key=len, reverse=True)
    for part in reversed(path.absolute().parts[-4:]):  # a Hugging Face cache is MODEL.TAG/snapshots/COMMIT/FILE
        found = next((tag for tag in tags if tag in part.lower().replace("-", "_")), None)
        if found:
            return found
    return ""
