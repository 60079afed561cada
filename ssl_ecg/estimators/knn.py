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
    n_classes: int | None = None,
    *,
    k: int = 20,
    temperature: float = 0.1,
    balanced: bool = True,
    batch_size: int = 2048,
) -> Tensor:
    """Class probabilities by a vote of the k nearest embeddings in cosine similarity, shape (n, K), float32.

    A neighbour at similarity s votes with exp(s / temperature), as in Wu, Xiong, Yu & Lin, "Unsupervised feature
    learning via non-parametric instance discrimination", CVPR 2018. Where classes exclude each other, the balanced form
    divides its vote by how common its class is in the bank: nine of ten heartbeats are normal, and would outvote the
    rest nearly everywhere. Where they do not, the probability of a class is the share of the votes that have it:
    weights would move all probabilities of a class, and rank no query otherwise.

    `bank` (m, D) and `queries` (n, D) lie on one device; `labels` are classes (m,), which need `n_classes`, or say
    which classes each sample belongs to, bool (m, K). The memory is batch_size x (m + k K). UserError for an empty
    bank, or shapes or labels that do not fit.
    """
    if bank.ndim != 2 or queries.ndim != 2 or bank.shape[1] != queries.shape[1] or not len(bank):
        raise UserError(f"expected embeddings (m, D) and (n, D), got {tuple(bank.shape)} and {tuple(queries.shape)}")
    exclusive, classes = labels.ndim == 1, n_classes or labels.shape[-1]
    if len(labels) != len(bank) or labels.ndim > 2:
        raise UserError(f"expected labels or targets of {len(bank)} samples, got {tuple(labels.shape)}")
    if exclusive and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise UserError(f"expected {len(bank)} labels from 0 to {classes - 1}")
    weight = torch.ones(classes, device=bank.device)
    if balanced and exclusive:
        weight = 1 / torch.bincount(labels, minlength=classes).clamp_min(1)
    have = labels.to(bank.device) if exclusive else labels.to(bank.device, torch.float32)
    bank = normalize(bank.float(), dim=1)
    found = []
    for batch in normalize(queries.float(), dim=1).split(batch_size):
        similarity, nearest = (batch @ bank.T).topk(min(k, len(bank)), dim=1)
        # Relative to the nearest: exp(1 / temperature) alone could overflow.
        votes = torch.exp((similarity - similarity[:, :1]) / temperature)
        if exclusive:
            totals = torch.zeros(len(votes), classes, device=bank.device)
            found.append(totals.scatter_add_(1, have[nearest], votes * weight[have[nearest]]))
        else:
            found.append((votes[:, None] @ have[nearest])[:, 0] / votes.sum(dim=1, keepdim=True))
    total = torch.cat(found)
    return total / total.sum(dim=1, keepdim=True) if exclusive else total
