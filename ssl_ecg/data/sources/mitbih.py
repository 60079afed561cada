"""MIT-BIH Arrhythmia Database: 44 half-hour recordings, every beat labelled by two cardiologists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ssl_ecg.data import download
from ssl_ecg.data.source import Split
from ssl_ecg.data.sources.holter import Holter
from ssl_ecg.data.wfdb_io import Header
from ssl_ecg.errors import UserError
from ssl_ecg.leads import canonical

_PROTOCOL = {
    "train": "101 106 108 109 112 114 115 116 118 119 122 124 201 203 205 207 208 209 215 220 223 230",
    "test": "100 103 105 111 113 117 121 123 200 202 210 212 213 214 219 221 222 228 231 232 233 234",
}
DS1 = tuple(_PROTOCOL["train"].split())
DS2 = tuple(_PROTOCOL["test"].split())


class MITBIH(Holter):
    """MIT-BIH Arrhythmia Database 1.0.0: two leads, 360 Hz, beats in the AAMI classes N, S, V and F.

    The protocol of de Chazal (2004) after AAMI EC57: DS1 is the split "train", DS2 is "test", 22 records each; the
    paced records 102, 104, 107 and 217 are left out. Beats of AAMI class Q are given without a class, so that RR
    intervals are right; rhythm, noise and flutter-wave marks are no beats.

    Leads come in the file's order under the header's names, MLII and one chest lead, in record 114 the chest lead
    first: take them by name. The chest lead is V1 in 40 of the 48 records, and V2, V4 or V5 in the others: to use both
    leads of all, give it one name with `chest`.

    One subject is on both sides of the protocol: record 202 (DS2) was cut from the same tape as 201 (DS1).
    Both have the patient "201", and `shared_patients` says so: report DS2 with and without such records.

    References:
        Moody and Mark, The impact of the MIT-BIH Arrhythmia Database, IEEE Eng. Med. Biol. 20(3), 2001.
        https://physionet.org/content/mitdb/1.0.0/ (ODC-By 1.0)
        de Chazal et al., Automatic classification of heartbeats using ECG morphology and heartbeat interval
        features, IEEE Trans. Biomed. Eng. 51(7), 2004.

    Args:
        root: folder of the database, the one that holds `100.hea`.
        download: fetch what is missing in `root` from PhysioNet (90 MB). If false, the error says what to fetch.
        chest: what to call the chest lead of every record, "V1" say, wherever its electrode was; by default what the
            header calls it.
    """

    database = "mitdb/1.0.0"
    title = "the MIT-BIH Arrhythmia Database"
    index = ()  # the protocol names the records
    fs = 360.0
    leads: tuple[str, ...] = ("II",)
    expected = "360 Hz, MLII and one chest lead"
    protocol = True
    shared_patients: ClassVar[Mapping[str, tuple[str, ...]]] = {"201": ("201", "202")}
    """Patients on both sides of the protocol, with their records."""
    subsets: ClassVar[Mapping[str, tuple[str, ...]]] = {"without 202": ("202",), "without 232": ("232",)}
    """Record 232 holds 1,382 of the 1,837 S beats of DS2: what is scored without it is scored on the other patients."""

    def __init__(self, root: str = "data/mitdb", download: bool = True, chest: str | None = None) -> None:
        super().__init__(root, download)
        self.chest = chest
        if chest is not None:
            if canonical(chest) == "II":
                raise UserError("MITBIH: chest names the other lead: lead II (MLII) is there already")
            self.leads = ("II", chest)

    @property
    def records(self) -> tuple[str, ...]:
        """The 22 records of DS1, then the 22 of DS2."""
        return DS1 + DS2

    def ensure(self, limit: int | None = None) -> None:
        """Fetch what is missing from PhysioNet; check headers, sizes and checksums of all of it."""
        super().ensure(limit)
        numbers = range(len(self.records))[:limit]
        for number in numbers:  # before the checksums: they say more
            self.header(number)
        download.verify(self.root, [file for number in numbers for file in self.files(number)])

    def fingerprint(self) -> dict[str, object]:
        """Name, version, and the SHA-256 of every file that is read."""
        files = [file for number in range(len(self.records)) for file in self.files(number)]
        there = [file for file in files if (self.root / file).is_file()]
        named = {} if self.chest is None else {"chest": self.chest}
        return {**self._published(), "sha256": download.verify(self.root, there), **named}

    def patient(self, record: str) -> str:
        return next((patient for patient, records in self.shared_patients.items() if record in records), record)

    def split(self, record: str) -> Split:
        """The side the protocol has a record on."""
        return "train" if record in DS1 else "test"

    def belongs(self, header: Header) -> bool:
        """Whether a header is of this database."""
        return header.fs == self.fs and len(header.leads) == 2 and "MLII" in header.leads

    def _names(self, header: Header) -> tuple[str, ...]:
        if self.chest is None:
            return super()._names(header)
        return tuple(lead if canonical(lead) == "II" else self.chest for lead in header.leads)
