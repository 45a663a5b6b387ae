"""What a GPU computes beside what the CPU computes; run by `make gpu-check`, skipped without a GPU."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from box_room import room

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.config import ClipConfig
from s4token_model.pipeline import clip
from s4token_model.pipeline.patched_cloud import build_patches, network_input
from s4token_model.segmenter import Segmenter, checked_device

pytestmark = pytest.mark.cuda


def load(model, precision: str, device: str) -> Segmenter:
    return Segmenter.load(model, configs.replace(checkpoint.read_config(model), {"clip.precision": precision}), device)


def test_labels_in_fp32_are_those_of_the_cpu():
    xyz = room()[0]
    cpu, gpu = (load(checkpoint.MINI, "fp32", device).segment(xyz) for device in ("cpu", "cuda"))
    assert np.array_equal(cpu.superpoints, gpu.superpoints)
    assert (cpu.labels == gpu.labels).mean() > 0.999
    np.testing.assert_allclose(cpu.confidence, gpu.confidence, atol=1e-3)
    np.testing.assert_allclose(cpu.encoding.tokens, gpu.encoding.tokens, atol=1e-3)


def test_labels_in_bf16_are_close_to_those_of_the_cpu():
    xyz = room()[0]
    cpu, gpu = load(checkpoint.MINI, "fp32", "cpu").segment(xyz), load(checkpoint.MINI, "bf16", "cuda").segment(xyz)
    assert (cpu.labels == gpu.labels).mean() > 0.97
    assert np.abs(cpu.confidence - gpu.confidence).max() < 0.05


def test_new_words_and_queries_on_a_gpu_are_those_of_the_cpu():
    xyz, words = room()[0], ["chair", "a red box"]
    found = []
    for device in ("cpu", "cuda"):
        model = load(checkpoint.MINI, "fp32", device)
        encoding = model.encode(xyz)
        found.append((model.make_vocabulary(words).text, model.similarity(encoding, words)))
    for cpu, gpu in zip(*found, strict=True):
        np.testing.assert_allclose(cpu, gpu, atol=1e-3)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 0.05)])
def test_features_of_tokens_images_and_texts_are_those_of_the_cpu(tiny_model, precision, tolerance):
    config = ClipConfig(name=str(tiny_model / "clip"), pretrained="", precision=precision)
    tokens = torch.randn(2, 9, 48, generator=torch.Generator().manual_seed(0))
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 30, 3), np.uint8)
    found = []
    for device in ("cpu", "cuda"):
        model = clip.load(config, device=device)
        assert model.device.type == device and model.precision == precision
        with torch.no_grad():
            features = [*model.encode_tokens(tokens.to(device)), *model.encode_images(images)]
        found.append([*features, torch.from_numpy(model.encode_text(["a chair", "стол"]))])
    for cpu, gpu in zip(*found, strict=True):
        assert gpu.dtype == torch.float32
        torch.testing.assert_close(gpu.cpu(), cpu, atol=tolerance, rtol=tolerance)


def test_auto_precision_asks_the_gpu(tiny_model):
    expected = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    model = load(tiny_model, "auto", "cuda")
    assert model.clip.precision == expected
    weight = model.clip.model.visual.transformer.resblocks[0].attn.in_proj_weight
    assert weight.dtype == (torch.bfloat16 if expected == "bf16" else torch.float32)


def test_everything_is_on_the_device_that_was_asked_for(tiny_model):
    model = load(tiny_model, "fp32", "cuda:0")
    inputs = network_input(build_patches(room()[0], None, model.config), model.config).to(model.device)
    where = {t.device for t in (*model.tokenizer.parameters(), *model.clip.parameters(), *model.clip.buffers())}
    assert where | {t.device for t in vars(inputs).values()} == {torch.device("cuda:0")}
    with pytest.raises(ValueError, match="'cuda:99' is not available"):
        checked_device("cuda:99")


def test_training_on_a_gpu_has_the_losses_of_the_cpu(tiny_model, tmp_path):
    from s4token_model.training import prepare, train

    (tmp_path / "clouds").mkdir()
    for number in range(4):
        np.save(tmp_path / "clouds" / f"{number}.npy", room()[0][number::4])
    samples = str(tmp_path / "samples")
    (tmp_path / "train.yaml").write_text(json.dumps({"init": str(tiny_model)}))
    words = [str(tmp_path / "train.yaml"), "objects", str(tmp_path / "clouds"), "--out", samples]
    prepare.main([*words, "--device", "cuda"])
    settings = {"init": str(tiny_model), "data": samples, "steps": 3, "batch": 2, "tokens": 32, "points": 64}
    settings |= {"clusters": 4, "held_out": 0.0, "precision": "fp32", "save_every": 1}
    losses = []
    for device in ("cpu", "cuda"):
        run = tmp_path / device
        (tmp_path / "train.yaml").write_text(json.dumps(settings | {"device": device, "run": str(run)}))
        train.main([str(tmp_path / "train.yaml")])
        losses.append([json.loads(line)["loss"] for line in (run / "state.jsonl").read_text().splitlines()])
    assert len(losses[0]) == 3
    np.testing.assert_allclose(*losses, rtol=1e-2)
    assert losses[1][0] == pytest.approx(losses[0][0], rel=1e-3)


def test_a_step_never_waits_for_the_gpu(tiny_model, tmp_path):
    """What PyTorch knows of it; the first step may wait, e.g. to build tables of the libraries."""
    from fake_samples import fake_sample

    from s4token_model.training import pretrain
    from s4token_model.training.sampler import Sampler
    from s4token_model.training.settings import TrainConfig

    config = TrainConfig(
        init=str(tiny_model), run=str(tmp_path), device="cuda", batch=4, tokens=8, clusters=3, points=20
    )
    _, frozen, tokenizer = pretrain.start(config, checkpoint.read_config(tiny_model))
    trainer = pretrain.Trainer(tokenizer, frozen, config, 0, 1)
    drawn, _ = trainer.draws(Sampler([fake_sample(k, 32) for k in range(4)], 32))(0)
    trainer.step(0, drawn)
    torch.cuda.set_sync_debug_mode("error")
    try:
        losses = trainer.step(1, drawn)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert set(losses) == {"assign", "local", "global", "loss"} and all(loss.is_cuda for loss in losses.values())


def test_s4token_mini_trains_on_a_gpu_as_on_the_cpu(tiny_model, tmp_path):
    """One step from the same weights, on all tokens and points as they are: the same loss and gradients."""
    pytest.importorskip("embreex")
    from fake_samples import fake_sample

    from s4token_model.training import mini_tokenizer
    from s4token_model.training.batches import DrawConfig
    from s4token_model.training.scene_batches import SceneBatches
    from s4token_model.training.settings import MiniConfig

    pipeline = configs.replace(configs.Config(), {"tokenizer.width": 8, "sampling.tokens": 12})
    config = configs.replace(
        MiniConfig(), {"precision": "fp32", "steps": 3, "batch": 2, "tokens": 8, "step_points": 20}
    )
    clip_config, samples = (
        ClipConfig(name=str(tiny_model / "clip"), pretrained=""),
        [fake_sample(k, 32) for k in range(4)],
    )
    found = []
    for device in ("cpu", "cuda"):
        scenes = mini_tokenizer.TrainingScenes(SceneBatches(samples, device), None)
        frozen = clip.load(clip_config, device=device)
        weight = mini_tokenizer.class_weights(scenes, mini_tokenizer.class_names(config))
        trainer = mini_tokenizer.MiniTrainer(frozen, pipeline, config, weight)
        batch = scenes.rooms.draw(np.arange(4), DrawConfig(12, training=False))
        names, text = trainer.draw_names(np.random.default_rng(0), False)
        loss = trainer.compute_losses(batch, names, text)["text"]
        gradient = torch.autograd.grad(loss, list(trainer.tokenizer.parameters()))
        found.append([loss.detach().cpu(), batch.weights.cpu(), *(g.cpu() for g in gradient)])
        trained = mini_tokenizer.train(scenes, scenes, frozen, pipeline, config, tmp_path / device)
        assert all(torch.isfinite(p).all() and p.device.type == "cpu" for p in trained.parameters())
    (loss, weights, *gradient), (gpu_loss, gpu_weights, *gpu_gradient) = found
    torch.testing.assert_close(gpu_loss, loss, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(gpu_weights, weights, atol=1e-4, rtol=1e-3)
    # Where two points of a patch are nearly alike, rounding decides which is the largest and gets the gradient
    whole, gpu_whole = (torch.cat([g.flatten() for g in found]) for found in (gradient, gpu_gradient))
    assert (gpu_whole - whole).norm() < 0.01 * whole.norm()
