"""The frozen CLIP: it is CLIP's own forward pass, and nothing of it ever changes."""

from __future__ import annotations

import copy
import re

import numpy as np
import open_clip
import pytest
import torch
from scipy.special import erf
from tiny_model import TINY_CLIP

from s4token_model.config import ClipConfig, TokenizerConfig
from s4token_model.kernels import parallel
from s4token_model.pipeline import clip
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.clip_activation import check_activation
from s4token_model.pipeline.plain_clip import PlainClip
from s4token_model.pipeline.tokenizer import Tokenizer


def frozen(pool: str = "avg", precision: str = "fp32", **vision) -> FrozenClip:
    torch.manual_seed(0)
    settings = copy.deepcopy(TINY_CLIP)
    settings["vision_cfg"] |= {"pool_type": pool, **vision}
    model = open_clip.CLIP(**settings)
    tokenize = open_clip.SimpleTokenizer(context_length=16)
    return FrozenClip(model, tokenize, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), precision)


def own_embeddings(model: FrozenClip, pixels: torch.Tensor) -> torch.Tensor:
    """The ViT's patch embeddings with their positions, without the class token."""
    visual = model.model.visual
    patches = visual.conv1(pixels).flatten(2).permute(0, 2, 1)
    return patches + visual.positional_embedding[1:]


@pytest.mark.parametrize("pool", ["tok", "avg"])
@pytest.mark.parametrize("final_ln_after_pool", [False, True])
def test_tokens_of_a_picture_give_clips_own_features(pool, final_ln_after_pool):
    model = frozen(pool, final_ln_after_pool=final_ln_after_pool)
    pixels = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        features, pooled = model.encode_tokens(own_embeddings(model, pixels))
        expected = model.model.encode_image(pixels)
    assert features.shape == (3, 16, 32)
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("pool", ["tok", "avg"])
def test_pictures(pool):
    model = frozen(pool)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    dense, pooled = model.encode_images(images)
    pixels = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
    with torch.no_grad():
        torch.testing.assert_close(pooled, model.model.encode_image(pixels), atol=1e-5, rtol=1e-4)
        features, _ = model.encode_tokens(own_embeddings(model, pixels))
    torch.testing.assert_close(dense.reshape(2, 16, 32), features, atol=1e-5, rtol=1e-4)
    assert model.encode_images(np.zeros((1, 50, 70, 3), np.uint8))[0].shape == (1, 4, 4, 32)


@pytest.mark.parametrize("plain", [False, True], ids=["open_clip", "ours"])
@pytest.mark.parametrize("scale", [None, 0.2], ids=["no scale", "layer scale"])
def test_dense_features_are_those_of_the_values_alone(plain, scale):
    """Of the last block computed by hand, in float64: values, output projection and MLP, each with its residual."""
    model = frozen("tok", ls_init_value=scale)
    if plain:
        settings = copy.deepcopy(TINY_CLIP)
        settings["vision_cfg"] |= {"pool_type": "tok", "ls_init_value": scale}
        ours = PlainClip(**settings)
        ours.load_state_dict(model.model.state_dict())
        model = FrozenClip(ours, None, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    dense, pooled = model.encode_images(images, dense=True)
    grid, attended = model.encode_images(images)
    torch.testing.assert_close(pooled, attended)
    assert (dense - grid).abs().max() > 0.1, "attention makes a difference"
    pixels = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
    visual, block = model.model.visual, model.model.visual.transformer.resblocks[-1]
    weight = {name: tensor.double().numpy() for name, tensor in block.state_dict().items()}
    gain = (weight["ls_1.gamma"], weight["ls_2.gamma"]) if scale else (1.0, 1.0)

    def norm(x, w, b):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * w + b

    with torch.no_grad():
        x = visual.transformer.resblocks[0](clip.embedded(visual, pixels)).double().numpy()[:, 1:]
    value = norm(x, weight["ln_1.weight"], weight["ln_1.bias"]) @ weight["attn.in_proj_weight"][96:].T
    value = (value + weight["attn.in_proj_bias"][96:]) @ weight["attn.out_proj.weight"].T + weight["attn.out_proj.bias"]
    x = x + gain[0] * value
    inner = norm(x, weight["ln_2.weight"], weight["ln_2.bias"]) @ weight["mlp.c_fc.weight"].T + weight["mlp.c_fc.bias"]
    inner = inner * 0.5 * (1 + erf(inner / np.sqrt(2)))
    x = x + gain[1] * (inner @ weight["mlp.c_proj.weight"].T + weight["mlp.c_proj.bias"])
    post = {name: tensor.double().numpy() for name, tensor in visual.ln_post.state_dict().items()}
    expected = norm(x, post["weight"], post["bias"]) @ visual.proj.detach().double().numpy()
    np.testing.assert_allclose(dense.reshape(2, 16, 32).numpy(), expected, atol=2e-5)


def test_dense_features_of_a_patch_do_not_depend_on_the_last_block_s_attention():
    model = frozen("tok", precision="bf16", layers=1)  # one block: a patch then sees nothing but itself
    images = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), np.uint8)
    images[1, :8, :8] = images[0, :8, :8]
    dense, _ = model.encode_images(images, dense=True)
    torch.testing.assert_close(dense[0, 0, 0], dense[1, 0, 0])
    assert (dense[0, 1, 1] - dense[1, 1, 1]).abs().max() > 0.05


