"""Objects of a labeled cloud as messages: s4token_interfaces/Objects and vision_msgs/Detection3DArray."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import Header

from s4token_interfaces.msg import Object
from s4token_interfaces.msg import Objects as ObjectsMessage
from s4token_model.objects import ObjectConfig, Objects, find_objects, is_thing
from s4token_ros.cloud_messages import Cloud

try:  # not on PyPI; part of many ROS installations
    from vision_msgs.msg import BoundingBox3D, Detection3D, Detection3DArray, ObjectHypothesisWithPose
except ImportError:
    Detection3DArray = None


class Found(NamedTuple):
    """The objects of one labeled cloud of a topic."""

    header: Header  # of the cloud
    vocabulary: Any  # the Vocabulary that labeled it
    objects: Objects
    ids: np.ndarray  # (N,) int64
    tracked: bool  # whether the ids are stable over time
    up: np.ndarray  # (3,) in the frame of the cloud

    def poses(self) -> list[Pose]:
        """The poses of the boxes."""
        pairs = zip(self.objects.center.tolist(), self.objects.rotation.tolist(), strict=True)
        return [Pose(position=point(c), orientation=Quaternion(x=q[0], y=q[1], z=q[2], w=q[3])) for c, q in pairs]

    def names(self) -> list[str]:
        """The class names."""
        return [self.vocabulary.names[label] for label in self.objects.label.tolist()]


def point(xyz: list[float]) -> Point:
    """Return a geometry_msgs/Point."""
    return Point(x=xyz[0], y=xyz[1], z=xyz[2])


def vector(xyz: list[float]) -> Vector3:
    """Return a geometry_msgs/Vector3."""
    return Vector3(x=xyz[0], y=xyz[1], z=xyz[2])


@lru_cache(maxsize=2)
def _things(names: tuple[str, ...]) -> np.ndarray:
    return np.array([is_thing(name) for name in names])


def find(cloud: Cloud, segmentation: Any, config: ObjectConfig, tracker: Any) -> Found:
    """Find the objects of a labeled cloud; `tracker`, TemporalLabels or None, gives them ids that stay."""
    s, up = segmentation, segmentation.encoding.up(cloud.xyz)
    things = _things(tuple(s.vocabulary.names))
    objects = find_objects(cloud.xyz, s.labels, s.confidence, things, config, up)
    found = Found(cloud.header, s.vocabulary, objects, np.arange(len(objects.label)), False, up)
    ids = tracker.object_ids(found.names(), objects.center, objects.size) if tracker else None
    return found if ids is None else found._replace(ids=ids, tracked=True)


def objects_message(found: Found) -> ObjectsMessage:
    """Return the objects of a cloud, best score first."""
    o = found.objects
    message = ObjectsMessage(header=found.header, tracked=found.tracked)
    message.vocabulary_version = int(found.vocabulary.version)
    rows = zip(found.ids.tolist(), o.label.tolist(), o.score.tolist(), o.points.tolist(), o.size.tolist(), strict=True)
    message.objects = [
        Object(id=i, label=label, name=name, score=score, points=points, pose=pose, size=vector(size))
        for (i, label, score, points, size), name, pose in zip(rows, found.names(), found.poses(), strict=True)
    ]
    return message


def detections_message(found: Found) -> Any:
    """Return the objects as vision_msgs/Detection3DArray, which must be installed; class_id is the class name."""
    detections, o = [], found.objects
    rows = zip(found.ids.tolist(), o.score.tolist(), o.size.tolist(), strict=True)
    for (i, score, size), name, pose in zip(rows, found.names(), found.poses(), strict=True):
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score, result.pose.pose = name, score, pose
        box = BoundingBox3D(center=pose, size=vector(size))
        detections.append(Detection3D(header=found.header, results=[result], bbox=box, id=str(i)))
    return Detection3DArray(header=found.header, detections=detections)
