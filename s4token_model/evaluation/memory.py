"""Time and peak of resident memory of a piece of work (Linux)."""

from __future__ import annotations

import time
from pathlib import Path


class PeakMemory:
    """Seconds, and bytes of resident memory at the peak above those at the start, between `start` and `stop`."""

    def start(self) -> None:
        """Reset the peak of this process."""
        Path("/proc/self/clear_refs").write_text("5")
        self._before, self._begin = _status("VmRSS"), time.perf_counter()

    def stop(self) -> tuple[float, int]:
        """Seconds and bytes since `start`."""
        return time.perf_counter() - self._begin, _status("VmHWM") - self._before


def _status(key: str) -> int:
    """Bytes of a line of the process's status, e.g. VmRSS, its resident memory, or VmHWM, the peak of it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(f"{key}:")))
