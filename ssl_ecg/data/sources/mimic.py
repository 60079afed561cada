"""MIMIC-IV-ECG: 800,035 twelve-lead ECGs of 161,352 patients, without labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ssl_ecg.data.physionet import PhysioNetSource
from ssl_ecg.data.source import Recording
from ssl_ecg.data.wfdb_io import read_header, read_signal
from ssl_ecg.errors import DataError
from ssl_ecg.leads import STANDARD_12

if TYPE_CHECKING:
    import pandas as pd


class MIMIC(PhysioNetSource):
    """MIMIC-IV-ECG 1.0: 800,035 ECGs of 161,352 patients, twelve leads, 500 Hz, 10 s each; no labels.

    All diagnostic ECGs of the patients of MIMIC-IV (Beth Israel Deaconess Medical Center). A record is called by its
    `study_id`; its patient is the `subject_id`. All is for training. Files have aVF before aVL: take leads by name.

    Read from `record_list.csv` and the WFDB records it names. Not each of the 1.6 million files is looked at before
    work starts: a record whose file is missing is left out and reported when its turn comes, as is one with invalid
    samples (one or two in a hundred). Samples are compared with the checksums in the headers, not with
    `SHA256SUMS.txt`. A store is made anew when the list changes or a folder `files/p1000` to `files/p1999` comes or
    goes, not when a single record does.

    References:
        Gow et al., MIMIC-IV-ECG: Diagnostic Electrocardiogram Matched Subset (version 1.0), PhysioNet, 2023,
        https://physionet.org/content/mimic-iv-ecg/1.0/ (ODbL 1.0)

    Args:
        root: folder of the database, the one that holds `record_list.csv`.
        download: fetch what is missing in `root` from PhysioNet. All of it is 90 GB and takes days file by file:
            meant for a small `limit`.
    """

    database = "mimic-iv-ecg/1.0"
    title = "MIMIC-IV-ECG"
    index = ("record_list.csv",)
    classes = ()
    task = "record"
    leads = STANDARD_12

    def __init__(self, root: str = "data/mimic-iv-ecg", download: bool = False) -> None:
        super().__init__(root, download)

    def ensure(self, limit: int | None = None) -> None:
        """Fetch what is missing, where that is wanted; else see that there are files at all."""
        if self.download:
            super().ensure(limit)
            return
        self._fetch(self.index, 1)
        if not any(self.root.glob("files/p*/p*/s*/*.hea")):  # stops at the first
            self._fetch(self.files(0), 2)

    def fingerprint(self) -> dict[str, object]:
        """Name, version, SHA-256 of the list, and which folders are there."""
        return {**self._published(), "folders": sorted(path.name for path in self.root.glob("files/p*"))}

    def check_files(self, number: int) -> None:
        """Not done: the list of checksums alone has 1.6 million lines, for every process."""

    @cached_property
    def records(self) -> Sequence[str]:
        """Every `study_id`, in the order of the list."""
        return self._table["study_id"].astype(str).tolist()

    def files(self, number: int) -> list[str]:
        path = self._table["path"].iloc[number]
        return [f"{path}.hea", f"{path}.dat"]

    def read(self, number: int) -> Recording:
        header = read_header(self.root / self.files(number)[0])
        signal, notes = read_signal(header)
        patient = str(self._table["subject_id"].iloc[number])
        return Recording(header.record, patient, signal, header.fs, header.leads, notes=notes)

    @cached_property
    def _table(self) -> pd.DataFrame:
        import pandas as pd

        path = self.root / self.index[0]
        numbers = ["subject_id", "study_id"]
        try:
            table = pd.read_csv(path, usecols=[*numbers, "path"], engine="pyarrow")
            if table.empty:
                raise ValueError("no records")
            return table.astype(dict.fromkeys(numbers, np.int64))
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path} is not the list of MIMIC-IV-ECG ({error}). Fetch it again.") from error
