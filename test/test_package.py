"""`import s4token_model`: what users import, and that it costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import s4token_model

ROOT = Path(__file__).resolve().parents[1]


def test_importing_the_package_alone_loads_no_heavy_library():
    code = "import sys, s4token_model; s4token_model.__version__; print(*{'torch', 'numba', 'numpy'} & {*sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_what_users_import_is_exported():
    from s4token_model import Config, Segmenter, partition
    from s4token_model.config import Config as config_class
    from s4token_model.pipeline.superpoints import partition as partition_function
    from s4token_model.segmenter import Segmenter as segmenter_class

    assert (Config, Segmenter, partition) == (config_class, segmenter_class, partition_function)
    assert set(s4token_model.__all__) == {"Config", "Segmenter", "partition"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Labeler'"):
        _ = s4token_model.Labeler
    assert not hasattr(s4token_model, "nothing")


def test_an_installed_package_reads_its_version_from_its_metadata(monkeypatch, tmp_path):
    monkeypatch.setattr(s4token_model, "__file__", str(tmp_path / "s4token_model" / "__init__.py"))
    monkeypatch.setattr(s4token_model.metadata, "version", {"s4token_ros": "9.8.7"}.__getitem__)
    assert s4token_model.__version__ == "9.8.7"
