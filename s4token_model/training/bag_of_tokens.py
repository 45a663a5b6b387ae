"""Start a text tower as a linear model of its tokens: the feature of a text is the sum of those of its tokens.

The sum is found by least squares in seconds, and the tower begins to learn from there: attention looks at all tokens
alike, and the blocks behind it pass on what they get.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
import torch
from torch import nn

from s4token_model.pipeline.plain_clip import PlainClip
from s4token_model.training.word_texts import END, TextBatch

RIDGE = 0.3  # weight of small values, in texts
CONTENT = 4.0  # weight of the tokens' mean, beside the end's own 1
ATTENTION = 0.01  # spread of the first weights of queries and keys; at 0 they would never learn


def token_features(batch: TextBatch, vocabulary: int) -> np.ndarray:
    """Least squares (V, E) of the features (B, E) of texts as sums over their tokens; 0 for tokens without a text."""
    counted = (batch.ids > 0) & (batch.ids != END)
    rows = np.append(0, counted.sum(axis=1).cumsum())
    shape = (len(batch.ids), vocabulary)
    bags = scipy.sparse.csr_matrix((np.ones(rows[-1]), batch.ids[counted], rows), shape)
    gram = (bags.T @ bags + RIDGE * scipy.sparse.identity(vocabulary)).tocsr()
    return conjugate_gradients(gram, bags.T @ batch.features.astype(np.float64))


def conjugate_gradients(matrix: scipy.sparse.csr_matrix, target: np.ndarray, steps: int = 30) -> np.ndarray:
    """Solve matrix @ x = target (N, E) for all columns at once, to a few digits; the matrix is positive definite."""
    scale = 1 / matrix.diagonal()[:, None]  # Jacobi's preconditioner: tokens differ much in their frequency
    solution, residual = np.zeros_like(target), target.copy()
    direction = scale * residual
    square = (residual * direction).sum(axis=0)
    for _ in range(steps):
        step = matrix @ direction
        length = square / np.maximum((direction * step).sum(axis=0), 1e-30)
        solution, residual = solution + length * direction, residual - length * step
        scaled = scale * residual
        new = (residual * scaled).sum(axis=0)
        direction, square = scaled + new / np.maximum(square, 1e-30) * direction, new
    return solution


@torch.no_grad()
def write(model: PlainClip, tokens: np.ndarray) -> None:
    """Set the text tower of `model` such that texts get the sum of `tokens` (V, E), up to its length.

    Layer normalization would blow up the tokens that say little. All embeddings have length 1, therefore: what is
    missing lies in a direction of its own, which the projection drops, and nothing lies along the mean.
    """
    width = model.token_embedding.embedding_dim
    basis = torch.linalg.qr(torch.cat([torch.ones(width, 1), torch.randn(width, width - 1)], dim=1))[0]
    filler, content = basis[:, 1], basis[:, 2:]
    axes = torch.from_numpy(np.linalg.svd(tokens.T @ tokens)[2][: content.shape[1]]).float()  # (C, E)
    content = content[:, : len(axes)]
    values = torch.from_numpy(tokens).float() @ axes.T
    values = values / values.norm(dim=1).quantile(0.9999)
    values = values / values.norm(dim=1, keepdim=True).clamp(min=1)
    rest = (1 - (values**2).sum(dim=1)).clamp(min=0).sqrt()
    model.token_embedding.weight.copy_(values @ content.T + rest[:, None] * filler)
    model.positional_embedding.zero_()
    model.text_projection.copy_((content @ axes).to(model.text_projection.device))
    for number, block in enumerate(model.transformer.resblocks):
        _pass_on(block, CONTENT * width**-0.5 if number == 0 else 0.0)


def _pass_on(block: nn.Module, mean: float) -> None:
    """Let a block add `mean` times the mean of its normalized inputs, and nothing else."""
    attention, width = block.attn, block.attn.out_proj.in_features
    nn.init.normal_(attention.in_proj_weight, std=ATTENTION)
    attention.in_proj_weight[2 * width :] = torch.eye(width)
    attention.in_proj_bias.zero_()
    attention.out_proj.weight.copy_(mean * torch.eye(width))
    for tensor in (attention.out_proj.bias, block.mlp.c_proj.weight, block.mlp.c_proj.bias):
        tensor.zero_()
    for norm in (block.ln_1, block.ln_2):
        norm.reset_parameters()
