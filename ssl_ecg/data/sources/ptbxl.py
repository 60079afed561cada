"""PTB-XL: 21,799 clinical twelve-lead ECGs of ten seconds, with the statements of cardiologists."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from ssl_ecg.data.physionet import PhysioNetSource
from ssl_ecg.data.source import Recording, Split, check_choice
from ssl_ecg.data.tables import age_of, csv_rows, sex_of
from ssl_ecg.data.wfdb_io import TO_MV, Header, parse, read_header, read_signal
from ssl_ecg.errors import DataError
from ssl_ecg.leads import STANDARD_12

Labels = Literal["all", "diagnostic", "sub", "super", "form", "rhythm"]

SUPER = ("NORM", "MI", "STTC", "CD", "HYP")
_FOLDS: dict[str, Split] = {**{str(fold): "train" for fold in range(1, 9)}, "9": "val", "10": "test"}
_FILE = {100: "filename_lr", 500: "filename_hr"}
_SEX = {"0": "M", "1": "F"}
_COLUMNS = ("ecg_id", "patient_id", "age", "sex", "scp_codes", "strat_fold", *_FILE.values())
_KINDS = ("diagnostic", "form", "rhythm")
_UNITS = {**TO_MV, "NU": 1.0}


class _Ecg(NamedTuple):
    """A row of the table."""

    record: str
    patient: str
    split: Split
    codes: tuple[str, ...]
    path: str
    age: str
    sex: str


class PTBXL(PhysioNetSource):
    """PTB-XL 1.0.3: 21,799 ECGs of 18,869 patients, twelve leads, 10 s, at 100 or 500 Hz.

    Its statements are 71 codes of SCP-ECG, several a recording. They make the six tasks of the benchmark (Strodthoff et
    al. 2020): "all" 71, "diagnostic" 44, their groups "sub" 23 and "super" 5 (NORM, MI, STTC, CD, HYP), "form" 19 and
    "rhythm" 12. As in the benchmark's code, a statement counts whatever its likelihood, 0 included. Recordings without
    any class of the task, which the benchmark leaves out, belong to none. Classes stand as in `scp_statements.csv`.

    The split is the suggested one: folds 1 to 8 for training, 9 for validation, 10 for the test; no patient is in two
    of them. A recording is called by its `ecg_id`. An age of 90 stands for 90 and older, which the table writes as 300.

    Read from `ptbxl_database.csv`, `scp_statements.csv` and the WFDB records in `records100` or `records500`. Copies
    whose unit is NU, each lead divided by its standard deviation, are taken as they are, and pictures say SD.

    References:
        Wagner et al., PTB-XL, a large publicly available electrocardiography dataset, Scientific Data 7, 2020,
        https://physionet.org/content/ptb-xl/1.0.3/ (CC BY 4.0)
        Strodthoff et al., Deep Learning for ECG Analysis: Benchmarks and Insights from PTB-XL, IEEE J. Biomed.
        Health Inform. 25(5), 2021, https://github.com/helme/ecg_ptbxl_benchmarking

    Args:
        root: folder of the database, the one that holds `ptbxl_database.csv`.
        rate: sampling rate of the files that are read, Hz: 100 (about 0.5 GB) or 500 (2.6 GB).
        labels: which of the six tasks.
        download: fetch missing files from PhysioNet. If false, recordings without them are left out and reported.
    """

    database = "ptb-xl/1.0.3"
    title = "PTB-XL"
    index = ("ptbxl_database.csv", "scp_statements.csv")
    task = "record"
    multilabel = True
    leads = STANDARD_12

    def __init__(
        self, root: str = "data/ptb-xl", rate: Literal[100, 500] = 100, labels: Labels = "super", download: bool = True
    ) -> None:
        super().__init__(root, download)
        check_choice("PTBXL: rate", rate, tuple(_FILE))
        check_choice("PTBXL: labels", labels, get_args(Labels))
        self.rate = rate
        self.labels = labels

    def ensure(self, limit: int | None = None) -> None:
        """Fetch what is missing; see that both tables are those of PTB-XL."""
        super().ensure(limit)
        _ = self.meaning

    def fingerprint(self) -> dict[str, object]:
        """Both tables, the sampling rate, and the size of the files."""
        return {**super().fingerprint(), "rate": self.rate}

    @cached_property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]  # looked up once, where others say it
        """Classes of the task; those of "super" are known before the files are there."""
        if self.labels == "super":
            return SUPER
        return tuple(dict.fromkeys(name for names in self.meaning.values() for name in names))

    @cached_property
    def meaning(self) -> Mapping[str, tuple[str, ...]]:
        """Statement -> its class in the task."""
        column = {"sub": "diagnostic_subclass", "super": "diagnostic_class"}.get(self.labels, "")
        kind = "diagnostic" if column else self.labels
        path = self.root / self.index[1]
        rows = csv_rows(path, ("", *_KINDS, "diagnostic_class", "diagnostic_subclass"), "the statements of PTB-XL")
        counted = [row for row in rows if kind == "all" or row[kind] in ("1", "1.0")]
        return {row[""]: (row[column],) for row in counted if row[column]}

    @cached_property
    def amplitude_unit(self) -> str:  # type: ignore[override]
        """What the first header that can be read says."""
        for ecg in self._ecgs:
            with suppress(DataError):
                return _unit(parse(self.root / f"{ecg.path}.hea"))
        return "mV"

    @cached_property
    def records(self) -> tuple[str, ...]:
        """Every `ecg_id`, in the order of the table."""
        return tuple(ecg.record for ecg in self._ecgs)

    def files(self, number: int) -> list[str]:
        path = self._ecgs[number].path
        return [f"{path}.hea", f"{path}.dat"]

    def read(self, number: int) -> Recording:
        self.check_files(number)
        ecg = self._ecgs[number]
        header = read_header(self.root / f"{ecg.path}.hea")
        if header.fs != self.rate:
            raise DataError(f"{header.path} is at {header.fs:g} Hz, not at {self.rate} Hz. Fetch it again.")
        signal, odd = read_signal(header, _UNITS)
        age, odd_age = age_of(ecg.age)
        sex, odd_sex = sex_of(ecg.sex)
        unit, usual = _unit(header), self.amplitude_unit
        odd_unit = () if unit == usual else (f"its unit is {unit}, where others have {usual}",)
        return Recording(
            record=ecg.record,
            patient=ecg.patient,
            signal=signal,
            fs=header.fs,
            leads=header.leads,
            split=ecg.split,
            labels=ecg.codes,
            age=age,
            sex=sex,
            notes=odd + odd_age + odd_sex + odd_unit,
        )

    @cached_property
    def _ecgs(self) -> list[_Ecg]:
        path = self.root / self.index[0]
        rows = csv_rows(path, _COLUMNS, "the table of PTB-XL")
        file = _FILE[self.rate]
        if unnamed := sum(not row[file] for row in rows):
            raise DataError(
                f"{path} names no file at {self.rate} Hz for {unnamed:,} of {len(rows):,} recordings (column {file}). "
                f"Give rate={next(rate for rate in _FILE if rate != self.rate)}, or the table that PhysioNet published."
            )
        ecgs: dict[str, _Ecg] = {}
        for row in rows:
            ecg = _parse(path, row, row[file])
            if ecg.record in ecgs:
                raise DataError(f"{path} has the ecg_id {ecg.record} twice. Fetch it again.")
            ecgs[ecg.record] = ecg
        return list(ecgs.values())


def _parse(path: Path, row: dict[str, str], file: str) -> _Ecg:
    try:
        return _Ecg(
            record=_number(row, "ecg_id"),
            patient=_number(row, "patient_id"),
            split=_split(row),
            codes=_codes(row),
            path=file,
            age="90" if row["age"] in ("300", "300.0") else row["age"],
            sex=_SEX.get(row["sex"], row["sex"]),
        )
    except ValueError as error:
        raise DataError(f"{path}, ecg_id {row['ecg_id'] or '(none)'}: {error}. Fetch it again.") from error


def _unit(header: Header) -> str:
    return "SD" if "NU" in {channel.unit for channel in header.channels} else "mV"


def _number(row: dict[str, str], column: str) -> str:
    text = row[column].removesuffix(".0")  # the table writes patients so: 18792.0
    if not text.isdecimal():
        raise ValueError(f"{column} is {row[column]!r}, not a number")
    return text


def _split(row: dict[str, str]) -> Split:
    split = _FOLDS.get(row["strat_fold"].removesuffix(".0"))
    if split is None:
        raise ValueError(f"strat_fold is {row['strat_fold']!r}, not 1 to 10")
    return split


def _codes(row: dict[str, str]) -> tuple[str, ...]:
    """The statements of a dictionary from statement to likelihood, written as Python does."""
    try:
        likelihoods = ast.literal_eval(row["scp_codes"])
    except (ValueError, SyntaxError, TypeError):
        likelihoods = None
    if not isinstance(likelihoods, dict):
        raise ValueError(f"scp_codes is {row['scp_codes']!r}, not a dictionary of statements")
    return tuple(map(str, likelihoods))
