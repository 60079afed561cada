"""The challenge of 2021: the real sample against its headers, and imitations of the official layout."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import wfdb
from hypothesis import given
from hypothesis import strategies as st
from pretend_download import download_from
from twelve_leads import counts, write_record

from ssl_ecg.data.build import build
from ssl_ecg.data.sources import CinC2021
from ssl_ecg.data.sources.cinc2021 import SCORED, _database
from ssl_ecg.data.splits import hashed_split
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.leads import STANDARD_12
from ssl_ecg.preprocessing import Preprocessing

OFFICIAL = {
    "training/cpsc_2018/g1": ["A0001", "A0002"],
    "training/cpsc_2018_extra/g1": ["Q0001"],
    "training/st_petersburg_incart/g1": ["I0001"],
    "training/ptb/g1": ["S0001"],
    "training/ptb-xl/g1": ["HR00001"],
    "training/ptb-xl/g2": ["HR01001"],
    "training/georgia/g1": ["E00001"],
    "training/chapman_shaoxing/g1": ["JS00001"],
    "training/ningbo/g1": ["JS10647"],
}
RATES = {"I": 257, "S": 1000}
COMMENTS = ("Age: 78", "Sex: Male", "Dx: 164889003,59118001", "Rx: Unknown", "Hx: Unknown", "Sx: Unknown")


def write(folder: Path, name: str, comments: tuple[str, ...] = COMMENTS, unit: str = "mV") -> None:
    """A record as the challenge has it: the samples in a MATLAB file, the rest in the header."""
    digital, fs = counts(int(name[-5:].lstrip("AQISE")), 2000), RATES.get(name[0], 500)
    folder.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(folder / f"{name}.mat", {"val": digital.T.astype(np.int16)}, format="4")
    sums = (digital.sum(axis=0) + 32768) % 65536 - 32768
    lines = [f"{name} 12 {fs} {len(digital)}"]
    lines += [
        f"{name}.mat 16x1+24 1000.0(0)/{unit} 16 0 {x[0]} {s} 0 {lead}"
        for lead, x, s in zip(STANDARD_12, digital.T, sums, strict=True)
    ]
    (folder / f"{name}.hea").write_text("\n".join([*lines, *(f"# {comment}" for comment in comments)]) + "\n")


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """The layout on PhysioNet, listings included."""
    root = tmp_path / "1.0.3"
    for folder, names in OFFICIAL.items():
        for name in names:
            write(root / folder, name)
        (root / folder / "RECORDS").write_text("\n".join(names) + "\n")
    (root / "RECORDS").write_text("".join(f"{folder}/\n" for folder in OFFICIAL))
    return root


def ready(root: Path, **settings: object) -> CinC2021:
    source = CinC2021(str(root), download=False, **settings)  # type: ignore[arg-type]
    source.ensure()
    return source


@pytest.fixture
def fetched(official: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that were asked for; they come from the imitation."""
    return download_from(official, "challenge-2021/1.0.3", monkeypatch)


# --- the real recordings


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Path:
    folder = shared_data / "cinc2021-sample"
    if not folder.is_dir():
        pytest.skip(f"no recordings of the challenge in {folder}")
    return folder


def test_real_recordings_are_what_their_headers_say(real: Path) -> None:
    source = CinC2021(str(real))  # what is there is used: nothing is fetched
    source.ensure()
    assert len(source) == 50
    for recording in source.recordings():
        header = (real / f"{recording.record}.hea").read_text()
        assert recording.labels == tuple(dict.fromkeys(re.findall(r"\d{6,}", header.split("Dx:")[1])))
        assert recording.age == float(header.split("Age:")[1].split()[0])
        assert recording.sex == header.split("Sex:")[1].split()[0][0]
        assert (recording.signal.shape, recording.fs, recording.leads) == ((12, 5000), 500, STANDARD_12)
        assert recording.notes == ()
        assert np.abs(recording.signal).max() < 50, "not in mV"


def test_real_samples_are_what_wfdb_reads(real: Path) -> None:
    source = ready(real)
    for name in ("E07500", "HR06009", "JS20010"):
        signal = source.read(source.records.index(name)).signal
        np.testing.assert_allclose(signal, wfdb.rdrecord(str(real / name)).p_signal.T, atol=1e-6)


# --- the imitations


def test_the_scored_diagnoses_are_26_of_30_codes() -> None:
    codes = [code for codes in SCORED.values() for code in codes]
    assert len(SCORED) == 26
    assert len(set(codes)) == len(codes) == 30
    assert [name.count("|") + 1 for name in SCORED] == [len(codes) for codes in SCORED.values()]
    assert CinC2021.classes == tuple(SCORED)


