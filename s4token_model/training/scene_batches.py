"""Batches of s4token-mini: all samples in the memory of one device, and batches drawn and disturbed there.

Clouds are drawn as in sampler.py, but all of a batch at once, and without a step that waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial

import numpy as np
import torch
from torch import Tensor

from s4token_model.pipeline.token_context import LENGTH_DIMS
from s4token_model.pipeline.tokenizer import TokenInput
from s4token_model.training import batches
from s4token_model.training.batches import Batch, DrawConfig, DrawnClouds, Points, TargetRows, Tokens
from s4token_model.training.token_samples import TokenSample


class SceneBatches:
    """Samples with labels and the same number of points, as tensors on a device, and batches drawn from them.

    2D targets have `dim` numbers (0: not used). `weights` are the chances of the samples to be drawn; None: all alike.
    """

    def __init__(
        self, samples: Sequence[TokenSample], device: str = "cpu", dim: int = 0, weights: np.ndarray | None = None
    ):
        self.size, self.device, self.weights = len(samples), torch.device(device), weights
        types = {"patch_count": np.int16, "context_count": np.int16, "token_superpoint": np.int32}

        def gathered(name: str, gather: Callable) -> Tensor:
            array = gather([getattr(sample, name) for sample in samples])
            return torch.from_numpy(array.astype(types.get(name, array.dtype), copy=False)).to(device)

        self.tokens = Tokens(*(gathered(name, np.concatenate) for name in Tokens._fields))
        self.points = Points(*(gathered(name, np.stack) for name in Points._fields))
        self.scale = gathered("position_scale", np.stack)
        self.counts = np.array([len(s.position) for s in samples])
        self.count = torch.from_numpy(self.counts).to(device)
        self.start = self.count.cumsum(0) - self.count
        self.superpoints = np.array([int(s.point_superpoint.max()) + 1 for s in samples])
        self.targets = batches.to_device(batches.gather_targets(samples, self.superpoints, dim), self.device)

    def choose(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw samples (count,) by their chances."""
        return rng.choice(self.size, count, p=self.weights)

    def draw(
        self, chosen: np.ndarray, config: DrawConfig, rng: np.random.Generator | None = None, jitter: float = 0.0
    ) -> Batch:
        """Draw tokens and points of the samples `chosen` (B,), and disturb the tokens by `jitter`, see `disturb`.

        The same for a state of `rng`, which is needed for training only.
        """
        scene, generator = self._copied(chosen), torch.Generator(self.device)
        if config.training and rng is not None:
            generator.manual_seed(int(rng.integers(2**63 - 1)))
        tokens, points = self._draw_tokens(scene, config, generator), self._draw_points(scene, config, generator)
        # Points of the patches, then one rotation for all that belongs to a cloud
        if config.training:
            random = partial(torch.rand, generator=generator, device=self.device)
            kept = batches.draw_patch_points(tokens.patch, tokens.patch_count, config.patch_points, random)
            wide = batches.draw_patch_points(tokens.context, tokens.context_count, config.context_points, random)
            tokens = tokens._replace(patch=kept[0], patch_count=kept[1], context=wide[0], context_count=wide[1])
        rotation = torch.eye(3, device=self.device).expand(len(chosen), 3, 3)
        if config.training and config.rotate:
            angle, flip = torch.rand(2, len(chosen), generator=generator, device=self.device)
            rotation = batches.rotations(2 * torch.pi * angle, 1 - 2 * (flip < 0.5).float())
        targets, start = self._take_targets(chosen, scene)
        category = torch.full_like(scene, -1)
        drawn = DrawnClouds(tokens, points, targets, start, self.scale[scene], category, rotation)
        batch = batches.make_batch(drawn)
        return batch._replace(inputs=disturb(batch.inputs, jitter, generator)) if config.training else batch

    def _copied(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device, non_blocking=True)

    def _draw_tokens(self, scene: Tensor, config: DrawConfig, generator: torch.Generator) -> Tokens:
        """Draw tokens without repetition, as long as a cloud has more."""
        count = self.count[scene][:, None]
        column = torch.arange(config.tokens, device=self.device) % count
        if config.training:
            keys = torch.rand(len(scene), int(self.counts.max()), generator=generator, device=self.device)
            keys.masked_fill_(torch.arange(keys.shape[1], device=self.device) >= count, 2.0)
            column = keys.argsort(dim=1).gather(1, column)
        kept = self.start[scene][:, None] + column
        return Tokens(*(values[kept] for values in self.tokens))

    def _draw_points(self, scene: Tensor, config: DrawConfig, generator: torch.Generator) -> Points:
        """Draw points of the losses, with repetition if there are fewer; all of them outside of training."""
        count, shape = self.points.point.shape[1], (len(scene), config.points)
        if not config.training or count == config.points:
            return Points(*(values[scene] for values in self.points))
        if count < config.points:
            kept = torch.randint(count, shape, generator=generator, device=self.device)
        else:
            keys = torch.rand(len(scene), count, generator=generator, device=self.device)
            kept = keys.topk(config.points, dim=1, sorted=False).indices
        return Points(*(values[scene[:, None], kept] for values in self.points))

    def _take_targets(self, chosen: np.ndarray, scene: Tensor) -> tuple[TargetRows, Tensor]:
        """The targets of the samples `chosen` (B,), which are `scene` on the device, and the first row of each."""
        sizes, first = self.superpoints[chosen], (self.superpoints.cumsum() - self.superpoints)[chosen]
        start = sizes.cumsum() - sizes
        rows = self._copied(np.arange(sizes.sum()) + np.repeat(first - start, sizes))
        found, has_feature, global_feature = self.targets
        return TargetRows(found[rows], has_feature[rows], global_feature[scene]), self._copied(start)[:, None]


