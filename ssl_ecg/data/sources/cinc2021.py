"""The PhysioNet/CinC Challenge 2021: 88,253 twelve-lead ECGs of eight databases, in one vocabulary of diagnoses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from ssl_ecg.data import download
from ssl_ecg.data.physionet import PhysioNetSource
from ssl_ecg.data.source import Recording, check_choice
from ssl_ecg.data.splits import hashed_split
from ssl_ecg.data.tables import age_of, sex_of
from ssl_ecg.data.wfdb_io import read_header, read_signal
from ssl_ecg.errors import DataError
from ssl_ecg.leads import STANDARD_12

Database = Literal[
    "cpsc_2018", "cpsc_2018_extra", "st_petersburg_incart", "ptb", "ptb-xl", "georgia", "chapman_shaoxing", "ningbo"
]

SCORED = {
    "AF": ("164889003",),  # atrial fibrillation
    "AFL": ("164890007",),  # atrial flutter
    "BBB": ("6374002",),  # bundle branch block
    "Brady": ("426627000",),  # bradycardia
    "CLBBB|LBBB": ("733534002", "164909002"),  # (complete) left bundle branch block
    "CRBBB|RBBB": ("713427006", "59118001"),  # (complete) right bundle branch block
    "IAVB": ("270492004",),  # first degree AV block
    "IRBBB": ("713426002",),  # incomplete right bundle branch block
    "LAD": ("39732003",),  # left axis deviation
    "LAnFB": ("445118002",),  # left anterior fascicular block
    "LPR": ("164947007",),  # prolonged PR interval
    "LQRSV": ("251146004",),  # low QRS voltages
    "LQT": ("111975006",),  # prolonged QT interval
    "NSIVCB": ("698252002",),  # non-specific intraventricular conduction disorder
    "NSR": ("426783006",),  # sinus rhythm
    "PAC|SVPB": ("284470004", "63593006"),  # premature atrial contraction, supraventricular premature beats
    "PR": ("10370003",),  # pacing rhythm
    "PRWP": ("365413008",),  # poor R wave progression
    "PVC|VPB": ("427172004", "17338001"),  # premature ventricular contractions, ventricular premature beats
    "QAb": ("164917005",),  # Q wave abnormal
    "RAD": ("47665007",),  # right axis deviation
    "SA": ("427393009",),  # sinus arrhythmia
    "SB": ("426177001",),  # sinus bradycardia
    "STach": ("427084000",),  # sinus tachycardia
    "TAb": ("164934002",),  # T wave abnormal
    "TInv": ("59931005",),  # T wave inversion
}
"""Class -> its codes, two where the challenge takes them for one. Names and order are those of `dx_mapping_scored.csv`
and `weights.csv` of https://github.com/physionetchallenges/evaluation-2021."""

_NAME = re.compile(r"(A|Q|I|S|HR|E|JS)(\d{4,5})")
_PREFIX: dict[str, Database] = {
    "A": "cpsc_2018", "Q": "cpsc_2018_extra", "I": "st_petersburg_incart", "S": "ptb", "HR": "ptb-xl", "E": "georgia",
}  # fmt: skip
_LAST_OF_CHAPMAN = 10646  # JS00001 to JS10646; JS10647 to JS45551 are of Ningbo
_ONE_EACH = ("chapman_shaoxing", "ningbo")
_LISTING = "RECORDS"


