"""Several objectives train one encoder together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.data.batches import Batch
from ssl_ecg.encoders import Encoder
from ssl_ecg.encoders.decoder import Decoder
from ssl_ecg.errors import UserError
from ssl_ecg.methods.base import Method
from ssl_ecg.methods.joint_embedding import JointEmbedding
from ssl_ecg.optimisers import Optimiser


class Joint(Method):
    """A weighted sum of objectives on one encoder, such as SimCLR and JEPA, which learn different things.

    Each has heads and augmentations of its own, and the encoder and the batch in common.

    Args:
        encoder: what is pretrained, and afterwards exported.
        objectives: methods without their encoder, `lambda encoder: SimCLR(encoder, views)`; in a file of settings a
            list of classes with their settings. Their own optimisers are not used.
        optimiser: how all are trained.
        weights: of each objective's loss; 1 by default.
        portions: how much of each batch an objective sees, 0 to 1; all by default. A costly one may see less.
    """

    def __init__(
        self,
        encoder: Encoder,
        objectives: list[Callable[[Encoder], Method]],
        optimiser: Optimiser | None = None,
        weights: Sequence[float] | None = None,
        portions: Sequence[float] | None = None,
    ) -> None:
        super().__init__(encoder, optimiser)
        self.objectives = nn.ModuleList(make(encoder) for make in objectives)
        self.weights = tuple(weights if weights is not None else [1.0] * len(objectives))
        self.portions = tuple(portions if portions is not None else [1.0] * len(objectives))
        if len(objectives) < 2 or not len(objectives) == len(self.weights) == len(self.portions):
            raise ValueError(
                f"Joint: expected two objectives or more with a weight and a portion each, not {len(objectives)}, "
                f"{len(self.weights)} and {len(self.portions)}"
            )
        if min(self.weights) <= 0 or not 0 < min(self.portions) <= max(self.portions) <= 1:
            raise ValueError(
                f"Joint: weights must be positive and portions lie between 0 and 1, not {self.weights}, {self.portions}"
            )

    @property
    def methods(self) -> list[Method]:
        """The objectives."""
        return [method for method in self.objectives if isinstance(method, Method)]

    @property
    def sample_wise(self) -> bool:  # type: ignore[override]
        """Whether all objectives are means over the samples of a batch, each of the whole of it."""
        return all(method.sample_wise for method in self.methods) and min(self.portions) == 1

    @property
    def names(self) -> list[str]:
        """Of the objectives, each its own."""
        kinds = [type(method).__name__ for method in self.methods]
        return [kind if kinds.count(kind) == 1 else f"{kind}-{i}" for i, kind in enumerate(kinds)]

    def prepare(self, fs: float, seed: int = 0, steps: int = 1) -> None:
        """Say once, to every objective too, what run this is."""
        super().prepare(fs, seed, steps)
        for method in self.methods:
            method.prepare(fs, seed, steps)

    def check(self, leads: int, samples: int, fs: float) -> None:
        """Refuse what one of the objectives refuses; see `Method.check`."""
        for name, method in zip(self.names, self.methods, strict=True):
            try:
                method.check(leads, samples, fs)
            except UserError as error:
                raise UserError(f"objective {name}: {error}") from None

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Sum the weighted losses; each is shown by its name."""
        total = torch.zeros((), device=batch.x.device)
        for name, method, weight, portion in zip(self.names, self.methods, self.weights, self.portions, strict=True):
            rows = max(2, round(portion * len(batch.x)))
            loss = method.loss(_first(batch, rows), generator)
            self.shown[f"loss_{name}"] = loss.detach()
            total = total + weight * loss
        return total

    def looks(self, x: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Two views of windows (B, C, T) where an objective compares such."""
        for method in self.methods:
            if isinstance(method, JointEmbedding):
                return method.looks(x, generator)
        return [x]

    @property
    def shipped(self) -> Decoder | None:
        """The decoder of the first objective that has one."""
        return next((method.shipped for method in self.methods if method.shipped is not None), None)

    @property
    def teachers(self) -> list[PretrainedEncoder]:
        """Those of all objectives."""
        return [teacher for method in self.methods for teacher in method.teachers]

    def before_step(self, step: int) -> None:
        """Let the momentum copies of all objectives follow."""
        for method in self.methods:
            method.before_step(step)


def _first(batch: Batch, rows: int) -> Batch:
    """The first rows of a batch."""
    x, patient, *others = batch
    partner, row = (None if part is None else part[:rows] for part in others)
    return Batch(x[:rows], patient[:rows], partner, row)
