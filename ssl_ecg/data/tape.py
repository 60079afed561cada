"""Recordings of any length, such as a Holter tape of a day, read a stretch at a time."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.array_files import import_edfio, lead_of, open_array
from ssl_ecg.data.ishne import open_ishne, read_samples
from ssl_ecg.data.recording import file_of, read_recording
from ssl_ecg.data.tape_csv import unroll
from ssl_ecg.data.wfdb_io import AGAIN, TO_MV, read_header
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.leads import numbered


class Tape(ABC):
    """A recording that is read a stretch at a time.

    Attributes:
        name: of the record.
        fs: sampling rate, Hz.
        leads: name of each channel.
        samples: of each channel.
        notes: what is odd about it.
    """

    name: str
    fs: float
    leads: tuple[str, ...]
    samples: int
    notes: tuple[str, ...] = ()

    @abstractmethod
    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Read samples from `start` to before `stop`, shape (C, stop - start), in mV; NaN where they are missing.

        DataError if they cannot be read.
        """

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.samples / self.fs


def open_tape(
    path: str | Path,
    scratch: Path,
    fs: float | None = None,
    leads: Sequence[str] | None = None,
    unit: str | None = None,
) -> Tape:
    """Open a recording of any length.

    WFDB (of several segments too), EDF, ISHNE and `.npy` are read where they lie; CSV is turned into an array in the
    folder `scratch` first, in constant memory; of the other formats of `read_recording`, which hold short recordings,
    all is read. `fs`, `leads` and `unit` are for files that do not say them.

    Raises:
        DataError: if the file is missing, cannot be read, or has no ECG.
        UserError: if it does not say its rate or leads and they are not given, or a library to read it is missing.
    """
    path = file_of(path)
    names = None if leads is None else tuple(leads)
    if path.suffix == ".hea":
        return _WFDB(path)
    if path.suffix == ".edf":
        return _EDF(path)
    if path.suffix in (".ecg", ".ishne"):
        return _Ishne(path)
    if path.suffix in (".csv", ".npy"):
        return _Array(path, scratch, fs, names, unit)
    return _Whole(path, fs, names, unit)


class _WFDB(Tape):
    """A WFDB record; channels that are no voltages are left out.

    It may have segments, in a fixed layout or in a variable one, where some lack a channel; nothing is in those named
    `~`, which wfdb reads in the variable layout alone.
    """

    def __init__(self, path: Path) -> None:
        import wfdb

        try:
            header = wfdb.rdheader(str(path.with_suffix("")), rd_segments=True)
        except Exception as error:  # a third party's parser on damaged files: anything can come out of it
            raise DataError(f"{path} is not a readable WFDB header ({error}). {AGAIN}") from error
        if isinstance(header, wfdb.Record):
            read_header(path)  # says what is missing or truncated
        first = header
        self._spans = [(0, int(header.sig_len or 0))]
        if isinstance(header, wfdb.MultiRecord):
            first = next((each for each in header.segments if each is not None), None)
            starts = np.cumsum([0, *header.seg_len]).tolist()
            segments = zip(header.seg_name, starts, starts[1:], strict=False)
            self._spans = [(start, stop) for name, start, stop in segments if name != "~"]
        if first is None or not first.sig_name or not header.sig_len or not header.fs:
            raise DataError(f"{path} is incomplete: it does not describe its signals. {AGAIN}")
        units = dict(zip(first.sig_name, first.units, strict=True))
        self._channels = [i for i, unit in enumerate(first.units) if unit in TO_MV]
        if not self._channels:
            raise DataError(f"{path} has no voltage: its units are {', '.join(map(str, first.units))}")
        self._stem, self.name = str(path.with_suffix("")), path.stem
        self.fs, self.samples = float(header.fs), int(header.sig_len)
        names = tuple(first.sig_name[i] for i in self._channels)
        self.leads = numbered(names)
        self._scale = np.array([[TO_MV[units[name]]] for name in names], dtype=np.float32)

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        import wfdb

        x = np.full((len(self._channels), stop - start), np.nan, dtype=np.float32)
        try:
            for begin, end in self._spans:
                first, last = max(start, begin), min(stop, end)
                if first < last:
                    where = {"sampfrom": first, "sampto": last, "channels": self._channels}
                    record = wfdb.rdrecord(self._stem, return_res=32, **where)
                    x[:, first - start : last - start] = record.p_signal.T
            return x * self._scale
        except Exception as error:  # as above
            what = f"{start / self.fs:.0f} to {stop / self.fs:.0f} s"
            raise DataError(f"{self._stem}: the samples from {what} cannot be read ({error}). {AGAIN}") from error


