"""The tokenizer: what must not change a token, and what must."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from s4token_model.config import PatchConfig, TokenizerConfig
from s4token_model.pipeline import geometry, token_context
from s4token_model.pipeline.patches import group
from s4token_model.pipeline.sampling import farthest_points
from s4token_model.pipeline.tokenizer import (
    PlainPointNet,
    PointNet,
    PositionEmbedding,
    TokenInput,
    Tokenizer,
    token_input,
)


def make(config: TokenizerConfig, out: int = 24) -> Tokenizer:
    torch.manual_seed(0)
    return Tokenizer(config, out).eval()


def random_input(seed: int = 0, features: int = 0) -> TokenInput:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand((2, 5, 8), generator=generator) < 0.7
    wide = torch.rand((2, 5, 9), generator=generator) < 0.7
    mask[..., 0] = wide[..., 0] = True
    return TokenInput(
        torch.randn((2, 5, 8, 3 + features), generator=generator) * mask[..., None],
        mask,
        torch.randn((2, 5, 9, token_context.CHANNELS), generator=generator) * wide[..., None],
        wide,
        torch.randn((2, 5, token_context.DESCRIPTOR_DIM), generator=generator),
        torch.randn((2, 5, 3), generator=generator),
    )


CONFIGS = [
    TokenizerConfig(width=16),
    TokenizerConfig(width=16, context=False, position="none"),
    TokenizerConfig(width=16, maxima=1),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_padding_never_changes_a_token(config):
    tokenizer, inputs = make(config), random_input()
    tokens = tokenizer(inputs)
    junk = torch.full((2, 5, 6, 3), 1e3)
    more = dataclasses.replace(
        inputs,
        patch=torch.cat([inputs.patch.masked_fill(~inputs.mask[..., None], 77.0), junk], dim=2),
        mask=torch.cat([inputs.mask, torch.zeros(2, 5, 6, dtype=torch.bool)], dim=2),
        context=inputs.context.masked_fill(~inputs.context_mask[..., None], -55.0),
    )
    torch.testing.assert_close(tokenizer(more), tokens, rtol=0, atol=1e-6)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_order_of_the_points_does_not_matter(config):
    tokenizer, inputs = make(config), random_input()
    order, wide = torch.randperm(8), torch.randperm(9)
    shuffled = dataclasses.replace(
        inputs,
        patch=inputs.patch[:, :, order],
        mask=inputs.mask[:, :, order],
        context=inputs.context[:, :, wide],
        context_mask=inputs.context_mask[:, :, wide],
    )
    torch.testing.assert_close(tokenizer(shuffled), tokenizer(inputs), rtol=0, atol=1e-6)


@pytest.mark.parametrize("config", CONFIGS)
def test_tokens_do_not_depend_on_their_batch(config):
    tokenizer, inputs = make(config), random_input()
    one = TokenInput(*(getattr(inputs, f.name)[1:] for f in dataclasses.fields(inputs)))
    torch.testing.assert_close(tokenizer.train()(one), tokenizer.eval()(inputs)[1:], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "read"),
    [
        (TokenizerConfig(width=16), {"patch", "context", "shape", "position"}),
        (TokenizerConfig(width=16, context=False), {"patch", "position"}),
        (TokenizerConfig(width=16, position="none"), {"patch", "context", "shape"}),
    ],
)
def test_exactly_the_configured_parts_are_read(config, read):
    tokenizer, inputs = make(config), random_input()
    tokens = tokenizer(inputs)
    for part in ("patch", "context", "shape", "position"):
        changed = dataclasses.replace(inputs, **{part: getattr(inputs, part) + 0.5})
        assert torch.equal(tokenizer(changed), tokens) == (part not in read), part


def test_a_patch_without_points_is_zero_and_its_neighbors_do_not_notice():
    points, mask = torch.randn(40, 6, 3), torch.ones(40, 6, dtype=torch.bool)
    mask[7], mask[9, 2:] = False, False
    net = PointNet(3, 8, 5).eval()
    with torch.no_grad():
        out, alone = net(points, mask), net(points[9:10, :2], mask[9:10, :2])
    assert (out[7] == 0).all() and (out[8] != 0).any()
    torch.testing.assert_close(out[9:10], alone)


def test_a_plain_pointnet_is_one_maximum_between_two_networks():
    net, points, mask = PlainPointNet(3, 8, 5).eval(), torch.randn(6, 7, 3), torch.ones(6, 7, dtype=torch.bool)
    mask[2, 3:], mask[4] = False, False
    with torch.no_grad():
        one, two, three = (net.local[k] for k in (0, 2, 4))
        local = three(torch.relu(two(torch.relu(one(points))))).masked_fill(~mask[..., None], -torch.inf)
        normed = torch.nn.functional.layer_norm(local.amax(dim=1), (32,))
        expected = torch.relu(normed) @ net.out[2].weight.T + net.out[2].bias
        found = net(points, mask)
    torch.testing.assert_close(found[mask.any(dim=1)], expected[mask.any(dim=1)])
    assert not found[4].any()


def test_inference_in_parts_is_what_training_computes():
    tokenizer, inputs = make(TokenizerConfig(width=16)), random_input()
    with torch.no_grad():
        parts = tokenizer(inputs)
    torch.testing.assert_close(parts, tokenizer(inputs).detach())


def test_position_embedding_is_sines_and_cosines_of_each_octave():
    embedding = PositionEmbedding(3, 18)
    with torch.no_grad():
        embedding.project.weight.copy_(torch.eye(18))
    got = embedding(torch.tensor([[1.0, 2.0, -3.0]]))[0]
    phase = torch.tensor([2 * np.pi * p / 64 * 2**k for p in (1, 2, -3) for k in range(3)], dtype=torch.float32)
    torch.testing.assert_close(got, torch.cat([phase.sin(), phase.cos()]), atol=1e-5, rtol=0)


def pieces(scale: float = 1.0):
    rng = np.random.default_rng(0)
    xyz = (scale * rng.random((600, 3))).astype(np.float32)
    superpoints = (xyz[:, 0] > scale / 2).astype(int)
    local = geometry.local_geometry(xyz, None, 12, 8)
    patches = group(xyz, superpoints, farthest_points(xyz, 20), PatchConfig())
    around = token_context.context_features(xyz, local.normals, local.eigen, superpoints, patches, TokenizerConfig())
    return patches, around, rng.random((600, 3)).astype(np.float32)


def test_input_of_one_cloud():
    patches, around, rgb = pieces()
    inputs = token_input(patches, around, None, TokenizerConfig())
    assert inputs.patch.shape == (1, 20, 32, 3) and inputs.mask.shape == (1, 20, 32)
    assert inputs.position.dtype == inputs.patch.dtype == inputs.shape.dtype == torch.float32
    np.testing.assert_allclose(inputs.position[0].mean(dim=0), 0, atol=1e-4)
    expected = (patches.centers - patches.centers.mean(axis=0)) / patches.radius
    np.testing.assert_allclose(inputs.position[0], expected, atol=1e-4)
    assert make(TokenizerConfig(width=16))(inputs).shape == (1, 20, 24)


@pytest.mark.parametrize("scaled", [True, False])
def test_scaled_positions_make_tokens_free_of_scale(scaled):
    config = TokenizerConfig(width=16, position_scaled=scaled)
    tokenizer = make(config)
    once, large = (tokenizer(token_input(*pieces(scale)[:2], None, config)) for scale in (1.0, 1024.0))
    same = torch.allclose(once, large, atol=1e-3)
    assert same == scaled


def test_color_is_read_where_configured_and_gray_stands_in():
    patches, around, rgb = pieces()
    config = TokenizerConfig(width=16, features="rgb")
    inputs = token_input(patches, around, rgb, config)
    mask = patches.index >= 0
    np.testing.assert_array_equal(inputs.patch[0, ..., 3:].numpy()[mask], rgb[patches.index[mask]])
    assert not inputs.patch[0].numpy()[~mask].any()
    gray = token_input(patches, around, None, config).patch[0, ..., 3:].numpy()
    assert (gray[mask] == 0.5).all()
    tokenizer = make(config)
    assert not torch.allclose(tokenizer(inputs), tokenizer(token_input(patches, around, None, config)))


@pytest.mark.parametrize("config", CONFIGS)
def test_tokens_of_a_padded_input_are_those_without(config):
    tokenizer, inputs = make(config), random_input()
    with torch.no_grad():
        padded = tokenizer(inputs.padded(16), 5)
        torch.testing.assert_close(padded[:, :5], tokenizer(inputs), atol=1e-5, rtol=1e-5)
    assert padded.shape[1] == 16 and padded.isfinite().all()
