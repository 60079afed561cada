"""CODE-15%, from an imitation in the layout of Zenodo and a Zenodo of our own."""

from __future__ import annotations

import hashlib
import json
import pickle
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from ssl_ecg.data import download
from ssl_ecg.data.build import build
from ssl_ecg.data.source import Recording
from ssl_ecg.data.sources import CODE15
from ssl_ecg.data.splits import hashed_split
from ssl_ecg.errors import DataError
from ssl_ecg.preprocessing import Preprocessing

# exam, patient, part, labels, age, is_male; not in the order of the files, as in the original
EXAMS = [
    (3006, 7, 10, "AF", "43", "True"),
    (1001, 5, 0, "RBBB ST", "38", "False"),
    (3005, 5, 10, "", "abc", ""),
    (1002, 6, 0, "normal_ecg", "17", "True"),
]
LABELS = ["1dAVb", "RBBB", "LBBB", "SB", "ST", "AF"]
HEADER = "exam_id,age,is_male,nn_predicted_age,1dAVb,RBBB,LBBB,SB,ST,AF,patient_id,death,timey,normal_ecg,trace_file\n"


def trace(exam: int) -> np.ndarray:
    """Exams of 7.3 s amid zeros, and one that fills its row."""
    x = np.zeros((4096, 12), np.float32)
    inner = slice(None) if exam == 3006 else slice(581, 581 + 2934)
    x[inner] = np.random.default_rng(exam).normal(0, 0.5, x[inner].shape)
    return x


def write(root: Path, exams: list[tuple[int, int, int, str, str, str]] = EXAMS) -> None:
    root.mkdir(exist_ok=True, parents=True)
    rows = []
    for exam, patient, part, labels, age, male in exams:
        flags = ",".join(str(name in labels.split()) for name in LABELS)
        normal = "normal_ecg" in labels
        rows.append(f"{exam},{age},{male},40.1,{flags},{patient},,2.1,{normal},exams_part{part}.hdf5\n")
    (root / "exams.csv").write_text(HEADER + "".join(rows))
    for part in {part for _, _, part, *_ in exams}:
        ids = sorted(exam for exam, _, p, *_ in exams if p == part)
        with h5py.File(root / f"exams_part{part}.hdf5", "w") as file:
            file["exam_id"] = np.array([*ids, 0])
            file["tracings"] = np.stack([*map(trace, ids), np.zeros((4096, 12), np.float32)])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "code-15")
    return tmp_path / "code-15"


def read_all(root: Path) -> dict[str, Recording]:
    source = CODE15(str(root), download=False)
    source.ensure()
    return {r.record: r for r in source.recordings()}


def test_every_exam_is_its_own_row_without_the_zeros_around(root: Path) -> None:
    recordings = read_all(root)
    assert list(recordings) == ["1001", "1002", "3006", "3005"]  # part after part
    for name, r in recordings.items():
        whole = trace(int(name)).T
        np.testing.assert_array_equal(r.signal, whole if name == "3006" else whole[:, 581:3515])
        assert r.signal.flags.c_contiguous
        assert r.fs == 400


def test_what_the_table_says(root: Path) -> None:
    r = read_all(root)
    assert [r[e].labels for e in r] == [("RBBB", "ST"), ("normal_ecg",), ("AF",), ()]
    assert [r[e].patient for e in r] == ["5", "6", "7", "5"]
    assert all(x.split == hashed_split(x.patient) for x in r.values())
    assert [(r[e].age, r[e].sex) for e in r] == [(38, "F"), (17, "M"), (43, "M"), (None, None)]
    assert r["3005"].notes == ("age 'abc' is no number: taken as unknown",)
    source = CODE15(str(root))
    assert source.multilabel
    assert set(source.classes) == set(LABELS)
    assert "normal_ecg" not in source.meaning


def test_leads_are_found_by_their_portuguese_names(root: Path) -> None:
    r = read_all(root)["1001"]
    x = Preprocessing(fs=400, leads=("III", "aVR"), highpass=0, lowpass=0).condition(r.signal, r.fs, r.leads)
    np.testing.assert_allclose(x, r.signal[[2, 3]], atol=1e-6)


def test_a_source_survives_pickling_and_sends_no_table(root: Path) -> None:
    source = CODE15(str(root), download=False)
    source.ensure()
    source.read(0)
    sent = pickle.dumps(source)
    assert len(sent) < 500
    assert pickle.loads(sent).read(3).record == "3005"


