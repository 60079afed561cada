"""Your own arrays: NumPy, HDF5, CSV or EDF files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from ssl_ecg.data import array_files
from ssl_ecg.data.own_files import OwnFiles, cohort_of
from ssl_ecg.data.source import Recording
from ssl_ecg.data.wfdb_io import TO_MV
from ssl_ecg.errors import DataError, UserError

_BLOCK, _BLOCKS = 1 << 16, 16  # of a large file this much is looked at, evenly spread


class Arrays(OwnFiles):
    """Signals in NumPy (`.npy`, `.npz`), HDF5 (`.h5`, `.hdf5`), CSV or EDF files: one, or all in a folder.

    - NumPy and HDF5: an array (leads, time), one recording, or (recordings, leads, time). `.npy` and HDF5 are
      read a recording at a time, however large the file; `.npz` has to be unpacked whole.
    - CSV: one recording, a column a lead, separated by commas. Names above the columns are the leads.
    - EDF: one recording; its rate, leads and units are the file's own.

    A recording is called as its file without the suffix, such as `ward3/0017`, followed by its number where there are
    many: `signals/0`, `signals/1`. Each is taken to be the only one of its patient, unless the table of labels says
    otherwise: where people have several, give it a column `patient`, or they will be on both sides of the split.

    Args:
        path: the file or the folder.
        fs: sampling rate, Hz. Needed but for EDF, where it must be the file's own or not be given.
        leads: name of each lead of an array, in order; of CSV with names and of EDF, the leads to take. Needed
            for NumPy, HDF5, and CSV without names.
        unit: what the numbers are in; EDF says so itself.
        dataset: name of the array in an HDF5 or `.npz` file that has several.
    """

    def __init__(
        self,
        path: str,
        fs: float | None = None,
        leads: tuple[str, ...] | None = None,
        unit: Literal["mV", "uV", "V"] = "mV",
        dataset: str | None = None,
        labels: str | None = None,
    ) -> None:
        if fs is not None and not fs > 0:
            raise UserError(f"Arrays: fs must be positive, not {fs:g} Hz")
        self.path = Path(path).expanduser()
        self.fs = fs
        self.given = leads or None
        self.unit = unit
        self.dataset = dataset
        super().__init__(labels, leads)
        self.cohort = cohort_of(self, self.path)

    def ensure(self, limit: int | None = None) -> None:
        """See that there are recordings of the leads that are named, and that the table is of them."""
        if not self._files:
            where = "has no" if self.path.is_dir() else "is missing, or none of the"
            raise DataError(f"{self.path} {where} files {', '.join(array_files.SUFFIXES)}. Give another path.")
        for file in self._files:
            if file.suffix == ".edf":
                array_files.import_edfio(file)
            elif self.fs is None:
                raise UserError(f"{file} does not say its sampling rate: give it with fs.")
            elif self.given is None and file.suffix in array_files.STACKS:
                raise UserError(
                    f"{file} does not say its leads: name them in the array's order, such as leads=[I, II]."
                )
        if len(self._files) == 1:
            self._count(self._files[0])  # else a file that does not fit is left out and reported
        super().ensure(limit)

    def fingerprint(self) -> dict[str, object]:
        """The settings, and name, size and parts of the content of every file."""
        content = hashlib.sha256()
        for file in self._files:
            content.update(f"{self._name(file)}\n".encode() + _glance(file))
        return {
            "name": "arrays",
            "content": content.hexdigest(),
            "settings": [self.fs, self.given and list(self.given), self.unit, self.dataset],
            "labels": self._labels_digest(),
        }

    @cached_property
    def records(self) -> Sequence[str]:
        """Names of the recordings, file after file."""
        return [self._name(file) + ("" if row is None else f"/{row}") for file, row in self._places]

    def read(self, number: int) -> Recording:
        (file, row), fs, leads = self._places[number], self.fs, self.given
        if file.suffix == ".edf":
            signal, fs, leads = array_files.read_edf(file, leads)
            if self.fs not in (None, fs):
                raise DataError(f"{file} was sampled at {fs:g} Hz, not at {self.fs:g}. Leave fs out: EDF files say it.")
        elif file.suffix == ".csv":
            signal, leads = array_files.read_csv(file, leads)
        else:
            self._count(file)  # it says what does not fit
            with array_files.open_array(file, self.dataset) as x:
                signal = np.array(x[... if row is None else row], dtype=np.float32, order="C")
        if file.suffix != ".edf" and self.unit != "mV":
            signal *= TO_MV[self.unit]
        record = self.records[number]
        assert fs is not None and leads is not None, "`ensure` has seen to that"
        return Recording(record=record, signal=signal, fs=fs, leads=leads, **self._table.entry(record))

    @cached_property
    def _files(self) -> list[Path]:
        """In alphabetical order of their names."""
        paths = self.path.rglob("*") if self.path.is_dir() else [self.path]
        files = [path for path in paths if path.suffix in array_files.SUFFIXES and path.is_file()]
        labels = self.labels.resolve() if self.labels else None
        return sorted((file for file in files if file.resolve() != labels), key=self._name)

    @cached_property
    def _places(self) -> list[tuple[Path, int | None]]:
        """File and row of each recording, None for a file that is one: also one that cannot be read, for its name."""
        places: list[tuple[Path, int | None]] = []
        for file in self._files:
            try:
                count = self._count(file)
            except DataError:
                count = None
            places += [(file, row) for row in ([None] if count is None else range(count))]
        return places

    def _name(self, file: Path) -> str:
        root = self.path if self.path.is_dir() else self.path.parent
        return file.relative_to(root).with_suffix("").as_posix()

    def _count(self, file: Path) -> int | None:
        if file.suffix not in array_files.STACKS:
            return None
        leads = self.given or ()
        with array_files.open_array(file, self.dataset) as x:
            shape: tuple[int, ...] = x.shape
        if len(shape) in (2, 3) and shape[-2] == len(leads):
            return shape[0] if len(shape) == 3 else None
        needed = f"(recordings, {len(leads)}, time) or ({len(leads)}, time) for the leads {', '.join(leads)}"
        turned = len(shape) in (2, 3) and shape[-1] == len(leads)
        remedy = "Swap its last two axes: np.swapaxes(x, -1, -2)." if turned else "Name its leads, or reshape it."
        raise DataError(f"{file} has shape {shape}, not {needed}. {remedy}")


def _glance(path: Path) -> bytes:
    """SHA-256 of a file's size and, if it is large, of blocks of it."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for block in range(_BLOCKS):
            file.seek(max(size - _BLOCK, 0) * block // (_BLOCKS - 1))
            digest.update(file.read(_BLOCK))
    return digest.digest()
