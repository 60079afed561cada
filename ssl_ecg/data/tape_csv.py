"""A long CSV file as an array on disk, in constant memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.array_files import TIME, is_number
from ssl_ecg.errors import DataError
from ssl_ecg.files import replacing, write_text

_ROWS = 250_000  # read at a time
_LONGEST_GAP = 7 * 24 * 3600.0  # s, in all
_GAP = 0.1  # s: a clock that jumps by more is noted

Unrolled = tuple[Path, tuple[str, ...], float | None, tuple[str, ...]]


def unroll(path: Path, scratch: Path, leads: tuple[str, ...] | None, fs: float | None) -> Unrolled:
    """Write the samples of a CSV file to an array (C, T) in a folder; once, unless the file changes.

    A column a lead, by the names above the columns or `leads`; a first column of times gives the rate, where `fs` does
    not, and where it jumps forwards the missing samples are NaN.

    Returns:
        The array's path, the leads, the rate if the file says it, and notes of what is odd.

    Raises:
        DataError: if it cannot be read, its times run backwards, or what its columns are is not known.
    """
    made, said, stat = scratch / "signal.npy", scratch / "signal.json", path.stat()
    key = [str(path.resolve()), stat.st_size, stat.st_mtime_ns, list(leads or ()), fs]
    if not (made.exists() and said.exists() and json.loads(said.read_text())["key"] == key):
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            table = _Table(path, leads, fs)
            notes = table.write(made)
        except (OSError, ValueError, IndexError) as error:
            raise DataError(f"{path} is not a readable CSV file of numbers ({error}).") from error
        about = {"key": key, "leads": table.wanted, "fs": table.fs, "notes": notes}
        write_text(said, json.dumps(about))
    known = json.loads(said.read_text())
    return made, tuple(known["leads"]), known["fs"], tuple(known["notes"])


class _Table:
    """What the columns of a CSV file are, its rate, and how many samples there are by its times or its rows."""

    def __init__(self, path: Path, leads: tuple[str, ...] | None, fs: float | None) -> None:
        import pandas as pd

        self.path = path
        above = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0].str.strip().tolist()
        self.named = not all(map(is_number, above))
        if not self.named and leads is None:
            raise DataError(f"{path} has no names above its columns: say what its leads are with --leads")
        have = above if self.named else list(leads or ())
        self.timed = self.named and have[0].lower() in TIME
        self.wanted = list(leads or have[self.timed :])
        if lacking := [lead for lead in self.wanted if lead not in have]:
            raise DataError(f"{path} has no column {', '.join(lacking)}; it has {', '.join(have)}")
        self.columns = [have.index(lead) for lead in self.wanted]
        first = [part[:, 0] for part in self.parts()]
        rows = sum(map(len, first))
        self.fs, self.count, self.start = fs, rows, float(first[0][0])
        if self.timed:
            step = float(np.median([np.median(np.diff(times)) for times in first if len(times) > 1]))
            if not step > 0:
                raise DataError(f"{path}: its column {have[0]} does not rise from row to row")
            self.fs = fs or round(1 / step, 3)
            self.count = max(1, round((float(first[-1][-1]) - self.start) * self.fs) + 1)
            if self.count > rows + _LONGEST_GAP * self.fs:
                raise DataError(f"{path}: its times jump by more than a week in all: repair its clock")

    def parts(self) -> Iterator[NDArray[np.float64]]:
        """All columns, some rows at a time."""
        import pandas as pd

        how: dict[str, Any] = {"header": None, "skiprows": int(self.named), "dtype": np.float64, "chunksize": _ROWS}
        with pd.read_csv(self.path, **how) as reader:
            for part in reader:
                yield part.to_numpy()

    def write(self, made: Path) -> list[str]:
        """Write the array; gives notes of where the clock jumps."""
        with replacing(made) as temporary, open(temporary, "wb") as file:
            into, at = _Samples(file, len(self.columns), self.count), 0
            for part in self.parts():
                x = part[:, self.columns].T.astype("<f4")
                if self.timed and self.fs is not None:
                    at = into.place(x, part[:, 0] - self.start, self.fs, at, self.path)
                else:
                    into.put(x, at)
                    at += x.shape[1]
            return into.notes


@dataclass
class _Samples:
    """A `.npy` file of `rows` leads, all of whose `count` samples are missing at first."""

    file: IO[bytes]
    rows: int
    count: int
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        about = {"descr": "<f4", "fortran_order": False, "shape": (self.rows, self.count)}
        np.lib.format.write_array_header_2_0(self.file, about)
        self.begin = self.file.tell()
        for _ in range(self.rows):
            for first in range(0, self.count, _ROWS):
                self.file.write(np.full(min(_ROWS, self.count - first), np.nan, dtype="<f4").tobytes())

    def put(self, x: NDArray[np.float32], at: int) -> None:
        """Write samples (C, n) from sample `at` on."""
        for row, lead in enumerate(x[:, : max(0, self.count - at)]):
            self.file.seek(self.begin + 4 * (row * self.count + at))
            self.file.write(lead.tobytes())

    def place(self, x: NDArray[np.float32], times: NDArray[np.float64], rate: float, at: int, path: Path) -> int:
        """Write samples (C, n) where their times say; gives the sample after the last. Jumps of the clock are noted."""
        places = np.rint(times * rate)
        if not np.isfinite(times).all() or (np.diff(times) <= 0).any() or places[0] < at - 1:
            raise DataError(f"{path}: its times run backwards, or some are missing, before {times[-1]:.3f} s")
        for some in np.split(np.arange(len(places)), np.flatnonzero(np.diff(places) > 1 + _GAP * rate) + 1):
            first = int(places[some[0]])
            if (gap := (first - at) / rate) > _GAP:
                self.notes.append(f"the clock jumps by {gap:.1f} s at {at / rate:.1f} s: nothing is there")
            self.put(x[:, some], first)
            at = first + len(some)
        return at
