"""What sources of a user's own files share: a table of labels, and leads that the files themselves say."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from ssl_ecg.data.download import sha256
from ssl_ecg.data.label_table import LabelTable
from ssl_ecg.data.lazy import Lazy
from ssl_ecg.data.source import Source
from ssl_ecg.errors import DataError


class OwnFiles(Lazy, Source):
    """Recordings from a user's own files.

    Args:
        labels: a CSV file (see `LabelTable`).
        leads: the leads all of them have; those of the first that can be read if not given.
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
    """Under what name the patients of a folder or file are known: numbers such as 0001 are in many of them."""
    return f"{type(source).__name__}:{place.resolve().name}"
