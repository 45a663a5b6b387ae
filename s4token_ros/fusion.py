"""Clouds of several sensors as one: those whose stamps are close wait for each other, and are then joined."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from s4token_model.io import field_names, pointcloud2
from s4token_ros.cloud_messages import Cloud

NAME = "/fused"  # instead of a topic


class Group(NamedTuple):
    """Clouds that become one."""

    parts: tuple[Any, ...]  # Arrivals, one per topic
    problems: tuple[str, ...] = ()  # sensors that are missing
    topic: str = NAME

    @property
    def topics(self) -> tuple[str, ...]:
        """Where its clouds came from."""
        return tuple(part.topic for part in self.parts)


class FusedMailbox:
    """Holds the newest group of clouds, one of each topic, and the group that is being collected.

    A group is complete with a cloud of every topic. It ends without the missing ones `window()` seconds after its first
    cloud arrived, or when a cloud arrives whose stamp is later by more than that. Of a sensor that is faster than the
    others, the newest cloud counts. Has the methods of `mailbox.Mailbox`.
    """

    def __init__(self, window: Callable[[], float]) -> None:
        self._window = window  # seconds
        self._changed = threading.Condition()
        self._topics: tuple[str, ...] = ()
        self._open: dict[str, Any] = {}
        self._deadline = 0.0  # of the open group, monotonic [s]
        self._late: dict[str, float] = {}  # topic -> seconds that its newest cloud was too old
        self._ready: Group | None = None

    def set_weights(self, weights: Mapping[str, float]) -> None:
        """Join the topics of `weights` from now on."""
        with self._changed:
            self._topics = tuple(weights)
            self._open, self._ready = {}, None

    def put(self, item: Any) -> tuple[str, ...]:
        """Add an Arrival; return the topics of the clouds that were dropped for it."""
        with self._changed:
            if item.topic not in self._topics:  # of a subscription that has just ended
                return (item.topic,)
            dropped = self._end() if time.monotonic() >= self._deadline else ()
            stamp = _seconds(item)
            others = [_seconds(other) for topic, other in self._open.items() if topic != item.topic]
            if others and max(others) - stamp > self._window():
                self._late[item.topic] = max(others) - stamp
                return (*dropped, item.topic)
            if others and stamp - min(others) > self._window():
                dropped += self._end()
            if not self._open:
                self._deadline = time.monotonic() + self._window()
            if item.topic in self._open:
                dropped += (item.topic,)
            self._open[item.topic] = item
            if self._open.keys() >= set(self._topics):
                dropped += self._end()
            self._changed.notify_all()
            return dropped

    def put_back(self, item: Group) -> None:
        """Store a group again after `take`, unless there is a newer one."""
        with self._changed:
            self._ready = self._ready or item
            self._changed.notify_all()

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds; return whether there is a group."""
        end = time.monotonic() + timeout
        with self._changed:
            while self._ready is None:
                now = time.monotonic()
                if self._open and now >= self._deadline:
                    self._end()
                elif now >= end:
                    return False
                else:
                    self._changed.wait((min(end, self._deadline) if self._open else end) - now)
            return True

    def take(self) -> Group | None:
        """Remove and return the group; None if there is none."""
        with self._changed:
            group, self._ready = self._ready, None
            return group

    def take_newest(self) -> Group | None:
        """Remove and return the newest clouds, complete or not; None if there are none."""
        with self._changed:
            if self._ready is None:
                self._end()
            group, self._ready = self._ready, None
            return group

    def clear(self) -> None:
        """Drop all clouds."""
        with self._changed:
            self._open, self._ready = {}, None

    def _end(self) -> tuple[str, ...]:
        """Make the open group the newest one; return the topics of the one that nobody had taken."""
        if not self._open:
            return ()
        missing = [topic for topic in self._topics if topic not in self._open]
        self._late = {topic: late for topic, late in self._late.items() if topic in missing}
        dropped = self._ready.topics if self._ready else ()
        self._ready = Group(tuple(self._open.values()), tuple(map(self._explain, missing)))
        self._open = {}
        return dropped

    def _explain(self, topic: str) -> str:
        found = f"labeled without {topic}: no cloud within input.fuse_window, {self._window():g} s"
        late = self._late.get(topic)
        return f"{found}; its last one was {late:.3g} s older than the others" if late else found


def joined(clouds: Sequence[Cloud]) -> tuple[Cloud, tuple[str, ...]]:
    """Return clouds of one frame as one, with the newest stamp, and notes.

    Positions take the widest type. Of the other fields, those of the same name and type in all clouds are kept.
    """
    first = clouds[0]
    columns = {"x": 0, "y": 1, "z": 2}
    xyz = np.concatenate([cloud.xyz for cloud in clouds])
    found = {name: np.ascontiguousarray(xyz[:, k]) for name, k in columns.items()}
    fields = [_fields(cloud) for cloud in clouds]
    common = [name for name in fields[0] if all(other.get(name) == fields[0][name] for other in fields)]
    found |= {name: np.concatenate([c.points[name].astype(fields[0][name].base) for c in clouds]) for name in common}
    # What the clouds do not have in common
    lost = dict.fromkeys(name for one in fields for name in one if name not in common)
    notes = tuple(dict.fromkeys(note for cloud in clouds for note in cloud.notes))
    if lost:
        notes += (f"input.fuse: fields that not all clouds have are left out: {', '.join(lost)}",)
    points = pointcloud2.structured(found)
    header = max((cloud.header for cloud in clouds), key=lambda header: (header.stamp.sec, header.stamp.nanosec))
    dense = all(cloud.is_dense for cloud in clouds)
    return replace(
        first, header=header, height=1, width=len(points), is_dense=dense, points=points, xyz=xyz,
        rgb=pointcloud2.rgb(points), notes=(),
    ), notes  # fmt: skip


def _fields(cloud: Cloud) -> dict[str, np.dtype]:
    """Return the types, in native byte order, of the fields that are no coordinates."""
    names = cloud.points.dtype.names or ()
    positions = set(field_names.axes(names).values()) or {n for n in names if n.lower() in field_names.VECTORS}
    kinds = cloud.points.dtype
    return {name: np.dtype((kinds[name].base.newbyteorder("="), kinds[name].shape)) for name in names
            if name not in positions}  # fmt: skip


def _seconds(arrival: Any) -> float:
    stamp = arrival.message.header.stamp
    return stamp.sec + 1e-9 * stamp.nanosec
