"""The store: a source read once, conditioned, and kept as one memory-mapped int16 file and three tables.

Layout of a store's folder:

- `signals.i16`: every recording lead after lead, so that a window of one lead is one run of bytes;
- `records.parquet`: record, patient, split, labels (joined by ";"), offset and length in samples, scale (mV, or
  standard deviations, per count), source_fs, age, sex; where any lead is taken, a row for each lead of each recording,
  with its name (lead), and beats and spans for each row;
- `beats.parquet`: record (row number), r_peak (samples at source_fs), label;
- `spans.parquet`: record (row number), start and end (samples at source_fs), label, lead ("" for all);
- `report.json`: recordings that were left out, and why, and what was odd with others;
- `store.json`: format, source and its fingerprint, that of the code, preprocessing, the unit of the source's signals
  (mV where an older store does not say), and what the labels mean.

`build` writes it, and renames the folder when it is whole. Whoever first needs the R peaks adds `r_peaks-CODE.npy`.
"""

from __future__ import annotations

import json
import mmap
import os
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.data.convert import SEPARATOR
from ssl_ecg.data.journal import SIGNALS
from ssl_ecg.data.r_peaks import detect_r_peaks
from ssl_ecg.data.randomness import Purpose, generator
from ssl_ecg.data.source import Source, Task
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.files import alone_in, replacing
from ssl_ecg.fingerprint import code_fingerprint

FORMAT = 2
_SAID = {"preprocessing", "source", "fingerprint", "cohort", "covers", "task", "simulated", "multilabel"}
_SAID |= {"classes", "meaning"}
_AGAIN = "delete the folder and run again"


