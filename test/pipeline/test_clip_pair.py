"""Every file of the same weights gives the same features, at the size of ViT-B/16; other towers are refused by name."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import clip_files
import numpy as np
import open_clip
import pytest
import safetensors.torch
import torch
from tiny_model import TINY_CLIP

from s4token_model.config import ClipConfig
from s4token_model.pipeline import clip, clip_config, clip_pair
from s4token_model.pipeline.clip_activation import check_activation

NAME = "ViT-B-16-quickgelu"
TEXTS = ["a photo of a chair", "a very long text about a wooden table, two chairs and a lamp", ""]


@pytest.fixture(scope="module")
def model():
    """ViT-B/16 with random weights that half precision holds exactly; large, so that every one matters."""
    torch.manual_seed(0)
    model = open_clip.CLIP(**open_clip.get_model_config(NAME)).eval()
    for parameter in model.parameters():
        parameter.data = (2 * parameter.data).half().float()
    return model


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)


@pytest.fixture(scope="module")
def expected(model, pictures):
    """Features of texts and pictures as open_clip itself computes them."""
    mean, std = (torch.tensor(v)[:, None, None] for v in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD))
    pixels = (torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.no_grad():
        texts = model.encode_text(open_clip.tokenize(TEXTS), normalize=True)
        return texts, model.encode_image(pixels, normalize=True)


def half(tensors):
    return {name: tensor.half() for name, tensor in tensors.items()}


def openai_archive(tensors, folder):
    clip_files.write_torchscript(tensors, folder / "ViT-B-16.pt")
    return folder / "ViT-B-16.pt"


def openai_state_dict(tensors, folder):
    sizes = {name: torch.tensor(value) for name, value in clip_files.SIZES.items()}
    torch.save(half(tensors) | sizes, folder / "clip.pt")
    return folder / "clip.pt"


def hugging_face(tensors, folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "clip", "vision_config": {}}))
    safetensors.torch.save_file(clip_files.to_hugging_face(half(tensors)), folder / "model.safetensors")
    return folder / "model.safetensors"


def hugging_face_pickle(tensors, folder):
    torch.save(clip_files.to_hugging_face(tensors), folder / "pytorch_model.bin")
    return folder / "pytorch_model.bin"


def open_clip_file(tensors, folder):
    """A file that lies in a directory of open_clip's layout."""
    content = {"model_cfg": open_clip.get_model_config(NAME), "preprocess_cfg": {"mean": open_clip.OPENAI_DATASET_MEAN}}
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    safetensors.torch.save_file(half(tensors), folder / "open_clip_model.safetensors")
    return folder / "open_clip_model.safetensors"


def open_clip_pickle(tensors, folder):
    torch.save(half(tensors), folder / "open_clip_pytorch_model.bin")
    return folder / "open_clip_pytorch_model.bin"


def open_clip_training(tensors, folder):
    """A checkpoint of open_clip's own training, by several processes."""
    state = {f"module.{name}": tensor for name, tensor in tensors.items()}
    torch.save({"epoch": 3, "name": "run", "state_dict": state}, folder / "epoch_3.pt")
    return folder / "epoch_3.pt"


FULL_SIZE = [openai_archive, hugging_face, open_clip_file, open_clip_pickle]
FORMATS = [*FULL_SIZE, openai_state_dict, hugging_face_pickle, open_clip_training]


