"""Lobachevsky University Database: 200 twelve-lead ECGs with every P, QRS and T marked in every lead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property

import numpy as np

from ssl_ecg.data.physionet import PhysioNetSource
from ssl_ecg.data.source import Recording, Spans, Waves
from ssl_ecg.data.splits import hashed_split
from ssl_ecg.data.tables import age_of, csv_rows, sex_of
from ssl_ecg.data.wfdb_io import Header, read_beats, read_header, read_marks, read_signal, read_waves
from ssl_ecg.errors import DataError
from ssl_ecg.leads import STANDARD_12

_ANNOTATED = tuple(lead.lower() for lead in STANDARD_12)  # the suffixes of the annotation files
_FINDINGS = (
    "Rhythms", "Electric axis of the heart", "Conduction abnormalities", "Extrasystolies", "Hypertrophies",
    "Cardiac pacing", "Ischemia", "Non-specific repolarization abnormalities", "Other states",
)  # fmt: skip

_CLASSES = {
    "SR": ("sinus rhythm",),
    "SBRAD": ("sinus bradycardia",),
    "STACH": ("sinus tachycardia",),
    "SARRH": ("sinus arrhythmia", "irregular sinus rhythm"),
    "WAP": ("wandering atrial pacemaker",),
    "AFIB": ("atrial fibrillation",),
    "AFLT": ("atrial flutter",),
    "PACE": (
        "pacemaker presence", "unipolar ventricular pacing", "unipolar atrial pacing", "bipolar ventricular pacing",
        "biventricular pacing", "p-synchrony",
    ),
    "SAB": ("sinoatrial blockade",),
    "1AVB": ("i degree av block",),
    "3AVB": ("iii degree av-block",),
    "IRBBB": ("incomplete right bundle branch block",),
    "CRBBB": ("complete right bundle branch block",),
    "ILBBB": ("incomplete left bundle branch block",),
    "CLBBB": ("complete left bundle branch block",),
    "LAFB": ("left anterior hemiblock",),
    "IVCD": ("non-specific intravintricular conduction delay", "aberrant conduction"),
    "PAC": ("atrial extrasystole",),
    "PVC": ("ventricular extrasystole",),
    "LAO/LAE": ("left atrial hypertrophy", "left atrial overload"),
    "RAO/RAE": ("right atrial hypertrophy", "right atrial overload"),
    "LVH": ("left ventricular hypertrophy", "left ventricular overload"),
    "RVH": ("right ventricular hypertrophy",),
    "MI": ("stemi", "scar formation"),
    "ISC": ("ischemia", "undefined ischemia/scar/supp.nstemi"),
    "STTC": ("non-specific repolarization abnormalities",),
    "ER": ("early repolarization syndrome",),
    "LAD": ("electric axis of the heart: left axis deviation",),
    "RAD": ("electric axis of the heart: right axis deviation",),
}  # fmt: skip
_CLASS_OF = {finding: name for name, findings in _CLASSES.items() for finding in findings}


class LUDB(PhysioNetSource):
    """LUDB 1.0.1: 200 ECGs of 200 people, twelve leads, 500 Hz, 10 s, with diagnoses and delineations.

    Labels are the findings of `ludb.csv` as they stand there. They make 29 classes, several a recording, called as in
    PTB-XL where that has the same: rhythms (SR, SBRAD, STACH, SARRH with irregular sinus rhythm, WAP for a wandering
    atrial pacemaker, AFIB, AFLT, PACE for any pacing), conduction (SAB, 1AVB, 3AVB, IRBBB, CRBBB, ILBBB, CLBBB, LAFB,
    IVCD with aberrant conduction), extrasystoles (PAC, PVC), chambers (LAO/LAE and RAO/RAE, LVH and RVH: hypertrophy or
    overload), MI (STEMI or scar), ISC (ischaemia, or undefined ischaemia, scar or NSTEMI), STTC (non-specific
    repolarisation), ER (early repolarisation) and the axis (LAD, RAD; normal, vertical and horizontal are no classes).
    Many are rare: SAB is one recording. There is no official split: `hashed_split` makes it of their numbers.

    Spans are the waves P, QRS and T as marked in each lead, from onset to offset; those without both are left out (134
    of 58,423). Beats are the peaks of the QRS complexes in lead II, without classes; other leads differ by 2 ms as a
    rule, and by 40 ms in one beat of a hundred. Not every beat at the ends of a recording is marked. Each lead seems to
    have been scaled for itself: do not rely on amplitudes. An age of 90 stands for ">89".

    References:
        Kalyakulina et al., LUDB: a new open-access validation tool for electrocardiogram delineation
        algorithms, IEEE Access 8, 2020, https://physionet.org/content/ludb/1.0.1/ (ODC-By 1.0)

    Args:
        root: folder of the database, the one that holds `ludb.csv`; `data/ludb` by default.
        download: fetch missing files (25 MB) from PhysioNet; if false, records without them are left out and reported.
    """

    database = "ludb/1.0.1"
    title = "LUDB"
    index = ("ludb.csv",)
    classes = tuple(_CLASSES)
    task = "record"
    multilabel = True
    leads = STANDARD_12

    @cached_property
    def meaning(self) -> Mapping[str, tuple[str, ...]]:
        """Finding -> its class. Where and of what kind it is makes no difference: "Stemi: septal" is stemi."""
        findings = {finding for row in self._people.values() for finding in _findings(row)}
        heads = {finding: re.split("[:,]", finding.lower())[0] for finding in findings}
        named = {finding: _CLASS_OF.get(finding.lower()) or _CLASS_OF.get(head) for finding, head in heads.items()}
        return {finding: (name,) for finding, name in sorted(named.items()) if name}

    @cached_property
    def records(self) -> tuple[str, ...]:
        """Every `ID`, 1 to 200, in the order of the table."""
        return tuple(self._people)

    def files(self, number: int) -> list[str]:
        """Header, signals and the annotations of each lead."""
        return [f"data/{self.records[number]}.{suffix}" for suffix in ("hea", "dat", *_ANNOTATED)]

    def read(self, number: int) -> Recording:
        self.check_files(number)
        name = self.records[number]
        person = self._people[name]
        header = read_header(self.root / f"data/{name}.hea")
        spans, dropped = _waves(header)
        signal, odd = read_signal(header)
        beats, odd_beats = read_beats(header.path.with_suffix(".ii"), header.n_samples, {"N": ""})
        age, odd_age = age_of("90" if person["Age"] == ">89" else person["Age"])
        sex, odd_sex = sex_of(person["Sex"])
        return Recording(
            record=name,
            patient=name,
            signal=signal,
            fs=header.fs,
            leads=header.leads,
            split=hashed_split(name),
            labels=_findings(person),
            beats=beats,
            spans=spans,
            age=age,
            sex=sex,
            notes=odd + odd_beats + odd_age + odd_sex + dropped,
        )

    def waves(self, number: int) -> tuple[Waves, ...]:
        """The waves of each of the twelve leads; each lead is marked from its first mark to its last."""
        self.check_files(number)
        header = read_header(self.root / f"data/{self.records[number]}.hea")
        return tuple(
            read_marks(header.path.with_suffix(f".{lead.lower()}"), header.n_samples, lead) for lead in header.leads
        )

    @cached_property
    def _people(self) -> dict[str, dict[str, str]]:
        path = self.root / self.index[0]
        people: dict[str, dict[str, str]] = {}
        for row in csv_rows(path, ("ID", "Sex", "Age", *_FINDINGS), "the table of LUDB"):
            if not row["ID"].isdecimal() or row["ID"] in people:
                raise DataError(f"{path}: the ID {row['ID']!r} is no number, or stands twice. Fetch it again.")
            people[row["ID"]] = row
        return people


def _findings(person: dict[str, str]) -> tuple[str, ...]:
    """Every finding of a person: cells hold one a line."""
    lines = (line.strip() for column in _FINDINGS for line in person[column].splitlines())
    return tuple(dict.fromkeys(line for line in lines if line))


def _waves(header: Header) -> tuple[Spans, tuple[str, ...]]:
    """The waves that have an onset and an offset, and a note of how many have not."""
    found = [read_waves(header.path.with_suffix(f".{lead}"), header.n_samples, lead) for lead in _ANNOTATED]
    columns = ([getattr(spans, name) for spans, _ in found] for name in Spans.__slots__)
    spans, without = Spans(*map(np.concatenate, columns)), sum(count for _, count in found)
    marked = len(spans.start) + without
    return spans, (f"{without} of {marked} waves have no onset or no offset: left out",) if without else ()
