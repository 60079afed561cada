"""MIT-BIH: real recordings against published counts, and an imitation damaged in every way."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb
from local_server import Quiet, local_server

from ssl_ecg.data import download
from ssl_ecg.data.source import Recording
from ssl_ecg.data.sources.mitbih import DS1, DS2, MITBIH
from ssl_ecg.errors import DataError, UserError

REAL = Path(__file__).parents[3] / "shared" / "data" / "mitdb"
needs_real = pytest.mark.skipif(not (REAL / "100.hea").is_file(), reason=f"no recordings in {REAL}")

BEATS = '+N~LRejAaJSVEF/fQ|!x[]"N'  # every symbol of the database, beats and others
N_SAMPLES = 3600

Damage = Callable[[Path], object]


def write(folder: Path, record: str, *, symbols: str = BEATS, **changes: Any) -> None:
    """Write a ten-second imitation of a record."""
    signal = np.random.default_rng(int(record)).normal(0, 0.3, (N_SAMPLES, 2))
    leads = ["V5", "MLII"] if record == "114" else ["MLII", "V5"]
    options = {
        "fs": 360, "units": ["mV"] * 2, "sig_name": leads, "p_signal": signal, "fmt": ["212"] * 2,
        "adc_gain": [200] * 2, "baseline": [1024] * 2,
    }  # fmt: skip
    wfdb.wrsamp(record, **(options | changes), write_dir=str(folder))
    wfdb.wrann(record, "atr", 100 + 140 * np.arange(len(symbols)), list(symbols), write_dir=str(folder))


@pytest.fixture(scope="session")
def imitation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mitdb")
    for record in DS1 + DS2:
        write(folder, record)
    return folder


@pytest.fixture
def root(imitation: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(imitation, tmp_path / "mitdb"))


def checksums(folder: Path) -> None:
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()} {p.name}\n" for p in sorted(folder.glob("*.*"))]
    (folder / download.SUMS).write_text("".join(lines))


# --- the real recordings


@pytest.fixture(scope="module")
def real() -> dict[str, Recording]:
    return {r.record: r for r in MITBIH(str(REAL), download=False).recordings()}


@needs_real
def test_counts_are_the_published_ones(real: dict[str, Recording]) -> None:
    counts = {"train": Counter[str](), "test": Counter[str]()}
    for r in real.values():
        assert r.beats is not None
        counts[r.split].update(r.beats.labels.tolist())
    assert counts["train"] == {"N": 45866, "S": 944, "V": 3788, "F": 415, "": 8}
    assert counts["test"] == {"N": 44259, "S": 1837, "V": 3221, "F": 388, "": 7}


@needs_real
@pytest.mark.parametrize("record", ["100", "114", "207", "208", "232"])
def test_agrees_with_wfdb(real: dict[str, Recording], record: str) -> None:
    r, raw = real[record], wfdb.rdrecord(str(REAL / record))
    assert r.beats is not None
    np.testing.assert_allclose(r.signal, raw.p_signal.T, atol=1e-6)
    assert r.leads == tuple(raw.sig_name)
    ann = wfdb.rdann(str(REAL / record), "atr")
    no_beat = set('+~|x[]!"')
    assert r.beats.samples.tolist() == [s for s, y in zip(ann.sample, ann.symbol, strict=True) if y not in no_beat]
    ventricular = [y in "VE" for y in ann.symbol if y not in no_beat]
    assert (r.beats.labels == "V").tolist() == ventricular


@needs_real
def test_recordings(real: dict[str, Recording]) -> None:
    assert tuple(real) == DS1 + DS2
    assert len(MITBIH()) == len(real) == 44
    assert not {"102", "104", "107", "217"} & set(real)
    for r in real.values():
        assert r.beats is not None
        assert r.signal.shape == (2, 650_000)
        assert r.signal.dtype == np.float32
        assert r.signal.flags.c_contiguous
        assert r.fs == 360
        assert r.labels == ()
        assert np.abs(r.signal).max() < 6, "not in mV"
        assert (np.diff(r.beats.samples) > 0).all()
        assert r.beats.samples.dtype == np.int64


@needs_real
def test_record_114_has_its_channels_in_the_other_order(real: dict[str, Recording]) -> None:
    assert [name for name, r in real.items() if r.leads[0] != "MLII"] == ["114"]
    r = real["114"]
    assert r.leads == ("V5", "MLII")
    assert r.beats is not None
    # By shape: in MLII, R is upright and taller than anything in V5 of this record.
    at_r = r.beats.samples[r.beats.labels == "N"]
    window = r.signal[:, at_r[:, None] + np.arange(-18, 19)].max(axis=-1) - np.median(r.signal, axis=-1)[:, None]
    assert np.median(window[r.leads.index("MLII")]) > np.median(window[r.leads.index("V5")])


@needs_real
def test_age_sex_and_rhythms_are_those_of_the_files(real: dict[str, Recording]) -> None:
    assert [(real[r].age, real[r].sex) for r in ("100", "101", "201", "202")] == [
        (69, "M"), (75, "F"), (68, "M"), (68, "M"),
    ]  # fmt: skip
    assert sum(r.age is None for r in real.values()) == 2  # the files have -1
    spans = real["100"].spans
    assert spans is not None
    assert (spans.labels.tolist(), spans.end.tolist()) == (["N"], [650_000])
    assert {"AFIB", "AFL", "VT", "B"} <= {label for r in real.values() if r.spans for label in r.spans.labels.tolist()}


@needs_real
def test_only_201_and_202_share_a_patient(real: dict[str, Recording]) -> None:
    patients: dict[str, dict[str, str]] = {}
    for r in real.values():
        patients.setdefault(r.patient, {})[r.record] = r.split
    shared = {p: tuple(records) for p, records in patients.items() if len(records) > 1}
    assert shared == MITBIH.shared_patients == {"201": ("201", "202")}
    assert patients["201"] == {"201": "train", "202": "test"}


@needs_real
def test_fingerprint_is_that_of_the_published_files() -> None:
    lines = (REAL / download.SUMS).read_text().splitlines()
    published = {name: digest for digest, name in map(str.split, lines)}
    fingerprint = MITBIH(str(REAL)).fingerprint()
    assert (fingerprint["name"], fingerprint["version"]) == ("mitdb", "1.0.0")
    sums = fingerprint["sha256"]
    assert isinstance(sums, dict)
    assert len(sums) == 3 * 44
    assert all(published[name] == digest for name, digest in sums.items())


# --- the imitation


def test_classes(imitation: Path) -> None:
    recordings = {r.record: r for r in MITBIH(str(imitation), download=False).recordings()}
    beats = recordings["100"].beats
    assert beats is not None
    assert beats.labels.tolist() == [*"NNNNNSSSSVVF", "", "", "", "N"]
    assert beats.samples.tolist() == [100 + 140 * i for i, s in enumerate(BEATS) if s not in '+~|!x[]"']
    assert recordings["114"].leads == ("V5", "MLII")


def test_the_chest_lead_of_every_record_by_one_name(imitation: Path) -> None:
    source = MITBIH(str(imitation), download=False, chest="V1")
    plain = {r.record: r for r in MITBIH(str(imitation), download=False).recordings()}
    assert source.leads == ("II", "V1")
    for r in source.recordings():
        assert r.leads == (("V1", "MLII") if r.record == "114" else ("MLII", "V1"))
        assert np.array_equal(r.signal, plain[r.record].signal), "names change, signals do not"
    assert source.fingerprint() != MITBIH(str(imitation), download=False).fingerprint()
    with pytest.raises(UserError, match="is there already"):
        MITBIH(str(imitation), chest="MLII")


def test_fingerprint_follows_the_content_and_not_the_place(imitation: Path, root: Path) -> None:
    here, there = MITBIH(str(imitation)).fingerprint(), MITBIH(str(root)).fingerprint()
    assert here == there
    write(root, "100", symbols="NNV")
    assert MITBIH(str(root)).fingerprint() != here


def test_downloads_what_is_missing(imitation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served, root = tmp_path / "site" / "mitdb" / "1.0.0", tmp_path / "mitdb"
    shutil.copytree(imitation, served)
    checksums(served)

    class Files(Quiet, SimpleHTTPRequestHandler):
        pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    source = MITBIH(str(root))
    with local_server(partial(Files, directory=str(tmp_path / "site"))) as url:
        monkeypatch.setenv(download.PHYSIONET_MIRROR, url)
        source.ensure()
    source.ensure()  # all there: no server needed
    assert len(list(source.recordings())) == 44
    wanted = {file for number in range(44) for file in source.files(number)}
    assert {p.name for p in root.iterdir()} == {*wanted, download.SUMS}


def read_all(root: Path) -> list[Recording]:
    source = MITBIH(str(root), download=False)
    source.ensure()
    return list(source.recordings())


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4] ^= 0x15
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def swap(path: Path) -> None:
    shutil.copy(path.with_stem("106"), path)


def edit(old: str, new: str) -> Damage:
    return lambda path: path.write_text(path.read_text().replace(old, new))


def rewrite(**changes: Any) -> Damage:
    return lambda path: write(path.parent, path.stem, **changes)


NAN = np.where(np.arange(2 * N_SAMPLES).reshape(N_SAMPLES, 2) // 10 == 144, np.nan, 0.1)  # 5 samples at 2 s
MISSING = "lacks 1 of the 132 files needed of the MIT-BIH Arrhythmia Database: "
FOREIGN = "hea is not of the MIT-BIH Arrhythmia Database: "

DAMAGE: list[tuple[str, Damage, str]] = [
    ("dat", cut, r"105\.dat is truncated: 6,480 bytes, 105\.hea promises 10,800"),
    ("dat", empty, r"105\.dat is truncated: 0 bytes"),
    ("dat", flip, r"105\.dat, lead MLII: the samples do not match the checksum in 105\.hea"),
    ("dat", swap, r"105\.dat, lead MLII: the samples do not match the checksum in 105\.hea"),
    ("dat", Path.unlink, MISSING + r"105\.dat\."),
    (
        "dat",
        rewrite(p_signal=NAN),
        r"105\.dat, lead MLII: 5 of 3,600 samples .* \(NaN\), the first at 2\.00 s",
    ),
    ("dat", rewrite(units=["mV", "NU"]), r"105\.dat, lead V5: the unit is 'NU'; expected mV"),
    ("hea", cut, r"105\.hea is not a readable header"),
    ("hea", empty, r"105\.hea is not a readable header"),
    ("hea", lambda path: shutil.copy(path.with_suffix(".dat"), path), r"105\.hea is not a readable header"),
    ("hea", swap, r"105\.hea is the header of record '106', not of '105'"),
    ("hea", Path.unlink, MISSING + r"105\.hea\."),
    ("hea", edit("105.dat", "../105.dat"), r"105\.hea is not a readable header"),
    ("hea", edit("105.dat", "x105.dat"), r"x105\.dat is missing, and \S+105\.hea says its samples lie there"),
    ("hea", edit("105 2 360", "105 3 360"), r"105\.hea is incomplete: it does not describe all"),
    ("hea", edit("105 2 360 3600", "105/2 2 360 3600"), r"105\.hea is not a readable header of a single-seg"),
    ("hea", rewrite(fs=250), FOREIGN + r"250 Hz, leads MLII, V5; expected 360 Hz, MLII and one chest lead"),
    ("hea", rewrite(sig_name=["I", "II"]), FOREIGN + r"360 Hz, leads I, II; expected 360 Hz, MLII and one"),
    ("atr", cut, r"105\.atr is truncated: \d+ bytes, without the end mark"),
    ("atr", empty, r"105\.atr is truncated: 0 bytes"),
    ("atr", Path.unlink, MISSING + r"105\.atr\."),
    (
        "atr",
        lambda path: path.write_bytes(b"\xff\xfc" * 9 + b"\0\0"),
        r"105\.atr is not a readable WFDB anno",
    ),
    (
        "atr",
        rewrite(symbols="N" * 40),
        r"105\.atr does not fit its record of 3,600 samples: .* 100 and 5,560",
    ),
    ("atr", rewrite(symbols="+~"), r"105\.atr has no beats"),
]


@pytest.mark.parametrize(("kind", "damage", "message"), DAMAGE)
def test_damage_is_named(kind: str, damage: Damage, message: str, root: Path) -> None:
    damage(root / f"105.{kind}")
    with pytest.raises(DataError, match=message):
        read_all(root)


@pytest.mark.parametrize("kind", ["dat", "atr", "hea"])
def test_checksums_are_held_where_they_are_known(kind: str, root: Path) -> None:
    checksums(root)
    MITBIH(str(root), download=False).ensure()
    path = root / f"223.{kind}"
    edit("200(1024)", "100(1024)")(path) if kind == "hea" else flip(path)
    with pytest.raises(DataError, match=rf"223\.{kind} is not the file PhysioNet published: SHA-256"):
        MITBIH(str(root), download=False).ensure()


def test_with_a_limit_no_more_is_needed(root: Path) -> None:
    for record in DS1[2:] + DS2:
        (root / f"{record}.dat").unlink()
    source = MITBIH(str(root), download=False)
    source.ensure(limit=2)
    assert [source.read(number).record for number in range(2)] == list(DS1[:2])
    with pytest.raises(DataError, match=r"lacks 1 of the 9 files needed"):
        source.ensure(limit=3)


def test_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "mitdb").touch()
    with pytest.raises(DataError, match=r"lacks 132 of the 132 files .*: 101\.hea, 101\.dat, 101\.atr, \.\.\."):
        MITBIH(str(tmp_path / "mitdb"), download=False).ensure()
    with pytest.raises(DataError, match="mitdb cannot be made"):
        MITBIH(str(tmp_path / "mitdb")).ensure()


def test_missing_root_says_what_to_fetch_and_where(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        MITBIH(str(tmp_path / "none"), download=False).ensure()
    message = str(caught.value)
    assert f"-P {tmp_path / 'none'} https://physionet.org/files/mitdb/1.0.0/" in message
    assert "https://physionet.org/content/mitdb/1.0.0/" in message
    assert not (tmp_path / "none").exists()
