"""The tokenizers of Tables 1 and 2 by name: what each gathers, by brute force, and the invariance each promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s4token_model import config as configs
from s4token_model import tokenizer_variants
from s4token_model.config import Config
from s4token_model.pipeline.patched_cloud import build_patches, network_input
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.training import prepare, settings
from s4token_model.training.batches import DrawConfig
from s4token_model.training.sampler import draw_batch

SMALL = {"sampling.tokens": 24, "patches.points": 16, "superpoints.regularization": 0.1, "tokenizer.width": 16}


def cloud(seed: int = 0) -> np.ndarray:
    """A floor, a wall and a ball: (700, 3) m."""
    rng = np.random.default_rng(seed)
    floor = rng.random((250, 3)) * [2, 2, 0.01]
    wall = rng.random((250, 3)) * [2, 0.01, 1.5] + [0, 2, 0]
    ball = rng.normal(size=(200, 3))
    ball = 0.4 * ball / np.linalg.norm(ball, axis=1, keepdims=True) + [1, 1, 0.6]
    return np.concatenate([floor, wall, ball]).astype(np.float32)


def config_of(name: str, **more) -> Config:
    return configs.replace(Config(), SMALL | {"variant": name} | more)


def farthest(xyz: np.ndarray, first: int, count: int) -> list[int]:
    """Plain farthest point sampling by its definition."""
    chosen = [first]
    for _ in range(count - 1):
        away = ((xyz[:, None].astype(np.float64) - xyz[chosen][None]) ** 2).sum(axis=2).min(axis=1)
        chosen.append(int(away.argmax()))
    return chosen


def chosen_of(xyz: np.ndarray, centers: np.ndarray) -> list[int]:
    return [int(np.flatnonzero((xyz == center).all(axis=1))[0]) for center in centers]


@pytest.mark.parametrize("name", tokenizer_variants.TABLE_1)
def test_patches_are_those_of_the_definition(name):
    geometry = build_patches(cloud(), None, config_of(name))
    xyz, found, parts = geometry.working.xyz, geometry.patches, name.split("+")
    chosen = chosen_of(xyz, found.centers)
    away = np.linalg.norm(xyz[chosen][:, None].astype(np.float64) - xyz[None], axis=2)
    apart = away[:, chosen] + np.diag([np.inf] * len(chosen))
    assert found.radius == pytest.approx(apart.min(axis=1).mean(), rel=1e-5)
    for row, center in enumerate(chosen):
        allowed = np.ones(len(xyz), bool)
        if "spt" in parts:
            allowed &= geometry.superpoints == geometry.superpoints[center]
        if "ball" in parts:
            allowed &= away[row] <= found.radius
        members = np.flatnonzero(allowed)
        if "knn" in parts:
            members = members[np.argsort(away[row][members], kind="stable")][:16]
        kept = found.index[row][found.index[row] >= 0]
        assert len(kept) == min(16, len(members)) and set(kept) <= set(members)
        unit = found.radius if "rpn" in parts else 1 / geometry.working.extent
        offsets = (xyz[kept] - xyz[center]) / unit  # the working cloud is scaled to the unit cube, raw offsets are not
        np.testing.assert_allclose(found.offsets[row, : len(kept)], offsets, atol=1e-4)
        assert not found.offsets[row, len(kept) :].any()


@pytest.mark.parametrize("name", ["knn", "ball", "knn+rpn", "ball+rpn", "point-bert"])
def test_without_superpoints_the_centroids_are_farthest_points(name):
    geometry = build_patches(cloud(1), None, config_of(name))
    chosen = chosen_of(geometry.working.xyz, geometry.patches.centers)
    assert chosen == farthest(geometry.working.xyz, chosen[0], 24)


@pytest.mark.parametrize("name", ["spt", "spt+rpn", "knn+rpn+spt", "ball+rpn+spt"])
def test_with_superpoints_the_centroids_are_weighted(name):
    assert config_of(name).sampling.gamma == Config().sampling.gamma > 0


@pytest.mark.parametrize("name", tokenizer_variants.TABLE_1)
@pytest.mark.parametrize("scale", [1 / 64, 8.0, 37.0])
def test_normalization_alone_makes_tokens_free_of_scale(name, scale):
    config = config_of(name)
    torch.manual_seed(0)
    tokenizer = Tokenizer(config.tokenizer, 24).eval()
    near, far = (build_patches(cloud(2) * np.float32(s), None, config) for s in (1.0, scale))
    np.testing.assert_array_equal(near.patches.index, far.patches.index)
    with torch.no_grad():
        once, again = (tokenizer(network_input(g, config)) for g in (near, far))
    assert torch.allclose(once, again, atol=2e-3) == ("rpn" in name)
    if "rpn" not in name:  # what enters is scaled as the cloud is, nothing more
        np.testing.assert_allclose(far.patches.offsets, near.patches.offsets * scale, rtol=1e-4, atol=1e-5 * scale)
        positions = [network_input(g, config).position for g in (near, far)]
        torch.testing.assert_close(positions[1], positions[0] * scale, rtol=1e-4, atol=1e-4 * scale)


@pytest.mark.parametrize("name", tokenizer_variants.TABLE_1)
def test_moving_the_cloud_changes_no_token(name):
    config = config_of(name)
    tokenizer = Tokenizer(config.tokenizer, 24).eval()
    moved = cloud(2) + np.float32([4, -8, 2])
    with torch.no_grad():
        tokens = [tokenizer(network_input(build_patches(xyz, None, config), config)) for xyz in (cloud(2), moved)]
    assert torch.allclose(*tokens, atol=1e-3)


def test_the_names_are_the_eight_rows_of_table_1_and_two_more():
    assert (
        len({tuple(sorted(tokenizer_variants.changes(name).items())) for name in tokenizer_variants.NAMES})
        == len(tokenizer_variants.TABLE_1)
        == 8
    )
    assert tokenizer_variants.changes("s4token") == tokenizer_variants.changes("ball+rpn+spt")
    assert tokenizer_variants.changes("point-bert") == tokenizer_variants.changes("knn")
    with pytest.raises(ValueError, match="variant='cube' is not one of knn"):
        config_of("cube")


def test_single_keys_take_precedence_and_nothing_else_changes():
    assert configs.replace(Config(), {"variant": "knn", "sampling.gamma": 0.3}).sampling.gamma == 0.3
    assert configs.replace(Config(), {}) == Config() and "variant" not in configs.options(Config())
    plain, bare = configs.to_dict(Config()), configs.to_dict(configs.replace(Config(), {"variant": "s4token"}))
    assert {key for key in plain if plain[key] != bare[key]} == {
        "tokenizer.context"
    }  # the default is ours, with context
    with pytest.raises(ValueError, match="unknown config key 'variant'"):
        configs.replace(settings.TrainConfig(), {"variant": "knn"})


def test_a_training_file_names_a_variant(tmp_path):
    path = tmp_path / "train.yaml"
    path.write_text("steps: 3\nvariant: knn\n")
    config, pipeline = settings.read(path, ["variant=ball+rpn", "sampling.gamma=0.2"])
    assert config.steps == 3 and pipeline.patches.grouping == "ball" and pipeline.sampling.gamma == 0.2


@pytest.mark.parametrize("name", ["knn", "knn+rpn"])
def test_training_reads_what_inference_reads(name):
    config = config_of(name)
    sample = prepare.cloud_sample(cloud(3), prepare.Recipe(config, settings.TrainConfig(points=32)), 0)
    batch = draw_batch([sample], DrawConfig(24, training=False), [np.random.default_rng(0)])
    wanted = network_input(build_patches(cloud(3), None, config), config)
    torch.testing.assert_close(batch.inputs.position, wanted.position, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(batch.inputs.patch, wanted.patch, rtol=2e-3, atol=2e-3)
    assert torch.allclose(batch.weights.sum(-1).max(), torch.tensor(1.0))