def test_without_a_file_its_exams_are_no_part_of_it(root: Path) -> None:
    whole = CODE15(str(root), download=False).fingerprint()
    (root / "exams_part0.hdf5").unlink()
    assert list(read_all(root)) == ["3006", "3005"]
    assert CODE15(str(root), download=False).fingerprint() != whole
    (root / "exams_part10.hdf5").unlink()
    with pytest.raises(DataError, match=r"lacks exams_part0\.hdf5 of CODE-15%.*https://zenodo\.org/records/4916206"):
        read_all(root)
    with pytest.raises(DataError, match=r"lacks exams\.csv"):
        read_all(root / "none")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", r"exams\.csv is not the table of CODE-15%"),
        ("", r"exams\.csv is not the table of CODE-15%"),
        (HEADER, r"exams\.csv is not the table of CODE-15% \(no exams\)"),
        (HEADER + "1,2,True,3,,,,,,,4,,,,../secret.hdf5\n", r"exams\.csv is not the table of CODE-15%"),
        (
            HEADER + "9,2,True,3,,,,,,,4,,,,exams_part0.hdf5\n",
            r"exams_part0\.hdf5 has no exam 9, and .*exams\.csv says",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_named(text: str, message: str, root: Path) -> None:
    (root / "exams.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_all(root)


def test_a_damaged_file_is_named(root: Path) -> None:
    path = root / "exams_part0.hdf5"
    with h5py.File(path, "a") as file:
        file["tracings"][0] = 0
    source = CODE15(str(root), download=False)
    with pytest.raises(DataError, match=r"exams_part0\.hdf5: exam 1001 is all zeros"):
        source.read(0)
    assert source.read(1).record == "1002"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"exams_part0\.hdf5 is not a readable HDF5 file"):
        CODE15(str(root), download=False).read(0)


def test_it_can_be_prepared(root: Path) -> None:
    source = CODE15(str(root), download=False)
    store = build(source, Preprocessing(leads=source.leads), cache=root / "cache")
    assert store.records["record"].tolist() == ["1001", "1002", "3006", "3005"]
    assert store.records["length"].tolist() == [734, 734, 1024, 734]  # at 100 Hz, without the zeros


# --- a Zenodo of our own


class Site:
    """Answers as Zenodo does: a record's files with their MD5s, and each of them."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.asked: list[str] = []
        self.sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = site.answer(self.path)
                self.send_response(200 if content is not None else 404)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, path: str) -> bytes | None:
        record = "/api/records/4916206"
        if path.endswith("/login" + record):
            return b"<html>Welcome to the hotel</html>"
        if path.endswith("/empty" + record):
            return b"{}"
        if path == record:
            entries = [
                {"key": name, "checksum": f"md5:{self.sums[name]}", "links": {"self": f"{self.url}/files/{name}"}}
                for name in self.files
            ]
            return json.dumps({"files": entries}).encode()
        name = path.removeprefix("/files/")
        self.asked.append(name)
        return self.files.get(name)


@pytest.fixture
def site(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    files = {"exams.csv": (root / "exams.csv").read_bytes()}
    for path in root.glob("*.hdf5"):
        with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
            archive.write(path, path.name)
        files[f"{path.stem}.zip"] = path.with_suffix(".zip").read_bytes()
    site = Site(files)
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(download.ZENODO_MIRROR, site.url)
    yield site
    site.server.shutdown()
    site.server.server_close()


def test_downloads_what_is_missing_and_unpacks_it(site: Site, root: Path, tmp_path: Path) -> None:
    source = CODE15(str(tmp_path / "new"))
    source.ensure()
    assert [r.labels for r in source.recordings()] == [r.labels for r in read_all(root).values()]
    assert {p.name for p in (tmp_path / "new").iterdir()} == {"exams.csv", "exams_part0.hdf5", "exams_part10.hdf5"}
    source.ensure()
    assert sorted(site.asked) == ["exams.csv", "exams_part0.zip", "exams_part10.zip"]


def test_with_a_limit_it_downloads_the_first_files_only(site: Site, tmp_path: Path) -> None:
    source = CODE15(str(tmp_path / "new"))
    source.ensure(limit=2)
    assert site.asked == ["exams.csv", "exams_part0.zip"]
    assert source.records == ["1001", "1002"]
    source.ensure(limit=3)
    assert len(source) == 4


def test_what_does_not_match_its_checksum_is_refused(site: Site, tmp_path: Path) -> None:
    site.sums["exams.csv"] = "0" * 32
    with pytest.raises(DataError, match=r"exams\.csv: what arrives is damaged, its MD5 is not the published one"):
        CODE15(str(tmp_path / "new")).ensure()
    assert not (tmp_path / "new" / "exams.csv").exists()


def test_what_zenodo_does_not_have_is_named(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del site.files["exams.csv"]
    with pytest.raises(DataError, match=r"(?s)4916206 has no file exams\.csv; it has exams_part.*put it so that"):
        CODE15(str(tmp_path / "new")).ensure()
    monkeypatch.setenv(download.ZENODO_MIRROR, site.url + "/none")
    with pytest.raises(DataError, match=r"Cannot fetch .*4916206: HTTP 404"):
        CODE15(str(tmp_path / "new")).ensure()
    for place in ("/login", "/empty"):
        monkeypatch.setenv(download.ZENODO_MIRROR, site.url + place)
        with pytest.raises(DataError, match=r"4916206 does not answer as Zenodo does"):
            CODE15(str(tmp_path / "new")).ensure()


def test_zip_files_fetched_by_hand_are_unpacked_and_kept(site: Site, tmp_path: Path) -> None:
    root = tmp_path / "mine"
    root.mkdir()
    for name, content in site.files.items():
        (root / name).write_bytes(content)
    assert list(read_all(root)) == ["1001", "1002", "3006", "3005"]
    assert (root / "exams_part0.zip").is_file()
    (root / "exams_part0.hdf5").unlink()
    (root / "exams_part0.zip").write_bytes(site.files["exams_part0.zip"][:5000])
    with pytest.raises(DataError, match=r"exams_part0\.zip is damaged, or has no exams_part0\.hdf5"):
        read_all(root)
    assert not (root / "exams_part0.hdf5").exists()
