"""The train patients of a data set in two: what a quantised encoder is made on, and what it is compared on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.data.randomness import Purpose, generator
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.estimators.design import patient_folds
from ssl_ecg.estimators.probe import LinearProbe, fit_probe
from ssl_ecg.export.gate import embed_with
from ssl_ecg.export.graph import write_graph
from ssl_ecg.study import Study
from ssl_ecg.study.recordings import every_window, over_recordings

BLOCK = "embedding"


@dataclass(frozen=True)
class Sides:
    """The train patients of a data set in two: what is fitted and calibrated on, and what is compared on."""

    study: Study
    fit: WindowSet
    held_out: WindowSet

    @classmethod
    def of(cls, study: Study, limit: int, seed: int) -> Sides:
        """Hold out the data set's validation split, or else a fifth of the train patients; no test patient is met."""
        train = study.train
        mine = train.split == "val"
        if not mine.any():
            mine = patient_folds(train.patient, train.targets) == 0
        return cls(study, train.where(~mine).sample(limit, seed), train.where(mine).sample(limit, seed))

    def embedded(self, path: Path, windows: WindowSet) -> NDArray[np.float32]:
        """Embed windows with an ONNX file, shape (n, D), as a device does: of recordings, the mean of all windows."""
        return over_recordings(windows, lambda some: self._each(path, some))

    def _each(self, path: Path, windows: WindowSet) -> NDArray[np.float32]:
        if not self.study.encoder.preprocessing.any_leads:
            return embed_with(path, _arrays(windows))
        each = embed_with(path, (x.reshape(-1, 1, x.shape[-1]) for x in _arrays(windows)))
        mean: NDArray[np.float32] = each.reshape(len(windows), -1, each.shape[1]).mean(1)
        return mean

    def probe(self, pretrained: PretrainedEncoder, path: Path) -> LinearProbe:
        """Fit a linear probe on the embeddings of the side to fit on, by way of an ONNX file without a head."""
        write_graph(pretrained, path)
        z, labels = self.embedded(path, self.fit), self.study.labels(self.fit)
        return fit_probe({BLOCK: z}, labels.y, labels.patients, len(self.study.data.classes))

    def draw(self, seed: int) -> Callable[[int], Tensor]:
        """What draws windows (B, C, T) of the side to fit on, from anywhere in its recordings."""
        windows, _ = every_window(self.fit)
        random = generator(seed, Purpose.FINE_TUNING_VIEWS)

        def draw(count: int) -> Tensor:
            x = windows.load(torch.randint(len(windows), (count,), generator=random))
            return x.flatten(0, 1)[:count, None] if self.study.encoder.preprocessing.any_leads else x

        return draw


def _arrays(windows: WindowSet) -> Iterator[NDArray[np.float32]]:
    return (x.numpy() for x in windows.conditioned(64))
