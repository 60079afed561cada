"""What an augmentation is: `Augmentation`, the class that all others are made from."""

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from augmentations.ranges import check_share


class Augmentation(ABC):
    """A random change of a batch of signals, drawn for each sample on its own.

    A subclass writes `apply`, which changes every sample it is given; the base tosses the coin that chooses
    them. Store each constructor argument under its own name: `repr` shows it from there.

    Every augmentation refuses settings by a ValueError that names them: those out of the bounds that `Args` gives, and
    ranges (low, high) that are not finite, not ascending, or negative where the setting has no negative values.

    Example:
        >>> class Polarity(Augmentation):
        ...     '''Turns a record upside down.'''
        ...
        ...     def apply(self, x, fs, generator):
        ...         return -x
        >>> Polarity(p=1.0)(torch.ones(1, 1, 2), fs=100)
        tensor([[[-1., -1.]]])

    Args:
        p: Probability that a sample is changed, 0 to 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = check_share("p", p)

    @abstractmethod
    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        """Changes every sample of a batch.

        Must leave `x` itself alone, keep its shape, dtype and device, and draw every random number from `generator`, in
        a number that does not depend on the values in `x`: then samples stay independent of each other.

        Args:
            x: Signals, (B, C, T), with no dimension empty.
            fs: Sampling rate in Hz.
            generator: Where random numbers come from, on the device of `x`; None is torch's global one.

        Returns:
            The changed signals, (B, C, T).
        """

    def check(self, fs: float) -> None:
        """Refuses a sampling rate at which this augmentation cannot do what it promises.

        Every call checks; a command calls it by itself first, before any work.

        Args:
            fs: Sampling rate in Hz.

        Raises:
            ValueError: If it cannot; the message says what to do instead.
        """
        if not 0 < fs < math.inf:
            raise ValueError(f"the sampling rate is a positive number of Hz, not fs={fs!r}")

    def __call__(self, x: Tensor, fs: float, generator: torch.Generator | None = None) -> Tensor:
        """Changes each sample with probability `p`.

        Args:
            x: Signals, (B, C, T), of a floating-point type. They are not modified.
            fs: Sampling rate in Hz.
            generator: Where random numbers come from, on the device of `x`; None is torch's global one.

        Returns:
            Signals of the same shape, dtype and device. Where nothing is changed this may be `x` itself, not a copy.

        Raises:
            TypeError: If `x` is not a floating-point tensor.
            ValueError: If `x` is not (B, C, T), or for a rate that `check` refuses.
        """
        check_batch(x)
        self.check(fs)
        with torch.autocast(x.device.type, enabled=False):  # positions in time need more than 8 bits
            return self._change(x, fs, generator)

    def _change(self, x: Tensor, fs: float, generator: torch.Generator | None, *, in_place: bool = False) -> Tensor:
        """As a call, without its checks, for `Compose`, which made them; `in_place`: `x` may be modified."""
        if self.p == 0 or x.numel() == 0:
            return x
        if self.p == 1:
            return self.apply(x, fs, generator)
        chosen = torch.rand(len(x), generator=generator, device=x.device) < self.p
        return change_rows(x, chosen, lambda rows: self.apply(rows, fs, generator), in_place=in_place)

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments, as they were given: what `repr` shows and a YAML file keeps."""
        parameters = inspect.signature(type(self)).parameters.values()
        own = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        for name in own:
            if not hasattr(self, name):
                raise AttributeError(
                    f"{type(self).__name__} does not keep its argument as self.{name}: repr and files read it there"
                )
        return {name: getattr(self, name) for name in own}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.settings().items())})"


def change_rows(x: Tensor, chosen: Tensor, change: Callable[[Tensor], Tensor], *, in_place: bool = False) -> Tensor:
    """Changes the chosen samples, (B,) booleans, of a batch, (B, C, T), and leaves the others as they are.

    `change` keeps shape and type; `in_place` says that `x` may be modified, which spares a copy.
    """
    # Elsewhere, asking which rows were chosen would wait for the device; a compiler could not see past it.
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return torch.where(chosen[:, None, None], change(x), x)
    rows = chosen.nonzero().squeeze(1)
    if not len(rows):
        return x
    changed = change(x.index_select(0, rows))
    if changed.shape[1:] != x.shape[1:]:
        raise ValueError(
            f"samples that are changed and samples that are not must stay alike, but of {tuple(x.shape[1:])} became"
            f" {tuple(changed.shape[1:])}: what changes the length goes first in a Compose of p=1, for all samples"
        )
    return x.index_copy_(0, rows, changed) if in_place else x.index_copy(0, rows, changed)


def check_batch(x: object) -> None:
    """Refuses what is not a batch of signals, (B, C, T), of a floating-point type.

    TypeError if it is not a floating-point tensor, ValueError if it is not (B, C, T).
    """
    if not isinstance(x, Tensor) or not x.is_floating_point():
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"signals are a floating-point tensor, not {kind}: torch.as_tensor(x).float() is one")
    if x.ndim != 3:
        raise ValueError(f"signals are (samples, leads, time), not a tensor of shape {tuple(x.shape)}")
