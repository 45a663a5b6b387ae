"""The messages that explain labels, as rosbags writes them: the vocabulary, and vision_msgs/LabelInfo."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

VOCABULARY_TYPE = "s4token_interfaces/msg/Vocabulary"
LABEL_INFO_TYPE = "vision_msgs/msg/LabelInfo"
DEFINITIONS = {
    # Without its comments that of s4token_interfaces, which a reader of bags need not have installed
    VOCABULARY_TYPE: """\
uint32 UNLABELED=65535
std_msgs/Header header
uint32 version
string[] names
string[] templates
float32[] thresholds
std_msgs/ColorRGBA[] colors
float32[] known
string[] warnings
""",
    "vision_msgs/msg/VisionClass": "uint16 class_id\nstring class_name\n",
    LABEL_INFO_TYPE: "std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n",
}


class Explanation(NamedTuple):
    """A message that explains labels: the last part of its topic, its type and its content."""

    name: str
    msgtype: str
    raw: bytes


def register(store: Any) -> None:
    """Add the types of the messages to a typestore of rosbags."""
    from rosbags.typesys import get_types_from_msg

    for name, definition in DEFINITIONS.items():
        if name not in store.fielddefs:
            store.register(get_types_from_msg(definition, name))


def explanations(store: Any, vocabulary: Any, stamp: int) -> list[Explanation]:
    """Return what the node publishes latched on ~/vocabulary and ~/label_info, at the time `stamp` [ns]."""
    register(store)
    types = store.types
    time = types["builtin_interfaces/msg/Time"](stamp // 10**9, stamp % 10**9)
    header = types["std_msgs/msg/Header"](time, "")
    color = types["std_msgs/msg/ColorRGBA"]
    colors = [color(*(float(level) / 255 for level in row), 1.0) for row in vocabulary.colors]
    thresholds = [float(limit) for limit in vocabulary.thresholds]
    names = list(vocabulary.names)
    words = types[VOCABULARY_TYPE](
        header, int(vocabulary.version), names, list(vocabulary.templates), np.array(thresholds, np.float32), colors,
        np.asarray(vocabulary.known, np.float32), list(vocabulary.warnings),
    )  # fmt: skip
    classes = [types["vision_msgs/msg/VisionClass"](label, name) for label, name in enumerate(names)]
    info = types[LABEL_INFO_TYPE](header, classes, min(thresholds))
    made = (("vocabulary", VOCABULARY_TYPE, words), ("label_info", LABEL_INFO_TYPE, info))
    return [Explanation(name, kind, bytes(store.serialize_cdr(message, kind))) for name, kind, message in made]
