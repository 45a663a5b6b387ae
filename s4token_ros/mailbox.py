"""A mailbox with room for one item of each topic, the newest: between the subscriptions and the worker thread.

Topics are served in turn by stride scheduling: each has a pass, the topic with the smallest one is next, and serving it
adds 1 / weight. A topic that was silent continues at the pass of the others, so that it saves up no turns. While all
topics have items, topics a and b get weight_a : weight_b of the turns, and no count is off by more than one turn of
each; a topic waits for at most one turn of every other of the same weight, whatever arrives on those.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any


class Mailbox:
    """Holds at most one item per `item.topic`; a newer one replaces it."""

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        """`weights` are positive; a topic without one has 1."""
        self._changed = threading.Condition()
        self._items: dict[str, Any] = {}  # the last entry is the newest
        self._passes: dict[str, float] = {}
        self._served = 0.0  # pass of the topic that was served last, before it was served
        self._weights = dict(weights or {})

    def set_weights(self, weights: Mapping[str, float]) -> None:
        """Serve the topics of `weights` from now on, and drop the items of others."""
        with self._changed:
            self._weights = dict(weights)
            self._items = {topic: item for topic, item in self._items.items() if topic in weights}
            self._passes = {topic: value for topic, value in self._passes.items() if topic in weights}
            self._changed.notify_all()

    def put(self, item: Any) -> tuple[str, ...]:
        """Store `item`; return its topic if it replaced an older one of it that nobody had taken, else ()."""
        with self._changed:
            replaced = self._items.pop(item.topic, None) is not None
            self._store(item)
        return (item.topic,) if replaced else ()

    def put_back(self, item: Any) -> None:
        """Store an item again after `take`, unless a newer one of its topic has arrived since."""
        with self._changed:
            if item.topic not in self._items:
                self._store(item)

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds; return whether there is an item."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._items), timeout)

    def wait_empty(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds; return whether there is no item."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._items, timeout)

    def take(self) -> Any:
        """Remove and return the item of the topic whose turn it is; None if there is none."""
        with self._changed:
            if not self._items:
                return None
            topic = min(self._items, key=self._passes.__getitem__)  # of equals the one with the oldest item
            self._served = self._passes[topic]
            self._passes[topic] += 1 / self._weights.get(topic, 1.0)
            self._changed.notify_all()
            return self._items.pop(topic)

    def take_newest(self) -> Any:
        """Remove and return the item that arrived last, whosever turn it is; None if there is none."""
        with self._changed:
            self._changed.notify_all()
            return self._items.popitem()[1] if self._items else None

    def clear(self) -> None:
        """Drop all items."""
        with self._changed:
            self._items.clear()
            self._changed.notify_all()

    def _store(self, item: Any) -> None:
        self._passes[item.topic] = max(self._passes.get(item.topic, 0.0), self._served)
        self._items[item.topic] = item
        self._changed.notify_all()
