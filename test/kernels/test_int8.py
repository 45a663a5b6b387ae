"""Inference in 8 bits beside the same network in single precision."""

from __future__ import annotations

import copy
import threading

import numpy as np
import open_clip
import pytest
import torch
from tiny_model import TINY_CLIP
from torch.nn.functional import gelu, linear

from s4token_model.kernels import int8, parallel
from s4token_model.kernels.int8 import Int8Blocks, Product, in_single_threads
from s4token_model.pipeline import clip
from s4token_model.pipeline.clip import FrozenClip, run_block
from s4token_model.pipeline.tokenizer import PointNet


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("zero", "post"), [(0, "none"), (128, "none"), (128, "gelu"), (128, "swish")])
def test_a_product_is_that_of_the_decoded_numbers(zero, post):
    weight = torch.randint(-127, 128, (24, 40), generator=torch.Generator().manual_seed(0)).float()
    weight[:, 0] = 127.0  # so that the weights are their own codes, and only float32 rounds
    codes = np.random.default_rng(0).integers(0, 256, (9, 40), dtype=np.uint8)
    bias, factor = random(24), 0.01 * random(24).abs() + 0.01
    got = Product(weight, bias, factor, post)(codes, 0.01, zero)
    expected = (linear((torch.from_numpy(codes).float() - zero) * 0.01, weight) + bias) * factor
    applied = {"none": lambda x: x, "gelu": gelu, "swish": torch.nn.functional.silu}[post](expected)
    torch.testing.assert_close(got, applied, rtol=1e-4, atol=1e-4)


def test_rows_of_any_size_keep_their_precision():
    rows = (random(50, 96) * 10 ** (6 * random(50, 1, seed=1))).numpy()
    codes, scales = int8._quantized(rows)
    decoded = (codes.astype(np.float32) - int8.MIDDLE) * scales[:, None]
    assert (np.abs(decoded - rows) <= 0.501 * np.abs(rows).max(axis=1, keepdims=True) / 127).all()
    codes, _ = int8._quantized(np.zeros((2, 96), np.float32))
    assert (codes == int8.MIDDLE).all()


def pair(width: int = 16) -> tuple[PointNet, PointNet]:
    torch.manual_seed(0)
    exact = PointNet(3, width, 48).eval()
    rough = copy.deepcopy(exact)
    rough.int8 = int8.Int8PointNet(rough)
    return exact, rough


@pytest.mark.parametrize("patches", [1, 5, 300])
def test_a_pointnet_in_8_bits_is_close_to_itself(patches):
    exact, rough = pair()
    points, mask = random(patches, 40, 3), random(patches, 40, seed=1) < 0.5
    mask[:, 0] = True
    mask[-1] = patches == 1
    with torch.no_grad():
        expected, got = exact(points, mask), rough(points, mask)
    assert got.shape == expected.shape and (patches == 1 or not got[-1].any())
    filled = mask.any(dim=-1)
    assert torch.cosine_similarity(expected[filled], got[filled], dim=-1).min() > 0.999
    torch.testing.assert_close(rough(points, mask), exact(points, mask))  # with gradients, nothing is rounded


def test_a_patch_does_not_see_its_neighbors_nor_its_padding():
    _, rough = pair()
    points, mask = random(130, 40, 3), random(130, 40, seed=1) < 0.5
    mask[:, 0] = True
    with torch.no_grad():
        alone, together = rough(points[7:8], mask[7:8]), rough(points, mask)[7:8]
        padded = rough(points.masked_fill(~mask[..., None], 1e3), mask)[7:8]
    torch.testing.assert_close(alone, together)
    torch.testing.assert_close(alone, padded)


@pytest.mark.parametrize(("quick", "scaled"), [(False, None), (True, 0.2)])
def test_blocks_in_8_bits_are_close_to_themselves(quick, scaled):
    torch.manual_seed(0)
    vision = TINY_CLIP["vision_cfg"] | {"ls_init_value": scaled}
    model = open_clip.CLIP(**(TINY_CLIP | {"vision_cfg": vision, "quick_gelu": quick})).eval()
    blocks, hidden = model.visual.transformer.resblocks, random(2, 33, 48)
    assert all(int8.supported(block) for block in blocks)
    with torch.inference_mode():
        got, expected = Int8Blocks(blocks)(hidden), hidden
        for block in blocks:
            expected = run_block(block, expected)
    assert got.dtype == torch.float32
    change = (got - expected).norm() / (expected - hidden).norm()
    assert change < 0.03, "of what the blocks add to the tokens"


def test_gradients_and_pictures_do_not_run_in_8_bits():
    torch.manual_seed(0)
    model = open_clip.CLIP(**TINY_CLIP)
    frozen = FrozenClip(copy.deepcopy(model), None, (0, 0, 0), (1, 1, 1), "int8")
    exact = FrozenClip(model, None, (0, 0, 0), (1, 1, 1), "bf16" if frozen.uses_bf16 else "fp32")
    tokens = random(1, 9, 48).requires_grad_()
    frozen.encode_tokens(tokens)[0].sum().backward()
    assert tokens.grad.abs().sum() > 0
    torch.testing.assert_close(frozen.encode_tokens(tokens), exact.encode_tokens(tokens))
    images = np.random.default_rng(0).integers(0, 255, (1, 32, 32, 3), dtype=np.uint8)
    torch.testing.assert_close(frozen.encode_images(images), exact.encode_images(images))
    with torch.no_grad():
        a, b = frozen.encode_tokens(tokens)[0], exact.encode_tokens(tokens)[0]
    assert not torch.equal(a, b) and torch.cosine_similarity(a, b, dim=-1).min() > 0.999


def test_threads_do_every_part_once_and_leave_torch_as_it_was():
    before, done, lock = torch.get_num_threads(), [], threading.Lock()

    def work(begin: int) -> None:
        with lock:
            done.append((begin, threading.current_thread().name))

    in_single_threads(work, 25, 10)
    assert sorted(begin for begin, _ in done) == [0, 10, 20] and torch.get_num_threads() == before
    with pytest.raises(ZeroDivisionError):
        in_single_threads(lambda begin: 1 / begin, 25, 10)


def test_auto_takes_8_bits_where_the_processor_multiplies_them(monkeypatch):
    for flags, expected in (({"avx512_vnni"}, "int8"), ({"avx512_bf16"}, "bf16"), ({"avx2"}, "fp32")):
        for module in (int8, clip):
            monkeypatch.setattr(module, "cpu_flags", lambda flags=flags: flags)
        model = open_clip.CLIP(**TINY_CLIP)
        assert FrozenClip(model, None, (0, 0, 0), (1, 1, 1), "auto").precision == expected
        assert FrozenClip(model, None, (0, 0, 0), (1, 1, 1), "bf16").precision == "bf16"


def test_a_limit_holds_for_the_calling_thread_and_for_torch_in_it(monkeypatch):
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    before, inside = torch.get_num_threads(), []

    def work(count: int) -> None:
        parallel.set_thread_limit(count)
        inside.append((parallel.thread_count(), torch.get_num_threads()))

    for count in (1, 2, 5):
        thread = threading.Thread(target=work, args=(count,))
        thread.start()
        thread.join()
    assert inside == [(1, 1), (2, min(2, before)), (2, before)]
    assert parallel.thread_count() == 2 and torch.get_num_threads() == before
