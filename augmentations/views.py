"""Views: the several looks at one sample that contrastive methods compare."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from augmentations.base import Augmentation, check_batch
from augmentations.compose import Compose, indented
from augmentations.ranges import check_count


class Views:
    """Independent random views of each sample: the positives of SimCLR, BYOL and their kin.

    Reference: Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020,
    https://arxiv.org/abs/2002.05709. Views made in two ways, as in Grill et al., Bootstrap Your Own Latent,
    NeurIPS 2020, https://arxiv.org/abs/2006.07733

    Args:
        augmentations: What makes a view, applied in this order; each tosses its own coin, for each view anew.
        n: How many views, at least 1.
        others: What makes every second view instead, for views that differ in kind; an empty list leaves it as it is.
    """

    def __init__(self, augmentations: list[Augmentation], n: int = 2, others: list[Augmentation] | None = None) -> None:
        n = check_count("n, the number of views,", n)
        self.augmentations = Compose(augmentations)
        self.others = None if others is None else Compose(others)
        self.n = n

    def check(self, fs: float) -> None:
        for compose in self._both:
            compose.check(fs)

    def __call__(
        self, x: Tensor | Sequence[Tensor], fs: float, generator: torch.Generator | None = None
    ) -> list[Tensor]:
        """Makes the views.

        Args:
            x: Signals, (B, C, T), of a floating-point type, not modified; or several such, of which the views are made
                in turn: two records of each patient, say, for positives that differ in more than augmentation.
            fs: Sampling rate in Hz.
            generator: Where random numbers come from, on the device of `x`; None is torch's global one.

        Returns:
            `n` tensors, each (B, C, T); row i of each is a view of row i of its `x`.

        Raises:
            TypeError: If `x` is not a floating-point tensor.
            ValueError: If `x` is not (B, C, T), several differ in shape or outnumber the views, or `check` refuses.
        """
        both, sources = self._both, self._sources(x)
        made = [(sources[i % len(sources)], both[i % len(both)]) for i in range(self.n)]
        views = [(source, compose(source, fs, generator)) for source, compose in made]
        # What is done to a view must not reach the data or another view.
        return [view.clone() if view is source else view for source, view in views]

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments, as they were given: what a YAML file keeps."""
        others = None if self.others is None else self.others.augmentations
        return {"augmentations": self.augmentations.augmentations, "n": self.n, "others": others}

    def _sources(self, x: Tensor | Sequence[Tensor]) -> list[Tensor]:
        """What views are made of, in turn."""
        sources = [x] if isinstance(x, Tensor) else list(x)
        for source in sources:
            check_batch(source)
        if not 1 <= len(sources) <= self.n or len({source.shape for source in sources}) > 1:
            shapes = [tuple(source.shape) for source in sources]
            raise ValueError(
                f"{type(self).__name__}: {self.n} views are made of 1 to {self.n} tensors of one shape, not of {shapes}"
            )
        return sources

    @property
    def _both(self) -> list[Compose]:
        return [self.augmentations] if self.others is None else [self.augmentations, self.others]

    def __repr__(self) -> str:
        parts = [indented([f"{part!r}," for part in compose.augmentations]) for compose in self._both]
        others = "" if self.others is None else f", others=[\n{parts[1]}\n]"
        lists = ("augmentations", "others")
        numbers = ", ".join(f"{name}={value!r}" for name, value in self.settings().items() if name not in lists)
        return f"{type(self).__name__}([\n{parts[0]}\n], {numbers}{others})"


class LeadViews(Views):
    """Each view shows one lead of its sample, drawn at random, and no two views of a sample the same one.

    As far as the leads go round: with more views than leads some show the same lead again. Every lead is then
    augmented by itself. An encoder sees one lead at a time, so it has to take any single lead.

    Reference: contrastive multi-lead coding (CMLC) in Kiyasseh et al., CLOCS: Contrastive Learning of Cardiac Signals
    Across Space, Time, and Patients, ICML 2021, https://arxiv.org/abs/2005.13249, where views are not augmented.

    Args:
        augmentations: What makes a view of its lead; see `Views`.
        n: How many views.
        others: What makes every second view instead; see `Views`.
    """

    def __call__(
        self, x: Tensor | Sequence[Tensor], fs: float, generator: torch.Generator | None = None
    ) -> list[Tensor]:
        """Makes the views: `n` tensors, each (B, 1, T), row i of each of one lead of row i of its `x`; see `Views`.

        Raises as `Views`, and a ValueError if `x` has a single lead.
        """
        sources = self._sources(x)
        rows, leads = sources[0].shape[:2]
        if leads < 2:
            raise ValueError("LeadViews: views of different leads need two leads or more, not one")
        order = torch.rand(rows, leads, generator=generator, device=sources[0].device).argsort(dim=1)
        made = [self._lead(sources[i % len(sources)], order[:, i % leads]) for i in range(self.n)]
        return [self._both[i % len(self._both)](lead, fs, generator) for i, lead in enumerate(made)]

    @staticmethod
    def _lead(x: Tensor, which: Tensor) -> Tensor:
        """One lead of each sample, a copy: (B, C, T) and (B,) -> (B, 1, T)."""
        return x.gather(1, which[:, None, None].expand(-1, 1, x.shape[2]))
