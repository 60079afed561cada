"""The relatives of MIT-BIH, from imitations in the official layout: headers, gains, names and marks as published."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import wfdb
from relatives import RELATIVES

from ssl_ecg.data.build import build
from ssl_ecg.data.sources import AFDB, LTDB, MITBIH, NSRDB, NSTDB, SVDB
from ssl_ecg.data.sources.holter import AAMI, Holter
from ssl_ecg.data.sources.mitbih import DS1
from ssl_ecg.data.wfdb_io import read_rhythms
from ssl_ecg.errors import DataError
from ssl_ecg.preprocessing import Preprocessing

NAMES: dict[type[Holter], str] = {kind: RELATIVES[kind.__name__] for kind in (AFDB, LTDB, NSRDB, NSTDB, SVDB)}
HOLTERS = list(NAMES)
DIGITAL = np.random.default_rng(0).integers(-400, 400, (2000, 2))


def write(root: Path, kind: type[Holter], record: str, *, fs: float = 0, comment: str = "") -> None:
    """A record as it was published: no gain, channels called ECG1 and ECG2 (MLII and V1 in the noise stress test)."""
    leads = ["MLII", "V1"] if kind is NSTDB else ["ECG1", "ECG2"]
    options = {"fmt": ["212"] * 2, "adc_gain": [200.0] * 2, "baseline": [0] * 2, "units": ["mV"] * 2}
    wfdb.wrsamp(record, fs=fs or kind.fs, sig_name=leads, d_signal=DIGITAL, write_dir=str(root), **options)  # type: ignore[arg-type]
    header = root / f"{record}.hea"
    lines = header.read_text().replace("200.0(0)/mV", "0").splitlines()
    header.write_text("\n".join([*lines, *([f"# {comment}"] if comment else [])]) + "\n")
    beats = 20 + 100 * np.arange(8)
    if kind is AFDB:
        marks = {"samples": [10, 600, 600, 1500], "notes": ["(N", "(AFL", "(AFIB", "(J"]}
        wfdb.wrann(record, "atr", np.array(marks["samples"]), ["+"] * 4, aux_note=marks["notes"], write_dir=str(root))
        wfdb.wrann(record, "qrs", beats, ["N"] * 8, write_dir=str(root))
    else:
        wfdb.wrann(record, "atr", beats, list("NS~VFQBr"), write_dir=str(root))


def database(root: Path, kind: type[Holter], records: int = 1) -> Holter:
    """A database with its first records, of which `RECORDS` names all."""
    names = NAMES[kind].split()
    root.mkdir(exist_ok=True)
    (root / "RECORDS").write_text("\n".join(names) + "\n")
    source = kind(str(root), download=False)
    for record in source.records[:records]:
        write(root, kind, record, comment="32 M" if kind is NSRDB else "")
    return source


@pytest.mark.parametrize("kind", HOLTERS)
def test_a_record_is_read_as_it_was_written(kind: type[Holter], tmp_path: Path) -> None:
    source = database(tmp_path, kind)
    source.ensure()
    recording = source.read(0)
    assert recording.record == source.records[0]
    assert recording.fs == kind.fs
    np.testing.assert_allclose(recording.signal, DIGITAL.T / 200, atol=1e-6)  # no gain is 200 per mV
    assert recording.signal.dtype == np.float32
    assert recording.leads == (("MLII", "V1") if kind is NSTDB else ("ECG1", "ECG2"))
    assert recording.beats is not None
    if kind is not AFDB:
        assert recording.beats.labels.tolist() == ["N", "S", "V", "F", "", "N", "V"]
        assert recording.beats.samples.tolist() == [20, 120, 320, 420, 520, 620, 720]
        assert recording.spans is None


def test_afdb_has_rhythms_until_the_last_beat(tmp_path: Path) -> None:
    recording = database(tmp_path, AFDB).read(0)
    assert recording.record == "04015"  # 00735 has no signal
    assert recording.spans is not None
    assert recording.spans.labels.tolist() == ["N", "AFIB"]  # of two at one sample the second; none after the beats
    assert recording.spans.start.tolist() == [10, 600]
    assert recording.spans.end.tolist() == [600, 721]
    assert set(recording.spans.leads.tolist()) == {""}
    assert recording.beats is not None
    assert set(recording.beats.labels.tolist()) == {""}
    assert set(recording.spans.labels.tolist()) <= set(AFDB.classes)


@pytest.mark.parametrize(
    ("kind", "records", "sides"),
    [
        (AFDB, 23, {"train": 16, "val": 2, "test": 5}),
        (LTDB, 7, {"train": 5, "val": 1, "test": 1}),
        (NSRDB, 18, {"train": 13, "val": 1, "test": 4}),
        (NSTDB, 12, {"train": 6, "test": 6}),
        (SVDB, 78, {"train": 55, "val": 7, "test": 16}),
    ],
)
def test_every_side_has_its_share_of_the_patients(
    kind: type[Holter], records: int, sides: dict[str, int], tmp_path: Path
) -> None:
    source = database(tmp_path, kind, records=0)
    assert len(source) == records
    assert Counter(map(source.split, source.records)) == sides


def test_noise_stress_records_are_of_two_patients_of_mit_bih(tmp_path: Path) -> None:
    source = database(tmp_path, NSTDB, records=12)
    patients = {recording.patient: recording.split for recording in source.recordings()}
    assert patients == {"118": "train", "119": "test"}
    assert set(patients) <= set(DS1)
    assert source.cohort == MITBIH.__name__


def test_age_and_sex_are_those_of_the_header(tmp_path: Path) -> None:
    source = database(tmp_path, NSRDB, records=3)
    write(tmp_path, NSRDB, source.records[1], comment="-1 F")
    write(tmp_path, NSRDB, source.records[2], comment="female, 32")
    assert [(r.age, r.sex) for r in map(source.read, range(3))] == [(32, "M"), (None, "F"), (None, None)]


@pytest.mark.parametrize("kind", [AFDB, LTDB, NSRDB, SVDB])
def test_channels_take_the_names_they_are_given(kind: type[Holter], tmp_path: Path) -> None:
    database(tmp_path, kind)
    named = kind(str(tmp_path), False, ("II", "V1"))  # type: ignore[call-arg]
    assert named.read(0).leads == named.leads == ("II", "V1")
    assert named.fingerprint() != kind(str(tmp_path), False).fingerprint()
    with pytest.raises(DataError, match=r"hea has 2 channels \(ECG1, ECG2\), but lead_names gives 1 names: II"):
        kind(str(tmp_path), False, ("II",)).read(0)  # type: ignore[call-arg]


def test_a_source_survives_pickling(tmp_path: Path) -> None:
    source = database(tmp_path, SVDB)
    copy = pickle.loads(pickle.dumps(source))
    assert copy.records == source.records
    np.testing.assert_array_equal(copy.read(0).signal, source.read(0).signal)


def test_foreign_and_missing_files_are_named(tmp_path: Path) -> None:
    source = database(tmp_path, SVDB, records=2)
    write(tmp_path, SVDB, "800", fs=250)
    message = r"800\.hea is not of the MIT-BIH Supraventricular Arrhythmia Database: 250 Hz, leads ECG1, ECG2; expected"
    with pytest.raises(DataError, match=message):
        source.read(0)
    (tmp_path / "801.atr").unlink()
    with pytest.raises(DataError, match=r"801\.atr"):
        source.read(1)
    with pytest.raises(DataError, match=r"803\.hea"):
        source.read(3)
    with pytest.raises(DataError, match=r"lacks 1 of the 1 files needed of the MIT-BIH Supra.*: RECORDS"):
        SVDB(str(tmp_path / "none"), download=False).ensure()


def test_a_record_without_beats_or_rhythms_is_named(tmp_path: Path) -> None:
    source = database(tmp_path, AFDB)
    empty = {"sample": np.array([5]), "symbol": ["~"], "write_dir": str(tmp_path)}
    wfdb.wrann("04015", "atr", **empty)
    with pytest.raises(DataError, match=r"04015\.atr has no rhythms"):
        source.read(0)
    other = database(tmp_path / "svdb", SVDB)
    wfdb.wrann("800", "atr", **{**empty, "write_dir": str(tmp_path / "svdb")})
    with pytest.raises(DataError, match=r"800\.atr has no beats"):
        other.read(0)


def test_every_beat_symbol_of_wfdb_has_one_class() -> None:
    beats = set("NLRBAaJSVrFejnE/fQ?")  # https://archive.physionet.org/physiobank/annotations.shtml
    assert set(AAMI) == beats
    assert set(AAMI.values()) == {"N", "S", "V", "F", ""}


def test_rhythms_of_mit_bih(mitdb: Path) -> None:
    rhythms = read_rhythms(mitdb / "201.atr", 650_000)
    raw = wfdb.rdann(str(mitdb / "201"), "atr")
    marks = [s for s, y, a in zip(raw.sample, raw.symbol, raw.aux_note, strict=True) if y == "+" and a[0] == "("]
    assert rhythms.start.tolist() == marks
    assert rhythms.end.tolist() == [*marks[1:], 650_000]
    assert {"N", "AFIB", "T", "NOD"} <= set(rhythms.labels.tolist()) <= {"N", "AFIB", "T", "NOD", "SVTA"}


@pytest.mark.parametrize("kind", HOLTERS)
def test_it_can_be_prepared(kind: type[Holter], tmp_path: Path) -> None:
    source = database(tmp_path / "data", kind, records=100)  # all
    store = build(source, Preprocessing(leads=source.leads), cache=tmp_path / "cache")
    assert store.records["record"].tolist() == list(source.records)
    assert store.gather(store.offset[:1] * 0, store.offset[:1] * 0, 300).shape == (1, len(source.leads), 300)
    assert len(store.beats) == len(source) * (8 if kind is AFDB else 7)