class CinC2021(PhysioNetSource):
    """Training data of the PhysioNet/CinC Challenge 2021 (1.0.3): 88,253 ECGs, twelve leads, 26 scored classes.

    | database             | records            | number | Hz   |
    |----------------------|--------------------|--------|------|
    | cpsc_2018            | A0001 ...          | 6,877  | 500  |
    | cpsc_2018_extra      | Q0001 ...          | 3,453  | 500  |
    | st_petersburg_incart | I0001 ...          | 74     | 257  |
    | ptb                  | S0001 ...          | 516    | 1000 |
    | ptb-xl               | HR00001 ...        | 21,837 | 500  |
    | georgia              | E00001 ...         | 10,344 | 500  |
    | chapman_shaoxing     | JS00001 to JS10646 | 10,247 | 500  |
    | ningbo               | from JS10647       | 34,905 | 500  |

    Most are 10 s long, some of the first two and of ptb up to two minutes, those of INCART half an hour.

    Labels are all SNOMED CT codes of the header; classes are the 26 that the challenge scores, under its abbreviations.
    Each database labelled only some of them: that a recording lacks a class does not say that its heart did.

    Headers do not say whose a recording is. In Chapman-Shaoxing and Ningbo each is of another person, and splits
    follow from its name (`hashed_split`). The other six have several recordings of some of their patients: each
    of these databases counts as one group ("?" and its name) and always in training, so that nobody is on
    both sides. An encoder pretrained on them has seen all patients of PTB-XL and of the other originals.

    Read from the official layout (`training/<database>/g1/<record>.hea` and `.mat`) or from any folder with such
    headers in it, at whatever depth; signals may also be `.dat`. What is there is the data set; files are fetched
    only where nothing is there or a download has begun.

    References:
        Reyna et al., Will two do? Varying dimensions in electrocardiography: the PhysioNet/Computing in
        Cardiology Challenge 2021, Computing in Cardiology 48, 2021,
        https://physionet.org/content/challenge-2021/1.0.3/ (CC BY 4.0)

    Args:
        root: folder of the recordings.
        databases: which of the eight; all that are there if not given.
        download: fetch what is missing from PhysioNet, if `root` has no recordings or was begun so (all of it
            is about 11 GB in 176,506 files).
    """

    database = "challenge-2021/1.0.3"
    title = "the PhysioNet/CinC Challenge 2021"
    index = ()  # it may be any folder
    classes = tuple(SCORED)
    task = "record"
    multilabel = True
    leads = STANDARD_12

    covers = ("PTBXL",)  # as HR00001 and so on

    def __init__(
        self, root: str = "data/challenge-2021", databases: tuple[Database, ...] | None = None, download: bool = True
    ) -> None:
        super().__init__(root, download)
        for name in databases or ():
            check_choice("CinC2021: databases", name, get_args(Database))
        self.databases = databases

    @property
    def meaning(self) -> Mapping[str, tuple[str, ...]]:
        """Code -> its class, if it is scored."""
        return {code: (name,) for name, codes in SCORED.items() for code in codes}

    def ensure(self, limit: int | None = None) -> None:
        """See that there are recordings; where there are none, or a download has begun, fetch what is missing."""
        if self.download and (self._groups() or not self._headers):
            self._fetch([_LISTING], 1)
            listings = [f"{group}/{_LISTING}" for group in self._groups()]
            self._fetch(listings, len(listings))
            for name in ("_headers", "records"):  # there are more now
                vars(self).pop(name, None)
            super().ensure(limit)
        if not self._headers:
            raise DataError(
                f"{self.root} has no recordings of {', '.join(self.databases or (self.title,))}.\n"
                + download.physionet_remedy(self.database, self.root, "training/georgia/g1/E00001.hea")
            )

    @cached_property
    def records(self) -> tuple[str, ...]:
        """Every record, in alphabetical order."""
        return tuple(sorted(self._headers))

    def files(self, number: int) -> list[str]:
        header = self._headers[self.records[number]]
        dat = header.with_suffix(".dat")
        return [str(header), str(dat if (self.root / dat).is_file() else header.with_suffix(".mat"))]

    def read(self, number: int) -> Recording:
        self.check_files(number)
        name = self.records[number]
        header = read_header(self.root / self._headers[name])
        pairs = (comment.partition(":") for comment in header.comments)
        said = {key.strip().lower(): text.strip() for key, _, text in pairs}  # "Age: 78" is age -> 78
        codes = [code.strip() for code in said.get("dx", "").split(",")]
        odd = [code for code in codes if code and not code.isdecimal()]
        odd_codes = tuple(f"diagnosis {code!r} is no SNOMED CT code: left out" for code in odd)
        signal, odd_signal = read_signal(header)
        age, odd_age = age_of(said.get("age"))
        sex, odd_sex = sex_of(said.get("sex"))
        database = _database(name)
        alone = database in _ONE_EACH
        return Recording(
            record=name,
            patient=name if alone else f"?{database}",
            signal=signal,
            fs=header.fs,
            leads=header.leads,
            split=hashed_split(name) if alone else "train",
            labels=tuple(dict.fromkeys(code for code in codes if code.isdecimal())),
            age=age,
            sex=sex,
            notes=odd_signal + odd_age + odd_sex + odd_codes,
        )

    @cached_property
    def _headers(self) -> dict[str, PurePosixPath]:
        """Record -> its header, relative to `root`: those that are there and, with `download`, all that are listed."""
        found: dict[str, PurePosixPath] = {}
        for path in sorted(self.root.rglob("*.hea")):
            place = PurePosixPath(path.relative_to(self.root).as_posix())
            if _database(place.stem) is None:
                raise DataError(
                    f"{path} is no record of {self.title}: they are called A0001, HR00001 and the like. "
                    f"Give another root; records of your own can be read with WFDBFolder."
                )
            if place.stem in found:
                raise DataError(f"{path} is there a second time, in {self.root / found[place.stem]}. Remove one.")
            found[place.stem] = place
        groups = self._groups() if self.download else []
        listed = [group / f"{name}.hea" for group in groups for name in _lines(self.root / group / _LISTING)]
        places = {place.stem: place for place in listed} | found
        return {name: place for name, place in places.items() if self._wanted(_database(name))}

    def _groups(self) -> list[PurePosixPath]:
        """The folders that the official listing names, such as `training/georgia/g1`; none where there is no such."""
        groups = [PurePosixPath(line) for line in _lines(self.root / _LISTING)]
        return [group for group in groups if len(group.parts) == 3 and self._wanted(group.parts[1])]

    def _wanted(self, database: str | None) -> bool:
        return database is not None and (not self.databases or database in self.databases)


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").split() if path.is_file() else []


def _database(record: str) -> Database | None:
    """Where a record is from, by its name; None if it is not of the challenge."""
    found = _NAME.fullmatch(record)
    if found is None:
        return None
    ningbo = int(found[2]) > _LAST_OF_CHAPMAN
    return _PREFIX.get(found[1]) or ("ningbo" if ningbo else "chapman_shaoxing")
