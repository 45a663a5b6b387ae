"""Inference in 8-bit integers on a CPU: weights with one scale per output channel, activations with one per row.

The products run in oneDNN, which comes with torch (VNNI instructions where the processor has them); what stands between
two products - LayerNorm, ReLU, residuals, maxima - is one pass each of a kernel here that also quantizes its result.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn
from torch.nn.functional import linear

from s4token_model.kernels.attention import attend
from s4token_model.kernels.parallel import cpu_flags, thread_count

ROWS = 1024  # points that a PointNet reads at once, so that they stay in a core's cache
MIDDLE = 128  # the code of zero for values of either sign; 0 for values that are none below zero
SLOPE = 1.702  # of QuickGELU, x sigmoid(1.702 x)
FAST = {"cache": True, "nogil": True, "fastmath": True}


class Product:
    """x W^T with 8-bit weights (out, in); `factor` multiplies the result, `bias` is added before `post`.

    `post` is what oneDNN applies to the result: none, gelu or swish.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None, factor: Tensor | float = 1.0, post: str = "none"):
        weight = weight.detach().float()
        scale = (weight.abs().amax(dim=1) / 127).clamp(min=1e-30)
        codes = (weight / scale[:, None]).round().to(torch.int8)
        self.packed = torch.ops.onednn.qlinear_prepack(codes, None)
        self.scale, self.bias = (scale * factor).contiguous(), None if bias is None else (bias.float() * factor)
        self.zero, self.post = torch.zeros(len(weight), dtype=torch.int8), post

    def __deepcopy__(self, memo: dict) -> Product:
        return self  # never changes, and oneDNN's layouts cannot be copied

    def __call__(self, codes: np.ndarray, scale: float = 1.0, zero: int = MIDDLE, dtype=torch.float32) -> Tensor:
        """codes (R, in) uint8 that stand for (codes - zero) * scale -> (R, out)."""
        x, weights = torch.from_numpy(codes), (self.packed, self.scale, self.zero, self.bias)
        post = (self.post, [], "none" if self.post == "gelu" else "")
        return torch.ops.onednn.qlinear_pointwise(x, scale, zero, *weights, 1.0, 0, dtype, *post)


