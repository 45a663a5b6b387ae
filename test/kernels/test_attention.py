"""Attention against its definition."""

from __future__ import annotations

import pytest
import torch

from s4token_model.kernels import attention
from s4token_model.kernels.attention import attend


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("limit", [0, attention.LIMIT])
@pytest.mark.parametrize("width", [16, 48])
def test_attention_is_a_softmax_of_inner_products(monkeypatch, kind, limit, width):
    monkeypatch.setattr(attention, "LIMIT", limit)
    generator = torch.Generator().manual_seed(0)
    parts = torch.randn((2, 3, 3, 21, width), generator=generator).to(kind).unbind(2)  # not contiguous
    q, k, v = (p.float() for p in parts)
    expected = torch.softmax(q @ k.transpose(-1, -2) / width**0.5, dim=-1) @ v
    with torch.no_grad():
        got = attend(*parts)
    assert got.dtype == kind
    torch.testing.assert_close(got.float(), expected, rtol=0, atol=1e-5 if kind == torch.float32 else 0.04)
