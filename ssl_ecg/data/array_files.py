"""Signals in files of arrays: NumPy, HDF5, CSV and EDF, one recording at a time.

An HDF5 file is opened anew by each read (0.2 ms), so that any process may read any row.
"""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.wfdb_io import TO_MV
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.leads import canonical

if TYPE_CHECKING:
    import h5py

STACKS = (".npy", ".npz", ".h5", ".hdf5")
"""Files of one recording, (C, T), or of many, (n, C, T)."""
SUFFIXES = (*STACKS, ".csv", ".edf")
TIME = {"time", "t", "seconds", "time_s", "time (s)", "time [s]"}
"""What a CSV file's first column may be called if it has times in s."""


@contextmanager
def open_array(path: Path, name: str | None = None) -> Iterator[Any]:
    """Open the array of a NumPy or HDF5 file, to take its shape or slices; only `.npz` is read whole for that.

    `name` is that of the array in HDF5 and `.npz`; None for the only one there is. DataError if the file is missing or
    cannot be read, has no such array, or not just one; UserError if h5py is needed and not installed.
    """
    if path.suffix == ".npy":
        yield _mapped(path)
    elif path.suffix == ".npz":
        yield _named(path, _archive(path, path.stat().st_mtime_ns), name)
    else:
        with _hdf5(path) as file:
            found = {name: file[name]} if name is not None and name in file else {}
            yield _named(path, _numeric(found) or _numeric(_all(file)), name)


def read_csv(path: Path, leads: tuple[str, ...] | None) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Read one recording from a CSV file: its signals, shape (C, T), and their leads.

    A column a lead, separated by commas. `leads` are those to take, by the names above the columns; without names, what
    the columns are. DataError if the file is missing or unreadable, lacks a lead, or has neither names nor `leads`.
    """
    import pandas as pd

    try:
        above = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0].str.strip().tolist()
        named = not all(map(is_number, above))
        x = pd.read_csv(path, header=None, skiprows=int(named), dtype=np.float32).to_numpy()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable CSV file of numbers ({error}).") from error
    have = tuple(above) if named else leads
    if have is None:
        raise DataError(f"{path} has no names above its columns: say what its {x.shape[1]} leads are with `leads`.")
    if len(have) != x.shape[1]:
        raise DataError(f"{path} has {x.shape[1]} columns, but `leads` has {len(have)}: {', '.join(have)}.")
    wanted = _find(path, have, leads or have)
    return np.ascontiguousarray(x[:, wanted].T), leads or have


def read_edf(path: Path, leads: tuple[str, ...] | None) -> tuple[NDArray[np.float32], float, tuple[str, ...]]:
    """Read one recording from an EDF file: its signals in mV, shape (C, T), their sampling rate in Hz, and their leads.

    `leads` are those to take, called as in the file or like it (`ECG V1` is V1); all if None. DataError if the file is
    missing or unreadable, has gaps or lacks a lead, or the leads are no voltages or have not one sampling rate.
    """
    edfio = import_edfio(path)
    try:
        edf = edfio.read_edf(path, lazy_load_data=True, header_encoding="latin-1")
        if edf.reserved.startswith("EDF+D"):
            raise DataError(f"{path} has gaps (EDF+D), and its parts would be read as one. Split it at them.")
        signals = edf.signals
        have = tuple(lead_of(signal.label) for signal in signals)
        taken = [signals[i] for i in _find(path, have, leads or have)]
        units = [signal.physical_dimension.replace("µ", "u") for signal in taken]
        rates = {float(signal.sampling_frequency) for signal in taken}
        if odd := sorted({unit for unit in units if unit not in TO_MV}):
            raise DataError(f"{path}: {', '.join(map(repr, odd))} is no voltage. Take the ECG alone, with `leads`.")
        if len(rates) != 1:
            raise DataError(f"{path} has sampling rates of {rates} Hz. Take leads of one rate, with `leads`.")
        x = np.stack([signal.data.astype(np.float32) * TO_MV[unit] for signal, unit in zip(taken, units, strict=True)])
    except DataError:
        raise
    except Exception as error:  # a third party's parser on damaged bytes: anything can come out of it
        raise DataError(f"{path} is not a readable EDF file ({error}).") from error
    return x.astype(np.float32), rates.pop(), leads or have


def import_edfio(path: Path) -> ModuleType:
    """Import the library that reads EDF; UserError, naming `path` and what to install, where it is missing."""
    try:
        import edfio
    except ImportError:
        raise UserError(f"To read {path}, install edfio: pip install 'ssl-ecg[files]'") from None
    return edfio


def lead_of(label: str) -> str:
    """The lead of a label that has its kind before it, as EDF wants it: `ECG V1` is V1."""
    kind, _, place = label.partition(" ")
    return place.strip() if kind.upper() in ("ECG", "EKG") and place.strip() else label.strip()


def _find(path: Path, have: tuple[str, ...], wanted: tuple[str, ...]) -> list[int]:
    """Where each wanted lead is."""
    names = [canonical(lead) for lead in have]
    if lacks := [lead for lead in wanted if canonical(lead) not in names]:
        raise DataError(f"{path} has no lead {', '.join(lacks)}; it has {', '.join(have) or 'none'}.")
    return [names.index(canonical(lead)) for lead in wanted]


def is_number(cell: str) -> bool:
    """Whether a cell of a CSV file holds a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _mapped(path: Path) -> NDArray[Any]:
    try:
        x: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} is not a readable NumPy file ({error}).") from error
    if x.dtype.kind not in "iuf":
        raise DataError(f"{path} holds {x.dtype}, not numbers.")
    return x


@functools.lru_cache(maxsize=1)  # unpacked once, for all of its recordings
def _archive(path: Path, modified: int) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not a readable NumPy file ({error}).") from error
    return _numeric(arrays)


def _named(path: Path, arrays: dict[str, Any], name: str | None) -> Any:  # noqa: ANN401
    """The array of a name, or the only one."""
    if name is None and len(arrays) == 1:
        return next(iter(arrays.values()))
    if name is None or name not in arrays:
        have = ", ".join(f"{key} {x.shape}" for key, x in arrays.items()) or "none"
        raise DataError(f"{path}: name the array with `dataset`; of numbers it has {have}.")
    return arrays[name]


def _numeric(found: dict[str, Any]) -> dict[str, Any]:
    return {name: x for name, x in found.items() if hasattr(x, "dtype") and x.dtype.kind in "iuf"}


def _all(file: h5py.File) -> dict[str, Any]:
    """Everything in an HDF5 file, however deep, by its name."""
    found: dict[str, Any] = {}
    file.visititems(found.__setitem__)
    return found


@contextmanager
def _hdf5(path: Path) -> Iterator[h5py.File]:
    try:
        import h5py
    except ImportError:
        raise UserError(f"To read {path}, install h5py: pip install 'ssl-ecg[files]'") from None
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as error:
        why = "is missing" if not path.is_file() else f"is not a readable HDF5 file ({error})"
        raise DataError(f"{path} {why}. Fetch it again, or give another path.") from error
