"""The QT Database, from an imitation in the official layout: whose the records are, and what is marked in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb
from checkpoints import fresh_checkpoint
from relatives import RELATIVES

from ssl_ecg.checkpoint import PretrainedEncoder, load_encoder, patient_hash
from ssl_ecg.data.build import build
from ssl_ecg.data.sources import LTDB, MITBIH, NSRDB, QTDB, SVDB
from ssl_ecg.data.sources.holter import Holter
from ssl_ecg.errors import DataError
from ssl_ecg.preprocessing import Preprocessing

ORIGINS = {
    "sel100": ("MITBIH::100", "test"), "sel223": ("MITBIH::223", "train"), "sel16265": ("NSRDB::16265", None),
    "sel14046": ("LTDB::14046", None), "sel803": ("SVDB::803", None), "sele0104": ("EDB::e0104", None),
    "sel30": ("SDDB::30", None), "sel17152": ("SDDB::17152", None), "sel301": ("STDB::301", None),
}  # fmt: skip
DIGITAL = np.random.default_rng(0).integers(-400, 400, (5000, 2))
MARKS = "(p)(N)t)(p)(N)(t)"  # the onset of T is marked in few beats


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "RECORDS").write_text("\n".join(ORIGINS) + "\n")
    for record in ORIGINS:
        leads = ["D3", "V4"] if record.startswith("sele") else ["ECG1", "ECG2"] if len(record) > 6 else ["MLII", "V5"]
        wfdb.wrsamp(
            record, fs=250, units=["mV"] * 2, sig_name=leads, d_signal=DIGITAL, fmt=["212"] * 2,
            adc_gain=[200.0] * 2, baseline=[1024] * 2, comments=["69 M 1085 1629 x1"], write_dir=str(tmp_path),
        )  # fmt: skip
        samples = 1000 + 20 * np.arange(len(MARKS))
        for suffix, marks in (("pu", MARKS), ("qc", MARKS)):  # wfdb writes no digits
            wfdb.wrann(record, suffix, samples, list(marks), write_dir=str(tmp_path))
        (tmp_path / f"{record}.qc").replace(tmp_path / f"{record}.q1c")
    return tmp_path


def ready(root: Path) -> QTDB:
    source = QTDB(str(root), download=False)
    source.ensure()
    return source


def test_a_record_is_read_as_it_was_written(root: Path) -> None:
    recording = ready(root).read(0)
    np.testing.assert_allclose(recording.signal, (DIGITAL.T - 1024) / 200, atol=1e-6)
    assert (recording.record, recording.fs, recording.leads) == ("sel100", 250, ("MLII", "V5"))
    assert (recording.age, recording.sex) == (69, "M")
    assert recording.beats is not None
    assert recording.beats.samples.tolist() == [1080, 1240]
    assert recording.beats.labels.tolist() == ["", ""]
    assert recording.spans is not None
    assert recording.spans.labels.tolist() == ["P", "QRS", "P", "QRS", "T"]
    assert recording.spans.start.tolist() == [1000, 1060, 1160, 1220, 1280]
    assert recording.spans.end.tolist() == [1041, 1101, 1201, 1261, 1321]


def test_patients_are_those_of_the_originals_and_on_their_side(root: Path, tmp_path: Path) -> None:
    kinds: dict[str, type[Holter]] = {"NSRDB": NSRDB, "LTDB": LTDB, "SVDB": SVDB}
    for recording in ready(root).recordings():
        patient, split = ORIGINS[recording.record]
        assert recording.patient == patient
        database, _, name = patient.partition("::")
        if database in kinds:
            (tmp_path / database).mkdir()
            (tmp_path / database / "RECORDS").write_text(RELATIVES[database])
            split = kinds[database](str(tmp_path / database)).split(name)
        assert recording.split == split or split is None


def test_a_leak_is_known_on_both_sides(root: Path, tmp_path: Path) -> None:
    encoder = load_encoder(fresh_checkpoint(tmp_path, Preprocessing())).encoder
    on_qtdb = {"data": "QTDB", "cohort": "QTDB", "patients": [patient_hash("QTDB", "MITBIH::223")]}
    learned = PretrainedEncoder(encoder, Preprocessing(), on_qtdb)
    assert learned.saw(MITBIH.__name__, ["223", "100"]) == ["223"]
    on_mitbih = {"data": "MITBIH", "cohort": "MITBIH", "patients": [patient_hash("MITBIH", "223")]}
    learned = PretrainedEncoder(encoder, Preprocessing(), on_mitbih)
    assert learned.saw("QTDB", ["MITBIH::223", "MITBIH::100", "SVDB::223"]) == ["MITBIH::223"]


def test_every_lead_of_every_record_is_in_the_store(root: Path, tmp_path: Path) -> None:
    source = ready(root)
    store = build(source, Preprocessing(leads=source.leads, window=3), tmp_path / "cache")
    assert len(store.records) == 2 * len(ORIGINS)


def test_a_name_of_another_database_is_refused(root: Path) -> None:
    (root / "RECORDS").write_text("100\n")
    with pytest.raises(DataError, match="100 is no record of the QT Database"):
        QTDB(str(root), download=False).split("100")


def test_waves_are_parted_where_beats_were_left_out(root: Path) -> None:
    samples = np.append(1000 + 20 * np.arange(8), 3000 + 20 * np.arange(9))
    wfdb.wrann("sel100", "qc", samples, list(MARKS), write_dir=str(root))
    (root / "sel100.qc").replace(root / "sel100.q1c")
    (waves,) = ready(root).waves(0)
    assert waves.lead == ""
    assert waves.labels.tolist() == ["P", "QRS", "T", "P", "QRS", "T"]
    assert waves.onset.tolist() == [1000, 1060, -1, 3000, 3060, 3120]
    assert waves.peak.tolist() == [1020, 1080, 1120, 3020, 3080, 3140]
    assert waves.offset.tolist() == [1040, 1100, 1140, 3040, 3100, 3160]
    assert waves.stretches.tolist() == [[1000, 1141], [3000, 3161]]
