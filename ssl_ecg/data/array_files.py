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


def stack_shape(path: Path, name: str | None) -> tuple[int, ...]:
    """Look up the shape of the array in a NumPy or HDF5 file, without reading it.

    Args:
        path: the file.
        name: of the array, for HDF5 and `.npz`; the only one in the file if None.

    Raises:
        DataError: if the file is missing or cannot be read, has no such array, or not just one.
    """
    if path.suffix == ".npy":
        return _mapped(path).shape
    shapes = {key: x.shape for key, x in _unpacked(path).items()} if path.suffix == ".npz" else datasets(path)
    if name is None and len(shapes) == 1:
        return next(iter(shapes.values()))
    if name is None or name not in shapes:
        have = ", ".join(f"{key} {shape}" for key, shape in shapes.items()) or "none"
        raise DataError(f"{path}: name the array with `dataset`; of numbers it has {have}.")
    return shapes[name]


def read_stack(path: Path, name: str | None, row: int | None) -> NDArray[np.float32]:
    """Read one recording, shape (C, T), of a NumPy or HDF5 file.

    Args:
        path: the file.
        name: of the array, as for `stack_shape`.
        row: which, where there are many; None where the array is one recording.

    Raises:
        DataError: as `stack_shape`.
    """
    rows = slice(None) if row is None else row
    if path.suffix == ".npy":
        x = _mapped(path)[rows]
    elif path.suffix == ".npz":
        arrays = _unpacked(path)
        x = arrays[name or next(iter(arrays))][rows]
    else:
        x = read_rows(path, name or next(iter(datasets(path))), rows)
    return np.array(x, dtype=np.float32, order="C")


def read_csv(path: Path, leads: tuple[str, ...] | None) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Read one recording from a CSV file: a column a lead, separated by commas, with or without names above.

    Args:
        path: the file.
        leads: the leads to take, by the names above the columns; without names, what the columns are.

    Returns:
        The signals, shape (C, T), and their leads.

    Raises:
        DataError: if the file is missing or cannot be read, lacks a lead, or has neither names nor `leads`.
    """
    import pandas as pd

    try:
        above = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0].str.strip().tolist()
        named = not all(map(_is_number, above))
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
    """Read one recording from an EDF file.

    Args:
        path: the file.
        leads: the leads to take, called as in the file or like it (`ECG V1` is V1); all if None.

    Returns:
        The signals in mV, shape (C, T), their sampling rate in Hz, and their leads.

    Raises:
        DataError: if the file is missing or cannot be read, has gaps or lacks a lead, or the leads are no
            voltages or have not one sampling rate.
        UserError: if edfio is not installed.
    """
    edfio = import_edfio(path)
    try:
        edf = edfio.read_edf(path, lazy_load_data=True, header_encoding="latin-1")
        if edf.reserved.startswith("EDF+D"):
            raise DataError(f"{path} has gaps (EDF+D), and its parts would be read as one. Split it at them.")
        signals = edf.signals
        have = tuple(_lead_of(signal.label) for signal in signals)
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
    """Import the library that reads EDF.

    Raises:
        UserError: if it is not installed; it names the file that needs it, and what to install.
    """
    try:
        import edfio
    except ImportError:
        raise UserError(f"To read {path}, install edfio: pip install 'ssl-ecg[files]'") from None
    return edfio


def _lead_of(label: str) -> str:
    """EDF calls a lead by its kind and its place: "ECG V1"."""
    kind, _, place = label.partition(" ")
    return place.strip() if kind.upper() in ("ECG", "EKG") and place.strip() else label.strip()


def _find(path: Path, have: tuple[str, ...], wanted: tuple[str, ...]) -> list[int]:
    """Where each wanted lead is."""
    names = [canonical(lead) for lead in have]
    if lacks := [lead for lead in wanted if canonical(lead) not in names]:
        raise DataError(f"{path} has no lead {', '.join(lacks)}; it has {', '.join(have) or 'none'}.")
    return [names.index(canonical(lead)) for lead in wanted]


def _is_number(cell: str) -> bool:
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


def _unpacked(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of numbers in an `.npz` file."""
    return _archive(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=1)  # unpacked once, for all of its recordings
def _archive(path: Path, modified: int) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not a readable NumPy file ({error}).") from error
    return {name: x for name, x in arrays.items() if x.dtype.kind in "iuf"}


def datasets(path: Path) -> dict[str, tuple[int, ...]]:
    """List the shape of every numeric dataset of an HDF5 file, by its name.

    Raises:
        DataError: if the file is missing or cannot be read.
        UserError: if h5py is not installed.
    """
    found: dict[str, tuple[int, ...]] = {}

    def note(name: str, item: object) -> None:
        import h5py

        if isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf":
            found[name] = item.shape

    with _open(path) as file:
        file.visititems(note)
    return found


def read_rows(path: Path, dataset: str, rows: int | slice = slice(None)) -> NDArray[Any]:
    """Read some rows of a dataset of an HDF5 file, or one.

    Args:
        path: the file.
        dataset: name of the dataset.
        rows: a slice, which keeps the first axis, or a number, which drops it.

    Raises:
        DataError: if the file is missing or cannot be read, or has no such dataset.
        UserError: if h5py is not installed.
    """
    with _open(path) as file:
        if dataset not in file:
            raise DataError(f"{path} has no dataset {dataset!r}; it has {', '.join(file) or 'none'}.")
        return np.asarray(file[dataset][rows])


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
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
