"""A parameter given as a range `(low, high)`: checked in the constructor, drawn per sample in the call."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

Range = tuple[float, float]
"""The lowest and the highest value of a setting, from which each sample draws its own."""


def check_range(name: str, values: Sequence[float], least: float, most: float = math.inf) -> Range:
    """Returns a range as two floats if finite and `least <= low <= high <= most`; else a ValueError names it."""
    if isinstance(values, (tuple, list)) and len(values) == 2 and all(map(math.isfinite, values)):
        low, high = values
        if least <= low <= high <= most:
            return float(low), float(high)
    bounds = f"{least:g} <= low <= high" + (f" <= {most:g}" if most < math.inf else "")
    raise ValueError(f"{name} is a range (low, high) with {bounds}, not {values!r}")


def draw(values: Range, shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draws uniformly from a range (low, high), on the device of `like`, in float64 if that is, else in float32.

    Parameters are float32 at least, whatever the signal: half precision cannot count the samples of a record.
    """
    low, high = values
    numbers = torch.rand(shape, generator=generator, device=like.device, dtype=precise(like))
    return numbers.mul_(high - low).add_(low)


def check_share(name: str, value: float, kind: str = "a probability") -> float:
    """Checks that a setting is within 0 and 1, and returns it; `name` and `kind` are for the error."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {kind}, 0 to 1, not {value!r}")
    return value


def check_positive(name: str, value: float, unit: str = "") -> float:
    """Checks that a setting is positive and finite, and returns it; `name` and `unit` are for the error."""
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is a positive number{unit and f' of {unit}'}, not {value!r}")
    return value


def check_count(name: str, value: float, least: int = 1) -> int:
    """Checks that a setting is a whole number of at least `least`, and returns it; `name` is for the error."""
    if math.isfinite(value) and value == int(value) and value >= least:
        return int(value)
    raise ValueError(f"{name} is a whole number, at least {least}, not {value!r}")


def check_nyquist(name: str, highest: float, fs: float, remedy: str, reached: bool = False) -> None:
    """Refuses a rate that cannot carry the highest frequency in Hz of an augmentation, `reached` at half the rate."""
    if highest > fs / 2 or (highest == fs / 2 and not reached):
        least = f"of {2 * highest:g} Hz at least" if reached else f"above {2 * highest:g} Hz"
        raise ValueError(f"{name} up to {highest:g} Hz needs a sampling rate {least}, not fs={fs:g}: {remedy}")


def draw_log(values: Range, shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draws log-uniformly from a positive range: every factor as likely as its inverse; otherwise as `draw`."""
    return draw((math.log(values[0]), math.log(values[1])), shape, like, generator).exp_()


def constant(values: Sequence[float] | Sequence[Sequence[float]], like: Tensor) -> Tensor:
    """Plain numbers as a tensor, float32 or float64, on the device of a signal; nothing waits for the device."""
    # From ordinary memory such a copy is staged at once.
    return torch.tensor(values, dtype=precise(like), device="cpu").to(like.device, non_blocking=True)


def precise(x: Tensor) -> torch.dtype:
    """The type that parameters of a signal have: float32, or float64 if the signal has it."""
    return torch.promote_types(x.dtype, torch.float32)
