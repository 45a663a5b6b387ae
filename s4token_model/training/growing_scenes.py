"""Scenes that are still being made while they are trained on: processes make them, and the training looks for more."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

from tqdm import tqdm

from s4token_model import jobs
from s4token_model.training.token_samples import TokenSample, find_samples, load_sample

LOOK = 5.0  # seconds between looks into the folder
GROWTH = 1.4  # times as many samples as before are worth another copy of them


class GrowingScenes:
    """The samples of a folder that `maker`, if not None, writes to; read once, and kept in memory."""

    def __init__(self, folder: Path, maker: BaseProcess | None = None):
        self.folder, self.maker = folder, maker
        self.samples: dict[Path, TokenSample] = {}
        self._looked = 0.0

    def wait(self, count: int) -> list[TokenSample]:
        """Wait until there are `count` samples, or as many as are made. ValueError if there is none."""
        with tqdm(total=count, desc="first scenes") as bar:
            while (found := len(find_samples(self.folder))) < count and self._being_made():
                bar.update(found - bar.n)
                time.sleep(0.2)
        return self._read()

    def look(self) -> list[TokenSample]:
        """All samples if many are new, else none; the folder is looked at now and then."""
        if time.monotonic() < self._looked + LOOK:
            return []
        self._looked, found = time.monotonic(), len(find_samples(self.folder))
        last = self.maker is not None and not self._being_made()
        if last:
            self.maker = None
        return self._read() if found >= GROWTH * len(self.samples) or (last and found > len(self.samples)) else []

    def _being_made(self) -> bool:
        """Whether more will come. ValueError if the making of scenes failed."""
        if self.maker is None or self.maker.is_alive():
            return self.maker is not None
        if self.maker.exitcode:
            raise ValueError(f"no more scenes are made in {self.folder}; the message above says why")
        return False

    def _read(self) -> list[TokenSample]:
        for path in find_samples(self.folder):
            if path not in self.samples:
                self.samples[path] = load_sample(path, pictures=False)
        if not self.samples:
            raise ValueError(f"{self.folder} holds no sample to train on; give scene_minutes= more time")
        return list(self.samples.values())


@contextmanager
def made_beside(folder: Path, make: Callable[..., object], *arguments: object) -> Iterator[GrowingScenes]:
    """Call make(*arguments), which writes samples to `folder`, in a process that ends with the block at the latest."""
    maker = get_context("spawn").Process(target=_make, args=(make, *arguments))
    maker.start()
    try:
        yield GrowingScenes(folder, maker)
    finally:
        maker.terminate()
        maker.join()


def _make(make: Callable[..., object], *arguments: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process, and tells the user
    threading.Thread(target=jobs.end_with_parent, daemon=True).start()
    make(*arguments)
