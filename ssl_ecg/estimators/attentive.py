"""The attentive probe: learned attention over the tokens of a frozen encoder, and a linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from ssl_ecg.errors import UserError
from ssl_ecg.estimators.design import held_out_auroc, patient_folds
from ssl_ecg.estimators.probe import Setting
from ssl_ecg.metrics.scores import best_threshold, mean_defined

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Tokens:
    """Tokens of n samples, each with as many as it has, one sample after the other.

    Attributes:
        values: shape (N, F), N the sum of all counts; half precision is enough.
        count: tokens of each sample, shape (n,), int64.
    """

    values: Tensor
    count: Tensor

    def __len__(self) -> int:
        return len(self.count)

    def __getitem__(self, which: Mask) -> Tokens:
        """Select samples by a mask of shape (n,)."""
        mask = torch.from_numpy(np.asarray(which))
        return Tokens(self.values[mask.repeat_interleave(self.count)], self.count[mask])

    @property
    def first(self) -> Tensor:
        """Where each sample's tokens begin, shape (n,)."""
        return self.count.cumsum(0) - self.count

    def padded(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens of some samples (B,), float32, shape (B, T', F), and which are there, shape (B, T')."""
        place = torch.arange(int(self.count[rows].max()))
        there = place < self.count[rows][:, None]
        at = (self.first[rows][:, None] + place).clamp_max(len(self.values) - 1)
        return self.values[at].float(), there


class Attention(nn.Module):
    """Attention pooling with learned queries, beside mean and maximum, and a linear layer to K logits.

    A query a head, keys are the tokens themselves, values a projection of them.
    """

    def __init__(self, width: int, classes: int, heads: int, values: int, dropout: float) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(heads, width) * 0.02)
        self.value = nn.Linear(width, heads * values)
        pooled = heads * values + 2 * width
        self.head = nn.Sequential(nn.LayerNorm(pooled), nn.Dropout(dropout), nn.Linear(pooled, classes))

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """Logits (B, K) of standardised tokens (B, T', F), of which those `there` (B, T') count."""
        absent = ~there[..., None]
        weight = (x @ self.query.T).masked_fill(absent, -torch.inf).softmax(dim=1)
        value = self.value(x).unflatten(-1, (len(self.query), -1))
        attended = torch.einsum("bth,bthv->bhv", weight, value).flatten(1)
        mean = x.masked_fill(absent, 0).sum(1) / there.sum(1, keepdim=True)
        largest = x.masked_fill(absent, -torch.inf).amax(1)
        logits: Tensor = self.head(torch.cat([attended, mean, largest], dim=1))
        return logits


@dataclass(frozen=True)
class AttentiveProbe:
    """A fitted attentive probe.

    `chosen` has the score of held-out patients, where that was asked for; nothing is chosen by it. For `decision` see
    `LinearProbe`. `mean` and `scale` (F,) standardise tokens.
    """

    chosen: Setting
    decision: Array
    exclusive: bool
    network: Attention
    mean: Tensor
    scale: Tensor

    @torch.inference_mode()
    def predict_proba(self, blocks: Mapping[str, Any]) -> Array:
        """Probability of each class, shape (n, K), of the only block's `Tokens`."""
        tokens = only(blocks)
        self.network.eval()
        device = self.mean.device
        found = []
        for rows in torch.arange(len(tokens)).split(256):
            x, there = tokens.padded(rows)
            found.append(self.network((x.to(device) - self.mean) / self.scale, there.to(device)).double().cpu())
        logits = torch.cat(found)
        p: Array = (logits.softmax(1) if self.exclusive else logits.sigmoid()).numpy()
        return p


def only(blocks: Mapping[str, Any]) -> Tokens:
    """The tokens in blocks of features; UserError if there are others beside them."""
    (tokens, *others) = blocks.values()
    if others or not isinstance(tokens, Tokens):
        raise UserError(f"an attentive probe reads tokens alone, not {', '.join(blocks)}")
    return tokens


def fit_attentive(
    blocks: Mapping[str, Any],
    targets: Mask,
    patients: NDArray[Any],
    *,
    exclusive: bool,
    validation: Mask | None = None,
    judged: Mask | None = None,
    cross_validate: bool = False,
    seed: int = 0,
    device: str | torch.device = "cpu",
    epochs: int = 25,
    batch_size: int = 64,
    lr: float = 2e-3,
    weight_decay: float = 0.1,
    dropout: float = 0.5,
    heads: int = 16,
    values: int = 16,
) -> AttentiveProbe:
    """Train attention pooling and a linear layer on tokens, by AdamW and one cycle of the learning rate.

    As published for ECG (attention pooling with 16 heads, https://arxiv.org/abs/2605.12241), with fewer epochs. The
    loss is a cross-entropy, balanced over classes where they exclude each other, as the linear probe's. Nothing is
    chosen: the settings were once chosen on the validation side of CinC 2017, by one encoder.

    Args:
        blocks: the `Tokens` of n samples, as the only block.
        targets: to which classes each sample belongs, shape (n, K).
        patients: whose each sample is, shape (n,).
        exclusive: whether each sample belongs to one class.
        validation: samples that are not fitted on, but scored, and that thresholds are taken from where classes do not
            exclude each other; else those are 0.5.
        judged: which of what is held out is scored, shape (n,); all by default.
        cross_validate: without a validation split, hold out five folds of patients in turn for that.
        seed: of weights, order and dropout.
        device: where to compute.
        epochs: times that every sample is learned from.
        batch_size: samples of a step.
        lr: the highest learning rate.
        weight_decay: of AdamW.
        dropout: of the pooled features.
        heads: queries.
        values: features that each of them collects.

    Raises:
        UserError: if the block is none of tokens, or fewer than two patients are there to cross-validate.
    """
    tokens = only(blocks)
    width, classes = tokens.values.shape[1], targets.shape[1]
    labels = torch.from_numpy(targets)

    def fitted(learn: Mask) -> AttentiveProbe:
        rows = torch.from_numpy(np.flatnonzero(learn))
        few = tokens[learn].values[:: max(1, int(tokens.count.sum()) // 200_000)].float()
        mean, scale = few.mean(0).to(device), few.std(0).clamp_min(1e-6).to(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = Attention(width, classes, heads, values, dropout).to(device)
            steps = max(1, len(rows) // batch_size)
            optimiser = torch.optim.AdamW(network.parameters(), lr, weight_decay=weight_decay)
            cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=epochs * steps)
            weight = _balance(labels[rows]).to(device)
            network.train()
            for _ in range(epochs):
                order = rows[torch.randperm(len(rows))]
                for some in order.split(batch_size)[:steps]:
                    x, there = tokens.padded(some)
                    logits = network((x.to(device) - mean) / scale, there.to(device))
                    loss = _loss(logits, labels[some].to(device), weight, exclusive)
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
                    cycle.step()
        shares = targets[learn].mean(axis=0)
        return AttentiveProbe(Setting(np.nan, {}, np.nan), shares, exclusive, network.eval(), mean, scale)

    learn = np.ones(len(tokens), dtype=np.bool_) if validation is None else ~validation
    probe, area = fitted(learn), np.nan
    held, fold = np.zeros(targets.shape), np.full(len(tokens), -1)
    if validation is not None:
        fold[validation] = 0
        held[validation] = probe.predict_proba({"": tokens[validation]})
    elif cross_validate:
        fold = patient_folds(patients, targets)
        for f in range(int(fold.max()) + 1):
            held[fold == f] = fitted(fold != f).predict_proba({"": tokens[fold == f]})
    judges = fold >= 0
    decision = probe.decision if exclusive else np.full(classes, 0.5)
    if judges.any():
        area = float(mean_defined(held_out_auroc(targets, held, fold, judged)))
        if not exclusive:
            decision = np.array([best_threshold(t, p) for t, p in zip(targets[judges].T, held[judges].T, strict=True)])
    return replace(probe, chosen=Setting(np.nan, {}, area), decision=decision)


def _balance(targets: Tensor) -> Tensor:
    """Weights that give every class that is there the same total, shape (K,)."""
    counts = targets.sum(0)
    there = counts > 0
    return there / (counts.clamp_min(1) * there.sum()) * len(targets)


def _loss(logits: Tensor, targets: Tensor, weight: Tensor, exclusive: bool) -> Tensor:
    if not exclusive:
        return binary_cross_entropy_with_logits(logits, targets.float())
    y = targets.int().argmax(dim=1)
    return (cross_entropy(logits, y, reduction="none") * weight[y]).mean()
