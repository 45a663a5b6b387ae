"""~/filtered, for planners: the points of a cloud without some classes, or only those, with the fields of the input."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np
from sensor_msgs.msg import PointCloud2

from s4token_model import constants, words
from s4token_ros import cloud_messages
from s4token_ros.options import OutputConfig


def filters(config: OutputConfig) -> bool:
    """Return whether ~/filtered is wanted."""
    return bool(config.filtered_without or config.filtered_only)


def check(config: OutputConfig, names: Sequence[str] | None = None) -> None:
    """Raise ValueError if the words of a filter cannot work, among class names where they are known."""
    if config.filtered_without and config.filtered_only:
        raise ValueError("output.filtered_without and output.filtered_only are both set; leave one empty")
    for word in (*config.filtered_without, *config.filtered_only):
        if not words.repeat_key(word):
            raise ValueError(f"output.filtered_{_kind(config)} holds an empty word ({word!r}); remove it")
    if names is not None:
        classes(config, names)


def classes(config: OutputConfig, names: Sequence[str]) -> np.ndarray:
    """Return (len(names) + 1,) bool: which classes ~/filtered passes; the last is for points without a label.

    Words are compared as `words.repeat_key` reads them: "the_Chairs" is "chair". ValueError if one is no class name:
    what it names has other labels then, and would pass for them.
    """
    keys = {words.repeat_key(name): label for label, name in enumerate(names)}
    passes = np.full(len(names) + 1, not config.filtered_only)
    for word in (*config.filtered_without, *config.filtered_only):
        label = keys.get(words.repeat_key(word))
        if label is None:
            close = difflib.get_close_matches(words.repeat_key(word), keys, 1)
            hint = f"; did you mean {names[keys[close[0]]]!r}?" if close else f": {', '.join(names[:10])}"
            hint += ", ..." if not close and len(names) > 10 else ""
            raise ValueError(f"output.filtered_{_kind(config)}: {word!r} is none of the {len(names)} class names{hint}")
        passes[label] = bool(config.filtered_only)
    return passes


def cloud(source: cloud_messages.Cloud, labels: np.ndarray, passes: np.ndarray) -> PointCloud2:
    """Return the points whose class passes, with every byte of theirs, as an unorganized cloud.

    Points that are not finite are left out, since they say nothing to a planner. labels (H,) uint32.
    """
    found = passes[np.minimum(labels, len(passes) - 1)]
    unlabeled = labels == constants.UNLABELED
    found[unlabeled] &= np.isfinite(source.xyz[unlabeled]).all(axis=1)
    kept = np.take(source.points, np.flatnonzero(found))  # indexing with a mask is far slower
    return cloud_messages.encode(kept, source.header, is_dense=True)


def _kind(config: OutputConfig) -> str:
    return "only" if config.filtered_only else "without"
