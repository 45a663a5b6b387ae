"""What the page lets one save: the labeled cloud and the words, as files in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from s4token_model.explore.state import CLOUD_SUFFIXES, Choice
from s4token_model.io import files


def cloud_file(cloud: files.Cloud, columns: dict[str, np.ndarray], suffix: str) -> bytes:
    """Return a cloud with further columns, each (H,), as the bytes of a file of CLOUD_SUFFIXES."""
    if suffix not in CLOUD_SUFFIXES:
        raise ValueError(f"suffix {suffix!r} cannot be saved from here; choose one of {', '.join(CLOUD_SUFFIXES)}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"labeled{suffix}")
        files.write_cloud(path, cloud, columns)
        return path.read_bytes()


def words_file(names: tuple[str, ...], choice: Choice) -> str:
    """Return class names as a labels file, one per line, with the command that labels a cloud with them."""
    settings = f" --set vocabulary.threshold={choice.threshold:g}" if choice.threshold else ""
    settings += " --set vocabulary.vote=true" if choice.vote else ""
    use = f"# s4token label scan.ply -o labeled.ply --labels words.txt{settings}"
    return "\n".join([use, *names, ""])
