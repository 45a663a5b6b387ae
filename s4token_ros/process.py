"""The node's process: exceptions of callbacks do not end it, and a signal does so in time."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.exceptions import InvalidHandle
from rclpy.executors import MultiThreadedExecutor

from s4token_ros import signals

ORDERLY_S = 0.7  # for running callbacks and clouds to end, before the node is destroyed beside them
PAUSE_S = 0.05  # after an exception out of the executor, so that one that repeats does not take a processor
THREADS = 32  # callbacks at work at once: some wait for clouds, texts or models, and so many topics may rest


class GuardedExecutor(MultiThreadedExecutor):
    """Gives exceptions to `report(error, callback)`; rclpy raises them out of spin, or never runs the group again."""

    def __init__(self, report: Callable[[Exception, str], None], context: Any = None) -> None:
        super().__init__(num_threads=THREADS, context=context)
        self._report = report
        # All threads from the start: by themselves, they come one by one over hours, and look like a leak
        together = threading.Barrier(THREADS)
        for _ in range(THREADS):
            self._executor.submit(together.wait)

    def _make_handler(self, entity: Any, node: Any, take: Callable[[Any], Any], *rest: Any) -> Any:
        """Guard both halves of a callback: `take` converts what has arrived, and returns the coroutine to run."""
        name = _name(entity)

        def guarded_take(entity: Any) -> Any:
            try:
                call = take(entity)
            except InvalidHandle:  # destroyed just now
                return None
            except Exception as error:
                self._report(error, name)
                return None
            return guarded(call) if callable(call) else call

        def guarded(call: Callable[[], Any]) -> Callable[[], Any]:
            async def run() -> None:
                try:
                    await call()
                except InvalidHandle:
                    pass
                except Exception as error:
                    self._report(error, name)

            return run

        return super()._make_handler(entity, node, guarded_take, *rest)


def _name(entity: Any) -> str:
    for attribute in ("topic_name", "srv_name"):
        if name := getattr(entity, attribute, None):
            return str(name)
    return type(entity).__name__.lower()


def readable(error: Exception) -> Exception:
    """Return an error of the start as users may read it: what rclpy refuses is wrong input, and no fault of ours."""
    if not type(error).__module__.startswith("rclpy"):
        return error
    return ValueError(re.sub(r", at /\S+:\d+", "", str(error)).strip() or repr(error))


def spin(node: Any, stop: threading.Event) -> None:
    """Run the callbacks of a node until `stop`; the process ends here if a thread does not end in time.

    The node has `report_fault(error, callback)`, and `halt(timeout, final)`, which stops its threads and tells whether
    they have ended.
    """
    signals.end_orderly()
    executor = GuardedExecutor(node.report_fault)
    executor.add_node(node)
    while not stop.is_set() and node.context.ok():
        try:
            executor.spin_once(timeout_sec=0.2)
        except InvalidHandle:  # rclpy raises it if a callback destroys a subscription just now
            pass
        except Exception as error:
            node.report_fault(error, "executor")
            time.sleep(PAUSE_S)
    ended = False
    try:  # executor.shutdown() would wait for running callbacks, however long
        end = time.monotonic() + ORDERLY_S
        halted = node.halt(ORDERLY_S, final=True)
        ended = executor._work_tracker.wait(max(0.0, end - time.monotonic())) and halted
        node.destroy_node()
        node.context.try_shutdown()
    finally:
        if not ended:
            signals.leave(0)
