"""A causal network: convolutions make tokens, and diagonal state spaces read them, all at once in training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, glu

from ssl_ecg.encoders.base import Encoder
from ssl_ecg.encoders.convgru import CausalTokens
from ssl_ecg.encoders.layers import (
    Carrying,
    Conv,
    LayerNorm,
    as_image,
    as_signal,
    at_least_one,
    end_of_branch,
    shares,
)


class ConvS4D(Encoder):
    """Strided causal convolutions, and diagonal state spaces over their tokens: a context network without a loop.

    S4D of Gu et al. 2022 (https://arxiv.org/abs/2206.11893, its S4D-Lin), which ECG-CPC's context network is akin to.
    Deviations: what a layer remembers ends after `memory` tokens, so that a token sees a limited past and recordings of
    any length can be embedded piece by piece; LayerNorm before each layer.

    The stages are the convolutions' tokens and the context, which is what an embedding is made of.

    Sizes (one lead): the default has about 0.33 M parameters.

    Args:
        in_channels: number of leads; set from the preprocessing by the commands.
        width: channels of the first convolution; each later one has half of that more.
        strides: stride of each strided convolution; a token is their product, in samples.
        kernel: length of every convolution in samples.
        context: channels of the context, each with state spaces of its own.
        depth: layers of the context.
        states: complex states of each channel.
        memory: tokens that a layer looks back, itself among them: at 100 Hz and 80 ms a token, 128 are 10 s.
        dropout: share of values dropped at the end of each residual body, in training.
        **embedding: pooling, statistics, stretch, leads and amplitudes, as for `Encoder`.
    """

    carries = True

    def __init__(
        self,
        in_channels: int = 1,
        width: int = 56,
        strides: Sequence[int] = (2, 2, 2),
        kernel: int = 5,
        context: int = 160,
        depth: int = 2,
        states: int = 16,
        memory: int = 128,
        dropout: float = 0.0,
        **embedding: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(in_channels, **embedding)
        at_least_one("ConvS4D", width=width, strides=min(strides, default=0), kernel=kernel, context=context)
        at_least_one("ConvS4D", depth=depth, states=states, memory=memory)
        shares("ConvS4D", dropout=dropout)
        self.convs = CausalTokens(self.inputs, width, strides, kernel, dropout)
        self.widen = Conv(self.convs.outputs, context, bias=True)
        self.context = nn.Sequential(*(_Layer(context, states, memory, dropout) for _ in range(depth)))
        self.norm = LayerNorm(context)

    def features(self, x: Tensor) -> list[Tensor]:
        """The convolutions' tokens and the context: (B, `inputs`, T) -> (B, F_i, ceil(T / product of strides))."""
        return self.details(x)[-2:]

    def details(self, x: Tensor) -> list[Tensor]:
        """What each strided convolution gives, and the context."""
        maps = self.convs.maps(x)
        return [*maps, as_signal(self.norm(self.context(self.widen(as_image(maps[-1])))))]

    def layers(self) -> list[nn.Module]:
        """Every convolution with its residual one, and the layers of the context."""
        return [*self.convs, self.widen, *self.context, self.norm, *self._learned_pooling()]


class _Layer(Carrying):
    """A state space for each channel, then a gated layer for each time: (B, C, 1, T) -> the same shape."""

    def __init__(self, channels: int, states: int, memory: int, dropout: float) -> None:
        super().__init__()
        self.memory = memory
        self.norm = LayerNorm(channels)
        self.step = nn.Parameter(torch.empty(channels, 1).uniform_(math.log(0.001), math.log(0.1)))
        self.decay = nn.Parameter(torch.full((channels, states), math.log(0.5)))
        self.frequency = nn.Parameter(math.pi * torch.arange(states).float().repeat(channels, 1))
        self.read = nn.Parameter(torch.randn(2, channels, states) * 0.5**0.5)  # real and imaginary part
        self.skip = nn.Parameter(torch.randn(channels, 1, 1))
        self.gate = Conv(channels, 2 * channels, bias=True)
        self.drop = end_of_branch(dropout, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        u = self.norm(x)
        y = nn.functional.gelu(self.remember(u) + self.skip * u)
        return cast("Tensor", x + self.drop(glu(self.gate(y), dim=1)))

    def response(self, length: int) -> Tensor:
        """What an impulse leaves after 0 to `length` - 1 tokens, shape (C, length), without complex numbers.

        2 Re(sum over states of read (exp(step a) - 1) / a exp(step a l)), for a = -decay + i frequency.
        """
        step, decay = self.step.exp(), self.decay.exp()
        real, imaginary = -decay * step, self.frequency * step
        less_one = real.exp() * imaginary.cos() - 1, real.exp() * imaginary.sin()
        size = decay.square() + self.frequency.square()
        held = (
            (less_one[1] * self.frequency - less_one[0] * decay) / size,
            -(less_one[0] * self.frequency + less_one[1] * decay) / size,
        )
        weight = (
            self.read[0] * held[0] - self.read[1] * held[1],
            self.read[0] * held[1] + self.read[1] * held[0],
        )
        after = torch.arange(length, device=step.device)
        grown, turned = (real[..., None] * after).exp(), imaginary[..., None] * after
        return 2 * (grown * (weight[0][..., None] * turned.cos() - weight[1][..., None] * turned.sin())).sum(1)

    def remember(self, u: Tensor) -> Tensor:
        """Convolve (B, C, 1, T) with the response: by Fourier transforms in training, whose gradient is cheaper."""
        length = min(self.memory, u.shape[-1]) if self.training else self.memory
        response = self.response(length)
        if not self.training:
            u = self.after_past(u, length - 1)
            return conv2d(u, response.flip(1)[:, None, None].to(u.dtype), groups=len(response))
        n = u.shape[-1] + length
        spectra = torch.fft.rfft(as_signal(u).float(), n=n) * torch.fft.rfft(response.float(), n=n)
        return as_image(torch.fft.irfft(spectra, n=n)[..., : u.shape[-1]].to(u.dtype))