def test_nothing_of_clip_changes_in_training_while_the_tokens_learn():
    model, tokenizer = frozen(), Tokenizer(TokenizerConfig(width=16, context=False), 48)
    both = torch.nn.ModuleList([model, tokenizer]).train()
    assert not any(module.training for module in model.modules())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.AdamW([p for p in both.parameters() if p.requires_grad], 0.1, weight_decay=0.1)
    tokens = torch.randn(2, 7, 48, requires_grad=True)
    for _ in range(3):
        optimizer.zero_grad()
        features, pooled = model.encode_tokens(tokens + tokenizer.patch.out[-1].bias)
        (features.square().mean() + pooled.sum()).backward()
        optimizer.step()
    assert tokens.grad.abs().amax(dim=-1).min() > 0, "gradients reach every token"
    after = model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None for p in model.parameters())


def test_bf16_is_close_and_returns_float32():
    tokens = torch.randn(1, 9, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        exact, rough = (frozen(precision=p).encode_tokens(tokens)[0] for p in ("fp32", "bf16"))
    assert rough.dtype == torch.float32
    assert torch.cosine_similarity(exact, rough, dim=-1).min() > 0.99


@pytest.mark.parametrize("text", ["a chair", "стул", "椅子 と 机", "🪑", "", "word " * 300])
def test_any_text_becomes_a_unit_row(text):
    model = frozen()
    rows = model.encode_text([text, "a chair"])
    assert rows.shape == (2, 32) and rows.dtype == np.float32 and np.isfinite(rows).all()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    if text.startswith("word"):
        np.testing.assert_allclose(rows[0], model.encode_text(["word " * 40])[0], atol=1e-6)


def test_many_texts_are_those_of_small_batches():
    model, texts = frozen(), [f"thing {k}" for k in range(clip.TEXT_BATCH + 3)]
    np.testing.assert_allclose(model.encode_text(texts)[-2:], model.encode_text(texts[-2:]), atol=1e-6)


def test_towers_that_are_no_plain_vit_are_refused():
    settings = copy.deepcopy(TINY_CLIP)
    settings["vision_cfg"] = {"layers": [1, 1, 1, 1], "width": 16, "image_size": 64, "patch_size": None}
    with pytest.raises(ValueError, match="choose a plain open_clip ViT"):
        FrozenClip(open_clip.CLIP(**settings), None, (0, 0, 0), (1, 1, 1))
    with pytest.raises(ValueError, match="choose a plain open_clip ViT"):
        frozen(attentional_pool=True, attn_pooler_heads=2)
    with pytest.raises(ValueError, match="choose a plain open_clip ViT"):
        frozen("none")


def test_a_directory_is_loaded_by_path_and_below_a_checkpoint(tiny_model):
    here = clip.load(ClipConfig(name=str(tiny_model / "clip"), pretrained=""))
    below = clip.load(ClipConfig(name="clip", pretrained=""), tiny_model)
    assert (here.width, here.dim, here.image_size, here.patch_size) == (48, 32, 32, 8)
    np.testing.assert_array_equal(here.encode_text(["a sofa"]), below.encode_text(["a sofa"]))
    assert not any(p.requires_grad for p in here.parameters())


def test_unknown_names_and_missing_weights_say_what_to_do(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="clip.name='ViT-X' is neither a directory nor an open_clip model"):
        clip.load(ClipConfig(name="ViT-X"))

    def offline(*_args, **_kwargs):
        raise OSError("Name or service not known")

    monkeypatch.setattr(open_clip, "download_pretrained", offline)
    with pytest.raises(ValueError, match="quickgelu / openai.*not known.*copy the weights here.*open_clip_config.json"):
        clip.load(ClipConfig())
    with pytest.raises(ValueError, match="no-such-tag.*clip.pretrained"):
        clip.load(ClipConfig(name="ViT-S-32", pretrained="no-such-tag"))
    with pytest.raises(ValueError, match="copy the weights here"):
        clip.load(ClipConfig(name="ViT-S-32", pretrained=""))
    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(ValueError, match="cannot load CLIP"):
        clip.load(ClipConfig(name=str(tmp_path), pretrained=""))


def test_the_default_clip_computes_quickgelu():
    defaults = ClipConfig()
    model = open_clip.create_model(defaults.name, pretrained=None)  # random weights: nothing is downloaded
    activations = [type(block.mlp.gelu) for tower in (model.visual, model) for block in tower.transformer.resblocks]
    assert len(activations) == 24 and set(activations) == {open_clip.model.QuickGELU}
    assert open_clip.get_pretrained_cfg(defaults.name, defaults.pretrained)["quick_gelu"]


@pytest.mark.parametrize(
    ("name", "pretrained", "right"),
    [
        ("ViT-B-16", "openai", "ViT-B-16-quickgelu"),
        ("ViT-B-16", "OpenAI", "ViT-B-16-quickgelu"),
        ("ViT-L-14-336", "openai", "ViT-L-14-336-quickgelu"),
        ("ViT-B-16", "metaclip-400m", "ViT-B-16-quickgelu"),
        ("ViT-B-16", "dfn2b", "ViT-B-16-quickgelu"),
        ("ViT-B-32", "laion400m_e32", "ViT-B-32-quickgelu"),
        ("ViT-B-16-quickgelu", "laion400m_e32", "ViT-B-16"),
        ("ViT-B-16-quickgelu", "laion2b_s34b_b88k", "ViT-B-16"),
        ("ViT-L-14-quickgelu", "datacomp_xl_s13b_b90k", "ViT-L-14"),
        ("ViT-L-14-quickgelu", "dfn2b_s39b", "ViT-L-14"),
        ("ViT-H-14-quickgelu", "metaclip_altogether", "ViT-H-14"),
    ],
)
def test_weights_of_another_activation_are_refused_with_the_right_name(monkeypatch, name, pretrained, right):
    def download(*_args, **_kwargs):
        raise AssertionError("the pair is checked before anything is downloaded")

    monkeypatch.setattr(open_clip, "download_pretrained", download)
    with pytest.raises(ValueError, match=f"clip.name={name} computes .*GELU.*{pretrained}.*; use clip.name={right}\\."):
        clip.load(ClipConfig(name=name, pretrained=pretrained))
    check_activation(right, pretrained)


def test_every_pair_of_open_clip_is_loaded_by_one_name():
    for name, tag in open_clip.list_pretrained():
        try:
            check_activation(name, tag)
        except ValueError as reason:
            right = re.search("use clip.name=(.*?)\\.", str(reason)).group(1)
            check_activation(right, tag)
            assert open_clip.get_model_config(right)["quick_gelu"] != open_clip.get_model_config(name).get("quick_gelu")


def test_weights_files_are_known_by_a_tag_in_their_name(tmp_path):
    cached = tmp_path / "models--timm--vit_base_patch16_clip_224.openai" / "snapshots" / "7b" / "model.safetensors"
    for path in (cached, tmp_path / "ViT-B-16-OpenAI.pt", tmp_path / "b16.metaclip_400m.pt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        check_activation("ViT-B-16-quickgelu", str(path))
        with pytest.raises(ValueError, match="use clip.name=ViT-B-16-quickgelu"):
            clip.load(ClipConfig(name="ViT-B-16", pretrained=str(path)))
    laion, unknown = tmp_path / "vit_b_16-laion400m_e31-00efa78f.pt", tmp_path / "epoch_3.pt"
    for path in (laion, unknown):
        path.write_bytes(b"")
        check_activation("ViT-B-16", str(path))
    check_activation("ViT-B-16-quickgelu", str(unknown))
    with pytest.raises(ValueError, match="use clip.name=ViT-B-16\\."):
        check_activation("ViT-B-16-quickgelu", str(laion))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx512f avx512_bf16", "bf16"),
        ("fpu amx_bf16", "bf16"),
        ("fpu avx512_vnni amx_int8", "fp32"),
        ("fpu avx2", "fp32"),
    ],
)
def test_auto_precision_follows_the_processor(monkeypatch, flags, expected):
    monkeypatch.setattr(parallel.Path, "read_text", lambda *a, **k: f"flags : {flags}")
    assert clip.resolve_precision("auto") == frozen(precision="auto").precision == expected
    assert clip.resolve_precision("fp32") == "fp32" and clip.resolve_precision("bf16") == "bf16"


