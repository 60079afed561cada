"""ECG-ID: 310 ECGs of 90 volunteers, recorded to tell people apart."""

from __future__ import annotations

from functools import cached_property

from ssl_ecg.data.physionet import PhysioNetSource
from ssl_ecg.data.source import Recording, Split
from ssl_ecg.data.splits import ranked_splits
from ssl_ecg.data.tables import age_of, sex_of
from ssl_ecg.data.wfdb_io import read_header, read_signal
from ssl_ecg.errors import DataError


class ECGID(PhysioNetSource):
    """ECG-ID 1.0.0: 310 ECGs of 90 volunteers, lead I, 500 Hz, 20 s, some of a person months apart.

    The task is the person's sex, F or M: who it is can be no class of people whom a model has not seen. The day of the
    recording is among the labels, such as "2004-12-07", and stands for no class. Of the two channels only the first is
    given, which is raw; the second is the same, filtered. Beats, which a program found in some stretches, are not read.
    In 11 recordings, as published, the header's checksum is not that of the samples: they are kept, and it is told.

    There is no official split: 70 % of the people, in the order of a hash of their names, are for training, 10 % for
    validation, 20 % for the test, with all of their recordings.

    References:
        Lugovaya, Biometric human identification based on electrocardiogram, Master's thesis, LETI, Saint Petersburg,
        2005, https://physionet.org/content/ecgiddb/1.0.0/ (ODC-By 1.0)

    Args:
        root: folder of the database, the one that holds `RECORDS`.
        download: fetch missing files (20 MB) from PhysioNet; if false, records without them are left out and reported.
    """

    database = "ecgiddb/1.0.0"
    title = "ECG-ID"
    classes = ("F", "M")
    task = "record"
    leads = ("I",)

    @cached_property
    def records(self) -> tuple[str, ...]:
        """Every record, such as `Person_01/rec_1`, in the order of `RECORDS`."""
        names = (self.root / self.index[0]).read_text().split()
        if odd := [name for name in names if name.count("/") != 1]:
            raise DataError(f"{self.root / self.index[0]} is not that of ECG-ID: it names {odd[0]}. Fetch it again.")
        return tuple(names)

    def files(self, number: int) -> list[str]:
        """Header and signals of a recording."""
        return [f"{self.records[number]}.{suffix}" for suffix in ("hea", "dat")]

    def read(self, number: int) -> Recording:
        """One recording."""
        self.check_files(number)
        name = self.records[number]
        person = _person(name)
        header = read_header(self.root / f"{name}.hea")
        pairs = (comment.partition(":") for comment in header.comments)
        said = {key.strip().lower(): text.strip() for key, _, text in pairs}  # "Age: 25" is age -> 25
        signal, odd = read_signal(header, strict=False)
        age, odd_age = age_of(said.get("age"))
        sex, odd_sex = sex_of(said.get("sex"))
        day = "-".join(reversed(said.get("ecg date", "").split(".")))
        return Recording(
            record=name,
            patient=person,
            signal=signal[:1],
            fs=header.fs,
            leads=self.leads,  # "ECG I" in the headers
            split=self._sides[person],
            labels=tuple(label for label in (sex, day) if label),
            age=age,
            sex=sex,
            notes=odd[:1] + odd_age + odd_sex,
        )

    @cached_property
    def _sides(self) -> dict[str, Split]:
        return ranked_splits(map(_person, self.records))


def _person(record: str) -> str:
    return record.partition("/")[0]
