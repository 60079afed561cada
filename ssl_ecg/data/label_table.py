"""What a user's own table says of recordings: whose each is, which side it is on, its labels, age and sex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from ssl_ecg.data.people import age_of, sex_of
from ssl_ecg.data.source import Split
from ssl_ecg.data.splits import hashed_split
from ssl_ecg.errors import DataError


@dataclass(frozen=True, slots=True)
class Entry:
    """What is said of one recording; attributes as in `Recording`."""

    patient: str
    split: Split
    labels: tuple[str, ...] = ()
    age: float | None = None
    sex: Literal["F", "M"] | None = None
    notes: tuple[str, ...] = ()


class LabelTable:
    """A CSV file with a column `record` and any of `patient`, `split`, `label`, `age` and `sex`.

    A recording without a patient is taken to be the only one of its patient. Without a split, it follows from
    the patient's name (`hashed_split`). Labels are separated by "|"; other columns are ignored.

    Args:
        path: the file; None if there is none, and nothing is said of any recording.

    Attributes:
        classes: every label, in alphabetical order.
        multilabel: whether a recording has several labels.

    Raises:
        DataError: if the file cannot be read, has no column `record` or a record twice, a split that is none,
            or a patient on two sides.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._entries = {} if path is None else _read(path)
        labels = [entry.labels for entry in self._entries.values()]
        self.classes = tuple(sorted({label for some in labels for label in some}))
        self.multilabel = any(len(some) > 1 for some in labels)

    def entry(self, record: str) -> Entry:
        """What is said of a recording."""
        return self._entries.get(record) or Entry(record, hashed_split(record))

    def check(self, records: Sequence[str]) -> None:
        """See that the table is of these recordings.

        Raises:
            DataError: if it names none of them.
        """
        if self._entries and not self._entries.keys() & set(records):
            raise DataError(
                f"{self.path} names none of the {len(records):,} recordings: they are called {records[0]}, ..., "
                f"and the table has {next(iter(self._entries))}, ... in its column record."
            )


def _read(path: Path) -> dict[str, Entry]:
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable CSV file ({error}).") from error
    if "record" not in table:
        raise DataError(f"{path} has no column record; it has {', '.join(map(str, table.columns))}.")
    entries: dict[str, Entry] = {}
    sides: dict[str, Split] = {}
    for row in table.to_dict("records"):
        cells = {str(name): str(cell).strip() for name, cell in row.items()}
        record = cells["record"]
        entry = _entry(path, cells)
        if record in entries:
            raise DataError(f"{path} has the record {record} twice.")
        if sides.setdefault(entry.patient, entry.split) != entry.split:
            raise DataError(
                f"{path} has patient {entry.patient} in {sides[entry.patient]} and, with record {record}, in "
                f"{entry.split}: a patient on both sides would leak."
            )
        entries[record] = entry
    return entries


def _entry(path: Path, cells: dict[str, str]) -> Entry:
    record = cells["record"]
    patient = cells.get("patient") or record
    split = cells.get("split") or hashed_split(patient)
    if split not in get_args(Split):
        raise DataError(f"{path}: the split of {record} is {split!r}, not one of {', '.join(get_args(Split))}.")
    labels = tuple(label.strip() for label in cells.get("label", "").split("|") if label.strip())
    age, odd_age = age_of(cells.get("age"))
    sex, odd_sex = sex_of(cells.get("sex"))
    return Entry(patient, cast(Split, split), tuple(dict.fromkeys(labels)), age, sex, odd_age + odd_sex)
