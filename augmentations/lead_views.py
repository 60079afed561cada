"""Views of single leads: what two leads of one moment have in common is the heart, not where an electrode sits."""

from collections.abc import Sequence

import torch
from torch import Tensor

from augmentations.views import Views


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

    Raises:
        TypeError: If one of them is not an `Augmentation`.
        ValueError: If `n` is not positive.
    """

    def __call__(
        self, x: Tensor | Sequence[Tensor], fs: float, generator: torch.Generator | None = None
    ) -> list[Tensor]:
        """Makes the views.

        Args:
            x: Signals, (B, C, T), or several such; see `Views`.
            fs: Sampling rate in Hz.
            generator: Where random numbers come from, on the device of `x`; None is torch's global one.

        Returns:
            `n` tensors, each (B, 1, T); row i of each is a view of one lead of row i of its `x`.

        Raises:
            TypeError: If `x` is not a floating-point tensor.
            ValueError: As `Views`, and if `x` has a single lead.
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