def merge_pairs(batch: Batch) -> Batch:
    """Lay clouds 2k and 2k + 1, turned each by itself, over each other as cloud k (Mix3D, arXiv:2110.02210).

    What a thing is must then be seen from itself, not from the scene it stands in. 2B clouds -> B clouds.
    """

    def pairs(values: Tensor) -> Tensor:
        return values.unflatten(0, (-1, 2)).flatten(1, 2)

    # The points of one see no tokens of the other: the superpoints differ
    first, second = batch.weights.unflatten(0, (-1, 2)).unbind(1)
    nothing = torch.zeros_like(first)
    weights = torch.cat([torch.cat([first, nothing], dim=2), torch.cat([nothing, second], dim=2)], dim=1)
    inputs = TokenInput(*(pairs(getattr(batch.inputs, field.name)) for field in fields(TokenInput)))
    found = {name: pairs(getattr(batch, name)) for name in ("point", "label", "superpoint", "center")}
    found["global_target"] = batch.global_target.unflatten(0, (-1, 2)).mean(dim=1)
    return batch._replace(inputs=inputs, weights=weights, category=batch.category[::2], **found)


def disturb(inputs: TokenInput, strength: float, generator: torch.Generator) -> TokenInput:
    """Disturb the tokens of each cloud, so that nothing fits procedural scenes exactly.

    At strength 1, patches and wide patches are stretched by about 8 % per axis and get noise; the descriptors' lengths
    are scaled together by about 12 %, all values get noise, and a tenth of the columns and of the tokens is zeroed.
    """
    device, (clouds, tokens, columns) = generator.device, inputs.shape.shape

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=device) * strength

    def kept(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=device) > 0.1 * strength

    stretch, moved = (0.08 * normal(clouds, 1, 1, 3)).exp(), []
    for points, noise in ((inputs.patch, 0.03), (inputs.context, 0.01)):
        offsets = points[..., :3] * stretch
        moved.append(torch.cat([offsets + noise * normal(*offsets.shape), points[..., 3:]], dim=-1))
    shape = inputs.shape.clone()
    lengths = shape[..., :LENGTH_DIMS].sinh() * (0.12 * normal(clouds, 1, 1)).exp()
    shape[..., :LENGTH_DIMS] = lengths.asinh()
    shape = (shape + 0.08 * normal(*shape.shape)) * (kept(clouds, 1, columns) & kept(clouds, tokens, 1))
    return TokenInput(moved[0], inputs.mask, moved[1], inputs.context_mask, shape, inputs.position)
