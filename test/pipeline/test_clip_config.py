"""What a CLIP's directory may say: sizes, and nothing that reads files, uses the network or runs code."""

from __future__ import annotations

import json
import pickle
import shutil
import sys

import open_clip
import pytest
from tiny_model import TINY_CLIP

from s4token_model.config import ClipConfig
from s4token_model.pipeline import clip, clip_config, known_words


@pytest.fixture
def directory(tiny_model, tmp_path):
    return shutil.copytree(tiny_model / "clip", tmp_path / "clip")


def change(directory, section: str, key: str, value) -> None:
    path = directory / clip_config.FILE
    content = json.loads(path.read_text())
    target = content if not section else content.setdefault(section, {})
    if section in ("vision_cfg", "text_cfg"):
        target = content["model_cfg"][section]
        del content[section]
    target[key] = value
    path.write_text(json.dumps(content))


def load(directory):
    return clip.load(ClipConfig(name=str(directory), pretrained=""))


@pytest.mark.parametrize(
    ("section", "key", "value", "reason"),
    [
        ("text_cfg", "tokenizer_kwargs", {"trust_remote_code": True}, "may read any file, or run code"),
        ("text_cfg", "tokenizer_kwargs", {"bpe_path": "/etc/passwd"}, "may read any file, or run code"),
        ("text_cfg", "hf_tokenizer_name", "org/name", "with code of the folder"),
        ("text_cfg", "hf_model_name", "roberta-base", "from the network"),
        ("vision_cfg", "timm_model_name", "vit_base", "from the network"),
        ("vision_cfg", "attentional_pool", "parallel", "no plain ViT"),
        ("model_cfg", "custom_text", True, "another class"),
        ("model_cfg", "multimodal_cfg", {"width": 8}, "a CoCa"),
    ],
)
def test_what_could_do_more_is_refused_by_name_with_the_reason(directory, section, key, value, reason, monkeypatch):
    monkeypatch.setattr(open_clip, "CLIP", lambda **_: pytest.fail("nothing is built"))
    change(directory, section, key, value)
    with pytest.raises(ValueError, match=rf"cannot load CLIP .*{section}\.{key} is refused: it .*{reason}"):
        load(directory)


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("text_cfg", "bpe_path", "/etc/passwd", "text_cfg.bpe_path is not known; known are act_kwargs"),
        ("model_cfg", "__class__", 1, "__class__ is not known"),
        ("", "tokenizer", {}, "tokenizer is not known"),
        ("", "pictures", "no", "pictures must be true or false"),
        ("vision_cfg", "width", "48", "width must be an integer from 8 to 8192"),
        ("vision_cfg", "width", True, "width must be an integer"),
        ("vision_cfg", "width", 10**9, "width must be an integer"),
        ("vision_cfg", "layers", [3, 4, 6, 3], "layers must be an integer"),
        ("vision_cfg", "layers", 10**9, "layers must be an integer"),
        ("vision_cfg", "pool_type", "none", "pool_type must be one of tok, avg"),
        ("vision_cfg", "act_kwargs", {"inplace": True}, "act_kwargs.inplace is not known"),
        ("vision_cfg", "norm_kwargs", {"eps": "1"}, "norm_kwargs.eps must be a number"),
        ("text_cfg", "context_length", 10**6, "context_length must be an integer from 3 to 1024"),
        ("text_cfg", "vocab_size", 100, "vocab_size must be an integer from 49408"),
        ("text_cfg", "pool_type", "eos", "pool_type must be one of argmax"),
        ("model_cfg", "quick_gelu", "yes", "quick_gelu must be true or false"),
        ("preprocess_cfg", "mean", [0.5, 0.5], "mean must be three numbers"),
        ("preprocess_cfg", "std", [0, 1, 1], "std must be a number"),
        ("", "model_cfg", [], "has no model_cfg"),
    ],
)
def test_other_keys_types_and_sizes_are_refused(directory, section, key, value, message):
    change(directory, section, key, value)
    with pytest.raises(ValueError, match=message):
        load(directory)


def test_unset_keys_of_an_export_are_read_over(directory):
    unset = {"hf_tokenizer_name": None, "tokenizer_kwargs": {}, "hf_model_name": "", "hf_model_pretrained": True}
    for key, value in unset.items():
        change(directory, "text_cfg", key, value)
    change(directory, "vision_cfg", "timm_model_name", None)
    change(directory, "vision_cfg", "image_size", [32, 32])
    change(directory, "model_cfg", "custom_text", False)
    change(directory, "preprocess_cfg", "size", [32, 32])
    change(directory, "preprocess_cfg", "mean", None)
    assert load(directory).encode_text(["a chair"]).shape == (1, 32)


def test_a_repository_of_code_beside_the_weights_is_never_imported(directory, tmp_path):
    (directory / "tokenization_evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    names = {"auto_map": {"AutoTokenizer": ["tokenization_evil.Evil", None]}}
    (directory / "tokenizer_config.json").write_text(json.dumps(names))
    load(directory)
    assert not (tmp_path / "ran").exists() and "transformers" not in sys.modules


def test_pickled_weights_are_refused_unopened(directory, tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    (directory / "open_clip_model.safetensors").unlink()
    (directory / "open_clip_pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match="open_clip_pytorch_model.bin is a pickle, which can run code; convert it"):
        load(directory)
    assert not (tmp_path / "ran").exists()


def test_every_plain_architecture_of_open_clip_with_its_own_tokenizer_is_allowed():
    allowed = []
    for name in open_clip.list_models():
        try:
            clip_config.checked_model(open_clip.get_model_config(name))
            allowed.append(name)
        except ValueError as error:
            assert "is refused: it" in str(error) or "layers must be" in str(error), (name, error)
    assert {"ViT-B-16-quickgelu", "ViT-L-14", "ViT-H-14", "ViT-bigG-14"} < {*allowed} and len(allowed) > 30


def test_towers_that_do_not_go_together_are_refused(directory):
    change(directory, "text_cfg", "heads", 5)
    with pytest.raises(ValueError, match="cannot load CLIP"):
        load(directory)


@pytest.mark.parametrize(
    ("words", "template", "threshold", "dim", "message"),
    [
        (["chair"], "a {}", "nan", 32, "wrong template or threshold"),
        (["chair"], "a {} {}", "0.9", 32, "wrong template or threshold"),
        (["chair", "table"], "a {}", "0.9", 32, "features .1, 32. for 2 words"),
        ([], "a {}", "0.9", 32, "for 0 words"),
        ("chair", "a {}", "0.9", 32, "no list of texts"),
        ([3], "a {}", "0.9", 32, "no list of texts"),
        (["chair"], "a {}", "0.9", 16, "and 32 dimensions"),
    ],
)
def test_known_words_that_do_not_fit_are_refused(directory, words, template, threshold, dim, message):
    import numpy as np
    import safetensors.numpy

    metadata = {"words": json.dumps(words), "template": template, "threshold": threshold}
    content = safetensors.numpy.save({"features": np.ones((1, dim), np.float16)}, metadata)
    (directory / known_words.FILE).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(directory)


def test_the_tiny_model_of_the_tests_is_plain():
    assert clip_config.checked_model(TINY_CLIP) == TINY_CLIP