class _EDF(Tape):
    """An EDF file; signals that are no voltages, or have another rate than the first voltage, are left out."""

    def __init__(self, path: Path) -> None:
        self._edfio, self._path, self.name = import_edfio(path), path, path.stem
        try:
            edf = self._edfio.read_edf(path, lazy_load_data=True, header_encoding="latin-1")
            gaps, signals = edf.reserved.startswith("EDF+D"), edf.signals
            units = [signal.physical_dimension.replace("µ", "u") for signal in signals]
            volts = [i for i, unit in enumerate(units) if unit in TO_MV]
            rates = [float(signals[i].sampling_frequency) for i in volts]
            self._rows = [i for i, rate in zip(volts, rates, strict=True) if rate == rates[0]]
            lengths = [edf.num_data_records * signals[i].samples_per_data_record for i in self._rows]
        except Exception as error:  # as above
            raise DataError(f"{path} is not a readable EDF file ({error}).") from error
        if gaps:
            raise DataError(f"{path} has gaps (EDF+D), and its parts would be read as one. Split it at them.")
        if not volts:
            raise DataError(f"{path} has no voltage: its units are {', '.join(units)}")
        self.fs, self.samples = rates[0], lengths[0]
        self.leads = numbered(tuple(lead_of(signals[i].label) for i in self._rows))
        self._scale = np.array([[TO_MV[units[i]]] for i in self._rows], dtype=np.float32)
        if left := [signals[i].label for i in range(len(units)) if i not in self._rows]:
            self.notes = (f"left out: {', '.join(left)}, which are no voltages or have another rate",)

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        try:  # opened anew: pages of a file that stays mapped count as memory
            edf = self._edfio.read_edf(self._path, lazy_load_data=True, header_encoding="latin-1")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                x = [edf.signals[i].get_data_slice(start / self.fs, stop / self.fs) for i in self._rows]
            return np.stack(x).astype(np.float32) * self._scale
        except Exception as error:  # as above
            raise DataError(f"{self._path}: its samples cannot be read ({error}).") from error


class _Ishne(Tape):
    """An ISHNE Holter file."""

    def __init__(self, path: Path) -> None:
        self._of, self.name = open_ishne(path), path.stem
        self.fs, self.leads, self.samples = self._of.fs, numbered(self._of.leads), self._of.samples

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        return read_samples(self._of, start, stop)


class _Array(Tape):
    """A `.npy` file, (C, T) or (T,), or a CSV file that was turned into one."""

    def __init__(
        self, path: Path, scratch: Path, fs: float | None, leads: tuple[str, ...] | None, unit: str | None
    ) -> None:
        self.name, self._path = path.stem, path
        if path.suffix == ".csv":
            self._path, names, found, self.notes = unroll(path, scratch, leads, fs)
            leads, fs = names, fs or found
        if fs is None:
            raise UserError(f"{path} does not say its sampling rate: give it with --fs")
        if leads is None:
            raise UserError(f"{path} does not say its leads: name them in the array's order with --leads")
        if (unit or "mV") not in TO_MV:
            raise UserError(f"the unit of a signal is one of {', '.join(TO_MV)}, not {unit}")
        with open_array(self._path) as x:
            shape = x.shape if len(x.shape) == 2 else (1, *x.shape)
        if len(shape) != 2 or shape[0] != len(leads):
            raise DataError(f"{path} has shape {shape}, not ({len(leads)}, time) for {', '.join(leads)}")
        self.fs, self.leads, self.samples = float(fs), numbered(tuple(map(lead_of, leads))), int(shape[1])
        self._scale = np.float32(TO_MV[unit or "mV"])

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        with open_array(self._path) as x:  # opened anew, as above
            part = np.array(x[..., start:stop], dtype=np.float32)
        return np.atleast_2d(part) * self._scale


class _Whole(Tape):
    """A recording that is held in memory."""

    def __init__(self, path: Path, fs: float | None, leads: tuple[str, ...] | None, unit: str | None) -> None:
        found = read_recording(path, fs, leads, unit)
        self.name, self.fs, self.leads, self.samples = path.stem, found.fs, found.leads, found.signal.shape[1]
        self._signal = found.signal * np.float32(TO_MV[found.unit])

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        return self._signal[:, start:stop]
