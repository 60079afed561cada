"""Normalise by the statistics of the global batch, on CPUs too, where torch's SyncBatchNorm does not go."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class SyncBatchNorm(_BatchNorm):
    """Normalise each channel by its mean and variance over the batches of all processes.

    After Ioffe and Szegedy 2015 (https://arxiv.org/abs/1502.03167), as torch's layer of this name. Mean and variance
    are summed one after the other, so that a large mean costs no digits. In evaluation mode, and in a single process,
    it is an ordinary BatchNorm.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise feature maps: (B, F) or (B, F, ...) -> the same shape."""
        if not (self.training and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
            alone: Tensor = super().forward(x)
            return alone
        dims = [0, *range(2, x.ndim)]
        shape = (1, -1, *[1] * (x.ndim - 2))
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        own = torch.full((1,), wide.numel() / wide.shape[1], dtype=wide.dtype, device=wide.device)
        total: Tensor = _Sum.apply(torch.cat([wide.sum(dims), own]))
        count = total[-1].detach()
        mean = total[:-1] / count
        centred = wide - mean.view(shape)
        variance: Tensor = _Sum.apply(centred.square().sum(dims)) / count
        self._follow(mean.detach(), variance.detach(), float(count))
        y = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            y = y * self.weight.view(shape) + self.bias.view(shape)
        return y.to(x.dtype)

    def _follow(self, mean: Tensor, variance: Tensor, count: float) -> None:
        """Move the running statistics, the variance being the unbiased one."""
        if not self.track_running_stats or self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean), share)
        self.running_var.lerp_((variance * count / max(count - 1, 1)).to(self.running_var), share)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002  (torch's name)
        if input.ndim < 2:
            raise ValueError(f"expected (B, F) or (B, F, ...), got shape {tuple(input.shape)}")


class _Sum(torch.autograd.Function):
    """The sum over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401
        x = x.contiguous().clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        return gradient


def synchronise(module: nn.Module) -> None:
    """Have every BatchNorm below a module normalise by the global batch, in place; weights and their names stay."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm) and not isinstance(child, (SyncBatchNorm, nn.SyncBatchNorm)):
            layer = SyncBatchNorm(
                child.num_features, child.eps, child.momentum, child.affine, child.track_running_stats
            )
            layer.train(child.training)
            for kind in ("_parameters", "_buffers"):
                getattr(layer, kind).update(getattr(child, kind))
            setattr(module, name, layer)
        else:
            synchronise(child)