def test_equivalent_codes_are_one_class() -> None:
    meaning = CinC2021().meaning
    assert meaning["733534002"] == meaning["164909002"] == ("CLBBB|LBBB",)
    assert meaning["713427006"] == meaning["59118001"] == ("CRBBB|RBBB",)
    assert meaning["284470004"] == meaning["63593006"] == ("PAC|SVPB",)
    assert meaning["427172004"] == meaning["17338001"] == ("PVC|VPB",)
    assert "55930002" not in meaning  # ST changes, not scored


def test_databases_are_told_by_name_and_agree_with_the_official_folders() -> None:
    for folder, names in OFFICIAL.items():
        assert {_database(name) for name in names} == {folder.split("/")[1]}
    assert (_database("JS10646"), _database("JS45551")) == ("chapman_shaoxing", "ningbo")
    assert {_database(name) for name in ("100", "B0001", "HR", "A0001x", "JS1")} == {None}


def test_recordings_keep_their_rate_and_samples(official: Path) -> None:
    recordings = {r.record: r for r in ready(official).recordings()}
    assert sorted(recordings) == sorted(name for names in OFFICIAL.values() for name in names)
    assert {r.fs for r in recordings.values()} == {257, 500, 1000}
    assert recordings["I0001"].fs == 257
    assert recordings["S0001"].fs == 1000
    np.testing.assert_allclose(recordings["A0002"].signal, counts(2, 2000).T / 1000, atol=1e-6)
    assert {(r.age, r.sex, r.labels) for r in recordings.values()} == {(78, "M", ("164889003", "59118001"))}


def test_whoever_may_have_several_recordings_is_in_training(official: Path) -> None:
    recordings = {r.record: r for r in ready(official).recordings()}
    assert {r.patient for name, r in recordings.items() if name.startswith("HR")} == {"?ptb-xl"}
    for name, r in recordings.items():
        if name.startswith("JS"):
            assert (r.patient, r.split) == (name, hashed_split(name))
        else:
            assert (r.patient, r.split) == (f"?{_database(name)}", "train")


def test_the_layout_makes_no_difference(official: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    for names in OFFICIAL.values():
        for name in names:
            write(flat, name)
    assert ready(flat).records == ready(official).records == ready(official / "training").records
    assert ready(flat).fingerprint() == ready(official).fingerprint() == CinC2021(str(official)).fingerprint()
    write(flat, "A0003")
    assert ready(flat).fingerprint() != ready(official).fingerprint()


def test_some_databases_only(official: Path) -> None:
    source = ready(official, databases=("ptb-xl", "ningbo"))
    assert source.records == ("HR00001", "HR01001", "JS10647")
    assert source.fingerprint() != ready(official).fingerprint()
    with pytest.raises(UserError, match="databases is 'mitdb', not one of cpsc_2018, "):
        CinC2021(databases=("mitdb",))  # type: ignore[arg-type]


def test_signals_may_be_dat(tmp_path: Path) -> None:
    write_record(tmp_path / "E00001", counts(1, 2000), 500, comments=COMMENTS)
    source = ready(tmp_path)
    assert source.files(0) == ["E00001.hea", "E00001.dat"]
    np.testing.assert_allclose(source.read(0).signal, counts(1, 2000).T / 1000, atol=1e-6)


@pytest.mark.parametrize(
    ("comments", "labels", "notes"),
    [
        (("Dx: 1,,2,", "Age: 4"), ("1", "2"), ()),  # as in JS00344 and JS03287
        (("Dx:  284470004, 284470004", "Age: NaN"), ("284470004",), ()),
        (("Dx: 7", "Age: -1"), ("7",), ("age -1 is no age: taken as unknown",)),
        (("Dx: 7", "Age: sixty"), ("7",), ("age 'sixty' is no number: taken as unknown",)),
        (("Dx: 7", "Sex: Unknown"), ("7",), ("sex 'Unknown' is neither F nor M: taken as unknown",)),
        (("Dx: Unknown", "Sex: F"), (), ("diagnosis 'Unknown' is no SNOMED CT code: left out",)),
        ((), (), ()),
    ],
)
def test_what_a_header_says_is_taken_or_noted(
    tmp_path: Path, comments: tuple[str, ...], labels: tuple[str, ...], notes: tuple[str, ...]
) -> None:
    write(tmp_path, "E00001", comments, unit="mv")
    recording = ready(tmp_path).read(0)
    assert (recording.labels, recording.notes) == (labels, notes)


def test_a_header_needs_no_blank_after_its_signs(tmp_path: Path) -> None:
    write(tmp_path, "E00001")
    header = tmp_path / "E00001.hea"
    header.write_text(header.read_text().replace("# ", "#").replace(": ", ":"))
    recording = ready(tmp_path).read(0)
    assert (recording.labels, recording.age, recording.sex) == (("164889003", "59118001"), 78, "M")


@given(st.lists(st.sampled_from([c for codes in SCORED.values() for c in codes] + ["55930002"]), max_size=8))
def test_a_recording_has_each_code_once(tmp_path_factory: pytest.TempPathFactory, codes: list[str]) -> None:
    folder = tmp_path_factory.mktemp("one")
    write(folder, "E00001", (f"Dx: {','.join(codes)}",))
    labels = ready(folder).read(0).labels
    assert list(labels) == list(dict.fromkeys(codes))


def test_headers_are_not_read_before_their_turn(tmp_path: Path) -> None:
    write(tmp_path, "E00001")
    write(tmp_path, "E00002")
    (tmp_path / "E00001.hea").write_text("nonsense")
    (tmp_path / "E00002.mat").unlink()
    source = CinC2021(str(tmp_path))
    source.ensure()
    assert source.records == ("E00001", "E00002")
    with pytest.raises(DataError, match=r"E00001\.hea is not a readable header"):
        source.read(0)
    with pytest.raises(DataError, match=r"E00002\.mat"):
        source.read(1)


def test_a_foreign_or_a_second_record_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "g1", "E00001")
    write(tmp_path / "g2", "E00001")
    with pytest.raises(DataError, match=r"g2/E00001\.hea is there a second time, in .*g1/E00001\.hea"):
        ready(tmp_path)
    write_record(tmp_path / "g2" / "100", counts(0, 500), 360)
    with pytest.raises(DataError, match=r"100\.hea is no record of the PhysioNet/CinC Challenge 2021"):
        ready(tmp_path)


