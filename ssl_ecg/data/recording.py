"""One recording from whatever file it is in: WFDB, EDF, CSV, NumPy, HDF5, DICOM or ISHNE."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data import array_files
from ssl_ecg.data.dicom import read_dicom
from ssl_ecg.data.ishne import read_ishne
from ssl_ecg.data.wfdb_io import TO_MV, read_header, read_signal
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.leads import numbered

SUFFIXES = (".hea", *array_files.SUFFIXES, ".dcm", ".ecg", ".ishne")
"""Of the files that are read; a WFDB record is its header."""


class ReadRecording(NamedTuple):
    """A recording as it was read: its signal, shape (C, T), sampling rate in Hz, lead names, and the signal's unit.

    Samples that are missing are NaN.
    """

    signal: NDArray[np.float32]
    fs: float
    leads: tuple[str, ...]
    unit: str


def read_recording(
    path: str | Path, fs: float | None = None, leads: Sequence[str] | None = None, unit: str | None = None
) -> ReadRecording:
    """Read one recording, so that `encoder(signal, fs, leads, unit=unit)` embeds it.

    - WFDB (`.hea`, or the record's path without it), EDF, DICOM, ISHNE Holter: the file says all, and is given in mV.
    - CSV: a column a lead, by the names above the columns; a first column `time`, in s, gives the rate.
    - NumPy (`.npy`, `.npz`) and HDF5: an array (leads, time), or (time,) of one lead. An `.npz` may have `signal`, `fs`
      and `leads`.

    Args:
        path: the file.
        fs: its sampling rate, Hz, where the file does not say it.
        leads: the name of each lead, where the file does not say it.
        unit: "mV", "uV" or "V", where the file does not say it; mV by default.

    Raises:
        DataError: if the file is missing or cannot be read, or is not one recording.
        UserError: if it does not say its rate or leads and they are not given, or a library to read it is missing.
    """
    path = file_of(path)
    try:
        found = _read(path, fs, None if leads is None else tuple(leads), unit)
    except ModuleNotFoundError as error:
        raise UserError(f"To read {path}, install {error.name}: pip install 'ssl-ecg[train,files]'") from None
    return found._replace(leads=numbered(tuple(map(array_files.lead_of, found.leads))))


def file_of(path: str | Path) -> Path:
    """Find the file of a recording, which WFDB records are also called without the suffix of; DataError if none is."""
    path = Path(path).expanduser()
    if path.suffix not in SUFFIXES and path.with_name(f"{path.name}.hea").is_file():
        path = path.with_name(f"{path.name}.hea")
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    return path


def _read(path: Path, fs: float | None, leads: tuple[str, ...] | None, unit: str | None) -> ReadRecording:
    if path.suffix == ".hea":
        header = read_header(path)
        signal, _ = read_signal(header, strict=False, missing=True)
        return ReadRecording(signal, header.fs, leads or header.leads, "mV")
    if path.suffix == ".edf":
        return ReadRecording(*array_files.read_edf(path, leads), "mV")
    if path.suffix == ".dcm":
        return ReadRecording(*read_dicom(path), "mV")
    if path.suffix in (".ecg", ".ishne"):
        return ReadRecording(*read_ishne(path), "mV")
    if path.suffix == ".csv":
        signal, names = array_files.read_csv(path, leads)
        if names[0].lower() in array_files.TIME:
            steps = np.diff(signal[0].astype(np.float64))
            if not len(steps) or not (steps > 0).all():
                raise DataError(f"{path}: its column {names[0]} does not rise from row to row")
            fs, signal, names = fs or round(1 / float(steps.mean()), 3), signal[1:], names[1:]
    elif path.suffix in array_files.STACKS:
        signal, fs, names = _array(path, fs, leads)
    else:
        raise DataError(f"{path} is no file of {', '.join(SUFFIXES)}")
    if fs is None:
        raise UserError(f"{path} does not say its sampling rate: give it with fs")
    if (unit or "mV") not in TO_MV:
        raise UserError(f"the unit of a signal is one of {', '.join(TO_MV)}, not {unit}")
    return ReadRecording(signal, float(fs), names, unit or "mV")


def _array(
    path: Path, fs: float | None, leads: tuple[str, ...] | None
) -> tuple[NDArray[np.float32], float | None, tuple[str, ...]]:
    """Signal, rate and leads of a NumPy or HDF5 file."""
    name = None
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as archive:
                name = "signal" if "signal" in archive else None
                fs = float(archive["fs"]) if fs is None and "fs" in archive else fs
                leads = tuple(map(str, archive["leads"])) if leads is None and "leads" in archive else leads
        except (OSError, ValueError, TypeError, EOFError, BadZipFile) as error:
            raise DataError(f"{path} is not a readable NumPy file ({error}).") from error
    with array_files.open_array(path, name) as x:
        signal = np.atleast_2d(np.array(x, dtype=np.float32))
    if leads is None:
        raise UserError(f"{path} does not say its leads: name them in the array's order with leads, such as I,II")
    if signal.ndim != 2 or len(signal) != len(leads):
        turned = " Swap its two axes." if signal.ndim == 2 and signal.shape[1] == len(leads) else ""
        raise DataError(f"{path} has shape {signal.shape}, not ({len(leads)}, time) for {', '.join(leads)}.{turned}")
    return signal, fs, leads