@pytest.mark.parametrize(("supported", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_precision_on_a_gpu_follows_the_gpu(monkeypatch, supported, expected):
    monkeypatch.setattr(clip, "cpu_flags", lambda: {"avx2"} if supported else {"amx_bf16"})
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert clip.resolve_precision("auto", "cuda") == expected
    assert clip.resolve_precision("fp32", "cuda") == "fp32" and clip.resolve_precision("bf16", "cuda") == "bf16"


def test_images_in_half_precision_are_close_to_single():
    images = np.random.default_rng(0).integers(0, 255, (2, 40, 30, 3), dtype=np.uint8)
    torch.manual_seed(0)
    exact = frozen(precision="fp32")
    torch.manual_seed(0)
    rough = frozen(precision="bf16")
    for a, b in zip(exact.encode_images(images), rough.encode_images(images), strict=True):
        assert b.dtype == torch.float32
        assert torch.cosine_similarity(a.flatten(), b.flatten(), dim=0) > 0.99


def test_skipping_the_blocks_leaves_the_norms_and_the_projection():
    model, tokens = frozen(), torch.randn(2, 5, 48)
    visual = model.model.visual
    with torch.no_grad():
        features, _ = model.encode_tokens(tokens, skip_blocks=True)
        torch.testing.assert_close(features, visual.ln_post(visual.ln_pre(tokens)) @ visual.proj)
        assert not torch.allclose(features, model.encode_tokens(tokens)[0])


@pytest.mark.parametrize("pool", ["tok", "avg"])
@pytest.mark.parametrize("count", [1, 63, 64, 65])
def test_features_of_bf16_are_those_of_fp32_at_any_number_of_tokens(pool, count):
    tokens = torch.randn(1, count, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        exact, rough = (frozen(pool, precision=p).encode_tokens(tokens) for p in ("fp32", "bf16"))
    for right, close in zip(exact, rough, strict=True):
        assert right.shape == close.shape
        assert torch.cosine_similarity(right, close, dim=-1).min() > 0.99
