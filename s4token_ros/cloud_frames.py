"""The frames of clouds: decoded, joined in one frame or taken to another by tf2, what is up in them, what they get."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from std_msgs.msg import Header

from s4token_model.config import Config
from s4token_model.effort import Effort
from s4token_model.io import pointcloud2
from s4token_ros import cloud_messages, fusion
from s4token_ros.cloud_messages import Cloud
from s4token_ros.latency import Latency
from s4token_ros.mailbox import Mailbox
from s4token_ros.options import NodeConfig
from s4token_ros.parameters import of_topic
from s4token_ros.transforms import Transforms, frame_name

NORMALS = (("normal_x", "normal_y", "normal_z"), ("nx", "ny", "nz"))  # turned with the positions
OLD_S = 1.0  # between a cloud and the transform that says what is up in it, before that is warned about
COARSE_M = 0.01  # steps of float32 coordinates in the target frame that are warned about


class CloudFrames:
    """What the parameters say of the frames of clouds, which may change while the node runs, but for input.fuse."""

    def __init__(self, node: Any, config: Callable[[], NodeConfig], transforms: Transforms | None = None) -> None:
        """Listen with `node` to tf2 from when a parameter needs it."""
        self._node, self._config, self._transforms = node, config, transforms
        self._lock = threading.Lock()  # guards _transforms
        self.latency = Latency()
        self.listen()

    def listen(self) -> None:
        """Listen to tf2 if a parameter needs it, and else no longer; before clouds come whose transforms are wanted."""
        config = self._config()
        if config.input.fuse or config.output.frame or any(config.input.gravity_frame):
            self._known()
            return
        with self._lock:
            if self._transforms:
                self._transforms.close()
                self._transforms = None

    def mailbox(self) -> Any:
        """Return where clouds wait: those of each topic by themselves, or joined."""
        if self._config().input.fuse:
            return fusion.FusedMailbox(lambda: self._config().input.fuse_window)
        return Mailbox()

    def decoded(self, arrival: Any) -> tuple[Cloud, tuple[str, ...]]:
        """Return the cloud of an Arrival or a Group, and warnings; ValueError if there is none."""
        if isinstance(arrival, fusion.Group):
            return self._joined(arrival)
        cloud = cloud_messages.decode(arrival.message)
        return cloud, cloud.notes

    def _joined(self, group: fusion.Group) -> tuple[Cloud, tuple[str, ...]]:
        """Join the clouds of a group in input.fuse_frame, without those that have no transform or are malformed."""
        target, clouds, problems = self._config().input.fuse_frame, [], list(group.problems)
        for part in group.parts:
            try:
                clouds.append(self._taken(cloud_messages.decode(part.message), target))
            except ValueError as reason:
                problems.append(f"labeled without {part.topic}: {reason}")
        warnings = tuple(f"input.fuse: {problem}" for problem in problems)
        if not clouds:
            raise ValueError("; ".join(warnings))
        cloud, notes = fusion.joined(clouds)
        return cloud, (*warnings, *notes)

    def published(self, cloud: Cloud) -> tuple[Cloud, tuple[str, ...]]:
        """Return a cloud as it is published, in output.frame, and warnings; ValueError without the transform."""
        target = self._config().output.frame
        if not target or frame_name(target) == frame_name(cloud.header.frame_id):
            return cloud, ()
        try:
            moved = self._taken(cloud, target)
        except ValueError as reason:
            raise ValueError(f"output.frame: {reason}") from None
        with np.errstate(invalid="ignore"):
            largest = np.abs(moved.xyz).max(initial=0, where=np.isfinite(moved.xyz))
        step = np.spacing(np.float32(largest)) if moved.xyz.dtype == np.float32 else 0.0
        found = f"output.frame: coordinates of {largest:.3g} in float32 have steps of {step:.2g}"
        return moved, (f"{found}; name a nearer frame",) if step > COARSE_M else ()

    def _taken(self, cloud: Cloud, target: str) -> Cloud:
        """Return a cloud in the frame `target`; ValueError without the transform at its stamp, awaited for a while."""
        header, timeout, target = cloud.header, self._config().input.transform_timeout, frame_name(target)
        if frame_name(header.frame_id) == target:
            return cloud
        return moved(cloud, self._known().awaited_pose(target, header.frame_id, header.stamp, timeout), target)

    def rotation(self, topic: str, header: Any) -> tuple[np.ndarray | None, str]:
        """Return the rotation (3, 3) to a frame whose z is up, or None, and what is wrong with it."""
        if not (frame := self._of_topic(self._config().input.gravity_frame, topic)):
            return None, ""
        try:
            rotation, age = self._known().rotation(frame, header.frame_id, header.stamp)
        except ValueError as reason:
            return None, f"input.gravity_frame: {reason}; what is up follows from input.up"
        found = f"the newest transform from frame {header.frame_id!r} to {frame!r} is {abs(age):.1f} s"
        relation = "older" if age > 0 else "newer"
        return rotation, f"input.gravity_frame: {found} {relation} than the cloud" if abs(age) > OLD_S else ""

    def changes(self, topic: str, config: Config) -> tuple[Effort | None, dict[str, Any]]:
        """Return what the next cloud of a topic gets, and what that and input.topic_up change in the model's config."""
        effort = self.latency.effort(topic, config, self._config().latency.budget_ms)
        changes = effort.changes() if effort else {}
        up = self._of_topic(self._config().input.topic_up, topic)
        return effort, changes | ({"input.up": up} if up else {})

    def _of_topic(self, values: tuple[str, ...], topic: str) -> str:
        if len(values) < 2:
            return of_topic(values, 0)
        names = [self._node.resolve_topic_name(name) for name in self._config().input.topics]
        return of_topic(values, names.index(topic)) if topic in names else ""

    def _known(self) -> Transforms:
        with self._lock:
            self._transforms = self._transforms or Transforms(self._node)
            return self._transforms


def moved(cloud: Cloud, pose: tuple[np.ndarray, np.ndarray], frame: str) -> Cloud:
    """Return a cloud in another frame: positions and normals are transformed, all other bytes stay.

    `pose` is the rotation (3, 3) and translation (3,) to the frame. Points that are not finite stay as they are.
    """
    rotation, translation = pose
    finite = np.isfinite(cloud.xyz).all(axis=1)
    xyz = cloud.xyz.astype(np.float64)
    xyz[finite] = xyz[finite] @ rotation.T + translation
    points = pointcloud2.with_xyz(cloud.points, xyz)
    for names in NORMALS:
        if set(names) <= set(points.dtype.names or ()) and all(points[name].dtype.kind == "f" for name in names):
            normals = np.stack([points[name] for name in names], axis=-1).astype(np.float64)
            turned = normals @ rotation.T
            for k, name in enumerate(names):
                points[name] = turned[..., k]
    header = Header(stamp=cloud.header.stamp, frame_id=frame)
    return replace(cloud, header=header, points=points, xyz=pointcloud2.xyz(points))