def test_where_nothing_is_the_first_few_are_fetched(official: Path, fetched: list[str], tmp_path: Path) -> None:
    source = CinC2021(str(tmp_path / "new"))
    source.ensure(limit=2)
    assert fetched[: 1 + len(OFFICIAL)] == ["RECORDS", *(f"{folder}/RECORDS" for folder in OFFICIAL)]
    first = [f"training/cpsc_2018/g1/{name}.{kind}" for name in ("A0001", "A0002") for kind in ("hea", "mat")]
    assert fetched[1 + len(OFFICIAL) :] == first
    assert source.records == ready(official).records
    assert source.read(1).record == "A0002"


def test_a_download_that_was_begun_goes_on(official: Path, fetched: list[str], tmp_path: Path) -> None:
    CinC2021(str(tmp_path / "new"), databases=("ptb-xl",)).ensure(limit=1)
    source = CinC2021(str(tmp_path / "new"), databases=("ptb-xl",))
    source.ensure()
    assert source.records == ("HR00001", "HR01001")
    assert {file for file in fetched if "ptb-xl" not in file} == {"RECORDS"}
    assert len(set(fetched)) == len(fetched), "nothing is fetched twice"
    assert source.fingerprint() == ready(official, databases=("ptb-xl",)).fingerprint()


def test_what_is_there_is_not_added_to(official: Path, fetched: list[str]) -> None:
    source = CinC2021(str(official / "training" / "georgia"))
    source.ensure()
    assert source.records == ("E00001",)
    assert fetched == []


@pytest.mark.parametrize("databases", [None, ("georgia", "ningbo")])
def test_without_files_it_says_what_to_fetch(tmp_path: Path, databases: tuple[str, ...] | None) -> None:
    with pytest.raises(DataError, match=r"has no recordings of (the PhysioNet/CinC|georgia, ningbo)") as caught:
        ready(tmp_path / "none", databases=databases)
    assert "https://physionet.org/content/challenge-2021/1.0.3/" in str(caught.value)


def test_another_process_gets_the_source_and_not_its_names(official: Path) -> None:
    source = ready(official, databases=("georgia",))
    sent = pickle.dumps(source)
    assert len(sent) < 500
    assert pickle.loads(sent).read(0).record == "E00001"


def test_recordings_of_three_rates_can_be_prepared(official: Path) -> None:
    source = ready(official)
    store = build(source, Preprocessing(leads=source.leads), cache=official / "cache")
    assert store.records["record"].tolist() == list(source.records)
    lengths = dict(zip(store.records["record"], store.records["length"], strict=True))
    assert (lengths["A0001"], lengths["I0001"], lengths["S0001"]) == (400, 779, 200)
