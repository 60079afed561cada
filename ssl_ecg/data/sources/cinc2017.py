"""The PhysioNet/CinC Challenge 2017: short one-lead ECGs of a hand-held device, normal, AF, other or too noisy."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from ssl_ecg.data.physionet import PhysioNetSource
from ssl_ecg.data.source import Recording, Split
from ssl_ecg.data.wfdb_io import read_header, read_signal
from ssl_ecg.errors import DataError
from ssl_ecg.files import replacing

_FOLDER, _ZIP, _TABLE = "training2017", "training2017.zip", "REFERENCE-v3.csv"


class CinC2017(PhysioNetSource):
    """Training data of the PhysioNet/CinC Challenge 2017: 8,528 ECGs of one lead, 300 Hz, 9 to 61 s each.

    Recorded at home with a hand-held device (AliveCor): lead I by its making, inverted in some recordings, and called
    ECG here as in the headers. Each has one of four classes: N (normal), A (atrial fibrillation), O (another rhythm)
    and ~ (too noisy to tell), by version 3 of the labels.

    Nothing is known of the patients, not even how many there are: each recording counts as a patient of its own, so
    that a person may be on two sides of the split. The split is `int(sha256("s" + name), 16) % 10` in hexadecimal: 0 to
    5 for training, 6 and 7 for validation, 8 and 9 for the test.

    Read from `REFERENCE-v3.csv` and the folder `training2017`, or `training2017.zip`, which is unpacked. Headers have a
    checksum of 0, as published, so samples cannot be checked.

    References:
        Clifford et al., AF classification from a short single lead ECG recording: the PhysioNet/Computing in
        Cardiology Challenge 2017, Computing in Cardiology 44, 2017,
        https://physionet.org/content/challenge-2017/1.0.0/ (ODC-By 1.0)

    Args:
        root: folder of the challenge, the one that holds `REFERENCE-v3.csv`.
        download: fetch what is missing from PhysioNet, where `root` has no recordings (95 MB). Of those that are there
            all are read, and the others of the table left out without a word.
    """

    database = "challenge-2017/1.0.0"
    title = "the PhysioNet/CinC Challenge 2017"
    index = (_TABLE,)
    classes = ("N", "A", "O", "~")
    task = "record"
    leads = ("ECG",)
    patients_known = False

    def ensure(self, limit: int | None = None) -> None:
        """Fetch the table, and the recordings where there are none."""
        self._fetch(self.index, 1)
        if not self.records:
            if not (self.root / _ZIP).is_file():
                self._fetch([_ZIP], 1)
            self._unpack()
            vars(self).pop("records", None)  # there are more now
        if not self.records:
            raise DataError(f"{self.root / _ZIP} holds no recording of {_TABLE}. Delete it and fetch it again.")

    @cached_property
    def records(self) -> tuple[str, ...]:
        """Every record of the table that is there, in its order."""
        there = {path.stem for path in (self.root / _FOLDER).glob("*.hea")}
        return tuple(name for name in self._labels if name in there)

    def files(self, number: int) -> Sequence[str]:
        """Header and signal of a recording."""
        return [f"{_FOLDER}/{self.records[number]}.{suffix}" for suffix in ("hea", "mat")]

    def read(self, number: int) -> Recording:
        """One recording."""
        self.check_files(number)
        name = self.records[number]
        header = read_header(self.root / _FOLDER / f"{name}.hea")
        signal, odd = read_signal(header)
        return Recording(
            record=name,
            patient=name,
            signal=signal,
            fs=header.fs,
            leads=header.leads,
            split=_split(name),
            labels=(self._labels[name],),
            notes=() if all("is 0, so" in note for note in odd) else odd,  # all of them are
        )

    @cached_property
    def _labels(self) -> dict[str, str]:
        """Record -> its class."""
        path = self.root / _TABLE
        try:
            rows = [line.split(",") for line in path.read_text(encoding="utf-8-sig").split()]
        except (OSError, ValueError) as error:
            raise DataError(f"{path} is not the table of {self.title} ({error}). Fetch it again.") from error
        labels = {row[0]: row[-1] for row in rows if len(row) == 2 and row[1] in self.classes}
        if not rows or len(labels) < len(rows):
            odd = f"{len(rows) - len(labels):,} of {len(rows):,} lines"
            raise DataError(
                f"{path} is not the table of {self.title}: {odd} do not give a record of their own and one of the "
                f"classes {', '.join(self.classes)}. Fetch it again."
            )
        return labels

    def _unpack(self) -> None:
        """Unpack the recordings, each of them whole or not at all."""
        path = self.root / _ZIP
        (self.root / _FOLDER).mkdir(exist_ok=True)
        try:
            with zipfile.ZipFile(path) as archive:
                members = [m for m in archive.infolist() if m.filename.endswith((".hea", ".mat"))]
                for member in sorted(members, key=lambda m: m.filename.endswith(".hea")):  # headers last: they count
                    target = self.root / _FOLDER / Path(member.filename).name
                    with replacing(target) as part, archive.open(member) as packed, open(part, "wb") as out:
                        shutil.copyfileobj(packed, out)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} cannot be unpacked ({error}). Delete it and fetch it again.") from error


def _split(name: str) -> Split:
    draw = int(hashlib.sha256(f"s{name}".encode()).hexdigest(), 16) % 10
    return "train" if draw < 6 else "val" if draw < 8 else "test"
