"""Views of different lengths: a few long crops of a sample and several short ones."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from augmentations.base import Augmentation
from augmentations.ranges import check_count, check_positive
from augmentations.rearrange import RandomCrop
from augmentations.views import Views


class MultiCrop(Views):
    """Each view shows a crop of its sample, at a random place: first the global ones, which are long, then local ones.

    Every crop is then augmented by itself. A method that lets the short ones agree with the long ones sees a part tell
    of the whole, and more views for the same computation.

    Reference: multi-crop in Caron et al., Unsupervised Learning of Visual Features by Contrasting Cluster Assignments,
    NeurIPS 2020, https://arxiv.org/abs/2006.09882

    Args:
        augmentations: What makes a view of its crop; see `Views`.
        global_crops: How many long crops, at least 1.
        global_duration: How long these are in s.
        local_crops: How many short crops, 0 or more.
        local_duration: How long these are in s, shorter than the global ones.
        others: What makes every second view instead; see `Views`.
    """

    def __init__(
        self,
        augmentations: list[Augmentation],
        global_crops: int = 2,
        global_duration: float = 5.0,
        local_crops: int = 4,
        local_duration: float = 2.5,
        others: list[Augmentation] | None = None,
    ) -> None:
        self.global_crops = check_count("global_crops", global_crops)
        self.local_crops = check_count("local_crops", local_crops, least=0)
        self.global_duration = check_positive("global_duration", global_duration, "seconds")
        self.local_duration = check_positive("local_duration", local_duration, "seconds")
        if local_crops and local_duration >= global_duration:
            raise ValueError(
                f"local_duration must be shorter than global_duration, {global_duration:g} s, not {local_duration:g} s"
            )
        super().__init__(augmentations, self.global_crops + self.local_crops, others)

    def check(self, fs: float) -> None:
        super().check(fs)
        shortest = self.local_duration if self.local_crops else self.global_duration
        if shortest * fs < 1:
            raise ValueError(f"MultiCrop: {shortest:g} s are less than a sample at fs={fs:g}")

    def __call__(
        self, x: Tensor | Sequence[Tensor], fs: float, generator: torch.Generator | None = None
    ) -> list[Tensor]:
        """Makes the views: tensors (B, C, T_i), the global ones first, row i of each of row i of its `x`; see `Views`.

        Raises as `Views`, and a ValueError if `x` is shorter than a global crop.
        """
        sources, both = self._sources(x), self._both
        if round(self.global_duration * fs) > (samples := sources[0].shape[-1]):
            raise ValueError(
                f"MultiCrop: a crop of {self.global_duration:g} s does not fit in {samples / fs:g} s: "
                "lower `global_duration`, or give longer windows"
            )
        crops = [RandomCrop(self.global_duration)] * self.global_crops + [
            RandomCrop(self.local_duration)
        ] * self.local_crops
        return [
            both[i % len(both)](crop(sources[i % len(sources)], fs, generator), fs, generator)
            for i, crop in enumerate(crops)
        ]

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments, as they were given: what a YAML file keeps."""
        names = ("augmentations", "global_crops", "global_duration", "local_crops", "local_duration", "others")
        given = {**vars(self), **super().settings()}
        return {name: given[name] for name in names}
