"""Any folder of WFDB records."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from ssl_ecg.data.own_files import OwnFiles, cohort_of
from ssl_ecg.data.source import Recording
from ssl_ecg.data.wfdb_io import read_header, read_signal
from ssl_ecg.errors import DataError
from ssl_ecg.leads import numbered


class WFDBFolder(OwnFiles):
    """Every WFDB record in a folder and the folders in it, in any format wfdb reads and at any sampling rate.

    A record is called by its path, such as `ward3/0017`. Channels of the same name are numbered (`ECG1`, `ECG2` where
    both are called ECG), and all must be voltages. Annotations are not read. A checksum in a header that is not that of
    the samples is noted. Records of several segments are left out and reported; their segments count as records.

    Each record is taken to be the only one of its patient, unless the table of labels says otherwise: where
    people have several, give it a column `patient`, or they will be on both sides of the split.

    Args:
        root: the folder.
    """

    def __init__(self, root: str, labels: str | None = None, leads: tuple[str, ...] | None = None) -> None:
        self.root = Path(root).expanduser()
        super().__init__(labels, leads)
        self.cohort = cohort_of(self, self.root)

    def ensure(self, limit: int | None = None) -> None:
        """See that there are records, and that the table is of them."""
        if not self.records:
            raise DataError(f"{self.root} has no WFDB records (files that end with .hea). Give the folder they are in.")
        super().ensure(limit)

    def fingerprint(self) -> dict[str, object]:
        """SHA-256 of all headers, which hold the checksums of the signals, and of the table."""
        headers = hashlib.sha256()
        for name in self.records:
            headers.update(f"{name}\n".encode() + (self.root / f"{name}.hea").read_bytes())
        return {"name": "wfdb-folder", "headers": headers.hexdigest(), "labels": self._labels_digest()}

    @cached_property
    def records(self) -> Sequence[str]:
        """Paths of the headers, relative to the folder and without their suffix, in alphabetical order."""
        return sorted(path.relative_to(self.root).with_suffix("").as_posix() for path in self.root.rglob("*.hea"))

    def read(self, number: int) -> Recording:
        name = self.records[number]
        header = read_header(self.root / f"{name}.hea")
        signal, odd = read_signal(header, strict=False)
        said = self._table.entry(name)
        notes = odd + said.pop("notes")
        return Recording(record=name, signal=signal, fs=header.fs, leads=numbered(header.leads), notes=notes, **said)
