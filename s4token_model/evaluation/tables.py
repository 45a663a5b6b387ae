"""Results as text tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from s4token_model.evaluation.loading import skipped_lines

TITLES = {
    "seen": "seen points only",
    "synonyms": "synonyms",
    "rules": "height+normal",
    "chance": "chance",
    "oracle": "superpoint oracle",
    "provided": "oracle of provided",
}


def table(rows: Sequence[Sequence[Any]], header: Sequence[str]) -> str:
    """Align rows under a header; floats are shown in percent with one decimal, None as a dash."""
    texts = [list(header)] + [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[i]) for row in texts) for i in range(len(header))]
    lines = [
        "  ".join([row[0].ljust(widths[0])] + [t.rjust(w) for t, w in zip(row[1:], widths[1:], strict=True)])
        for row in texts
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column left, the others right."""
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return "\n".join([lines[0], "|---|" + "---:|" * (len(header) - 1), *lines[1:]])


def segmentation_table(result: dict[str, Any], model: str) -> str:
    """The table of `segmentation.evaluate`: a column per method, scores and the IoU of every class that occurs."""
    methods, fractions, titles = result["methods"], result["share"], {"model": model} | TITLES
    rows: list[list[Any]] = [
        [title, *(scores[key] for scores in methods.values()), None]
        for title, key in (("mIoU", "miou"), ("mAcc", "macc"), ("accuracy", "accuracy"))
    ]
    for name, prompt in zip(result["classes"], result["prompts"], strict=True):
        if fractions[name] > 0:
            title = name if name == prompt else f"{name} (as “{prompt}”)"
            rows.append([title, *(scores["iou"][name] for scores in methods.values()), fractions[name]])
    lines = [table(rows, ["percent", *(titles[method] for method in methods), "share of points"])]
    if absent := [name for name in result["classes"] if not fractions[name]]:
        lines.append(f"not in the truth: {', '.join(absent)}")
    seconds, superpoints = result["seconds_per_cloud"], result["superpoints_per_cloud"]
    lines.append(
        f"{len(result['clouds'])} clouds, {result['points']:,} points;"
        f" {seconds:.2f} s and {superpoints:.0f} superpoints per cloud"
    )
    if seen := [cloud["seen"] for cloud in result["clouds"] if "seen" in cloud]:
        lines.append(f"some frame shows {100 * sum(seen) / len(seen):.1f} % of the points of a cloud")
    lines += skipped_lines(result.get("skipped", []))
    renamed = result.get("renamed", {})
    if renamed.get("classes"):
        lines.append(
            f"mIoU over the {len(renamed['classes'])} renamed classes:"
            f" {100 * renamed['model']:.1f} % under their names, {100 * renamed['synonyms']:.1f} % under the synonyms"
        )
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f}" if isinstance(value, float) else str(value)
