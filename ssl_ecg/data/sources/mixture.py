"""Several data sets in one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from ssl_ecg.data.source import Recording, Source
from ssl_ecg.errors import UserError

_ONE = "a Mixture is to pretrain on: give any other command one of its data sets"


class Mixture(Source):
    """Several data sets to pretrain on at once; in every batch are windows of all of them.

    `--data PTBXL,CinC2017` is short for it; settings of each follow its name or number, `--data.CinC2017.root` or
    `--data.1.root`. Of each the train split is used, and the patients of its val split are held out of all; a recording
    that two of one cohort have is taken from the first. The online probe is that of the first one whose windows have
    labels.

    Args:
        sources: the data sets.
        weights: in which proportion windows are drawn from them, such as 1,2; by default as many as each has.
    """

    task: ClassVar[Literal["record"]] = "record"
    classes = ()

    def __init__(self, sources: tuple[Source, ...], weights: tuple[float, ...] | None = None) -> None:
        self.sources, self.weights = tuple(sources), None if weights is None else tuple(weights)
        if not self.sources or any(isinstance(source, Mixture) for source in self.sources):
            raise UserError("Mixture: sources names one data set or more, none of them a Mixture")
        if self.weights is not None and (len(self.weights) != len(self.sources) or min(self.weights) <= 0):
            raise UserError(
                f"Mixture: weights needs a positive number for each of the {len(self.sources)} data sets, not "
                f"{', '.join(f'{weight:g}' for weight in self.weights)}"
            )

    def ensure(self, limit: int | None = None) -> None:
        """Refuse what reads one data set."""
        raise UserError(_ONE)

    def fingerprint(self) -> dict[str, object]:
        """Those of its data sets."""
        return {"sources": [source.fingerprint() for source in self.sources]}

    @property
    def records(self) -> Sequence[str]:
        """None of its own."""
        raise UserError(_ONE)

    def read(self, number: int) -> Recording:
        """Refuse: each of its data sets reads its own."""
        raise UserError(_ONE)


def parts(data: Source) -> tuple[Source, ...]:
    """The data sets of a mixture, or the data set itself."""
    return data.sources if isinstance(data, Mixture) else (data,)