@pytest.mark.parametrize("write", FULL_SIZE)
def test_files_of_the_same_weights_give_the_same_features(write, model, expected, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("the program of an archive is compiled"))
    path = write(model.state_dict(), tmp_path)
    pairs = [ClipConfig(name=NAME, pretrained=str(path), precision="fp32")]
    if write is open_clip_file:
        pairs.append(ClipConfig(name=str(tmp_path), pretrained="", precision="fp32"))
    for pair in pairs:
        found = clip.load(pair)
        images = torch.nn.functional.normalize(found.encode_images(pictures)[1], dim=-1)
        torch.testing.assert_close(torch.from_numpy(found.encode_text(TEXTS)), expected[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(images, expected[1], atol=1e-5, rtol=0)
        del found  # 600 MB
    path.unlink()  # 300 MB, which pytest would keep


@pytest.fixture
def tiny(monkeypatch):
    """Two tiny architectures of open_clip, with GELU and with QuickGELU, and weights for them."""
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-tiny", TINY_CLIP)
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-tiny-quickgelu", TINY_CLIP | {"quick_gelu": True})
    torch.manual_seed(0)
    return open_clip.CLIP(**TINY_CLIP).state_dict()


def load(path: Path, name: str = "ViT-tiny-quickgelu") -> clip.FrozenClip:
    return clip.load(ClipConfig(name=name, pretrained=str(path), precision="fp32"))


@pytest.mark.parametrize("write", FORMATS)
def test_every_file_is_read_as_the_same_tensors(write, tiny, tmp_path):
    exact = {name: tensor.half().float() for name, tensor in tiny.items()}
    found = load(write(exact, tmp_path)).model.state_dict()
    assert found.keys() == exact.keys() and all(torch.equal(found[name], exact[name]) for name in exact)


@pytest.mark.parametrize("write", FORMATS)
@pytest.mark.parametrize("kept", [0, 0.001, 0.5, 0.9999])
def test_files_that_are_cut_off_are_refused_by_their_name(write, kept, tiny, tmp_path):
    path = write(tiny, tmp_path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(
        ValueError, match=f"cannot read {re.escape(str(path))}: .*damaged.*copy or download it again"
    ) as error:
        load(path)
    assert "weights_only" not in str(error.value) and len(str(error.value)) < 600
    assert "checkpoint file is;" not in str(error.value)  # torch's sentences are whole


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors", "w.bin"])
@pytest.mark.parametrize(
    "content", [b"version https://git-lfs.github.com/spec/v1\noid sha256:5806e7", b"<html>404</html>"]
)
def test_pages_and_pointers_in_place_of_weights_are_refused(name, content, tiny, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"cannot read .*{name}: .*or no weights"):
        load(tmp_path / name)


def test_a_pickle_that_runs_code_is_refused_unrun(tiny, tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    torch.save(tiny | {"evil": Evil()}, tmp_path / "w.bin")
    with pytest.raises(ValueError, match="its pickle holds more than tensors"):
        load(tmp_path / "w.bin")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.pop("visual.proj"), "no visual.proj"),
        (lambda t: t.update({"visual.trunk.x": torch.ones(1)}), "an unknown 'visual.trunk.x'"),
        (lambda t: t.update({"text_projection": torch.ones(32, 64)}), r"size mismatch of text_projection: \(32, 64\)"),
        (lambda t: t.update({"logit_scale": torch.tensor(1)}), "logit_scale of type torch.int64"),
        (lambda t: t.update({"ln_final.bias": torch.full((32,), np.nan)}), "not finite, e.g. in ln_final.bias"),
        (lambda t: t.update({"visual.proj": {"a": 1}}), "visual.proj is no tensor"),
    ],
)
def test_weights_that_do_not_fit_say_what_differs(change, reason, tiny, tmp_path):
    change(tiny)
    torch.save(tiny, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=f"w.pt.*{reason}"):
        load(tmp_path / "w.pt")


@pytest.mark.parametrize("write", [openai_archive, openai_state_dict, hugging_face])
def test_openais_weights_are_known_by_what_is_in_or_beside_the_file(write, tiny, tmp_path):
    path = write(tiny, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(path)
        with pytest.raises(ValueError, match="ViT-tiny computes GELU.*QuickGELU; use clip.name=ViT-tiny-quickgelu"):
            load(path, "ViT-tiny")


@pytest.mark.parametrize(
    ("name", "content", "right"),
    [
        ("config.json", {"model_type": "clip", "vision_config": {"hidden_act": "gelu"}}, "ViT-B-16"),
        ("config.json", {"model_type": "clip", "vision_config": {"hidden_act": "quick_gelu"}}, NAME),
        ("open_clip_config.json", {"model_cfg": {"quick_gelu": True}}, NAME),
        ("open_clip_config.json", {"model_cfg": {}}, "ViT-B-16"),
        ("config.json", {"model_type": "bert"}, None),
        ("config.json", ["model_type"], None),
    ],
)
def test_the_config_beside_a_file_tells_its_activation(name, content, right, tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"")
    (tmp_path / name).write_text(json.dumps(content))
    for wanted in ("ViT-B-16", NAME):
        if right in (None, wanted):
            assert check_activation(wanted, str(path)) == (right is not None)
            continue
        with pytest.raises(ValueError, match=f"use clip.name={right}\\."):
            check_activation(wanted, str(path))


def test_gelu_with_weights_of_unknown_activation_warns(tiny, tmp_path):
    torch.save(tiny, tmp_path / "w.pt")
    with pytest.warns(UserWarning, match="nothing tells .*w.pt .*GELU.*use clip.name=ViT-tiny-quickgelu for .* OpenAI"):
        load(tmp_path / "w.pt", "ViT-tiny")


def test_colors_are_those_of_the_tag_in_the_path_of_a_file(monkeypatch, tiny, tmp_path):
    colors = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "ViT-tiny", {"run_7": colors})
    torch.save(tiny, tmp_path / "run-7.pt")
    found = load(tmp_path / "run-7.pt", "ViT-tiny")
    assert found.mean.flatten().tolist() == [0.5] * 3 and found.std.flatten().tolist() == [0.25] * 3


def test_a_tag_is_downloaded_by_open_clip_and_read_like_a_file(monkeypatch, tiny, tmp_path):
    clip_files.write_torchscript(tiny, tmp_path / "cached.pt")
    weights = {"url": "https://example.org/w.pt", "quick_gelu": True}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "ViT-tiny-quickgelu", {"openai": weights})
    monkeypatch.setattr(
        open_clip, "download_pretrained", lambda found: found == weights and str(tmp_path / "cached.pt")
    )
    found = clip.load(ClipConfig(name="ViT-tiny-quickgelu", pretrained="openai"))
    assert torch.equal(found.model.state_dict()["visual.proj"], tiny["visual.proj"].half().float())


