"""A plain CLIP computes what open_clip computes from the same weights."""

from __future__ import annotations

import copy

import open_clip
import pytest
import torch
from tiny_model import TINY_CLIP

from s4token_model.pipeline import clip
from s4token_model.pipeline.plain_clip import PlainClip, fits

MEAN = (0.5, 0.5, 0.5)
IDS = torch.tensor([[49406, 320, 4269, 49407, 0, 0], [49406, 1929, 536, 320, 2533, 49407]])


def pair(vision=None, text=None, **model) -> tuple[open_clip.CLIP, PlainClip]:
    """open_clip's CLIP with random weights, and ours with the same."""
    torch.manual_seed(0)
    settings = copy.deepcopy(TINY_CLIP) | model
    settings["vision_cfg"] |= vision or {}
    settings["text_cfg"] |= (text or {}) | {"context_length": IDS.shape[1]}
    assert fits(settings)
    expected, found = open_clip.CLIP(**settings).eval(), PlainClip(**settings)
    found.load_state_dict(expected.state_dict())
    return expected, found


@pytest.mark.parametrize("quick_gelu", [False, True])
@pytest.mark.parametrize("pool", ["tok", "avg"])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_both_towers_agree_with_open_clip(quick_gelu, pool, scale):
    expected, found = pair(
        {"pool_type": pool, "ls_init_value": scale, "mlp_ratio": 3.3}, {"ls_init_value": scale}, quick_gelu=quick_gelu
    )
    images = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    ours = clip.FrozenClip(found, None, MEAN, MEAN)
    with torch.no_grad():
        torch.testing.assert_close(found.encode_text(IDS), expected.encode_text(IDS), atol=1e-5, rtol=1e-4)
        image = expected.encode_image((images.permute(0, 3, 1, 2) / 255 - 0.5) / 0.5)
    torch.testing.assert_close(ours.encode_images(images.numpy())[1], image, atol=1e-5, rtol=1e-4)


def test_every_plain_model_of_open_clip_has_the_names_and_shapes_of_ours():
    plain = {}
    for name in open_clip.list_models():
        config = open_clip.get_model_config(name)
        known = {"vision_cfg", "text_cfg"} <= set(config)
        if known and fits(config) and isinstance(config["vision_cfg"].get("layers", 12), int):
            plain[name] = config
    assert {"ViT-B-16", "ViT-B-16-quickgelu", "ViT-L-14-336-quickgelu", "ViT-H-14", "ViT-bigG-14"} <= plain.keys()
    for name in ("ViT-B-16-quickgelu", "ViT-L-14-336-quickgelu", "ViT-H-14", "ViT-bigG-14"):
        with torch.device("meta"):
            expected, found = open_clip.CLIP(**plain[name]).state_dict(), PlainClip(**plain[name]).state_dict()
        assert {k: v.shape for k, v in found.items()} == {k: v.shape for k, v in expected.items()}


@pytest.mark.parametrize(
    ("part", "option", "value"),
    [
        ("vision_cfg", "no_ln_pre", True),
        ("vision_cfg", "timm_model_name", "vit_base"),
        ("vision_cfg", "attentional_pool", True),
        ("text_cfg", "pool_type", "last"),
        ("text_cfg", "act_kwargs", {"approximate": "tanh"}),
        ("text_cfg", "proj_bias", True),
    ],
)
def test_what_a_plain_clip_does_not_compute_does_not_fit(part, option, value):
    settings = copy.deepcopy(TINY_CLIP)
    assert fits(settings)
    settings[part][option] = value
    assert not fits(settings)


def test_the_tokenizer_that_stands_alone_is_open_clips():
    texts = ["a photo of a chair", "Café  table &amp; chairs", "x" * 200, "", "椅子"]
    assert torch.equal(clip.tokenizer()(texts), open_clip.SimpleTokenizer()(texts))


def test_blocks_in_front_of_which_a_tokenizer_learns_pass_its_gradient_on():
    expected, found = pair()
    tokens = torch.randn(2, 5, 48, requires_grad=True)
    gradients = []
    for model in (expected, found):
        features, pooled = clip.FrozenClip(model, None, MEAN, MEAN).encode_tokens(tokens)
        gradients.append(torch.autograd.grad(features.square().mean() + pooled.sum(), tokens)[0])
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)
