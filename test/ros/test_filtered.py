"""~/filtered: which words name a class, and which bytes pass."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

from ros_helpers import arrays, cloud, room

from s4token_model import constants
from s4token_ros import cloud_messages, filtered
from s4token_ros.options import OutputConfig

NAMES = ("floor", "The Chairs", "person")


def passes(**given) -> list[bool]:
    return filtered.classes(OutputConfig(**given), NAMES).tolist()


def test_words_are_compared_as_the_vocabulary_reads_them():
    assert passes(filtered_without=("Floors", "a_chair")) == [False, False, True, True]
    assert passes(filtered_only=("people",)) == [False, False, True, False]  # points without a label stay out
    assert not filtered.filters(OutputConfig()) and filtered.filters(OutputConfig(filtered_only=("floor",)))


@pytest.mark.parametrize(
    "given, reason",
    [
        ({"filtered_without": ("flor",)}, "output.filtered_without: 'flor' is none of the 3 class names; did you mean"),
        ({"filtered_only": ("lamp",)}, "output.filtered_only: 'lamp' is none of the 3 class names: floor, The Chairs"),
        ({"filtered_only": ("floor",), "filtered_without": ("person",)}, "are both set; leave one empty"),
        ({"filtered_without": ("floor", " ")}, "holds an empty word"),
    ],
)
def test_words_that_name_no_class_are_refused(given, reason):
    with pytest.raises(ValueError) as error:
        filtered.check(OutputConfig(**given), NAMES)
    assert reason in str(error.value)


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8"])
def test_points_that_pass_keep_every_byte_of_theirs(kind):
    points = room(400, kind=kind) if kind[0] == "<" else room(400).astype(
        [(name, room(1).dtype[name].newbyteorder(">")) for name in room(1).dtype.names])  # fmt: skip
    points["x"][7] = np.nan
    labels = (np.arange(400) % 3).astype(np.uint32)
    labels[[7, 8]] = constants.UNLABELED
    message = cloud(points, "lidar", height=4)
    found = filtered.cloud(cloud_messages.decode(message), labels, filtered.classes(
        OutputConfig(filtered_without=("floor", "person")), NAMES))  # fmt: skip
    kept = (labels == 1) | (np.arange(400) == 8)  # 7 is not finite
    assert found.header == message.header and (found.height, found.width) == (1, kept.sum())
    assert found.fields == message.fields and found.is_bigendian == message.is_bigendian
    assert bytes(found.data) == points[kept].tobytes()
    nothing = filtered.cloud(cloud_messages.decode(message), labels, np.zeros(4, bool))
    assert len(arrays(nothing)) == 0 and nothing.point_step in (0, message.point_step)
