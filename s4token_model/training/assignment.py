"""The assignment loss: masked tokens belong to the clusters the teacher gives them (method: Sec. 3.4, Eq. 6 and 7)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import kl_div, log_softmax, normalize


def assignment_loss(student: Tensor, teacher: Tensor, centroids: Tensor, temperature: float = 0.1) -> Tensor:
    """L_assign = mean over masked tokens n of KL( Gamma^t_n || softmax_k cos(f_n, c_k) / tau ).

    student (B, M, E), reconstructed features; teacher (B, M, K), rows sum to 1; centroids (B, K, E).
    """
    logits = normalize(student, dim=-1) @ normalize(centroids, dim=-1).transpose(1, 2) / temperature
    return kl_div(log_softmax(logits, dim=-1), teacher, reduction="none").sum(dim=-1).mean()
