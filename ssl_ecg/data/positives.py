"""Positive pairs: a window and itself, a neighbour in time, or another record of the same patient."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ssl_ecg.data.mixed import MixedWindows
from ssl_ecg.data.randomness import Purpose, generator
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.errors import UserError


@dataclass(frozen=True, slots=True)
class Partners:
    """Which windows may be a window's partner: in an order of all, a run of them, less a hole within the run.

    `order` are numbers of all n windows; `first` and `size` say where each window's run begins and how long it is,
    `hole` and `width` the same of what is left out of it; all of shape (n,), int64. A width of 0 is that of a window
    alone in its run, and so its own partner.
    """

    order: Tensor
    first: Tensor
    size: Tensor
    hole: Tensor
    width: Tensor

    @property
    def share(self) -> float:
        """Of the windows, how many have a partner other than themselves."""
        return float((self.width > 0).double().mean())

    def draw(self, rows: Tensor, seed: int, step: int, rank: int = 0) -> Tensor:
        """Draw a partner of each window in `rows` (B,), all equally likely; the window itself where it has none.

        Numbers of windows, shape (B,), int64: a pure function of the arguments.
        """
        u = torch.rand(len(rows), dtype=torch.float64, generator=generator(seed, Purpose.PARTNERS, step, rank))
        width = self.width[rows]
        at = self.first[rows] + (u * (self.size[rows] - width)).long()
        return self.order[at + width * (at >= self.hole[rows])]


class Positives(ABC):
    """How a window's positive partner is chosen; partners are always windows that are trained on, too."""

    _remedy: ClassVar[str] = "use SameWindow"

    def partners(self, windows: WindowSet | MixedWindows) -> Partners | None:
        """Find the partners of every window that is trained on, or None if a window is its own.

        UserError if no window has any, or the store cannot give them fast enough.
        """
        found = _joined([self._partners(part) for part in windows.parts])
        if found is not None and not found.width.any():
            raise UserError(f"{type(self).__name__}: no window has another for a partner; {self._remedy}")
        return found

    @abstractmethod
    def _partners(self, windows: WindowSet) -> Partners | None: ...


class SameWindow(Positives):
    """Two views of one window (Chen et al. 2020, https://arxiv.org/abs/2002.05709)."""

    def _partners(self, windows: WindowSet) -> None:
        return None


class SameRecord(Positives):
    """Another window of the same record, near in time; where none begins near enough, the window itself.

    Reference: Kiyasseh, Zhu, Clifton, CLOCS: Contrastive Learning of Cardiac Signals Across Space, Time, and
    Patients, ICML 2021, https://arxiv.org/abs/2005.13249

    Args:
        within: largest distance between the starts of the two windows, s.

    Raises:
        UserError: if `within` is not positive.
    """

    _remedy = "cut records into several windows (Sliding), raise within, or use SamePatient"

    def __init__(self, within: float = 30.0) -> None:
        if not within > 0:
            raise UserError(f"SameRecord: within must be positive, not {within} s")
        self.within = within

    def _partners(self, windows: WindowSet) -> Partners:
        record, start = windows.index.record, windows.index.start
        longest = int(windows.store.length.max())
        reach = int(min(self.within * windows.store.fs + 1e-6, longest))  # 0.29 s at 100 Hz is 28.999... samples
        # As if all records were one after the other, out of each other's reach.
        order, place, time = _sorted(record * (longest + reach) + start)
        first = torch.searchsorted(time, time - reach)[place]
        size = torch.searchsorted(time, time + reach, right=True)[place] - first
        return Partners(order, first, size, hole=place, width=(size > 1).long())


class SamePatient(Positives):
    """A window of another record of the same patient (Diamant et al. 2022, https://arxiv.org/abs/2104.04569).

    Of a patient with one record only, it is another window of that record; of one with a single window, the window
    itself.
    """

    def _partners(self, windows: WindowSet) -> Partners:
        store, record = windows.store, windows.index.record
        if not store.scattered:
            raise UserError(
                "SamePatient draws windows from everywhere, which a streamed store cannot give fast enough: "
                "use SameRecord or SameWindow, or copy the store to this machine"
            )
        patient, record = store.person[record], store.recording[record]
        order, place, _ = _sorted(patient * len(store.length) + record)
        first, size = _run(patient[order], place)
        hole, width = _run(record[order], place)
        alone = size == width
        return Partners(
            order, first, size, torch.where(alone, place, hole), torch.where(alone, (size > 1).long(), width)
        )


def _joined(each: Sequence[Partners | None]) -> Partners | None:
    """The partners in several stores' windows, numbered one store after the other."""
    some = [partners for partners in each if partners is not None]
    if len(each) == 1 or not some:
        return each[0]
    size = [len(partners.order) for partners in some]
    shift = torch.tensor(size).cumsum(0) - torch.tensor(size)
    order, first, hole = (
        torch.cat([getattr(partners, name) + by for partners, by in zip(some, shift, strict=True)])
        for name in ("order", "first", "hole")
    )
    return Partners(order, first, torch.cat([p.size for p in some]), hole, torch.cat([p.width for p in some]))


def _sorted(key: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The order that sorts keys (n,), the place of each in it, and the sorted keys."""
    ordered, order = torch.sort(key, stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    return order, place, ordered


def _run(group: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Where the run of equal numbers at each place begins, and how long it is."""
    _, which, size = torch.unique_consecutive(group, return_inverse=True, return_counts=True)
    first = size.cumsum(0) - size
    return first[which][place], size[which][place]
