"""Zero-shot classification on ScanObjectNN: OBJ_ONLY, OBJ_BG and PB_T50_RS (method: Tab. 5)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from s4token_model.datasets import scanobjectnn
from s4token_model.evaluation import classification, methods, prompts
from s4token_model.evaluation.loading import Readable


def run(
    root: str | Path,
    split: str = "test",
    model: str = "s4token-mini",
    as_json: bool = False,
    device: str = "cpu",
    out: str | Path | None = None,
    method: str = "s4token",
    variants: str | Sequence[str] | None = None,
    segmenter: Any = None,
) -> dict[str, Any]:
    """Score a model on the variants, e.g. "obj_only,pb_t50_rs" or a list, default all whose file is there.

    Prints a table per variant, or one JSON object with `variants` {name: figures of `classification.evaluate`}. out:
    folder, one inside it per variant; the others as in `evaluation.modelnet.run`.
    """
    wanted = [v.strip() for v in variants.split(",")] if isinstance(variants, str) else variants
    names = list(wanted) if wanted else scanobjectnn.available(root, split)
    paths = {name: scanobjectnn.find(root, name, split) for name in names}
    labeller = segmenter or methods.load(method, model, device)
    words = prompts.load("scanobjectnn", scanobjectnn.NAMES)
    result: dict[str, Any] = {"task": "scanobjectnn", "model": str(model), "method": method, "split": split}
    result["variants"] = {}
    for name in paths:
        things = Readable(scanobjectnn.load(root, name, split), _good, "objects")
        folder = None if out is None else Path(out) / name
        figures = classification.evaluate(things, scanobjectnn.NAMES, words, labeller, folder)
        result["variants"][name] = figures
        if not as_json:
            print(classification.text_of(figures, f"{name.upper()}: {methods.title(method, model)}"))
    if as_json:
        print(json.dumps(result))
    return result


def _good(item: tuple[str, Any]) -> scanobjectnn.Object:
    if isinstance(item[1], ValueError):
        raise item[1]
    return item[1]
