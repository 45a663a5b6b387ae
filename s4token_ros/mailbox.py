"""A mailbox with room for one message, the newest: between the subscriptions and the worker thread."""

from __future__ import annotations

import threading
from typing import Any


class Mailbox:
    """Holds at most one message; a newer one replaces it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._message: Any = None

    def put(self, message: Any) -> bool:
        """Store `message`; return whether it replaced an older one that nobody had taken."""
        with self._changed:
            replaced = self._message is not None
            self._message = message
            self._changed.notify_all()
        return replaced

    def put_back(self, message: Any) -> None:
        """Store a message again after `take`, unless a newer one has arrived since."""
        with self._changed:
            if self._message is None:
                self._message = message

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds; return whether there is a message."""
        with self._changed:
            return self._changed.wait_for(lambda: self._message is not None, timeout)

    def wait_empty(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds; return whether there is no message."""
        with self._changed:
            return self._changed.wait_for(lambda: self._message is None, timeout)

    def take(self) -> Any:
        """Remove and return the message; None if there is none."""
        with self._changed:
            message, self._message = self._message, None
            self._changed.notify_all()
        return message
