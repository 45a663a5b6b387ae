"""ShapeNet55 as Point-BERT published it: lists and points, and what is wrong with them."""

from __future__ import annotations

import numpy as np
import pytest

from s4token_model.datasets import shapenet55

NAMES = ("02691156-aa", "03001627-bb")


def write(root, xyz):
    for folder in ("shapenet_pc", "ShapeNet-55"):
        (root / folder).mkdir(exist_ok=True)
    for name in NAMES:
        np.save(root / "shapenet_pc" / f"{name}.npy", xyz)
    for split, names in (("train", NAMES), ("test", NAMES[:1])):
        (root / "ShapeNet-55" / f"{split}.txt").write_text("".join(f"{name}.npy\n" for name in names))


def test_lists_and_shapes(tmp_path):
    xyz = np.random.default_rng(0).normal(size=(8192, 3)).astype(np.float32)
    write(tmp_path, xyz)
    files = shapenet55.list_shapes(tmp_path, "train")
    assert [f.stem for f in files] == list(NAMES) and len(shapenet55.list_shapes(tmp_path, "test")) == 1
    shape = shapenet55.load_shape(files[1])
    assert shape.synset == "03001627"
    np.testing.assert_array_equal(shape.xyz, xyz[:, [2, 0, 1]])  # y is up in the files, z here


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"ShapeNet-55/train\.txt.*shapenet_pc"):
        shapenet55.list_shapes(tmp_path)
    with pytest.raises(ValueError, match="unknown split"):
        shapenet55.list_shapes(tmp_path, "val")
    write(tmp_path, np.array([[0.0, np.nan, 0.0]]))
    path = shapenet55.list_shapes(tmp_path)[0]
    with pytest.raises(ValueError, match=r"02691156-aa\.npy: 1 of 1 points"):
        shapenet55.load_shape(path)
    path.unlink()
    with pytest.raises(ValueError, match="names 1 files that are not there"):
        shapenet55.list_shapes(tmp_path)
    (tmp_path / "ShapeNet-55" / "test.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"test\.txt lists no shape"):
        shapenet55.list_shapes(tmp_path, "test")
