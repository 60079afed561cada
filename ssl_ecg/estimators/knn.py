"""A k-nearest-neighbour classifier: what the embeddings know before anything is fitted on them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ssl_ecg.errors import UserError


@torch.no_grad()
def knn_predict(
    bank: Tensor,
    labels: Tensor,
    queries: Tensor,
    n_classes: int,
    *,
    k: int = 20,
    temperature: float = 0.1,
    balanced: bool = True,
    batch_size: int = 2048,
) -> Tensor:
    """Class probabilities by a vote of the k nearest embeddings in cosine similarity.

    A neighbour at similarity s votes with exp(s / temperature), as in Wu, Xiong, Yu & Lin, "Unsupervised
    feature learning via non-parametric instance discrimination", CVPR 2018. In the balanced form its vote is
    divided by how common its class is in the bank: nine of ten heartbeats are normal, and would outvote the
    rest nearly everywhere.

    Args:
        bank: labelled embeddings, shape (m, D).
        labels: their classes, shape (m,), int64.
        queries: embeddings to classify, shape (n, D), on the bank's device.
        n_classes: K.
        k: neighbours, at most m are used.
        temperature: of the votes; smaller listens to the very nearest.
        balanced: whether votes of rare classes count for more.
        batch_size: queries at a time; the memory is batch_size x m.

    Returns:
        Probabilities, shape (n, K), float32, rows sum to 1.

    Raises:
        UserError: for an empty bank, or shapes or labels that do not fit.
    """
    _check(bank, queries)
    if labels.shape != bank.shape[:1] or not 0 <= int(labels.min()) <= int(labels.max()) < n_classes:
        raise UserError(f"expected {len(bank)} labels from 0 to {n_classes - 1}")
    weight = torch.ones(n_classes, device=bank.device)
    if balanced:
        weight = 1 / torch.bincount(labels, minlength=n_classes).clamp_min(1)
    found = []
    for nearest, votes in _neighbours(bank, queries, k, temperature, batch_size):
        totals = torch.zeros(len(votes), n_classes, device=bank.device)
        found.append(totals.scatter_add_(1, labels[nearest], votes * weight[labels[nearest]]))
    total = torch.cat(found)
    return total / total.sum(dim=1, keepdim=True)


@torch.no_grad()
def knn_predict_multilabel(
    bank: Tensor,
    targets: Tensor,
    queries: Tensor,
    *,
    k: int = 20,
    temperature: float = 0.1,
    batch_size: int = 2048,
) -> Tensor:
    """Probability of each of K classes that do not exclude each other: the share of the votes that have it.

    The votes are those of `knn_predict`. None is weighted by how common a class is: that would move all
    probabilities of a class, and rank no query otherwise.

    Args:
        bank: labelled embeddings, shape (m, D).
        targets: which classes each belongs to, shape (m, K), bool.
        queries: embeddings to classify, shape (n, D), on the bank's device.
        k: neighbours, at most m are used.
        temperature: of the votes; smaller listens to the very nearest.
        batch_size: queries at a time; the memory is batch_size x (m + k K).

    Returns:
        Probabilities, shape (n, K), float32.

    Raises:
        UserError: for an empty bank, or shapes that do not fit.
    """
    _check(bank, queries)
    if targets.ndim != 2 or len(targets) != len(bank):
        raise UserError(f"expected targets of {len(bank)} samples, shape (m, K), got {tuple(targets.shape)}")
    have = targets.to(bank.device, torch.float32)
    found = []
    for nearest, votes in _neighbours(bank, queries, k, temperature, batch_size):
        found.append((votes[:, None] @ have[nearest])[:, 0] / votes.sum(dim=1, keepdim=True))
    return torch.cat(found)


def _check(bank: Tensor, queries: Tensor) -> None:
    if bank.ndim != 2 or queries.ndim != 2 or bank.shape[1] != queries.shape[1] or not len(bank):
        raise UserError(f"expected embeddings (m, D) and (n, D), got {tuple(bank.shape)} and {tuple(queries.shape)}")


def _neighbours(
    bank: Tensor, queries: Tensor, k: int, temperature: float, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The nearest in the bank of each batch of queries and their votes, both (B, k), the nearest first."""
    bank = normalize(bank.float(), dim=1)
    for batch in normalize(queries.float(), dim=1).split(batch_size):
        similarity, nearest = (batch @ bank.T).topk(min(k, len(bank)), dim=1)
        # Relative to the nearest: exp(1 / temperature) alone could overflow.
        yield nearest, torch.exp((similarity - similarity[:, :1]) / temperature)
