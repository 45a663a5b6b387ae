"""Time the encoder (tokenizer + CLIP) in fp32, bf16, our int8 and libraries' int8, in turn in one process.

    OMP_NUM_THREADS=1 python scripts/benchmark_precision.py mini 512 --rounds 15 --arithmetic fp32,bf16,int8
    python scripts/benchmark_precision.py ViT-B-16 256        # an open_clip architecture with random weights

torchao (pip install torchao) is needed for ao_*. ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI, with MKL_ENABLE_INSTRUCTIONS and
ATEN_CPU_CAPABILITY for AVX2, limits torch to the instructions of an older processor.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
import warnings

import numpy as np
import open_clip
import torch
from torch import nn

from s4token_model import checkpoint
from s4token_model import config as configs
from s4token_model.datasets import sample
from s4token_model.kernels.attention import attend
from s4token_model.pipeline.clip import FrozenClip
from s4token_model.pipeline.tokenizer import Tokenizer
from s4token_model.segmenter import build_patches, network_input


class Block(nn.Module):
    """The block that `clip.run_block` computes, of nn.Linear throughout: libraries quantize nothing else."""

    def __init__(self, block: nn.Module):
        super().__init__()
        attention = block.attn
        self.heads, width = attention.num_heads, attention.embed_dim
        self.ln_1, self.ln_2, self.ls_1, self.ls_2, self.mlp = (
            block.ln_1,
            block.ln_2,
            block.ls_1,
            block.ls_2,
            block.mlp,
        )
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.qkv.weight, self.qkv.bias = attention.in_proj_weight, attention.in_proj_bias
        self.out.weight, self.out.bias = attention.out_proj.weight, attention.out_proj.bias

    def forward(self, hidden):
        heads = self.qkv(self.ln_1(hidden)).unflatten(-1, (3, self.heads, -1)).transpose(1, 3).unbind(2)
        hidden = hidden + self.ls_1(self.out(attend(*heads).transpose(1, 2).flatten(2)))
        return hidden + self.ls_2(self.mlp(self.ln_2(hidden)))


class Encoder(nn.Module):
    """Tokenizer and ViT with blocks that a library can quantize, all in one type."""

    def __init__(self, tokenizer: Tokenizer, clip: FrozenClip, dtype: torch.dtype):
        super().__init__()
        self.tokenizer, self.clip, self.dtype = tokenizer.to(dtype), clip, dtype
        self.blocks = nn.Sequential(*map(Block, clip.model.visual.transformer.resblocks)).to(dtype)

    def forward(self, inputs):
        tokens, visual = self.tokenizer(inputs).float(), self.clip.model.visual
        cls = (visual.class_embedding + visual.positional_embedding[0]).expand(len(tokens), 1, -1)
        hidden = visual.ln_pre(torch.cat([cls, tokens], dim=1)).to(self.dtype)
        return self.clip._project(self.blocks(hidden).float())[0]


def parts(model: str, tokens: int, precision: str) -> tuple[Tokenizer, FrozenClip, configs.Config]:
    """Tokenizer, CLIP and config of s4token-mini or of an architecture with random weights."""
    changes = {"clip.precision": precision, "sampling.tokens": tokens}
    if model == "mini":
        return checkpoint.load(checkpoint.MINI, configs.replace(checkpoint.read_config(checkpoint.MINI), changes))
    config = configs.replace(configs.Config(), changes | {"clip.name": model, "clip.pretrained": ""})
    torch.manual_seed(0)
    clip = FrozenClip(open_clip.create_model(model, pretrained=None), None, (0,) * 3, (1,) * 3, precision)
    return Tokenizer(config.tokenizer, clip.width).eval(), clip, config


def ours(model: str, tokens: int, precision: str):
    """The encoder as the Segmenter runs it."""
    tokenizer, clip, _ = parts(model, tokens, precision)
    if precision == "int8":
        tokenizer.quantize()

    def run(inputs):
        with torch.autocast("cpu", torch.bfloat16, enabled=clip.uses_bf16):
            made = tokenizer(inputs)
        return clip.encode_tokens(made.float())[0]

    return run


def library(model: str, tokens: int, dtype: torch.dtype, quantize=None, compiled: bool = False):
    """The encoder quantized by a library, with or without torch.compile."""
    tokenizer, clip, _ = parts(model, tokens, "fp32")
    encoder = Encoder(tokenizer, clip, dtype).eval().requires_grad_(False)
    if quantize is not None:
        quantize(encoder)
    call = torch.compile(encoder, dynamic=False) if compiled else encoder

    def run(inputs):
        floats = [f.name for f in dataclasses.fields(inputs) if getattr(inputs, f.name).is_floating_point()]
        return call(dataclasses.replace(inputs, **{name: getattr(inputs, name).to(dtype) for name in floats}))

    return run


def torchao(encoder: Encoder) -> None:
    """Dynamic int8 activations per row and int8 weights per channel, by torchao."""
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    for part in (encoder.blocks, encoder.tokenizer):
        wide = lambda module, _: isinstance(module, nn.Linear) and module.in_features >= 16  # noqa: E731
        quantize_(part, Int8DynamicActivationInt8WeightConfig(), filter_fn=wide)


def dynamic(encoder: Encoder) -> None:
    """torch's own dynamic quantization, products by oneDNN."""
    torch.backends.quantized.engine = "onednn"
    encoder.blocks = torch.ao.quantization.quantize_dynamic(encoder.blocks, {nn.Linear}, dtype=torch.qint8)
    encoder.tokenizer = torch.ao.quantization.quantize_dynamic(encoder.tokenizer, {nn.Linear}, dtype=torch.qint8)


