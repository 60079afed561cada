"""QT Database: 105 quarter hours of other databases, with P, QRS and T marked by hand in some beats."""

from __future__ import annotations

from collections.abc import Mapping

from ssl_ecg.data.source import Beats, Spans, Split, Waves
from ssl_ecg.data.sources.holter import Holter
from ssl_ecg.data.sources.mitbih import DS1, DS2
from ssl_ecg.data.splits import hashed_split, ranked_splits
from ssl_ecg.data.wfdb_io import AGAIN, Header, read_marks, read_waves
from ssl_ecg.errors import DataError

_RECORDS = {
    "NSRDB": "16265 16272 16273 16420 16483 16539 16773 16786 16795 17052 17453 18177 18184 19088 19090 19093 19140 "
    "19830",
    "LTDB": "14046 14134 14149 14157 14172 14184 15814",
    "SVDB": " ".join(map(str, (*range(800, 813), *range(820, 830), *range(840, 895)))),
}
_SIDES: dict[str, dict[str, Split]] = {
    "MITBIH": {**dict.fromkeys(DS1, "train"), **dict.fromkeys(DS2, "test")},
    **{database: ranked_splits(names.split()) for database, names in _RECORDS.items()},
}


class QTDB(Holter):
    """QT Database 1.0.0: 105 records, 250 Hz, 15 minutes each, two leads of varied names.

    Records were cut from other databases, and are called after them: sel100 is record 100 of the MIT-BIH Arrhythmia
    Database (`MITBIH`), others are of `SVDB`, `NSRDB` and `LTDB`, of the European ST-T Database (sele0104), of sudden
    death (sel30 to sel52, sel17152) and of the MIT-BIH ST Change Database (sel301). Patients are those of the
    originals, such as "MITBIH::100", so that an encoder pretrained here is known to have seen them there and the other
    way round, and each is on the side of the split where the original has them; those without a source here follow
    from their names (`hashed_split`).

    There are no classes. Spans are the waves P, QRS and T that a cardiologist marked by hand in 30 beats or more, in
    both leads together (.q1c); those without an onset or offset, as of most T waves the onset, are left out. Beats are
    all that a program found in both leads (.pu), without classes. No lead is in all of the records: prepare it with
    leads "any".

    References:
        Laguna et al., A database for evaluation of algorithms for measurement of QT and other waveform intervals in the
        ECG, Computers in Cardiology 24, 1997, https://physionet.org/content/qtdb/1.0.0/ (ODC-By 1.0)
    """

    database = "qtdb/1.0.0"
    title = "the QT Database"
    fs = 250.0
    leads = ("any",)
    classes = ()
    task = "record"
    suffixes = ("hea", "dat", "q1c", "pu")
    symbols: Mapping[str, str] | None = {"N": ""}  # type: ignore[misc]  # of .pu, the peak of every QRS

    def patient(self, record: str) -> str:
        """Whose a record is: a patient of the database it was cut from."""
        return "::".join(_origin(record))

    def split(self, record: str) -> Split:
        """The side the original is on."""
        database, name = _origin(record)
        return _SIDES.get(database, {}).get(name) or hashed_split(self.patient(record))

    def spans(self, header: Header, beats: Beats) -> Spans | None:
        """The waves marked by hand."""
        return read_waves(header.path.with_suffix(".q1c"), header.n_samples)[0]

    def waves(self, number: int) -> tuple[Waves, ...]:
        """The waves marked by hand, of both leads together; beats that were left out part what is marked."""
        self.check_files(number)
        header = self.header(number)
        return (read_marks(header.path.with_suffix(".q1c"), header.n_samples, apart=0.5 * header.fs),)


def _origin(record: str) -> tuple[str, str]:
    """The database a record was cut from, and its name there."""
    name = record.removeprefix("sel")
    if name == record or not name.removeprefix("e").isdecimal():
        raise DataError(
            f"{record} is no record of the QT Database: they are called sel100, sele0104 and the like. {AGAIN}"
        )
    if name.startswith("e"):
        return "EDB", name
    for database, names in _RECORDS.items():
        if name in names.split():
            return database, name
    return "SDDB" if len(name) != 3 else "STDB" if name.startswith("3") else "MITBIH", name