class Store:
    """Conditioned recordings, ready to be cut into windows.

    `fs` is in Hz; `leads`, `cohort`, `classes`, `task`, `multilabel` and `simulated` are as in `Source`.

    Args:
        path: a folder written by `build`.
        source: whose classes and unit are meant; by default those of the source it was prepared from, as it was set
            then.

    Attributes:
        signals: shape (N,), int16, all samples of all leads of all recordings; memory-mapped, read-only.
        records: one row per recording, or per lead of each where any lead is taken (see the module's docstring).
        recording: number of each row's recording, shape (R,), int64.
        beats: one row per annotated beat, ordered by recording and time.
        spans: one row per annotated stretch, ordered by recording.
        unit: of the amplitudes, as conditioned: "mV", or "SD" where they were divided by a standard deviation.
        patients: names of all patients, sorted.
        patient: number of each recording's patient among them, shape (R,), int64.
        person: the same, but a number of its own for each recording of people who are not told apart.
        source: name of the class it was prepared from.
        meta: content of `store.json`.
        scattered: whether windows that lie apart are gathered as fast as neighbours.

    Raises:
        DataError: if the folder is no store, of another format, or its files do not belong together.
    """

    scattered: ClassVar[bool] = True

    def __init__(self, path: str | Path, source: Source | None = None) -> None:
        self.path = Path(path)
        try:
            self.meta: dict[str, Any] = json.loads((self.path / "store.json").read_text())
            if self.meta.get("format") != FORMAT:
                raise DataError(f"{self.path} has format {self.meta.get('format')}, not {FORMAT}: {_AGAIN}")
            if missing := sorted(_SAID - self.meta.keys()):
                raise DataError(f"{self.path}/store.json does not say {', '.join(missing)}: {_AGAIN}")
            self.records, self.beats, self.spans = (
                pd.read_parquet(self.path / f"{name}.parquet") for name in ("records", "beats", "spans")
            )
        except DataError:
            raise
        except (OSError, ValueError) as error:
            raise DataError(f"{self.path} is not a readable store ({error}): {_AGAIN}") from None
        self.leads: tuple[str, ...] = tuple(self.meta["preprocessing"]["leads"])
        self.fs: float = self.meta["preprocessing"]["fs"]
        given = self.meta.get("amplitude_unit", "mV") if source is None else source.amplitude_unit
        self.unit: str = "SD" if self.meta["preprocessing"]["normalise"] == "record" else given
        self.source: str = self.meta["source"]
        self.cohort: str = self.meta["cohort"]
        self.task: Task = self.meta["task"]
        self.simulated: bool = self.meta["simulated"]
        self.multilabel: bool = self.meta["multilabel"] if source is None else source.multilabel
        self.classes: tuple[str, ...] = tuple(self.meta["classes"] if source is None else source.classes)
        self._meaning = self.meta["meaning"] if source is None else source.meaning
        names = self.records["patient"].cat.categories.to_numpy().astype(str)
        order = np.argsort(names)
        self.patients: NDArray[np.str_] = names[order]
        self.patient: Tensor = torch.from_numpy(np.argsort(order)[self.records["patient"].cat.codes.to_numpy()])
        # People who are not told apart share a side of a split, but are not one person.
        unknown = torch.from_numpy(np.char.startswith(self.patients, "?"))[self.patient]
        rows = self.records["record"].cat.codes.to_numpy() if "lead" in self.records else np.arange(len(self.records))
        self.recording: Tensor = torch.from_numpy(rows.astype(np.int64))
        alone = len(self.patients) + self.recording
        self.person: Tensor = torch.where(unknown, alone, self.patient)
        self.offset = torch.from_numpy(self.records["offset"].to_numpy(np.int64, copy=True))
        self.length = torch.from_numpy(self.records["length"].to_numpy(np.int64, copy=True))
        self.scale = torch.from_numpy(self.records["scale"].to_numpy(np.float32, copy=True))
        self._open_signals()

    def _open_signals(self) -> None:
        file = self.path / SIGNALS
        try:
            with open(file, "rb") as handle:
                # Read-only: a private copy-on-write map of more than the memory is refused by the kernel.
                self._map = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
            signals = np.frombuffer(self._map, dtype=np.int16)
        except (OSError, ValueError) as error:
            raise DataError(f"{file} cannot be read ({error}): {_AGAIN}") from None
        needed = int(self.length.sum()) * len(self.leads)
        if len(signals) != needed:
            raise DataError(f"{file} holds {len(signals)} samples, not {needed}: {_AGAIN}")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*not writable.*")
            self.signals: Tensor = torch.from_numpy(signals)
        self._fits = len(self._map) < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2  # of the memory
        # What fits is read from end to end ahead of time; of what does not, only the windows, and no neighbours.
        self._map.madvise(mmap.MADV_WILLNEED if self._fits else mmap.MADV_RANDOM)

    @property
    def report(self) -> dict[str, list[dict[str, str]]]:
        """What preparing found: "dropped" recordings with their reason, and "noted" ones with what was odd."""
        try:
            return dict(json.loads((self.path / "report.json").read_text()))
        except (OSError, ValueError) as error:
            raise DataError(f"{self.path}/report.json cannot be read ({error}): {_AGAIN}") from None

    @cached_property
    def targets(self) -> NDArray[np.bool_]:
        """To which classes each recording as a whole belongs, shape (R, K)."""
        labels = self.records["labels"].cat
        number = {name: i for i, name in enumerate(self.classes)}
        of_set = np.zeros((len(labels.categories), len(number)), dtype=np.bool_)
        for row, joined in enumerate(labels.categories):
            for label in joined.split(SEPARATOR):
                of_set[row, [number[name] for name in self._meaning.get(label, ()) if name in number]] = True
        return np.asarray(of_set[labels.codes.to_numpy()])

    @cached_property
    def label(self) -> Tensor:
        """The class of each recording, or -1 for none or for several, shape (R,), int64."""
        one = self.targets.sum(axis=1) == 1
        if not len(self.classes):
            return torch.full((len(self.records),), -1)
        return torch.from_numpy(np.where(one, self.targets.argmax(axis=1), -1))

    @cached_property
    def r_peaks(self) -> NDArray[np.int64]:
        """The R peaks found in the signals, shape (n, 2): row of the recording, sample in it; ascending.

        Looked for once, and kept in the store's folder if it can be written to.
        """
        file = self.path / f"r_peaks-{code_fingerprint('ssl_ecg.data.r_peaks')}.npy"
        with alone_in(self.path):  # one process of many looks for them
            if not file.exists():
                found = [detect_r_peaks(self.signal(row), self.fs) for row in range(len(self.records))]
                rows = np.repeat(np.arange(len(found)), [len(peaks) for peaks in found])
                table = np.stack([rows, np.concatenate(found)], axis=1)
                try:
                    with replacing(file) as temporary, open(temporary, "wb") as out:
                        np.save(out, table)
                except UserError:
                    return table
        return np.asarray(np.load(file))

    def to(self, device: torch.device | str) -> Store:
        """Move the signals to a device, if they fit in half of its free memory; returns self."""
        device = torch.device(device)
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if self.signals.nbytes > free // 2:
                return self
        self.signals = self.signals.to(device)
        return self

    def gather(self, record: Tensor, start: Tensor, samples: int) -> Tensor:
        """Cut windows, all in one indexed copy: shape (B, C, T), float32, as conditioned, on the device of `signals`.

        `record` is the row of each window's recording, `start` its first sample there, both of shape (B,), int64;
        `samples` is the length T.
        """
        leads = torch.arange(len(self.leads)) * self.length[record][:, None]
        x = self.cut((self.offset[record] + start)[:, None] + leads, samples)
        return x.mul_(self.scale[record].to(x.device)[:, None, None])

    def cut(self, first: Tensor, samples: int, out: Tensor | None = None) -> Tensor:
        """Cut stretches of `signals` that begin at samples `first` (B, C): shape (B, C, T), float32, in counts."""
        if not self._fits and self.signals.device.type == "cpu":
            self._fetch(first, samples)
        # A view in which row i is the window starting at sample i: nothing is copied until index_select.
        windows = self.signals.as_strided((len(self.signals) - samples + 1, samples), (1, 1))
        counts = windows.index_select(0, first.flatten().to(self.signals.device)).view(*first.shape, samples)
        return counts.float() if out is None else out.copy_(counts)

    def _fetch(self, rows: Tensor, samples: int) -> None:
        """Ask the disk for all pages of some windows at once, not for one after the other."""
        first, last = 2 * rows, 2 * (rows + samples)
        if samples * rows.shape[1] >= int((last[:, -1] - first[:, 0]).max()) // 2:  # leads lie side by side
            first, last = first[:, :1], last[:, -1:]
        begin = first.flatten() // mmap.PAGESIZE * mmap.PAGESIZE
        for at, size in zip(begin.tolist(), (last.flatten() - begin).tolist(), strict=True):
            self._map.madvise(mmap.MADV_WILLNEED, at, size)

    def order(self, record: Tensor, start: Tensor, seed: int, epoch: int, rank: int = 0, ranks: int = 1) -> Tensor:
        """Shuffle one rank's windows for an epoch, counted from 0: a pure function of the arguments.

        `record` and `start` as in `gather`, shape (n,). Returns numbers of windows, at least n // ranks; no window is
        another rank's.
        """
        return torch.randperm(len(record), generator=generator(seed, Purpose.ORDER, epoch))[rank::ranks]

    def expect(self, record: Tensor, start: Tensor, samples: int) -> None:
        """Be told which windows will be gathered next, in order; only a streamed store fetches them ahead."""

    def signal(self, row: int) -> NDArray[np.float32]:
        """Read one whole conditioned recording: shape (C, T), float32."""
        return self.gather(torch.tensor([row]), torch.tensor([0]), int(self.length[row]))[0].cpu().numpy()
