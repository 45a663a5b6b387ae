"""Labels of the 2D targets: right where a frame shows a point, none elsewhere, of frames and of OpenScene's files."""

from __future__ import annotations

import json

import numpy as np
import posed_frames as posed
import pytest
import torch
from real_data import real

from s4token_model import checkpoint, cli, prompts
from s4token_model import config as configs
from s4token_model.constants import UNLABELED
from s4token_model.datasets import posed_rgbd
from s4token_model.evaluation import benchmarks, procedural_rooms
from s4token_model.evaluation.segmentation import LabeledCloud, evaluate
from s4token_model.evaluation.view_labels import ViewLabeler, ViewOptions
from s4token_model.training import targets_posed_rgbd

NAMES = ("wall", "picture", "sofa")
NYU40 = np.array([1, 11])  # of wall and picture
WORLD = configs.replace(configs.Config(), {"input.up": "-y", "superpoints.regularization": 0.02})


class Colors:
    """Stands in for a CLIP: features are mean colors, and "wall" is red, "picture" green, all else blue."""

    image_size, dim, device, known_words = 64, 3, torch.device("cpu"), None

    def encode_images(self, images, dense=False):
        row, column = (np.arange(self.image_size) * edge // self.image_size for edge in images.shape[1:3])
        images = images[:, row[:, None], column]
        cells = images.reshape(len(images), 8, 8, 8, 8, 3).mean(axis=(2, 4)) + 1e-3
        return torch.from_numpy(cells).float(), torch.from_numpy(images.reshape(len(images), -1, 3).mean(axis=1) + 1e-3)

    def encode_text(self, texts):
        words = [("wall", [1, 0, 0]), ("picture", [0, 1, 0]), ("", [0, 0, 1])]
        return np.array([next(color for word, color in words if word in text) for text in texts], np.float32)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A room in VoteNet's layout, and its frames as ScanNet's SensReader exports them, in a folder of its name."""
    folder, (xyz, part) = tmp_path_factory.mktemp("scannet"), posed.cloud()
    posed.write(folder / "scans" / "scene0000_00", "scannet")
    np.save(folder / "scene0000_00_vert.npy", np.column_stack([xyz, np.full_like(xyz, 127)]))
    np.save(folder / "scene0000_00_sem_label.npy", NYU40[part])
    return folder


@pytest.mark.parametrize("targets", ["crops", "dense", "points"])
def test_points_take_the_word_of_what_the_frames_show(root, targets):
    frames, _ = posed_rgbd.frames(root / "scans" / "scene0000_00")
    xyz, part = posed.cloud()
    far = np.float32([[40, 0, 2], [41, 0, 2]])
    cloud = LabeledCloud("a", np.concatenate([xyz, far]), None, np.r_[part, 2, 2].astype(np.uint32), views=frames)
    result = evaluate([cloud], NAMES, ViewLabeler(Colors(), WORLD, ViewOptions(targets)), NAMES, rules=None)
    every, seen = result["methods"]["model"], result["methods"]["seen"]
    assert every["iou"]["sofa"] == 0 and seen["iou"]["sofa"] is None  # no frame shows the two far points
    assert seen["accuracy"] > 0.95 and every["accuracy"] <= seen["accuracy"]
    assert result["clouds"][0]["tokens"] == 0 and 0.5 < result["clouds"][0]["seen"] <= 1
    assert ("oracle" in result["methods"]) == (targets != "points")


def test_the_targets_are_those_that_training_reads(root):
    """Every superpoint has one label: that of the feature in a prepared sample."""
    folder = root / "scans" / "scene0000_00"
    frames, _ = posed_rgbd.frames(folder)
    labeler = ViewLabeler(Colors(), WORLD, ViewOptions("dense"))
    xyz, _ = posed.cloud()
    viewed = labeler.encode(xyz, None, None, frames)
    patched = targets_posed_rgbd.build_patches(xyz, None, WORLD)
    targets, _ = targets_posed_rgbd.encode_scene(
        xyz[patched.working.original_index], patched.superpoints, frames, labeler.clip, dense=True
    )
    for superpoint, feature in zip(targets.superpoint, targets.feature, strict=True):
        rows = viewed.row[viewed.superpoints == superpoint]
        assert (rows == rows[0]).all()
        np.testing.assert_allclose(viewed.feature[rows[0]], feature, atol=1e-6)


def words(root, model, *more):
    return ["evaluate", "scannet", "--root", str(root), "--model", str(model), "--set", "input.up=-y", *more]


def test_the_command_measures_frames_and_fused_features(root, tiny_model, tmp_path, capsys):
    assert cli.main(words(root, tiny_model, "--method", "views", "--targets", "points", "--every", "2", "--json")) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["method"], result["targets"], result["every"]) == ("views", "points", 2)
    assert list(result["methods"]) == ["model", "seen", "rules", "chance"] and result["clouds"][0]["seen"] > 0.4
    # OpenScene's files say of each point what its word is
    _, part = posed.cloud()
    clip = checkpoint.load_clip(tiny_model, checkpoint.read_config(tiny_model).clip)
    labeler = ViewLabeler(clip, WORLD, ViewOptions())
    frozen = prompts.load("scannet20", benchmarks.scannet.NAMES)
    text = labeler.make_vocabulary(frozen.names, frozen.templates).text[[0, 10]]
    full = torch.arange(len(part)) % 5 > 0
    feature = torch.from_numpy(3 * text[part]).half()[full]
    torch.save({"feat": feature, "mask_full": full}, tmp_path / "scene0000_00_0.pt")
    assert cli.main(words(root, tiny_model, "--method", "views", "--features", str(tmp_path), "--json")) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["targets"] == "openscene" and result["methods"]["seen"]["accuracy"] == 1.0
    assert result["methods"]["model"]["accuracy"] == pytest.approx(float(full.float().mean()))
    assert cli.main(words(root, tiny_model, "--method", "views", "--features", str(tmp_path))) == 0
    assert "some frame shows 80.0 % of the points of a cloud" in capsys.readouterr().out


def test_features_of_another_clip_are_refused_with_its_name(root, tiny_model, tmp_path, capsys):
    count = len(posed.cloud()[0])
    torch.save({"feat": torch.ones(count, 768), "mask_full": torch.ones(count)}, tmp_path / "scene0000_00_0.pt")
    assert cli.main(words(root, tiny_model, "--method", "views", "--features", str(tmp_path))) == 2
    error = capsys.readouterr().err
    assert "the features have 768 numbers, those of this CLIP's texts 32" in error
    assert "--set clip.name=ViT-L-14-336-quickgelu" in error


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (("--targets", "dense"), "--targets dense has no effect without --method views"),
        (("--method", "views", "--every", "0"), "--every 0: give at least 1"),
        (("--method", "views", "--features", "x", "--targets", "dense"), "--features x needs no frames"),
        (("--method", "views", "--frames", "nowhere"), "no scene of posed RGB-D frames in nowhere"),
        (("--method", "views", "--frames", "OTHER"), "no posed frames of scene0000_00; there are those of other"),
        (("--method", "views", "--features", "nowhere"), "no features of scene0000_00: looked for nowhere"),
    ],
    ids=["no views", "every", "both", "no frames", "other frames", "no features"],
)
def test_what_is_wrong_is_named(root, tiny_model, tmp_path, capsys, given, reason):
    posed.write(tmp_path / "other")
    given = [str(tmp_path / "other") if word == "OTHER" else word for word in given]
    assert cli.main(words(root, tiny_model, *given)) == 2
    assert reason in capsys.readouterr().err
    with pytest.raises(ValueError, match="targets other: choose from crops, dense, points"):
        ViewOptions("other").checked()


def test_frames_of_procedural_rooms_show_what_is_there():
    """Points of a rendered room, labeled by the pixels that show them, have the labels of the scan."""
    (cloud,) = procedural_rooms.viewed_rooms(1, every=6)
    assert len(cloud.views) == 4
    seen, right = np.zeros(len(cloud.xyz), bool), []
    for frame in cloud.views:
        index = posed_rgbd.visible(cloud.xyz, frame, frame.depth())
        pixel, _ = targets_posed_rgbd.project(cloud.xyz[index], frame.pose, frame.color_matrix)
        column, row = np.rint(pixel).astype(int).T
        label = frame.view.label[row, column]
        right.append((label == cloud.label[index])[label >= 0])
        seen[index] = True
        assert frame.color().shape == (*procedural_rooms.FRAME_SIZE, 3)
    assert seen.mean() > 0.2 and np.concatenate(right).mean() > 0.9


def test_the_real_scene_is_labeled(tiny_model):
    folder, config = real("rgbd_7scenes"), checkpoint.read_config(tiny_model)
    frames, _ = posed_rgbd.frames(folder, 20)
    xyz, _ = targets_posed_rgbd.fuse(frames)
    labeler = ViewLabeler(checkpoint.load_clip(tiny_model, config.clip), config, ViewOptions("points"))
    found = labeler.label(labeler.encode(xyz, None, None, frames), labeler.make_vocabulary(["wall", "floor"]))
    assert found.seen.mean() > 0.95 and set(found.labels[~found.seen]) <= {UNLABELED}
