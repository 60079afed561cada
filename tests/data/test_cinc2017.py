"""The challenge of 2017: the real recordings as they are, and an imitation of its zip file."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import wfdb
from pretend_download import download_from

from ssl_ecg.data.build import build
from ssl_ecg.data.sources import CinC2017
from ssl_ecg.errors import DataError
from ssl_ecg.preprocessing import Preprocessing

RECORDS = {"A00001": "N", "A00002": "A", "A00003": "O", "A00004": "~"}


def counts(name: str) -> np.ndarray:
    return np.random.default_rng(int(name[1:])).integers(-900, 900, (1, 2700 + 300 * int(name[1:])), dtype=np.int16)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The challenge as published: a table, and records in a folder of their own, without checksums."""
    folder = tmp_path / "1.0.0" / "training2017"
    folder.mkdir(parents=True)
    for name in RECORDS:
        x = counts(name)
        scipy.io.savemat(folder / f"{name}.mat", {"val": x}, format="4")
        lines = [f"{name} 1 300 {x.shape[1]} 05:05:15 1/05/2000 ", f"{name}.mat 16+24 1000/mV 16 0 {x[0, 0]} 0 0 ECG "]
        (folder / f"{name}.hea").write_text("\n".join([*lines, ""]))
    (folder.parent / "REFERENCE-v3.csv").write_text("".join(f"{name},{label}\n" for name, label in RECORDS.items()))
    return folder.parent


def ready(root: Path) -> CinC2017:
    source = CinC2017(str(root), download=False)
    source.ensure()
    return source


# --- the real recordings


@pytest.fixture(scope="module")
def real(shared_data: Path) -> CinC2017:
    folder = shared_data / "cinc2017"
    if not (folder / "REFERENCE-v3.csv").is_file():
        pytest.skip(f"no recordings of the challenge in {folder}")
    return ready(folder)


def test_real_classes_and_sides_are_those_of_every_figure(real: CinC2017) -> None:
    labels = [real._labels[name] for name in real.records]
    assert len(real) == 5875
    assert Counter(labels) == {"N": 3485, "O": 1691, "A": 509, "~": 190}
    recording = real.read(real.records.index("A00004"))
    assert (recording.patient, recording.labels, recording.leads, recording.fs) == ("A00004", ("A",), ("ECG",), 300)
    for number in (0, 7, 99):
        name = real.records[number]
        h = int(hashlib.sha256(("s" + name).encode()).hexdigest(), 16) % 10
        assert real.read(number).split == ("train" if h < 6 else "val" if h < 8 else "test")


def test_real_samples_are_what_wfdb_reads(real: CinC2017) -> None:
    for number in (0, 1000, 5000):
        recording = real.read(number)
        expected = wfdb.rdrecord(str(real.root / "training2017" / recording.record)).p_signal.T
        np.testing.assert_allclose(recording.signal, expected, atol=1e-6)
        assert 9 <= recording.signal.shape[1] / 300 <= 61
        assert recording.notes == ()


# --- the imitation


def test_recordings_of_any_length_are_kept_whole(root: Path, tmp_path: Path) -> None:
    source = ready(root)
    assert source.records == tuple(RECORDS)
    for recording in source.recordings():
        np.testing.assert_allclose(recording.signal, counts(recording.record) / 1000, atol=1e-6)
        assert recording.labels == (RECORDS[recording.record],)
    store = build(source, Preprocessing(leads=("ECG",), window=9), tmp_path)
    assert (store.length / store.fs).tolist() == [10, 11, 12, 13]
    assert store.label.tolist() == [0, 1, 2, 3]
    assert not source.patients_known


def test_of_a_part_of_the_recordings_those_that_are_there_are_read(root: Path) -> None:
    (root / "training2017" / "A00002.hea").unlink()
    assert ready(root).records == ("A00001", "A00003", "A00004")


def test_the_zip_file_is_fetched_where_there_is_nothing_and_unpacked(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(root / "training2017.zip", "w") as archive:
        for file in sorted((root / "training2017").iterdir()):
            archive.write(file, f"training2017/{file.name}")
        archive.writestr("training2017/REFERENCE.csv", "A00001,N\n")
    shutil.rmtree(root / "training2017")
    asked = download_from(root, "challenge-2017/1.0.0", monkeypatch)
    source = CinC2017(str(tmp_path / "here"))
    source.ensure()
    assert asked == ["REFERENCE-v3.csv", "training2017.zip"]
    assert source.records == tuple(RECORDS)
    np.testing.assert_allclose(source.read(0).signal, counts("A00001") / 1000, atol=1e-6)
    again = CinC2017(str(tmp_path / "here"))
    again.ensure()
    assert len(asked) == 2


def test_what_is_missing_is_said_with_what_to_fetch(tmp_path: Path, root: Path) -> None:
    with pytest.raises(DataError, match=r"lacks 1 of the 1 files needed of the PhysioNet/CinC Challenge 2017"):
        CinC2017(str(tmp_path), download=False).ensure()
    shutil.rmtree(root / "training2017")
    with pytest.raises(DataError, match=r"training2017\.zip"):
        CinC2017(str(root), download=False).ensure()
    (root / "training2017.zip").write_bytes(b"half of it")
    with pytest.raises(DataError, match="cannot be unpacked"):
        CinC2017(str(root), download=False).ensure()


@pytest.mark.parametrize("table", ["", "A00001,N\nA00001,A\n", "record,label\nA00001,N\n", "A00001\n"])
def test_a_table_that_is_none_is_said(root: Path, table: str) -> None:
    (root / "REFERENCE-v3.csv").write_text(table)
    with pytest.raises(DataError, match=r"REFERENCE-v3\.csv is not the table"):
        ready(root)


def test_a_truncated_recording_is_named(root: Path) -> None:
    path = root / "training2017" / "A00003.mat"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"A00003\.mat is truncated"):
        ready(root).read(2)
