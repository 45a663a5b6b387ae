"""The file format of training samples: what is written comes back, parts are optional, damage is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_samples import fake_sample

from s4token_model.training import token_samples
from s4token_model.training.token_samples import Pictures, SeenPixels, load_part, load_sample, save_sample

PICTURES = Pictures(
    np.zeros((2, 4, 4, 3), np.uint8), np.zeros((2, 4, 4), np.int16), np.array([3], np.int16), np.array(['{"a": "ä"}'])
)
SEEN = SeenPixels(*np.arange(8, dtype=np.int32).reshape(4, 2))


def test_what_is_written_comes_back(tmp_path):
    sample = replace(fake_sample(0, 8), pictures=PICTURES, seen=SEEN, category=np.int32(5))
    save_sample(tmp_path / "a.safetensors", sample)
    expected, found = token_samples.to_arrays(sample), token_samples.to_arrays(load_sample(tmp_path / "a.safetensors"))
    assert expected.keys() == found.keys() >= {"targets.feature", "pictures.attributes", "seen.row", "category"}
    for name, array in expected.items():
        assert found[name].dtype == array.dtype and np.array_equal(found[name], array), name


def test_parts_are_optional_and_read_alone(tmp_path):
    path = tmp_path / "a.safetensors"
    save_sample(path, replace(fake_sample(0, 8), pictures=PICTURES, seen=SEEN))
    few = load_sample(path, pictures=False)
    assert few.pictures is None and few.seen is None and few.targets is not None and few.category is None
    assert load_part(path, "pictures").attributes.tolist() == PICTURES.attributes.tolist()
    save_sample(path, replace(fake_sample(0, 8), targets=None, point_label=None))
    assert load_sample(path).targets is None and load_sample(path).point_label is None
    with pytest.raises(ValueError, match="holds no pictures"):
        load_part(path, "pictures")


def test_damaged_and_other_files_are_named(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"PK")
    with pytest.raises(ValueError, match="a.safetensors is damaged"):
        load_sample(path)
    token_samples.save_arrays(path, {"weight": np.zeros(3)})
    with pytest.raises(ValueError, match="holds no patch, patch_count.*not a prepared sample"):
        load_sample(path)
    with pytest.raises(ValueError, match="is damaged"):
        load_sample(tmp_path / "none.safetensors")