def test_a_directory_of_hugging_face_says_which_file_to_name(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        ValueError, match="without open_clip_config.json; set clip.name .*clip.pretrained .*model.safetensors"
    ):
        clip.load(ClipConfig(name=str(tmp_path)))


REASONS = {
    "ViT-B-16-SigLIP": "vit_base_patch16_siglip_224 of timm, pools by attention",
    "ViT-SO400M-14-SigLIP2": "siglip_224 of timm, pools by attention",
    "PE-Core-B-16": "pools by attention",
    "EVA02-B-16": "eva02_base_patch16_clip_224 of timm, turns queries and keys by positions",
    "EVA01-g-14": "eva_giant_patch14_224 of timm, is not open_clip's ViT",
    "MobileCLIP-S1": "fastvit_mci1 of timm, is not open_clip's ViT",
    "convnext_base": "convnext_base of timm, is not open_clip's ViT",
    "RN50-quickgelu": "a ResNet, has no tokens",
    "coca_ViT-B-32": "that of a CoCa, pools by attention",
}


@pytest.mark.parametrize("name", REASONS)
def test_other_image_towers_are_refused_by_name_before_a_download(name, monkeypatch):
    monkeypatch.setattr(open_clip, "download_pretrained", lambda *_: pytest.fail("weights are downloaded"))
    monkeypatch.setattr(open_clip, "create_model_from_pretrained", lambda *_, **__: pytest.fail("a model is built"))
    tag = next(iter(open_clip.list_pretrained_tags_by_model(name)))
    with pytest.raises(
        ValueError, match=f"clip.name={name} is refused: its image tower, .*{REASONS[name]}.*; choose a"
    ):
        clip.load(ClipConfig(name=name, pretrained=tag))


def test_every_tower_that_is_not_refused_is_a_plain_vit():
    """As open_clip builds it; on the meta device, since some are larger than the memory."""
    allowed = []
    for name in open_clip.list_models():
        settings = open_clip.get_model_config(name)
        try:
            clip_config.check_image_tower(name, settings)
        except ValueError:
            continue
        allowed.append(name)
        with torch.device("meta"):
            vision = open_clip.model.CLIPVisionCfg(**settings["vision_cfg"] | {"layers": 1})
            visual = open_clip.model._build_vision_tower(settings["embed_dim"], vision)
        assert isinstance(visual, open_clip.transformer.VisionTransformer) and visual.attn_pool is None
        assert visual.pool_type in ("tok", "avg") and visual.proj.shape[1] == settings["embed_dim"]
    pretrained = {name for name, _ in open_clip.list_pretrained()}
    assert {"ViT-B-16", NAME, "ViT-L-14-336-quickgelu", "ViT-H-14", "ViT-bigG-14-CLIPA"} < pretrained & {*allowed}


@pytest.mark.parametrize("name", ["ViT-L-14-336-quickgelu", "ViT-H-14", "ViT-L-14-CLIPA"])
def test_towers_of_other_sizes_compute_open_clips_features(name, monkeypatch):
    settings = open_clip.get_model_config(name)
    for tower in ("vision_cfg", "text_cfg"):
        settings[tower]["layers"] = 1
    settings["text_cfg"] |= {"vocab_size": 64}
    torch.manual_seed(0)
    model = open_clip.CLIP(**settings)
    found = clip.FrozenClip(model, None, (0, 0, 0), (1, 1, 1))
    size = found.image_size
    picture = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    with torch.no_grad():
        expected = model.encode_image(torch.from_numpy(picture).permute(0, 3, 1, 2) / 255)
    torch.testing.assert_close(found.encode_images(picture)[1], expected, atol=1e-5, rtol=1e-4)


def test_a_text_tower_without_its_library_says_what_is_missing(monkeypatch):
    def missing(*_args, **_kwargs):
        raise RuntimeError("Please `pip install transformers`")

    monkeypatch.setattr(open_clip, "create_model_from_pretrained", missing)
    with pytest.raises(ValueError, match="ViT-L-14-CLIPA / datacomp1b: Please `pip install transformers`"):
        clip.load(ClipConfig(name="ViT-L-14-CLIPA", pretrained="datacomp1b"))


def test_a_file_for_a_tower_with_another_tokenizer_is_refused_by_name(tmp_path):
    (tmp_path / "w.pt").write_bytes(b"")
    with pytest.raises(
        ValueError, match="model_cfg.text_cfg.tokenizer_kwargs is refused: it hands options to a tokenizer"
    ):
        clip_pair.load(ClipConfig(name="ViT-L-14-CLIPA", pretrained=str(tmp_path / "w.pt")))
