"""JEPA: the tokens of hidden blocks are predicted from what is seen, as a slow-moving copy of the encoder sees them."""

from __future__ import annotations

from itertools import islice

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, smooth_l1_loss

from augmentations import Augmentation
from ssl_ecg.data.batches import Batch
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.methods.base import in_fp32
from ssl_ecg.methods.masks import draw_blocks, hide
from ssl_ecg.methods.momentum import Momentum
from ssl_ecg.methods.on_tokens import OnTokens
from ssl_ecg.methods.predictor import DilatedPredictor
from ssl_ecg.optimisers import Optimiser


class JEPA(OnTokens):
    """Joint-embedding predictive architecture (Assran et al. 2023, https://arxiv.org/abs/2301.08243).

    Targets are layer-normed tokens, as in data2vec (Baevski et al. 2022, https://arxiv.org/abs/2202.03555). Deviations,
    for convolutional encoders: hidden samples are zeros rather than left out, and the predictor is convolutional.

    Args:
        encoder: what is pretrained, and afterwards exported; it needs tokens.
        optimiser: how it is trained.
        blocks: hidden in each window.
        block: length of one, s; much less than half a second can be filled in from its edges.
        target: which stage of the encoder gives the targets; -1 is the last, the tokens, and -2 the one before, such as
            the convolutions below a context network. It must have as many tokens as the last.
        momentum: of the copy at the start; it rises to 1 along a cosine.
        hidden_dim: channels of the predictor.
        augmentations: what is done to windows before, the same for encoder and copy.
    """

    sample_wise = True

    def __init__(
        self,
        encoder: Encoder,
        optimiser: Optimiser | None = None,
        blocks: int = 5,
        block: float = 0.8,
        target: int = -1,
        momentum: float = 0.99,
        hidden_dim: int = 192,
        augmentations: list[Augmentation] | None = None,
    ) -> None:
        super().__init__(encoder, optimiser, augmentations)
        if blocks < 1 or not block > 0:
            raise ValueError(f"JEPA: blocks and block must be positive, not {blocks} and {block}")
        self.blocks, self.block = blocks, block
        stages = len(encoder.widths) or 1
        if not -stages <= target < 0:
            raise ValueError(f"JEPA: target must lie between -{stages} and -1, the encoder's stages, not {target}")
        self.target_stage = stages + target
        if encoder.has_tokens:
            self.predictor = DilatedPredictor(encoder.widths[-1], encoder.widths[target], hidden_dim)
        self.target = Momentum(encoder, momentum=momentum)
        for layer in self.target.modules():
            if isinstance(layer, torch.nn.modules.dropout._DropoutNd):
                layer.p = 0.0  # targets are not noisy

    def check(self, leads: int, samples: int, fs: float) -> None:
        """Refuse windows that a block would hide whole, and targets on another grid, too; see `Method.check`."""
        super().check(leads, samples, fs)
        if self.block * fs * 2 > samples:
            raise UserError(f"method.block: blocks of {self.block} s hide most of a window of {samples / fs} s")
        with torch.inference_mode():
            maps = list(self.encoder.eval().features(torch.zeros(1, self.encoder.inputs, samples)))
        self.encoder.train(self.training)
        if maps[self.target_stage].shape[-1] != maps[-1].shape[-1]:
            raise UserError(
                f"method.target: that stage of {type(self.encoder).__name__} has {maps[self.target_stage].shape[-1]} "
                f"tokens and the last {maps[-1].shape[-1]}: they must be as many; -1 is the last itself"
            )

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Hide blocks of a batch, and compare what is predicted there with what the copy sees there."""
        x = self.augmented(batch.x, generator)
        with torch.no_grad():
            targets = self._targets(x)
            targets = layer_norm(targets.transpose(1, 2), targets.shape[1:2])
        stride = self.encoder.stride
        length = max(1, round(self.block * self.fs / stride))
        hidden = draw_blocks(len(x), targets.shape[1], self.blocks, length, generator)
        return self.compare(self.encoder.tokens(hide(x, hidden, stride)), targets, hidden)

    def _targets(self, x: Tensor) -> Tensor:
        """What the copy makes of windows at the stage of the targets: shape (B, F, T')."""
        network = self.target[0]
        assert isinstance(network, Encoder)
        return next(islice(network.features(network.seen(x)), self.target_stage, None))

    def compare(self, tokens: Tensor, targets: Tensor, hidden: Tensor) -> Tensor:
        """Smooth L1 between what tokens (B, F, T') predict and targets (B, T', F), where `hidden` (B, T').

        The mean over a window's hidden tokens, then over windows.
        """
        predicted = self.predictor(tokens).transpose(1, 2)
        error = in_fp32(lambda p, t: smooth_l1_loss(p, t, reduction="none").mean(2), predicted, targets)
        return ((error * hidden).sum(1) / hidden.sum(1)).mean()

    def before_step(self, step: int) -> None:
        """Move the copy towards the encoder."""
        self.target.follow(self.encoder, step=step, steps=self.steps)
