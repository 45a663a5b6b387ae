"""What the paper's CLIP, OpenAI's ViT-B/16, must answer: facts that others published, checked where the weights are.

    S4TOKEN_CLIP=/path/to/ViT-B-16.pt python -m pytest test/pipeline/test_clip_known_answers.py

takes every file and directory that clip.pretrained and clip.name take; S4TOKEN_CLIP_NAME names another of OpenAI's
ViTs. Without the variable the weights in open_clip's cache are checked, and without those only what needs none.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from torch.nn.functional import normalize

from s4token_model import bounded_files
from s4token_model.config import ClipConfig
from s4token_model.pipeline import clip, torchscript

NAME = os.environ.get("S4TOKEN_CLIP_NAME", ClipConfig().name)

# Parameters of both towers: https://github.com/mlfoundations/open_clip/blob/main/docs/model_profile.csv, in millions
MILLIONS = {"image": 86.19, "text": 63.43, "both": 149.62}

# Means of unit features of a random picture and of random tokens, which torchmultimodal found equal to OpenAI's code:
# https://github.com/facebookresearch/multimodal/blob/main/tests/models/clip/test_checkpoint.py, to 1e-4
MEANS = {
    "ViT-B-16-quickgelu": (0.0030, 0.0023),
    "ViT-B-32-quickgelu": (-0.0014, -0.0041),
    "ViT-L-14-quickgelu": (0.0006, -0.0022),
}

# Near and far in meaning; random weights find the order of each by chance
WORDS = [
    ("cat", "kitten", "airplane"), ("dog", "puppy", "train"), ("car", "automobile", "banana"),
    ("sofa", "couch", "giraffe"), ("airplane", "jet", "sandwich"), ("boat", "ship", "fork"),
    ("table", "desk", "elephant"), ("bicycle", "bike", "pizza"), ("guitar", "violin", "toilet"),
    ("house", "building", "spoon"), ("mug", "cup", "horse"), ("lamp", "light", "zebra"),
]  # fmt: skip


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    """The picture and the tokens of torchmultimodal's test, in the order in which it draws them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        picture = torch.randn(1, 3, 224, 224)
        for size in (288, 384, 448):
            torch.randn(1, 3, size, size)
        return picture, torch.randint(0, 49408, (1, 77))


def weights() -> Path | None:
    """The weights that are named, or those in open_clip's cache."""
    named = os.environ.get("S4TOKEN_CLIP")
    repository = open_clip.get_pretrained_cfg(NAME, "openai")["hf_hub"].strip("/")
    hub = pytest.importorskip("huggingface_hub")  # comes with open_clip
    cached = named or hub.try_to_load_from_cache(repository, "open_clip_model.safetensors")
    return Path(cached) if isinstance(cached, str) else None


@pytest.fixture(scope="module")
def found():
    path = weights()
    if path is None:
        pytest.skip("no weights of OpenAI here; name their file in S4TOKEN_CLIP")
    pair = {"name": str(path), "pretrained": ""} if path.is_dir() else {"name": NAME, "pretrained": str(path)}
    return clip.load(ClipConfig(**pair, precision="fp32"))


def test_the_default_is_openais_vit_b_16():
    defaults = ClipConfig()
    settings = open_clip.get_model_config(defaults.name)
    url = open_clip.get_pretrained_cfg(defaults.name, defaults.pretrained)["url"]
    assert url.endswith("5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f/ViT-B-16.pt")
    with torch.device("meta"):
        model = open_clip.CLIP(**settings)
    counts = {"both": sum(p.numel() for p in model.parameters())}
    counts["image"] = sum(p.numel() for p in model.visual.parameters())
    counts["text"] = counts["both"] - counts["image"]
    assert {name: round(count / 1e6, 2) for name, count in counts.items()} == MILLIONS
    assert counts["both"] == 149_620_737 and settings["quick_gelu"]
    assert (model.visual.patch_size, model.visual.grid_size) == ((16, 16), (14, 14))


def test_texts_have_the_tokens_of_openais_examples():
    """https://github.com/elixir-nx/bumblebee/blob/main/test/bumblebee/text/clip_text_test.exs, a cat and a dog."""
    ids = open_clip.get_tokenizer(NAME)(["a photo of a cat", "A photo of a dog "])
    assert ids.shape == (2, 77) and not ids[:, 7:].any()
    assert ids[:, :7].tolist() == [[49406, 320, 1125, 539, 320, n, 49407] for n in (2368, 1929)]


def test_random_inputs_are_the_published_ones():
    picture, tokens = inputs()
    torch.testing.assert_close(picture.flatten()[:3], torch.tensor([-1.1258, -1.1524, -0.2506]), atol=1e-4, rtol=0)
    assert tokens[0, :3].tolist() == [24784, 34337, 31877]


def test_openais_archive_has_its_hash():
    path = weights()
    if path is None or not path.is_file() or not torchscript.is_archive(path):
        pytest.skip("no archive of OpenAI here; name it in S4TOKEN_CLIP")
    expected = open_clip.get_pretrained_cfg(NAME, "openai")["url"].split("/")[-2]
    assert bounded_files.sha256(path) == expected


def test_logits_are_cosines_times_100(found):
    """The bound of the scale in training (Sec. 2.5 of CLIP's paper), which OpenAI's models end at."""
    assert found.model.logit_scale.exp().item() == pytest.approx(100, abs=0.01)


def test_features_of_random_inputs_have_the_published_means(found):
    if NAME not in MEANS:
        pytest.skip(f"nothing is published for {NAME}")
    picture, tokens = inputs()
    visual = found.model.visual
    patches = visual.conv1(picture).flatten(2).permute(0, 2, 1) + visual.positional_embedding[1:]
    with torch.no_grad():
        pooled = normalize(found.encode_tokens(patches)[1], dim=-1)
        text = normalize(found.model.encode_text(tokens), dim=-1)
    assert (pooled.mean().item(), text.mean().item()) == pytest.approx(MEANS[NAME], abs=1.5e-4)  # both are rounded


def test_words_are_nearer_to_their_synonyms_than_to_other_words(found):
    features = found.encode_text([f"a photo of a {word}" for words in WORDS for word in words]).reshape(
        -1, 3, found.dim
    )
    near, far = (np.einsum("nd,nd->n", features[:, 0], features[:, column]) for column in (1, 2))
    assert (near > far).sum() >= len(WORDS) - 1
