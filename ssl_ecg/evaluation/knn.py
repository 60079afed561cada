"""A k-nearest-neighbour classifier: what the embeddings know before anything is fitted on them."""

from __future__ import annotations

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
    if bank.ndim != 2 or queries.ndim != 2 or bank.shape[1] != queries.shape[1] or not len(bank):
        raise UserError(f"expected embeddings (m, D) and (n, D), got {tuple(bank.shape)} and {tuple(queries.shape)}")
    if labels.shape != bank.shape[:1] or not 0 <= int(labels.min()) <= int(labels.max()) < n_classes:
        raise UserError(f"expected {len(bank)} labels from 0 to {n_classes - 1}")
    bank = normalize(bank.float(), dim=1)
    weight = torch.ones(n_classes, device=bank.device)
    if balanced:
        weight = 1 / torch.bincount(labels, minlength=n_classes).clamp_min(1)
    found = []
    for batch in normalize(queries.float(), dim=1).split(batch_size):
        similarity, nearest = (batch @ bank.T).topk(min(k, len(bank)), dim=1)
        # Relative to the nearest: exp(1 / temperature) alone could overflow.
        votes = torch.exp((similarity - similarity[:, :1]) / temperature) * weight[labels[nearest]]
        totals = torch.zeros(len(batch), n_classes, device=bank.device)
        found.append(totals.scatter_add_(1, labels[nearest], votes))
    total = torch.cat(found)
    return total / total.sum(dim=1, keepdim=True)
