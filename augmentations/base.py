"""What an augmentation is, and how several make one: `Augmentation`, `Compose`, `Views`."""

import inspect
import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor


class Augmentation(ABC):
    """A random change of a batch of signals, drawn for each sample on its own.

    A subclass writes `apply`, which changes every sample it is given; the base tosses the coin that chooses
    them. Store each constructor argument under its own name: `repr` shows it from there.

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

    Raises:
        ValueError: If `p` is not a probability.
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"p is a probability, 0 to 1, not {p!r}")
        self.p = p

    @abstractmethod
    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        """Changes every sample of a batch.

        Must leave `x` itself alone, keep its shape, dtype and device, and draw every random number from
        `generator`, in a number that does not depend on the values in `x`: then samples stay independent of
        each other.

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
            Signals of the same shape, dtype and device. Where nothing is changed this may be `x` itself, not
            a copy.

        Raises:
            TypeError: If `x` is not a floating-point tensor.
            ValueError: If `x` is not (B, C, T), or for a rate that `check` refuses.
        """
        _check_batch(x)
        self.check(fs)
        if self.p == 0 or x.numel() == 0:
            return x
        with torch.autocast(x.device.type, enabled=False):  # positions in time need more than 8 bits
            return self._change(x, fs, generator)

    def _change(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        if self.p == 1:
            return self.apply(x, fs, generator)
        chosen = torch.rand(len(x), generator=generator, device=x.device) < self.p
        if x.device.type != "cpu":  # elsewhere, asking which rows were chosen would wait for the device
            return torch.where(chosen[:, None, None], self.apply(x, fs, generator), x)
        rows = chosen.nonzero().squeeze(1)
        return x.index_copy(0, rows, self.apply(x.index_select(0, rows), fs, generator)) if len(rows) else x

    def __repr__(self) -> str:
        names = inspect.signature(type(self).__init__).parameters
        settings = (f"{name}={getattr(self, name)!r}" for name in names if hasattr(self, name))
        return f"{type(self).__name__}({', '.join(settings)})"


class Compose(Augmentation):
    """Several augmentations, one after the other.

    Args:
        augmentations: What to apply, in this order; each tosses its own coin.
        p: Probability that a sample goes through them at all, 0 to 1.

    Raises:
        TypeError: If one of them is not an `Augmentation`.
        ValueError: If `p` is not a probability.
    """

    def __init__(self, augmentations: list[Augmentation], p: float = 1.0) -> None:
        super().__init__(p)
        for augmentation in augmentations:
            if not isinstance(augmentation, Augmentation):
                raise TypeError(f"Compose takes a list of Augmentation objects, not {augmentation!r}")
        self.augmentations = list(augmentations)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        """Applies each in turn; see `Augmentation.apply`."""
        for augmentation in self.augmentations:
            x = augmentation(x, fs, generator)
        return x

    def check(self, fs: float) -> None:
        """Checks each; see `Augmentation.check`."""
        super().check(fs)
        for augmentation in self.augmentations:
            augmentation.check(fs)

    def __repr__(self) -> str:
        return _lines("Compose", self.augmentations, f"p={self.p}")


class Views:
    """Independent random views of each sample: the positives of SimCLR, BYOL and their kin.

    Reference: Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020,
    https://arxiv.org/abs/2002.05709

    Args:
        augmentations: What makes a view, applied in this order; each tosses its own coin, for each view anew.
        n: How many views.

    Raises:
        TypeError: If one of them is not an `Augmentation`.
        ValueError: If `n` is not positive.
    """

    def __init__(self, augmentations: list[Augmentation], n: int = 2) -> None:
        if n < 1:
            raise ValueError(f"n is a number of views, at least 1, not {n!r}")
        self.augmentations = Compose(augmentations)
        self.n = n

    def check(self, fs: float) -> None:
        """Refuses a sampling rate that one of the augmentations cannot work at; see `Augmentation.check`."""
        self.augmentations.check(fs)

    def __call__(self, x: Tensor, fs: float, generator: torch.Generator | None = None) -> list[Tensor]:
        """Makes the views.

        Args:
            x: Signals, (B, C, T), of a floating-point type. They are not modified.
            fs: Sampling rate in Hz.
            generator: Where random numbers come from, on the device of `x`; None is torch's global one.

        Returns:
            `n` tensors, each (B, C, T); row i of each is a view of row i of `x`.

        Raises:
            TypeError: If `x` is not a floating-point tensor.
            ValueError: If `x` is not (B, C, T), or for a rate that `check` refuses.
        """
        return [self.augmentations(x, fs, generator) for _ in range(self.n)]

    def __repr__(self) -> str:
        return _lines("Views", self.augmentations.augmentations, f"n={self.n}")


def _check_batch(x: object) -> None:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"signals are a floating-point tensor, not {kind}: torch.as_tensor(x).float() is one")
    if x.ndim != 3:
        raise ValueError(f"signals are (samples, leads, time), not a tensor of shape {tuple(x.shape)}")


def _lines(name: str, parts: list[Augmentation], setting: str) -> str:
    inner = "".join(f"{part!r},\n" for part in parts) + setting
    return f"{name}(\n" + "\n".join(f"    {line}" for line in inner.splitlines()) + "\n)"
