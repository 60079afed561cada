"""CODE-15%: 345,779 twelve-lead ECGs of Brazilian primary care, in eighteen HDF5 files."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ssl_ecg.data import download
from ssl_ecg.data.array_files import open_array
from ssl_ecg.data.source import Recording, Source
from ssl_ecg.data.splits import hashed_split
from ssl_ecg.data.tables import age_of
from ssl_ecg.errors import DataError
from ssl_ecg.files import replacing
from ssl_ecg.leads import STANDARD_12

if TYPE_CHECKING:
    import pandas as pd

ZENODO = 4916206
LEADS = ("DI", "DII", "DIII", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
_LABELS = ("1dAVb", "RBBB", "LBBB", "SB", "ST", "AF", "normal_ecg")
_KEYS = ["exam_id", "patient_id", "trace_file"]
_FLAGS = [*_LABELS, "is_male"]
_BOOLEAN = {True: True, False: False, "True": True, "False": False}
_SEX: dict[bool, Literal["F", "M"]] = {True: "M", False: "F"}


class CODE15(Source):
    """CODE-15%: 345,779 exams of 233,770 patients, twelve leads, 400 Hz, 7 to 10 s each.

    From the Telehealth Network of Minas Gerais, 2010 to 2016. Six classes, several or none an exam: 1dAVb
    (first degree AV block), RBBB, LBBB, SB and ST (sinus bradycardia and tachycardia), AF (atrial
    fibrillation). An exam without any is not therefore normal: the labels hold `normal_ecg` for those that are.
    Splits follow from the patient's number (`hashed_split`), as the data set has none.

    Read from `exams.csv` and `exams_part0.hdf5` to `exams_part17.hdf5`, each with `tracings`, (n, 4096, 12)
    float32, and `exam_id`, (n,), by which rows are found: the order is not that of the table, and every file
    ends with a row of zeros whose `exam_id` is 0. The zeros that fill a shorter exam up on both sides are cut
    off. Exams are read file after file, so that with `limit` only the first files are fetched.

    The documentation calls the scale "1e-4 V" and in the same sentence describes mV; amplitudes are those of an ECG
    only in mV, and are taken so. Leads are in the order documented for this data set; the CODE test set has another.

    References:
        Ribeiro et al., CODE-15%: a large scale annotated dataset of 12-lead ECGs, Zenodo, 2021,
        https://doi.org/10.5281/zenodo.4916206 (CC BY 4.0)
        Ribeiro et al., Automatic diagnosis of the 12-lead ECG using a deep neural network, Nature
        Communications 11, 2020.

    Args:
        root: folder of the data set, the one that holds `exams.csv`. Zip files of Zenodo in it are unpacked.
        download: fetch missing files from Zenodo (about 45 GB). If false, exams without them are left out.
    """

    classes = _LABELS[:-1]
    task = "record"
    multilabel = True
    leads = STANDARD_12

    def __init__(self, root: str = "data/code-15", download: bool = True) -> None:
        self.root = Path(root).expanduser()
        self.download = download
        self._csv = self.root / "exams.csv"

    def ensure(self, limit: int | None = None) -> None:
        """Fetch the table, and the files of the exams that are wanted."""
        if not self._csv.is_file():
            if not self.download:
                raise self._lacks(self._csv.name)
            download.from_zenodo(ZENODO, [self._csv.name], self.root)
        wanted: list[str] = self._exams["trace_file"].iloc[:limit].unique().tolist()
        for name in wanted:  # one after the other: only one lies there packed and unpacked
            packed = self.root / name.replace(".hdf5", ".zip")
            if self._there(name):
                continue
            if fetched := self.download and not packed.is_file():
                download.from_zenodo(ZENODO, [packed.name], self.root)
            if packed.is_file():
                _unpack(packed, self.root / name)
            if fetched:
                packed.unlink()
        if not any(map(self._there, wanted)):
            raise self._lacks(wanted[0])
        for name in ("_table", "records"):  # there may be more now
            vars(self).pop(name, None)

    def fingerprint(self) -> dict[str, object]:
        """SHA-256 of the table, and the size of each file that is there."""
        files = {name: (self.root / name).stat().st_size for name in self._table["trace_file"].unique().tolist()}
        return {"name": "code-15", "zenodo": ZENODO, "sha256": download.sha256(self._csv), "files": files}

    @cached_property
    def records(self) -> Sequence[str]:
        """Numbers of the exams whose files are there, file after file."""
        return self._table["exam_id"].astype(str).tolist()

    def read(self, number: int) -> Recording:
        """One exam, without the zeros around it."""
        exam = self._table.iloc[number]
        path, name = self.root / exam["trace_file"], str(exam["exam_id"])
        row = self._row(path, exam["exam_id"])
        with open_array(path, "tracings") as stack:
            traces = np.asarray(stack[row])
        if traces.ndim != 2 or traces.shape[1] != len(LEADS):
            raise DataError(f"{path}: an exam has shape {traces.shape}, not (4096, {len(LEADS)}). Fetch it again.")
        there = np.flatnonzero(traces.any(axis=1))  # a NaN is something
        if not there.size:
            raise DataError(f"{path}: exam {name} is all zeros.")
        age, notes = age_of(exam["age"])
        patient = str(exam["patient_id"])
        return Recording(
            record=name,
            patient=patient,
            signal=np.ascontiguousarray(traces[there[0] : there[-1] + 1].T, dtype=np.float32),
            fs=400.0,
            leads=LEADS,
            split=hashed_split(patient),
            labels=tuple(label for label in _LABELS if exam[label] is True),
            age=age,
            sex=_SEX.get(exam["is_male"]),
            notes=notes,
        )

    def _there(self, name: str) -> bool:
        return (self.root / name).is_file()

    @cached_property
    def _exams(self) -> pd.DataFrame:
        """Every exam, those of the first file first."""
        import pandas as pd

        try:
            table = pd.read_csv(self._csv, usecols=[*_KEYS, *_FLAGS, "age"])
            table = table.dropna(subset=_KEYS).astype({"exam_id": np.int64, "patient_id": np.int64})
            if table.empty:
                raise ValueError("no exams")
            part = table["trace_file"].str.extract(r"^exams_part(\d+)\.hdf5$", expand=False).astype(np.int64)
        except (OSError, ValueError) as error:
            raise DataError(f"{self._csv} is not the table of CODE-15% ({error}). Fetch it again.") from error
        for flag in _FLAGS:
            table[flag] = table[flag].map(_BOOLEAN).astype(object)
        return table.iloc[part.argsort(kind="stable")]

    @cached_property
    def _table(self) -> pd.DataFrame:
        """The exams whose files are there."""
        there = [name for name in self._exams["trace_file"].unique() if self._there(name)]
        return self._exams[self._exams["trace_file"].isin(there)]

    def _row(self, path: Path, exam: int) -> int:
        """Where in its file an exam is."""
        if path not in self._rows:
            with open_array(path, "exam_id") as ids:
                self._rows[path] = {exam: row for row, exam in enumerate(ids[:].tolist())}
        if exam not in self._rows[path]:
            raise DataError(f"{path} has no exam {exam}, and {self._csv} says it has. Fetch both again.")
        return self._rows[path][exam]

    @cached_property
    def _rows(self) -> dict[Path, dict[int, int]]:
        """Of each file that was asked for, exam -> row."""
        return {}

    def _lacks(self, name: str) -> DataError:
        return DataError(
            f"{self.root} lacks {name} of CODE-15%. Get it from https://zenodo.org/records/{ZENODO} "
            f"(exams_part*.zip may lie there as they are), or let it be fetched with download=true."
        )


def _unpack(packed: Path, target: Path) -> None:
    """Take the one HDF5 file out of a zip file."""
    try:
        with zipfile.ZipFile(packed) as archive:
            (member,) = [name for name in archive.namelist() if Path(name).name == target.name]
            with archive.open(member) as content, replacing(target) as temporary, temporary.open("wb") as out:
                shutil.copyfileobj(content, out, 1 << 20)
    except (zipfile.BadZipFile, ValueError, EOFError, zlib.error) as error:
        raise DataError(f"{packed} is damaged, or has no {target.name} ({error}). Delete it and run again.") from error
