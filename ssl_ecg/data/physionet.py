"""The base of all data sets on PhysioNet: files are fetched where they are missing, and checked when read."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from ssl_ecg.data import download
from ssl_ecg.data.source import Source
from ssl_ecg.errors import DataError


class PhysioNetSource(Source):
    """A data set whose files lie on PhysioNet.

    A subclass names the `database` (slug and version, such as "ptb-xl/1.0.3"), its `title` in messages, the files of
    each recording, and its `index`: files that say which recordings there are and whose, needed before anything else.

    Args:
        root: folder of the database; `data/` and its name on PhysioNet, such as `data/ludb`, by default.
        download: fetch what is missing in `root` from PhysioNet. If false, recordings whose files are missing
            are left out and reported.
    """

    database: ClassVar[str]
    title: ClassVar[str]
    index: ClassVar[tuple[str, ...]] = ("RECORDS",)

    def __init__(self, root: str | None = None, download: bool = True) -> None:
        self.root = Path(f"data/{self.database.split('/')[0]}" if root is None else root).expanduser()
        self.download = download

    @abstractmethod
    def files(self, number: int) -> Sequence[str]:
        """The files of one recording, relative to `root`."""

    def ensure(self, limit: int | None = None) -> None:
        """Fetch what is missing: first the index, then the files of the recordings.

        DataError if the index or all recordings are missing and cannot be fetched; it says what to fetch and where to
        put it.
        """
        self._fetch(self.index, len(self.index))
        numbers = range(len(self.records))[:limit]
        files = [file for number in numbers for file in self.files(number)]
        self._fetch(files, len(files))

    def fingerprint(self) -> dict[str, object]:
        """Name, version, SHA-256 of the index, and the number of bytes of each kind of file."""
        names = hashlib.sha256("\n".join(self.records).encode()).hexdigest()
        files = (self.root / file for number in range(len(self.records)) for file in self.files(number))
        size = sum(path.stat().st_size for path in files if path.is_file())  # tells fetched from missing or truncated
        return {**self._published(), "records": names, "bytes": size}

    def check_files(self, number: int) -> None:
        """Compare the files of a recording with `SHA256SUMS.txt`, where `root` has one.

        DataError if one is missing, or not the file PhysioNet published.
        """
        download.verify(self.root, self.files(number))

    def _published(self) -> dict[str, object]:
        """Name, version, and SHA-256 of the index."""
        name, version = self.database.split("/")
        return {"name": name, "version": version, "sha256": {f: download.sha256(self.root / f) for f in self.index}}

    def _fetch(self, files: Sequence[str], total: int) -> None:
        missing = [file for file in files if not (self.root / file).is_file()]
        if missing and self.download:
            download.from_physionet(self.database, missing, self.root)
        elif missing and (self.protocol or len(missing) == total or missing[0] in self.index):
            raise DataError(
                f"{self.root} lacks {len(missing):,} of the {total:,} files needed of {self.title}: "
                f"{', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}.\n"
                + download.physionet_remedy(self.database, self.root, missing[0])
            )
