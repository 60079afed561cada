"""MIT-BIH Arrhythmia Database: 44 half-hour recordings, every beat labelled by two cardiologists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from ssl_ecg.data import physionet
from ssl_ecg.data.source import Beats, Recording, Source
from ssl_ecg.data.wfdb_io import Header, read_annotations, read_header, read_signal
from ssl_ecg.errors import DataError

DATABASE = "mitdb/1.0.0"
FS = 360.0

_PROTOCOL = {
    "train": "101 106 108 109 112 114 115 116 118 119 122 124 201 203 205 207 208 209 215 220 223 230",
    "test": "100 103 105 111 113 117 121 123 200 202 210 212 213 214 219 221 222 228 231 232 233 234",
}
DS1 = tuple(_PROTOCOL["train"].split())
DS2 = tuple(_PROTOCOL["test"].split())

AAMI = {
    symbol: label
    for label, symbols in {"N": "NLRej", "S": "AaJS", "V": "VE", "F": "F", "": "/fQ"}.items()
    for symbol in symbols
}
"""WFDB beat symbol -> AAMI class, "" for Q (paced or unclassifiable). Any other symbol is no beat."""


class MITBIH(Source):
    """MIT-BIH Arrhythmia Database 1.0.0: two leads, 360 Hz, beats in the AAMI classes N, S, V and F.

    The protocol of de Chazal (2004) after AAMI EC57: DS1 is the split "train", DS2 is "test", 22 records
    each; the paced records 102, 104, 107 and 217 are left out. Beats of AAMI class Q are given without a
    class, so that RR intervals are right; rhythm, noise and flutter-wave marks are no beats.

    Leads come in the file's order and under the header's names: MLII and one chest lead, and in record 114
    the chest lead first. Take them by name.

    One subject is on both sides of the protocol: record 202 (DS2) was cut from the same tape as 201 (DS1).
    Both have the patient "201", and `shared_patients` says so: report DS2 with and without such records.

    References:
        Moody and Mark, The impact of the MIT-BIH Arrhythmia Database, IEEE Eng. Med. Biol. 20(3), 2001.
        de Chazal et al., Automatic classification of heartbeats using ECG morphology and heartbeat interval
        features, IEEE Trans. Biomed. Eng. 51(7), 2004.

    Args:
        root: folder of the database, the one that holds `100.hea`.
        download: fetch what is missing in `root` from PhysioNet (about 90 MB). If false, or offline, the
            error says what to fetch and where to put it.
    """

    classes = ("N", "S", "V", "F")
    task = "beat"
    shared_patients: ClassVar[Mapping[str, tuple[str, ...]]] = {"201": ("201", "202")}
    """Patients on both sides of the protocol, with their records."""

    def __init__(self, root: str = "data/mitdb", download: bool = True) -> None:
        self.root = Path(root).expanduser()
        self.download = download
        self._digests: dict[str, str] | None = None

    @property
    def files(self) -> list[str]:
        """Every file that is read, relative to `root`."""
        return [f"{record}.{kind}" for record in DS1 + DS2 for kind in ("hea", "dat", "atr")]

    def ensure(self) -> None:
        """Fetch what is missing from PhysioNet; check headers, sizes and checksums of all of it, once."""
        if missing := [file for file in self.files if not (self.root / file).is_file()]:
            if not self.download:
                raise DataError(
                    f"{self.root} lacks {len(missing)} of the {len(self.files)} files needed of the MIT-BIH "
                    f"Arrhythmia Database: {', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}.\n"
                    + physionet.remedy(DATABASE, self.root, self.files[0])
                )
            physionet.download(DATABASE, self.files, self.root)
        self._check()

    def fingerprint(self) -> dict[str, object]:
        """Name, version, and the SHA-256 of every file that is read."""
        name, version = DATABASE.split("/")
        return {"name": name, "version": version, "sha256": dict(self._check())}

    def __len__(self) -> int:
        return len(DS1 + DS2)

    def recordings(self) -> Iterator[Recording]:
        """The 22 records of DS1, then the 22 of DS2."""
        self.ensure()
        for record in DS1 + DS2:
            yield self._read(record)

    def _check(self) -> dict[str, str]:
        """SHA-256 of every file. The first time, each is checked: headers and sizes first, which say more."""
        if self._digests is None:
            for record in DS1 + DS2:
                self._header(record)
            self._digests = physionet.verify(self.root, self.files)
        return self._digests

    def _header(self, record: str) -> Header:
        header = read_header(self.root / f"{record}.hea")
        if header.fs != FS or len(header.leads) != 2 or "MLII" not in header.leads:
            raise DataError(
                f"{header.path} is not of the MIT-BIH Arrhythmia Database: {header.fs:g} Hz, leads "
                f"{', '.join(header.leads)}; expected {FS:g} Hz, MLII and one chest lead. "
                f"Give the right root, or delete the file and fetch it again."
            )
        return header

    def _read(self, record: str) -> Recording:
        header = self._header(record)
        path = self.root / f"{record}.atr"
        samples, symbols = read_annotations(path, header.n_samples)
        is_beat = np.isin(symbols, list(AAMI))
        if not is_beat.any():
            raise DataError(f"{path} has no beats. Delete it and fetch it again.")
        return Recording(
            record=record,
            patient=next((p for p, shared in self.shared_patients.items() if record in shared), record),
            signal=read_signal(header),
            fs=header.fs,
            leads=header.leads,
            split="train" if record in DS1 else "test",
            beats=Beats(samples[is_beat], np.array([AAMI[s] for s in symbols[is_beat]])),
        )
