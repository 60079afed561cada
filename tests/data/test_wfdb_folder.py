"""A folder of WFDB records as they come: mixed rates, formats and leads, with and without a table of labels."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb

from ssl_ecg.data.build import build
from ssl_ecg.data.module import ECGDataModule
from ssl_ecg.data.sources import WFDBFolder
from ssl_ecg.data.splits import hashed_split
from ssl_ecg.data.windows import Whole
from ssl_ecg.errors import DataError
from ssl_ecg.preprocessing import Preprocessing


def write(root: Path, name: str, *, fs: float = 250, leads: tuple[str, ...] = ("I", "II"), **options: Any) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    c = len(leads)
    settings = {"fmt": ["16"] * c, "units": ["mV"] * c, "adc_gain": [1000.0] * c, "baseline": [0] * c} | options
    signal = np.random.default_rng(len(name)).normal(0, 0.5, (1000, c))
    wfdb.wrsamp(path.name, fs=fs, sig_name=list(leads), p_signal=signal, write_dir=str(path.parent), **settings)
    return path.with_suffix(".hea")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "b1")
    write(tmp_path, "ward/a1", fs=500, fmt=["212"] * 2)
    write(tmp_path, "ward/a2", leads=("II", "I"), units=["uV"] * 2, adc_gain=[1.0] * 2)
    return tmp_path


def source(root: Path, *lines: str, **settings: Any) -> WFDBFolder:
    """The folder, with a table of labels if there are lines for it."""
    if lines:
        (root / "labels.csv").write_text("\n".join(lines) + "\n")
        settings["labels"] = str(root / "labels.csv")
    folder = WFDBFolder(str(root), **settings)
    folder.ensure()
    return folder


def test_every_record_is_read_as_wfdb_reads_it(root: Path) -> None:
    folder = source(root)
    assert folder.records == ["b1", "ward/a1", "ward/a2"]
    for r in folder.recordings():
        raw = wfdb.rdrecord(str(root / r.record))
        mv = 1e-3 if raw.units[0] == "uV" else 1
        np.testing.assert_allclose(r.signal, raw.p_signal.T * mv, atol=1e-6)
        assert (r.fs, r.leads) == (raw.fs, tuple(raw.sig_name))
        assert r.patient == r.record
        assert r.split == "train"  # without labels there is nothing to test
    assert folder.leads == ("I", "II")
    assert folder.classes == ()


def test_the_table_says_whose_where_and_what(root: Path) -> None:
    folder = source(
        root,
        "record,patient,split,label,age,sex,remark",
        "b1,anna,test,AF|LBBB,71,F,x",
        "ward/a1,bert,val,AF,abc,m,y",
        "elsewhere,carl,train,PVC,,,",
    )
    b1, a1, a2 = folder.recordings()
    assert (b1.patient, b1.split, b1.labels, b1.age, b1.sex, b1.notes) == ("anna", "test", ("AF", "LBBB"), 71, "F", ())
    assert (a1.patient, a1.split, a1.labels, a1.age, a1.sex) == ("bert", "val", ("AF",), None, "M")
    assert a1.notes == ("age 'abc' is no number: taken as unknown",)
    assert (a2.patient, a2.labels) == ("ward/a2", ())
    assert folder.classes == ("AF", "LBBB", "PVC")
    assert folder.multilabel
    assert folder.meaning == {"AF": ("AF",), "LBBB": ("LBBB",), "PVC": ("PVC",)}


def test_one_label_a_record_is_a_task_of_one_label(root: Path) -> None:
    folder = source(root, "record,label", "b1,AF", "ward/a1,N", "ward/a2,")
    assert not folder.multilabel
    assert folder.classes == ("AF", "N")


def test_a_patient_without_a_split_is_on_one_side(root: Path) -> None:
    folder = source(root, "record,patient,label", "b1,anna,AF", "ward/a1,anna,", "ward/a2,anna,")
    assert {r.split for r in folder.recordings()} == {hashed_split("anna")}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["name,label", "b1,AF"], r"labels\.csv has no column record; it has name, label"),
        (["record,split", "b1,left"], r"the split of b1 is 'left', not one of train, val, test"),
        (["record", "b1", "b1"], r"has the record b1 twice"),
        (
            ["record,patient,split", "b1,anna,train", "ward/a1,anna,test"],
            r"has patient anna in train and, with record ward/a1, in test: .* would leak",
        ),
        (["record", "a1"], r"names none of the 3 recordings: they are called b1, \.\.\., and the table has a1"),
        (['record\n"', ""], r"labels\.csv is not a readable CSV file"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(lines: list[str], message: str, root: Path) -> None:
    with pytest.raises(DataError, match=message):
        source(root, *lines)


def test_a_table_that_is_missing_is_named(root: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv is not a readable CSV file"):
        source(root, labels=str(root / "none.csv"))


def test_channels_of_one_name_are_told_apart(root: Path) -> None:
    header = write(root, "00", leads=("ECG", "ECG2"))
    header.write_text(header.read_text().replace("ECG2", "ECG"))
    folder = source(root)
    assert folder.read(0).leads == folder.leads == ("ECG1", "ECG2")
    assert source(root, leads=("II",)).leads == ("II",)


def test_what_cannot_be_read_hinders_no_other(root: Path) -> None:
    (root / "00.hea").write_text("00/2 2 250 2000\nb1 1000\nb1 1000\n")
    write(root, "01", units=["mmHg", "mV"])
    (root / "02.hea").write_text("nonsense\n")
    folder = source(root)
    messages = [
        r"00\.hea is not a readable header of a single-segment WFDB record",
        r"01\.dat, lead I: the unit is 'mmHg'",
        r"02\.hea is not a readable header",
    ]
    for number, message in enumerate(messages):
        with pytest.raises(DataError, match=message):
            folder.read(number)
    assert folder.read(3).record == "b1"
    assert folder.leads == ("I", "II")


def test_a_folder_without_records_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no WFDB records"):
        source(tmp_path)
    (tmp_path / "x.hea").write_text("nonsense\n")
    with pytest.raises(DataError, match=r"x\.hea is not a readable header"):
        source(tmp_path)


def test_fingerprint_follows_the_content_and_not_the_place(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = source(root).fingerprint()
    assert source(root).fingerprint() == before
    labelled = source(root, "record,label", "b1,AF").fingerprint()
    write(root, "b1", adc_gain=[500.0] * 2)
    assert len({str(before), str(labelled), str(source(root).fingerprint())}) == 3
    moved = tmp_path_factory.mktemp("moved") / "data"
    after = source(root).fingerprint()
    root.rename(moved)
    assert source(moved).fingerprint() == after


def test_a_source_survives_pickling_and_sends_no_lists(root: Path) -> None:
    folder = source(root, "record,label", "b1,AF")
    sent = pickle.dumps(folder)
    assert b"ward" not in sent
    copy = pickle.loads(sent)
    assert copy.read(0).labels == ("AF",)
    assert copy.leads == folder.leads


def test_it_can_be_prepared(root: Path) -> None:
    store = build(source(root), Preprocessing(leads=("II", "I")), cache=root / "cache")
    assert store.records["source_fs"].tolist() == [250, 500, 250]
    assert store.records["length"].tolist() == [400, 200, 400]


@pytest.mark.parametrize("hold_out", [0.0, 0.2])
def test_without_labels_all_is_pretrained_on(hold_out: float, root: Path) -> None:
    p = Preprocessing(leads=("II", "I"), window=2.0)
    store = build(source(root, "record,patient,age", "b1,anna,70"), p, cache=root / "cache")
    module = ECGDataModule(store, p, Whole(), Whole(), batch_size=1, hold_out=hold_out)
    assert (module.patients, module.held_out) == (["anna", "ward/a1", "ward/a2"], [])


def test_a_table_without_a_header_line_has_records_and_labels(root: Path) -> None:
    folder = source(root, "ward/a1,N", "b1,AF", "ward/a2,N")
    assert {r.record: r.labels for r in folder.recordings()} == {"b1": ("AF",), "ward/a1": ("N",), "ward/a2": ("N",)}
    assert source(root, "gone,N", "b1,AF", "ward/a2,N").classes == ("AF", "N")  # of a larger data set
    with pytest.raises(DataError, match=r"begins with id, which is no recording: begin it with record,label"):
        source(root, "id,rhythm", "b1,AF", "ward/a2,N")


def test_the_official_files_of_the_challenge_of_2017(shared_data: Path) -> None:
    place = shared_data / "cinc2017"
    if not place.is_dir():
        pytest.skip(f"no {place}")
    folder = WFDBFolder(str(place / "training2017"), str(place / "REFERENCE-v3.csv"))
    folder.ensure()
    assert (len(folder), folder.leads, folder.classes) == (5875, ("ECG",), ("A", "N", "O", "~"))
    for number in (0, 2, 5874):
        r = folder.read(number)
        raw = wfdb.rdrecord(str(place / "training2017" / r.record))
        np.testing.assert_allclose(r.signal, raw.p_signal.T, atol=1e-6)
        assert "the checksum in" in r.notes[0] and "is 0" in r.notes[0]
    assert folder.read(2).labels == ("A",)


def test_real_records_of_a_challenge(shared_data: Path) -> None:
    sample = shared_data / "cinc2021-sample"
    if not sample.is_dir():
        pytest.skip(f"no {sample}")
    folder = source(sample)
    assert len(folder) == 50
    assert folder.leads == ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    assert folder.read(0).signal.shape == (12, 5000)
