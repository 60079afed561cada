"""Windows are an index into the store, not files: which recording, from which sample, with which label.

A `WindowSet` is what every evaluation uses: windows with their labels and patients.
"""

from __future__ import annotations

import sys
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.data.randomness import Purpose, generator
from ssl_ecg.data.store import Store
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True)
class WindowIndex:
    """Where windows lie, and what they carry: four columns of shape (n,), int64.

    `record` is the row of the store's `records`, `start` the first sample, `label` the number of the class in the
    source's `classes`, `beat` the row of the store's `beats` at the window's centre; -1 for no class or beat.
    """

    record: Tensor
    start: Tensor
    label: Tensor
    beat: Tensor

    def __len__(self) -> int:
        return len(self.record)

    def __getitem__(self, which: Tensor) -> WindowIndex:
        return WindowIndex(self.record[which], self.start[which], self.label[which], self.beat[which])


@dataclass(frozen=True)
class WindowSet:
    """Windows of a store, as an encoder sees them: cut at an index and normalised."""

    store: Store
    preprocessing: Preprocessing
    index: WindowIndex

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, which: Tensor) -> WindowSet:
        return WindowSet(self.store, self.preprocessing, self.index[which])

    def batches(self, batch_size: int = 1024) -> Iterator[Tensor]:
        """Normalised windows, in order: tensors (B, C, T)."""
        yield from map(self.load, torch.arange(len(self)).split(batch_size))

    def conditioned(self, batch_size: int = 1024) -> Iterator[Tensor]:
        """The same, but not normalised window by window: in the store's `unit`."""
        yield from map(self.gather, torch.arange(len(self)).split(batch_size))

    def load(self, rows: Tensor) -> Tensor:
        """Load the windows of numbers `rows` (B,), normalised: a tensor (B, C, T)."""
        return self.preprocessing.normalise_windows(self.gather(rows), inplace=True)

    def gather(self, rows: Tensor) -> Tensor:
        """Cut the windows of numbers `rows` (B,), as conditioned: a tensor (B, C, T)."""
        chosen = self.index[rows]
        return self.store.gather(chosen.record, chosen.start, self.preprocessing.samples)

    def order(self, seed: int, epoch: int, rank: int, ranks: int, batch_size: int, steps: int) -> Tensor:
        """Draw one rank's windows of an epoch, shape (batch_size * steps,): as `Store.order`."""
        index = self.index
        return self.store.order(index.record, index.start, seed, epoch, rank, ranks)[: batch_size * steps]

    def expect(self, rows: Tensor) -> None:
        """Be told which windows will be loaded next, in order."""
        self.store.expect(self.index.record[rows], self.index.start[rows], self.preprocessing.samples)

    def to(self, device: torch.device | str) -> None:
        """Move the signals to a device, where they fit."""
        self.store.to(device)

    @property
    def parts(self) -> tuple[WindowSet, ...]:
        """Itself, as the only one of what `MixedWindows` has several of."""
        return (self,)

    @property
    def person(self) -> Tensor:
        """Number of each window's person, shape (n,), int64."""
        return self.store.person[self.index.record]

    @property
    def scattered(self) -> bool:
        """Whether windows that lie apart are gathered as fast as neighbours."""
        return self.store.scattered

    @property
    def label(self) -> NDArray[np.int64]:
        """Number of each window's class, -1 for none, shape (n,)."""
        return self.index.label.numpy()

    @property
    def targets(self) -> NDArray[np.bool_]:
        """To which classes each window belongs, shape (n, K): none, one or, where the task has it so, several."""
        if self.store.multilabel:
            return np.asarray(self.store.targets[self.index.record.numpy()])
        return np.asarray(self.label[:, None] == np.arange(len(self.store.classes)))

    @property
    def patient(self) -> NDArray[np.str_]:
        """Patient of each window, shape (n,)."""
        return np.asarray(self.store.patients[self.store.patient[self.index.record].numpy()])

    @property
    def record(self) -> NDArray[np.str_]:
        """Recording of each window, shape (n,)."""
        return self._of_recording("record")

    @property
    def split(self) -> NDArray[np.str_]:
        """The data set's split of each window's recording, shape (n,)."""
        return self._of_recording("split")

    def where(self, mask: NDArray[np.bool_]) -> WindowSet:
        """Select windows by a mask of shape (n,)."""
        return self[torch.from_numpy(mask)]

    def sample(self, size: int, seed: int = 0) -> WindowSet:
        """Sample at most `size` windows, an equal share of each class as far as it goes; always the same."""
        label = self.index.label
        classes = label.unique().tolist()
        order = torch.randperm(len(label), generator=generator(seed, Purpose.PROBE_SAMPLE))
        keep = [order[label[order] == c][: max(1, size // len(classes))] for c in classes]
        return self[torch.cat(keep).sort().values] if keep else self

    def _of_recording(self, column: str) -> NDArray[np.str_]:
        return np.asarray(self.store.records[column].iloc[self.index.record.numpy()].to_numpy().astype(str))


class Windows(ABC):
    """A way to cut recordings into windows."""

    def index(self, store: Store, samples: int) -> WindowIndex:
        """Index every window, of so many samples, of every recording; DataError if no recording is long enough."""
        index = self._index(store, samples)
        if not len(index):
            longest = int(store.length.max()) / store.fs
            raise DataError(
                f"no window of {samples / store.fs:g} s fits: the longest recording lasts {longest:g} s "
                "(set preprocessing.window), or there are no beats to centre on (use Whole or Sliding)"
            )
        return index

    @abstractmethod
    def _index(self, store: Store, samples: int) -> WindowIndex: ...


class Whole(Windows):
    """One window per recording, from its start; what is shorter than a window is left out."""

    def _index(self, store: Store, samples: int) -> WindowIndex:
        record = torch.nonzero(store.length >= samples).flatten()
        return _unlabelled(store, record, torch.zeros_like(record))


class Sliding(Windows):
    """Windows at a fixed stride along each recording.

    Args:
        stride: from the start of one window to the start of the next, s.
    """

    def __init__(self, stride: float = 1.0) -> None:
        if not stride > 0:
            raise UserError(f"Sliding: stride must be positive, not {stride} s")
        self.stride = stride

    def _index(self, store: Store, samples: int) -> WindowIndex:
        stride = max(1, round(self.stride * store.fs))
        count = ((store.length - samples) // stride + 1).clamp_min(0)
        record = torch.repeat_interleave(torch.arange(len(count)), count)
        first = torch.cumsum(count, 0) - count
        start = (torch.arange(len(record)) - first[record]) * stride
        return _unlabelled(store, record, start)


class BeatCentred(Windows):
    """One window around each annotated R peak, wherever it lies inside the recording with its whole length.

    Args:
        unclassified: keep beats without a class (AAMI's Q); label -1.
    """

    def __init__(self, unclassified: bool = False) -> None:
        self.unclassified = unclassified

    def _index(self, store: Store, samples: int) -> WindowIndex:
        beats = store.beats
        record = torch.from_numpy(beats["record"].to_numpy(np.int64, copy=True))
        fs = store.records["source_fs"].to_numpy()[record.numpy()]
        centre = torch.from_numpy(np.rint(beats["r_peak"].to_numpy() * (store.fs / fs)).astype(np.int64))
        start = centre - samples // 2
        number = {name: i for i, name in enumerate(store.classes)}
        label = torch.tensor([number.get(name, -1) for name in beats["label"]], dtype=torch.int64)
        keep = (start >= 0) & (start + samples <= store.length[record])
        if not self.unclassified:
            keep &= label >= 0
        return WindowIndex(record, start, label, torch.arange(len(record)))[keep]


class PeakCentred(Windows):
    """One window around each R peak found in the signal itself; no annotation is read, so none is needed.

    Args:
        jitter: largest distance of the window's centre from the peak, s; drawn once for each window, so that an
            encoder does not come to rely on exact centring.
    """

    def __init__(self, jitter: float = 0.0) -> None:
        if jitter < 0:
            raise UserError(f"PeakCentred: jitter must not be negative, not {jitter} s")
        self.jitter = jitter

    def _index(self, store: Store, samples: int) -> WindowIndex:
        record, peak = torch.from_numpy(store.r_peaks).unbind(1)
        draw = torch.rand(len(record), generator=torch.Generator().manual_seed(0)) * 2 - 1
        start = peak - samples // 2 + (draw * self.jitter * store.fs).round().long()
        index = _unlabelled(store, record, start)
        return index[(start >= 0) & (start + samples <= store.length[record])]


class ByRhythm(Windows):
    """Windows at a fixed stride, each of the class of the rhythm that covers most of it.

    Args:
        stride: from the start of one window to the start of the next, s.
    """

    def __init__(self, stride: float = 10.0) -> None:
        self.sliding = Sliding(stride)

    def _index(self, store: Store, samples: int) -> WindowIndex:
        index = self.sliding._index(store, samples)
        number = {name: i for i, name in enumerate(store.classes)}
        spans = store.spans[store.spans["label"].isin(list(number))]
        record = torch.from_numpy(spans["record"].to_numpy(np.int64, copy=True))
        ratio = torch.from_numpy(store.fs / store.records["source_fs"].to_numpy())[record]
        start, end = (
            torch.from_numpy(spans[name].to_numpy(np.float64, copy=True)) * ratio for name in ("start", "end")
        )
        of = torch.tensor([number[name] for name in spans["label"]], dtype=torch.int64)
        covered = torch.zeros(len(index), len(number))
        first = torch.searchsorted(index.record, record)  # each recording's windows lie together
        last = torch.searchsorted(index.record, record, right=True)
        for i in range(len(spans)):  # some hundred a day
            windows = index.start[first[i] : last[i]]
            shared = torch.minimum(windows + samples, end[i]) - torch.maximum(windows, start[i])
            covered[first[i] : last[i], of[i]] += shared.clamp_min(0)
        if len(number):
            most, which = covered.max(1)
            index.label.copy_(torch.where(most > samples / 2, which, -1))
        return index


def labelled(store: Store) -> Windows:
    """Choose the windows that carry the classes of a store's task."""
    kinds: dict[str, type[Windows]] = {"beat": BeatCentred, "record": Whole, "rhythm": ByRhythm}
    return kinds[store.task]()


def report_left_out(store: Store, samples: int, whose: str = "") -> None:
    """Report on stderr the recordings that could not be prepared, and those shorter than so many samples.

    Lines begin with `whose` they are, where there are several data sets.
    """
    recordings = int(store.recording.max()) + 1
    if dropped := store.report["dropped"]:
        reason = textwrap.shorten(dropped[0]["reason"], 240, placeholder=" ...")
        print(
            f"{whose}{len(dropped):,} of {recordings + len(dropped):,} recordings are left out "
            f"(first: {dropped[0]['record']}: {reason}); all in {store.path / 'report.json'}",
            file=sys.stderr,
        )
    if short := len(store.recording[store.length < samples].unique()):
        print(
            f"{whose}{short:,} of {recordings:,} recordings are shorter than a window of {samples / store.fs:g} s "
            "and are left out",
            file=sys.stderr,
        )


def _unlabelled(store: Store, record: Tensor, start: Tensor) -> WindowIndex:
    """Make windows that carry their recording's class, where it has exactly one."""
    return WindowIndex(record, start, store.label[record], torch.full_like(record, -1))