MAKE = {
    "fp32": lambda *what: ours(*what, "fp32"),
    "bf16": lambda *what: ours(*what, "bf16"),
    "int8": lambda *what: ours(*what, "int8"),
    "bf16_compile": lambda *what: library(*what, torch.bfloat16, None, True),
    "ao_fp32": lambda *what: library(*what, torch.float32, torchao),
    "ao_bf16": lambda *what: library(*what, torch.bfloat16, torchao),
    "ao_fp32_compile": lambda *what: library(*what, torch.float32, torchao, True),
    "ao_bf16_compile": lambda *what: library(*what, torch.bfloat16, torchao, True),
    "dynamic": lambda *what: library(*what, torch.float32, dynamic),
}


@torch.inference_mode()
def main() -> None:
    """Print a row per arithmetic: model, tokens, threads, arithmetic, wall and CPU ms (median, minimum), cosine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("tokens", type=int)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--arithmetic", default="fp32,bf16,int8,ao_fp32,ao_bf16,dynamic")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    config = parts(given.model, given.tokens, "fp32")[2]
    inputs = network_input(build_patches(sample.load().xyz, None, config), config)
    runs = {name: MAKE[name](given.model, given.tokens) for name in given.arithmetic.split(",")}
    outputs = {name: [run(inputs) for _ in range(3)][-1].float() for name, run in runs.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for number in range(given.rounds):
        for name in list(runs) if number % 2 else list(runs)[::-1]:
            wall, cpu = time.perf_counter(), time.process_time()
            runs[name](inputs)
            times[name].append((1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)))
    exact = next(iter(outputs.values()))
    head = f"{given.model} | {given.tokens} | {torch.get_num_threads()} | {os.environ.get('ONEDNN_MAX_CPU_ISA', 'all')}"
    for name, rows in times.items():
        wall, cpu = np.array(rows).T
        cosine = torch.cosine_similarity(outputs[name][0], exact[0], dim=-1).min()
        figures = f"{np.median(wall):.1f} | {wall.min():.1f} | {np.median(cpu):.1f} | {cpu.min():.1f} | {cosine:.4f}"
        print(f"| {head} | {name} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
