"""Reading HDF5 files, a row at a time: opened anew by each read (0.2 ms), so that any process may read any row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import DataError, UserError

if TYPE_CHECKING:
    import h5py


def datasets(path: Path) -> dict[str, tuple[int, ...]]:
    """Shape of every numeric dataset of a file, by its name.

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
    """Some rows of a dataset, or one.

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