class Int8PointNet:
    """`tokenizer.PointNet` in 8 bits; patches are shared out to one thread per processor."""

    def __init__(self, net: nn.Module):
        first, norm, _, second = net.local
        last_norm, _, last = net.out
        self.first = first.weight.detach().float(), first.bias.detach().float()
        self.norms = [_norm(norm), _norm(last_norm)]
        self.second, self.own, self.last = Product(second.weight), Product(net.own.weight), Product(last.weight)
        self.pooled = net.pooled.weight.detach().float(), net.own.bias.detach().float()
        self.biases = [_array(second.bias), _array(last.bias)]

    def __call__(self, points: Tensor) -> Tensor:
        """points (P, M, channels) float32, padded with copies -> (P, out)."""
        out = np.empty((len(points), len(self.biases[1])), np.float32)
        step = max(1, ROWS // points.shape[1])
        in_single_threads(lambda begin: self._part(points[begin : begin + step], out[begin:]), len(points), step)
        return torch.from_numpy(out)

    def _part(self, points: Tensor, out: np.ndarray) -> None:
        patches, per = points.shape[:2]
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            hidden = linear(points.flatten(0, 1).float(), *self.first).numpy()
            nothing = np.zeros((patches, hidden.shape[1]), np.float32)
            codes, scale = _relu_norm(hidden, np.ones(len(hidden), np.float32), nothing, *self.norms[0], per)
            hidden = self.second(codes, zero=0).numpy()
            codes, scale, pooled = _pool(hidden, scale, self.biases[0], per)
            shared = linear(torch.from_numpy(pooled), *self.pooled).numpy()
            codes, scale = _relu_norm(self.own(codes).numpy(), scale, shared, *self.norms[1], per)
            _largest(self.last(codes, zero=0).numpy(), scale, self.biases[1], per, out[:patches])


class Int8Blocks:
    """The plain pre-norm blocks of a ViT in 8 bits, see `clip.run_block`; attention itself stays in bf16."""

    def __init__(self, blocks: nn.ModuleList):
        self.blocks = [_Block(block) for block in blocks]

    def __call__(self, hidden: Tensor) -> Tensor:
        """hidden (B, N, D) float32 -> (B, N, D) float32."""
        batch, count, width = hidden.shape
        rows = hidden.reshape(-1, width).numpy().copy()
        for block in self.blocks:
            block(rows, batch)
        return torch.from_numpy(rows).unflatten(0, (batch, count))


class _Block:
    def __init__(self, block: nn.Module):
        attention, fc, activation = block.attn, block.mlp.c_fc, block.mlp.gelu
        self.heads = attention.num_heads
        self.norms = [_norm(block.ln_1), _norm(block.ln_2)]
        self.qkv = Product(attention.in_proj_weight, attention.in_proj_bias)
        quick = not isinstance(activation, nn.GELU)
        self.fc = Product(fc.weight, fc.bias, SLOPE if quick else 1.0, "swish" if quick else "gelu")
        gains = [getattr(scale, "gamma", torch.ones(1)).detach().float() for scale in (block.ls_1, block.ls_2)]
        back = block.mlp.c_proj
        self.joined = Product(attention.out_proj.weight, None, gains[0])
        self.back = Product(back.weight, None, gains[1] / SLOPE if quick else gains[1])
        self.biases = [_array(attention.out_proj.bias * gains[0]), _array(back.bias * gains[1])]

    def __call__(self, rows: np.ndarray, batch: int) -> None:
        codes, scale = _norm_all(rows, *self.norms[0])
        qkv = self.qkv(codes, scale, dtype=torch.bfloat16)
        heads = qkv.unflatten(0, (batch, -1)).unflatten(-1, (3, self.heads, -1)).transpose(1, 3).unbind(2)
        mixed = attend(*heads).transpose(1, 2).reshape(rows.shape).float()
        codes, scales = _quantized(mixed.numpy())
        _add(rows, self.joined(codes).numpy(), scales, self.biases[0])
        codes, scale = _norm_all(rows, *self.norms[1])
        codes, scales = _quantized(self.fc(codes, scale).numpy())
        _add(rows, self.back(codes).numpy(), scales, self.biases[1])


def is_quick() -> bool:
    """Whether the processor multiplies 8-bit integers faster than anything else."""
    return bool(cpu_flags() & {"avx512_vnni", "avx_vnni", "amx_int8"})


def supported(block: nn.Module) -> bool:
    """Whether the activation of a plain block of open_clip is one that `_Block` computes."""
    activation = getattr(block.mlp, "gelu", None)
    exact = isinstance(activation, nn.GELU) and activation.approximate == "none"
    return exact or type(activation).__name__ == "QuickGELU"


def in_single_threads(work: Callable[[int], None], count: int, step: int) -> None:
    """Call work(begin) for 0, step, ... below count, on one thread per processor, torch on one thread in each."""
    if thread_count() == 1 or count <= step:
        for begin in range(0, count, step):
            work(begin)
        return
    list(_pool_of_threads().map(work, range(0, count, step)))


_lock, _threads = threading.Lock(), []


def _pool_of_threads() -> ThreadPoolExecutor:
    """Threads that live on, each with torch set to one thread (a setting of each thread, but also the next ones')."""
    with _lock:
        if not _threads:
            before, all_there = torch.get_num_threads(), threading.Barrier(thread_count())

            def begin(_) -> None:
                torch.set_num_threads(1)
                all_there.wait()

            pool = ThreadPoolExecutor(thread_count(), "s4token int8")
            list(pool.map(begin, range(thread_count())))
            torch.set_num_threads(before)
            _threads.append(pool)
    return _threads[0]


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().contiguous().numpy().copy()


def _norm(norm: nn.LayerNorm) -> tuple[np.ndarray, np.ndarray, np.float32]:
    return _array(norm.weight), _array(norm.bias), np.float32(norm.eps)


@njit(**FAST, inline="always")
def _normalize(row, gain, shift, eps):
    """LayerNorm of a row, in place."""
    total, squares = np.float32(0), np.float32(0)
    for c in range(len(row)):
        total += row[c]
    mean = total / np.float32(len(row))
    for c in range(len(row)):
        row[c] -= mean
        squares += row[c] * row[c]
    inverse = np.float32(1) / np.sqrt(squares / np.float32(len(row)) + eps)
    for c in range(len(row)):
        row[c] = row[c] * inverse * gain[c] + shift[c]


@njit(**FAST, inline="always")
def _encode(row, top, out):
    """Codes around MIDDLE of a row whose largest magnitude is `top`; returns the scale."""
    factor = np.float32(127) / max(top, np.float32(1e-30))
    for c in range(len(row)):
        out[c] = np.uint8(np.int32(row[c] * factor + np.float32(MIDDLE + 0.5)))
    return np.float32(1) / factor


@njit(**FAST, inline="always")
def _top(row):
    top = np.float32(0)
    for c in range(len(row)):
        top = max(top, abs(row[c]))
    return top


@njit(**FAST)
def _relu_norm(x, scale, shared, gain, shift, eps, per):
    """ReLU(LayerNorm(x * scale + shared of the patch)) of x (P * per, C) as codes from 0 and a scale per row."""
    codes, scales = np.empty(x.shape, np.uint8), np.empty(len(x), np.float32)
    row = np.empty(x.shape[1], np.float32)
    for p in range(len(shared)):
        own = shared[p]
        for i in range(p * per, (p + 1) * per):
            values, out, factor = x[i], codes[i], scale[i]
            for c in range(len(row)):
                row[c] = values[c] * factor + own[c]
            _normalize(row, gain, shift, eps)
            top = np.float32(1e-30)
            for c in range(len(row)):
                row[c] = max(row[c], np.float32(0))
                top = max(top, row[c])
            factor = np.float32(255) / top
            for c in range(len(row)):
                out[c] = np.uint8(np.int32(row[c] * factor + np.float32(0.5)))
            scales[i] = np.float32(1) / factor
    return codes, scales


@njit(**FAST)
def _pool(x, scale, bias, per):
    """Codes and scales of x * scale + bias, and its maximum per patch (P, C)."""
    codes, scales = np.empty(x.shape, np.uint8), np.empty(len(x), np.float32)
    pooled = np.full((len(x) // per, x.shape[1]), -np.float32(3e38))
    row = np.empty(x.shape[1], np.float32)
    for p in range(len(pooled)):
        most = pooled[p]
        for i in range(p * per, (p + 1) * per):
            values, factor = x[i], scale[i]
            for c in range(len(row)):
                row[c] = values[c] * factor + bias[c]
                most[c] = max(most[c], row[c])
            scales[i] = _encode(row, _top(row), codes[i])
    return codes, scales, pooled


@njit(**FAST)
def _largest(x, scale, bias, per, out):
    """out (P, C) = the maximum per patch of x * scale, plus bias."""
    for p in range(len(out)):
        most = out[p]
        most[:] = -np.float32(3e38)
        for i in range(p * per, (p + 1) * per):
            values, factor = x[i], scale[i]
            for c in range(len(most)):
                most[c] = max(most[c], values[c] * factor)
        for c in range(len(most)):
            most[c] += bias[c]


@njit(**FAST)
def _norm_all(x, gain, shift, eps):
    """LayerNorm of all rows as codes with one scale for all: LayerNorm has made them alike, and what follows the next
    product can then run inside it."""
    values, codes = x.copy(), np.empty(x.shape, np.uint8)
    top = np.float32(0)
    for i in range(len(x)):
        _normalize(values[i], gain, shift, eps)
        top = max(top, _top(values[i]))
    scale = np.float32(0)
    for i in range(len(x)):
        scale = _encode(values[i], top, codes[i])
    return codes, scale


@njit(**FAST)
def _quantized(x):
    codes, scales = np.empty(x.shape, np.uint8), np.empty(len(x), np.float32)
    for i in range(len(x)):
        scales[i] = _encode(x[i], _top(x[i]), codes[i])
    return codes, scales


@njit(**FAST)
def _add(rows, x, scales, bias):
    """rows += x * scale + bias."""
    for i in range(len(rows)):
        row, values, factor = rows[i], x[i], scales[i]
        for c in range(len(row)):
            row[c] += values[c] * factor + bias[c]
