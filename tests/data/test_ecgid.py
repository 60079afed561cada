"""ECG-ID: the real recordings, and an imitation damaged where it can be."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import wfdb

from ssl_ecg.data.build import build
from ssl_ecg.data.sources import ECGID
from ssl_ecg.errors import DataError
from ssl_ecg.preprocessing import Preprocessing

DIGITAL = np.random.default_rng(0).integers(-400, 400, (10000, 2))


def write(root: Path, record: str, comments: list[str]) -> None:
    folder, name = (root / record).parent, Path(record).name
    folder.mkdir(parents=True, exist_ok=True)
    wfdb.wrsamp(
        name, fs=500, units=["mV"] * 2, sig_name=["ECG I", "ECG I filtered"], d_signal=DIGITAL, fmt=["16"] * 2,
        adc_gain=[200.0] * 2, baseline=[0] * 2, comments=comments, write_dir=str(folder),
    )  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    names = [f"Person_{i:02}/rec_{j}" for i in range(1, 11) for j in (1, 2)]
    for i, name in enumerate(names):
        sex = "male" if i % 4 < 2 else "female"
        write(tmp_path, name, ["Age: 25", f"Sex: {sex}", "ECG date: 07.12.2004"])
    (tmp_path / "RECORDS").write_text("\n".join(names) + "\n")
    return tmp_path


def ready(root: Path) -> ECGID:
    source = ECGID(str(root), download=False)
    source.ensure()
    return source


def test_real_recordings_are_the_published_ones(shared_data: Path) -> None:
    folder = shared_data / "ecg-id"
    if not (folder / "RECORDS").is_file():
        pytest.skip(f"no recordings of ECG-ID in {folder}")
    source = ready(folder)
    assert len(source) == 310
    sides = {recording.patient: recording.split for recording in map(source.read, range(0, 310, 9))}
    assert len(source._sides) == 90
    assert sides.items() <= source._sides.items()
    assert Counter(source._sides.values()) == {"train": 63, "val": 9, "test": 18}
    for number in (0, 100):
        recording = source.read(number)
        expected = wfdb.rdrecord(str(folder / recording.record)).p_signal.T
        np.testing.assert_allclose(recording.signal, expected[:1], atol=1e-6)
        assert (recording.fs, recording.leads, recording.notes) == (500, ("I",), ())
    odd = source.read(source.records.index("Person_13/rec_2"))  # one of eleven, as published
    assert [note.rpartition(": ")[2] for note in odd.notes] == ["the checksum in rec_2.hea is not that of the samples"]
    first = source.read(0)
    assert (first.record, first.patient, first.age, first.sex) == ("Person_01/rec_1", "Person_01", 25, "M")
    assert first.labels == ("M", "2004-12-07")


def test_the_raw_channel_is_read_and_the_class_is_the_sex(root: Path, tmp_path: Path) -> None:
    source = ready(root)
    recording = source.read(0)
    np.testing.assert_allclose(recording.signal, DIGITAL.T[:1] / 200, atol=1e-6)
    assert recording.leads == source.leads == ("I",)
    store = build(source, Preprocessing(leads=("I",), window=10), tmp_path / "cache")
    assert store.label.tolist() == [1, 1, 0, 0] * 5
    assert len(store.patients) == 10
    assert Counter(source._sides.values()) == {"train": 7, "val": 1, "test": 2}
    assert all(source.read(2 * i).split == source.read(2 * i + 1).split for i in range(10))


def test_a_sex_that_is_not_said_is_no_class(root: Path) -> None:
    write(root, "Person_01/rec_1", ["Age: ?", "Sex: unknown"])
    recording = ready(root).read(0)
    assert (recording.sex, recording.age, recording.labels) == (None, None, ())
    assert len(recording.notes) == 2


def test_what_is_missing_or_foreign_is_named(root: Path, tmp_path: Path) -> None:
    (root / "Person_01" / "rec_1.dat").unlink()
    with pytest.raises(DataError, match=r"rec_1\.dat"):
        ready(root).read(0)
    (root / "RECORDS").write_text("100\n")
    with pytest.raises(DataError, match="names 100"):
        ready(root)
    with pytest.raises(DataError, match=r"lacks 1 of the 1 files needed of ECG-ID: RECORDS"):
        ready(tmp_path / "nothing")
