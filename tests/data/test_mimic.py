"""MIMIC-IV-ECG, from an imitation in the official layout, and a list as long as the official one."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import wfdb

from ssl_ecg.data import download
from ssl_ecg.data.build import build
from ssl_ecg.data.source import Recording
from ssl_ecg.data.sources import MIMIC
from ssl_ecg.errors import DataError
from ssl_ecg.preprocessing import Preprocessing

LEADS = ["I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6"]  # aVF before aVL
STUDIES = [(10000032, 40689238), (10000032, 44458630), (10000117, 45090959), (19999987, 41190887)]
COLUMNS = "subject_id,study_id,file_name,ecg_time,path\n"


def folder(subject: int, study: int) -> str:
    return f"files/p{str(subject)[:4]}/p{subject}/s{study}"


def signal(study: int) -> np.ndarray:
    return np.random.default_rng(study).integers(-300, 300, (5000, 12))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rows = []
    for subject, study in STUDIES:
        place = tmp_path / folder(subject, study)
        place.mkdir(parents=True)
        wfdb.wrsamp(
            str(study), fs=500, units=["mV"] * 12, sig_name=LEADS, d_signal=signal(study), fmt=["16"] * 12,
            adc_gain=[200.0] * 12, baseline=[0] * 12, comments=[f"<subject_id>: {subject}"], write_dir=str(place),
        )  # fmt: skip
        rows.append(f"{subject},{study},{study},2180-07-23 08:44:00,{folder(subject, study)}/{study}\n")
    (tmp_path / "record_list.csv").write_text(COLUMNS + "".join(rows))
    return tmp_path


def read_all(root: Path) -> list[Recording]:
    source = MIMIC(str(root))
    source.ensure()
    return list(source.recordings())


def test_records_are_read_by_the_list(root: Path) -> None:
    recordings = read_all(root)
    assert [r.record for r in recordings] == [str(study) for _, study in STUDIES] == list(MIMIC(str(root)).records)
    assert [r.patient for r in recordings] == [str(subject) for subject, _ in STUDIES]
    for r, (_, study) in zip(recordings, STUDIES, strict=True):
        np.testing.assert_allclose(r.signal, signal(study).T / 200, atol=1e-6)
        assert (r.fs, r.leads) == (500, tuple(LEADS))
        assert r.split == "train"  # there are no labels to test on
        assert r.labels == ()


def test_a_missing_or_invalid_record_is_named_and_hinders_no_other(root: Path) -> None:
    (root / folder(*STUDIES[1]) / f"{STUDIES[1][1]}.dat").unlink()
    place = root / folder(*STUDIES[2])
    bad = np.where(np.arange(5000)[:, None] == 7, np.nan, np.zeros((5000, 12)))
    wfdb.wrsamp(
        str(STUDIES[2][1]), fs=500, units=["mV"] * 12, sig_name=LEADS, p_signal=bad, fmt=["16"] * 12,
        adc_gain=[200.0] * 12, baseline=[0] * 12, write_dir=str(place),
    )  # fmt: skip
    source = MIMIC(str(root))
    source.ensure()
    with pytest.raises(DataError, match=r"44458630\.dat is missing"):
        source.read(1)
    with pytest.raises(DataError, match=r"45090959\.dat, lead I: 1 of 5,000 samples are marked invalid"):
        source.read(2)
    assert source.read(3).record == "41190887"


def test_without_files_it_says_where_to_get_them(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lacks 1 of the 1 files needed of MIMIC-IV-ECG: record_list\.csv"):
        MIMIC(str(tmp_path / "none")).ensure()
    (root / "files").rename(root / "elsewhere")
    with pytest.raises(DataError, match=r"https://physionet\.org/content/mimic-iv-ecg/1\.0/"):
        MIMIC(str(root)).ensure()


def test_a_foreign_list_is_refused(root: Path) -> None:
    for text in ("record,age\n1,2\n", COLUMNS + "a,b,c,d,e\n", COLUMNS, ""):
        (root / "record_list.csv").write_text(text)
        with pytest.raises(DataError, match=r"record_list\.csv is not the list of MIMIC-IV-ECG"):
            read_all(root)


def test_fingerprint_follows_the_list_and_the_folders(root: Path) -> None:
    before = MIMIC(str(root)).fingerprint()
    assert before == MIMIC(str(root)).fingerprint()
    (root / "files" / "p1999").rename(root / "p1999")
    fewer = MIMIC(str(root)).fingerprint()
    (root / "record_list.csv").write_text(COLUMNS)
    assert len({str(f) for f in (before, fewer, MIMIC(str(root)).fingerprint())}) == 3


def test_download_fetches_the_first_few(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(download, "from_physionet", lambda database, files, root: asked.append([database, *files]))
    (root / "files").rename(root / "elsewhere")
    MIMIC(str(root), download=True).ensure(limit=1)
    path = f"{folder(*STUDIES[0])}/{STUDIES[0][1]}"
    assert asked == [["mimic-iv-ecg/1.0", f"{path}.hea", f"{path}.dat"]]


def test_the_whole_list_is_read_and_not_sent(tmp_path: Path) -> None:
    studies = 40_000_000 + np.arange(800_035)
    subjects = 10_000_000 + np.arange(800_035) // 5
    lines = (f"{p},{s},{s},2180-07-23,{folder(p, s)}/{s}" for p, s in zip(subjects, studies, strict=True))
    (tmp_path / "record_list.csv").write_text(COLUMNS + "\n".join(lines) + "\n")
    source = MIMIC(str(tmp_path))
    assert len(source) == 800_035
    assert source.records[-1] == str(studies[-1])
    assert source.files(800_034) == [f"{folder(subjects[-1], studies[-1])}/{studies[-1]}.{s}" for s in ("hea", "dat")]
    sent = pickle.dumps(source)
    assert len(sent) < 1000
    assert pickle.loads(sent).files(5) == source.files(5)


def test_it_can_be_prepared(root: Path) -> None:
    source = MIMIC(str(root))
    store = build(source, Preprocessing(leads=source.leads), cache=root / "cache")
    assert store.records["record"].tolist() == list(source.records)
    assert store.records["patient"].nunique() == 3
