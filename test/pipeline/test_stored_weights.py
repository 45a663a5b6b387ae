"""Weights of a file in the network that they fit, without the random ones that its constructor would draw."""

from __future__ import annotations

import pytest
import safetensors.torch
import torch
from torch import nn

from s4token_model.pipeline import stored_weights


class Network(nn.Module):
    """Layers of several initial values, and a buffer that no file holds."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.Conv1d(4, 2, 3), nn.MultiheadAttention(4, 2))
        self.register_buffer("order", torch.arange(5.0).flip(0), persistent=False)


@pytest.fixture
def stored(tmp_path):
    torch.manual_seed(3)
    tensors = {name: torch.randn_like(tensor) for name, tensor in Network().state_dict().items()}
    safetensors.torch.save_file(tensors, tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors", tensors


def test_all_weights_are_those_of_the_file_and_none_is_drawn(stored):
    path, tensors = stored
    before = torch.get_rng_state()
    network = stored_weights.load(Network, path)
    assert torch.equal(before, torch.get_rng_state())
    found = network.state_dict()
    assert found.keys() == tensors.keys() and all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert torch.equal(network.order, torch.arange(5.0).flip(0))
    assert Network().layers[1].weight.eq(1).all(), "later networks get their initial values"


def test_a_sum_that_overflows_is_finite_and_one_number_that_is_not_is_found(stored):
    path, tensors = stored
    safetensors.torch.save_file(tensors | {"layers.0.weight": torch.full((4, 5), 3e38)}, path)
    assert stored_weights.load(Network, path).layers[0].weight.max() == torch.tensor(3e38)
    for number in (float("nan"), float("-inf")):
        wrong = tensors["layers.0.weight"].clone()
        wrong[2, 3] = number
        safetensors.torch.save_file(tensors | {"layers.0.weight": wrong}, path)
        with pytest.raises(ValueError, match="not finite, e.g. in layers.0.weight"):
            stored_weights.load(Network, path)
