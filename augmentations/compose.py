"""Several augmentations made into one: all in turn, one of them, some of them, all in an order of each sample's own."""

import functools
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from augmentations.base import Augmentation, change_rows
from augmentations.ranges import check_count, constant


class Compose(Augmentation):
    """Several augmentations, one after the other.

    What is not an `Augmentation` is refused by a TypeError, here and in the other compositions and `Views`.

    Args:
        augmentations: What to apply, in this order; each tosses its own coin.
        p: Probability that a sample goes through them at all, 0 to 1.
    """

    def __init__(self, augmentations: list[Augmentation], p: float = 1.0) -> None:
        super().__init__(p)
        self.augmentations = list(augmentations)
        for augmentation in self.augmentations:
            if not isinstance(augmentation, Augmentation):
                raise TypeError(f"{type(self).__name__} takes a list of Augmentation objects, not {augmentation!r}")

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        ours = False  # whether x is memory that nobody else knows: of a step that changed some of the rows
        for augmentation in self.augmentations:
            before = x
            x = augmentation._change(x, fs, generator, in_place=ours)
            if x is not before:
                ours = augmentation.p < 1
        return x

    def check(self, fs: float) -> None:
        super().check(fs)
        for augmentation in self.augmentations:
            augmentation.check(fs)

    def __repr__(self) -> str:
        settings = [f"{name}={value!r}" for name, value in self.settings().items() if name != "augmentations"]
        lines = [f"{part!r}," for part in self.augmentations] + [", ".join(settings)]
        return f"{type(self).__name__}([\n{indented(lines[:-1])}\n], {lines[-1]})"


class OneOf(Compose):
    """One of several augmentations, drawn for each sample.

    Args:
        augmentations: What to choose from, at least one; the chosen one still tosses its own coin: sure with p=1.
        weights: How likely each is, relative to the others, 0 or more but not all 0; all alike by default.
        p: Probability that a sample is given to one of them, 0 to 1.
    """

    def __init__(
        self, augmentations: list[Augmentation], weights: tuple[float, ...] | None = None, p: float = 1.0
    ) -> None:
        super().__init__(augmentations, p)
        _check_any(self)
        if weights is not None:
            weights = tuple(float(weight) for weight in weights)
            if len(weights) != len(self.augmentations) or min(weights) < 0 or not 0 < sum(weights) < 1e30:
                number = len(self.augmentations)
                raise ValueError(f"weights are {number} numbers, one for each augmentation, not {weights!r}")
        self.weights = weights

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        ends = constant(self.weights or (1.0,) * len(self.augmentations), x).cumsum(0)
        draws = torch.rand(len(x), generator=generator, device=x.device) * ends[-1]
        chosen = torch.searchsorted(ends[:-1].contiguous(), draws, right=True)
        return _change_each(x, [chosen == k for k in range(len(self.augmentations))], self, fs, generator)


class SomeOf(Compose):
    """A few of several augmentations, drawn for each sample, in the order of the list.

    Args:
        augmentations: What to choose from, at least one; each chosen one still tosses its own coin: sure with p=1.
        n: How many: the fewest and the most, within 0 and their number.
        p: Probability that a sample is given to them, 0 to 1.
    """

    def __init__(self, augmentations: list[Augmentation], n: tuple[int, int] = (1, 1), p: float = 1.0) -> None:
        super().__init__(augmentations, p)
        _check_any(self)
        low, high = check_count("n", n[0], least=0), check_count("n", n[1], least=0)
        if not low <= high <= len(self.augmentations):
            raise ValueError(f"n is a range (low, high) with 0 <= low <= high <= {len(self.augmentations)}, not {n!r}")
        self.n = (low, high)

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        low, high = self.n
        count = torch.randint(low, high + 1, (len(x), 1), generator=generator, device=x.device)
        chosen = _ranks(x, len(self.augmentations), generator) < count
        return _change_each(x, chosen.unbind(1), self, fs, generator)


class RandomOrder(Compose):
    """Several augmentations, one after the other, in an order drawn for each sample.

    On a GPU, where rows cannot be chosen without waiting, n augmentations take n times as long as in `Compose`.

    Args:
        augmentations: What to apply; each tosses its own coin.
        p: Probability that a sample goes through them at all, 0 to 1.
    """

    def apply(self, x: Tensor, fs: float, generator: torch.Generator | None) -> Tensor:
        turn = _ranks(x, len(self.augmentations), generator)
        n = len(self.augmentations)
        return _change_each(x, [turn[:, k] == step for step in range(n) for k in range(n)], self, fs, generator)


def indented(lines: list[str]) -> str:
    """Lines, and the lines in them, four spaces further in."""
    return "\n".join(f"    {line}" for part in lines for line in part.splitlines())


def _change_each(
    x: Tensor, chosen: Sequence[Tensor], compose: Compose, fs: float, generator: torch.Generator | None
) -> Tensor:
    """Applies the augmentations, one after the other and again from the first, each to the samples chosen for it."""
    given = x
    for which, augmentation in zip(chosen, itertools.cycle(compose.augmentations), strict=False):
        change = functools.partial(augmentation._change, fs=fs, generator=generator)
        x = change_rows(x, which, change, in_place=x is not given)
    return x


def _ranks(x: Tensor, n: int, generator: torch.Generator | None) -> Tensor:
    """A random permutation of 0 to n - 1 for each sample, (B, n)."""
    return torch.rand(len(x), n, generator=generator, device=x.device).argsort(1).argsort(1)


def _check_any(compose: Compose) -> None:
    if not compose.augmentations:
        raise ValueError(f"{type(compose).__name__} takes a list of at least one Augmentation to choose from, not []")
