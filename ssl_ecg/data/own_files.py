"""A user's own files: what `WFDBFolder` and `Arrays` share, and the table of labels that may go with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from ssl_ecg.data.download import sha256
from ssl_ecg.data.source import Source, Split
from ssl_ecg.data.splits import hashed_split
from ssl_ecg.data.tables import age_of, sex_of
from ssl_ecg.errors import DataError

_COLUMNS = ("record", "patient", "split", "label", "age", "sex")


class LabelTable:
    """A CSV file with a column `record` and any of `patient`, `split`, `label`, `age` and `sex`; None says nothing.

    A recording without a patient is taken to be the only one of its patient. Without a split, it follows from the
    patient's name (`hashed_split`) where there are labels; without any label, all is for training. Labels are separated
    by "|"; other columns are ignored. A file of two columns without a header line has records and labels. `classes` are
    all labels in alphabetical order. DataError if the file cannot be read, has no column `record` or a record twice, a
    split that is none, or a patient on two sides.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        rows, self._headed = ([], True) if path is None else _rows(path)
        labels = [_labels(row) for row in rows]
        self.classes = tuple(sorted({label for some in labels for label in some}))
        self.multilabel = any(len(some) > 1 for some in labels)
        self._entries: dict[str, dict[str, Any]] = {}
        sides: dict[str, Split] = {}
        for row in rows:
            record, entry = row["record"], self._entry(row)
            if record in self._entries:
                raise DataError(f"{path} has the record {record} twice.")
            patient, split = entry["patient"], entry["split"]
            if sides.setdefault(patient, split) != split:
                raise DataError(
                    f"{path} has patient {patient} in {sides[patient]} and, with record {record}, in {split}: "
                    "a patient on both sides would leak."
                )
            self._entries[record] = entry

    def entry(self, record: str) -> dict[str, Any]:
        """Look up what the table says of a recording, by the fields of `Recording`: the defaults where it has none."""
        return dict(self._entries.get(record) or self._entry({"record": record}))

    def check(self, records: Sequence[str]) -> None:
        """Check that the table names these recordings.

        DataError if it names none of them, or begins with what is neither a recording nor a header line.
        """
        if not self._entries:
            return
        first = next(iter(self._entries))
        if not self._entries.keys() & set(records):
            raise DataError(
                f"{self.path} names none of the {len(records):,} recordings: they are called {records[0]}, ..., "
                f"and the table has {first}, ... in its column record."
            )
        alike = Counter(entry["labels"] for entry in self._entries.values())
        if not self._headed and first not in records and alike[self._entries[first]["labels"]] == 1:
            raise DataError(f"{self.path} begins with {first}, which is no recording: begin it with record,label.")

    def _entry(self, row: dict[str, str]) -> dict[str, Any]:
        patient = row.get("patient") or row["record"]
        split = row.get("split") or (hashed_split(patient) if self.classes else "train")
        if split not in get_args(Split):
            of, known = row["record"], ", ".join(get_args(Split))
            raise DataError(f"{self.path}: the split of {of} is {split!r}, not one of {known}.")
        age, odd_age = age_of(row.get("age"))
        sex, odd_sex = sex_of(row.get("sex"))
        notes = odd_age + odd_sex
        return {"patient": patient, "split": split, "labels": _labels(row), "age": age, "sex": sex, "notes": notes}


def _rows(path: Path) -> tuple[list[dict[str, str]], bool]:
    """Column -> cell of each row, and whether the file has a header line."""
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        if headless := len(table.columns) == 2 and not set(table.columns) & set(_COLUMNS):
            table = pd.read_csv(path, dtype=str, keep_default_na=False, header=None, names=["record", "label"])
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable CSV file ({error}).") from error
    if "record" not in table:
        raise DataError(f"{path} has no column record; it has {', '.join(map(str, table.columns))}.")
    return [{str(k): str(cell).strip() for k, cell in row.items()} for row in table.to_dict("records")], not headless


def _labels(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label.strip() for label in row.get("label", "").split("|") if label.strip()))


class OwnFiles(Source):
    """Recordings from a user's own files.

    Args:
        labels: a CSV file with a column `record` and any of `patient`, `split` (train, val, test), `label`
            (several separated by "|"), `age` and `sex`, or of two columns, record and label, without a header line.
            Splits that are not given follow from the patient's name (70 % train, 10 % val, 20 % test) where there
            are labels; without labels, all is for training.
        leads: the leads that all recordings have, which are prepared where nothing else is asked for; those of the
            first that can be read if not given.
    """

    task = "record"

    def __init__(self, labels: str | None, leads: tuple[str, ...] | None) -> None:
        self.labels = Path(labels).expanduser() if labels is not None else None
        self.leads = leads or ()
        self.classes, self.multilabel = self._table.classes, self._table.multilabel

    def ensure(self, limit: int | None = None) -> None:
        """See that the table is of these recordings, and that one of them at least can be read."""
        self._table.check(self.records)
        self.leads = self.leads or self._first_leads()

    @cached_property
    def _table(self) -> LabelTable:
        return LabelTable(self.labels)

    def _labels_digest(self) -> str | None:
        return sha256(self.labels) if self.labels else None

    def _first_leads(self) -> tuple[str, ...]:
        problems = []
        for number in range(len(self.records)):
            try:
                return self.read(number).leads
            except DataError as error:  # as a rule the first can be read
                problems.append(error)
        raise problems[0]


def cohort_of(source: Source, place: Path) -> str:
    """Name the cohort of a folder or file after it: patients called 0001 are in many."""
    return f"{type(source).__name__}:{place.resolve().name}"
