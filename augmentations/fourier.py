"""Filters by Fourier transform: a response for each sample, over frequencies, times the record's spectrum."""

import torch
from torch import Tensor

_BLOCK = 2**18 + 2**17  # numbers transformed at once on a CPU: a block and its spectrum stay in the cache


def is_smooth(length: int) -> bool:
    """Whether a length is 2^a 3^b 5^c: such transforms are up to 6 times faster than others."""
    for prime in (2, 3, 5):
        while length % prime == 0:
            length //= prime
    return length == 1


def fast_length(length: int) -> int:
    """The least length 2^a 3^b 5^c, a >= 3, not shorter: with fewer factors of 2 some are 3 times slower."""
    fast = -(-length // 8) * 8
    while not is_smooth(fast):
        fast += 8
    return fast


def joint(x: Tensor, length: int) -> Tensor:
    """What makes records longer so that their end runs into their beginning, as a Fourier transform takes them to do.

    It goes after `x`, (B, C, T), and makes it `length`, which is more than T: (B, C, length - T). It is the end
    mirrored, fading into the beginning mirrored: no step for a filter to ring at. Adding 2 % leaves the ends of a
    filtered ECG as close to what a longer recording gives as mirroring all of it does.
    """
    last = x.shape[-1] - 1
    added = length - x.shape[-1]
    step = torch.arange(1, added + 1, device=x.device)
    if added <= last:
        end, beginning = x[..., last - added : last].flip(2), x[..., 1 : added + 1].flip(2)
    else:  # a few samples, of which the first and the last are held
        end = x.index_select(2, (last - step).clamp_min_(0))
        beginning = x.index_select(2, (added + 1 - step).clamp_max_(last))
    weight = step.to(torch.promote_types(x.dtype, torch.float32)) / (added + 1)
    return end.lerp_(beginning, weight.to(x.dtype))


def filter_spectrum(x: Tensor, response: Tensor, length: int) -> Tensor:
    """Multiplies the spectrum of each sample of (B, C, T) by a response, the same for all of its leads.

    `response`, (B, F), is real (no delay) or complex, at the `length` // 2 + 1 frequencies k fs / `length` of a
    transform of that length. If it is T, the filter is circular: the record's end and beginning are neighbours. If it
    is more, `joint` is put between them. Half precision is computed in float32.
    """
    size = x.shape[-1]
    dtype = torch.promote_types(x.dtype, torch.float32)
    between = joint(x, length) if length > size else x[..., :0]
    y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    block = max(1, _BLOCK // (x.shape[1] * length)) if x.device.type == "cpu" else len(x)
    for start in range(0, len(x), block):
        part = slice(start, start + block)
        wave = torch.cat([x[part], between[part]], dim=2) if length > size else x[part]
        spectrum = torch.fft.rfft(wave.to(dtype)).mul_(response[part, None])
        y[part] = torch.fft.irfft(spectrum, length)[..., :size]
    return y
