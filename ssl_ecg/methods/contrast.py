"""The contrastive loss where some rows are no negatives, which lightly's has no word for."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy, normalize


def contrast(
    queries: Tensor, keys: Tensor, positive: Tensor, temperature: float, ignored: Tensor | None = None
) -> Tensor:
    """Compute InfoNCE by cosine similarity (van den Oord et al. 2018, https://arxiv.org/abs/1807.03748).

    Args:
        queries: shape (n, D).
        keys: shape (m, D).
        positive: which key is each query's, shape (n,), int64; the others are its negatives.
        temperature: that similarities are divided by.
        ignored: keys that neither attract nor repel a query, shape (n, m), bool; its positive always attracts.

    Returns:
        The mean over queries, a scalar.
    """
    logits = normalize(queries) @ normalize(keys).T / temperature
    if ignored is not None:
        logits = logits.masked_fill(ignored.scatter(1, positive[:, None], False), -float("inf"))
    return cross_entropy(logits, positive)
