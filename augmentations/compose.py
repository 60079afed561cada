"""Several augmentations made into one (`Compose`), and the views that contrastive methods compare (`Views`)."""

import torch
from torch import Tensor

from augmentations.base import Augmentation


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


def _lines(name: str, parts: list[Augmentation], setting: str) -> str:
    inner = "".join(f"{part!r},\n" for part in parts) + setting
    return f"{name}(\n" + "\n".join(f"    {line}" for line in inner.splitlines()) + "\n)"
