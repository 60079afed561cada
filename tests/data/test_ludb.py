"""LUDB: the real recordings against the published counts, and an imitation damaged in every way."""

from __future__ import annotations

import csv
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import wfdb
from twelve_leads import counts, write_record

from ssl_ecg.data.build import build
from ssl_ecg.data.source import Recording
from ssl_ecg.data.sources import LUDB, MITBIH
from ssl_ecg.data.splits import hashed_split
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.leads import STANDARD_12
from ssl_ecg.preprocessing import Preprocessing

LEADS = [lead.lower() for lead in STANDARD_12]
COLUMNS = (
    "ID,Sex,Age,Rhythms,Electric axis of the heart,Conduction abnormalities,Extrasystolies,Hypertrophies,"
    "Cardiac pacing,Ischemia,Non-specific repolarization abnormalities,Other states"
).split(",")
AXIS = "Electric axis of the heart: "
PEOPLE = [
    ["1", "F\n", "51\n", "Sinus bradycardia", AXIS + "left axis deviation", "", "", "", "", "", "", ""],
    [
        "2", "M\n", ">89\n", "Atrial fibrillation\nAberrant conduction", AXIS + "normal",
        "I degree av block\nIncomplete right bundle branch block",
        "Ventricular extrasystole, localisation: rvot, anterior wall\nVentricular extrasystole, type: single pvc",
        "Left atrial overload", "Pacemaker presence, undefined", "Stemi: septal\nScar formation: septal",
        "Non-specific repolarization abnormalities: apical", "Early repolarization syndrome",
    ],
    ["3", "F\n", "19\n", "Sinus rhythm", "", "", "", "", "", "", "", ""],
]  # fmt: skip
MARKS = "(p)(N)(t)(N)"  # two beats, the first with all its waves
FIRST = 600


def write_table(root: Path, people: list[list[str]] = PEOPLE) -> None:
    with (root / "ludb.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *people])


def mark(root: Path, record: str, lead: str, marks: str = MARKS) -> None:
    """Annotate a lead: each mark 20 samples after the one before it."""
    samples = FIRST + 20 * np.arange(len(marks)) + LEADS.index(lead)
    wfdb.wrann(record, "marks", samples, list(marks), write_dir=str(root / "data"))  # it writes no digits here
    (root / "data" / f"{record}.marks").replace(root / "data" / f"{record}.{lead}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_table(tmp_path)
    for record, *_ in PEOPLE:
        write_record(tmp_path / "data" / record, counts(int(record), 5000), 500, leads=LEADS)
        for lead in LEADS:
            mark(tmp_path, record, lead)
    return tmp_path


def ready(root: Path) -> LUDB:
    source = LUDB(str(root), download=False)
    source.ensure()
    return source


# --- the real recordings


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Path:
    folder = shared_data / "ludb"
    if not (folder / "ludb.csv").is_file():
        pytest.skip(f"no recordings of LUDB in {folder}")
    return folder


@pytest.fixture(scope="module")
def some(real: Path) -> list[Recording]:
    """Every twentieth recording, and the one with the most unfinished waves."""
    source = ready(real)
    return [source.read(number) for number in (*range(0, 200, 20), 103)]


def test_findings_are_counted_as_in_the_published_readme(real: Path) -> None:
    source = ready(real)
    assert len(source) == 200
    assert source.records == tuple(str(n) for n in range(1, 201))
    labels = [source.meaning.get(label, ()) for person in source._people.values() for label in _lines(person)]
    people = [
        {c for line in _lines(person) for c in source.meaning.get(line, ())} for person in source._people.values()
    ]
    assert {name for names in labels for name in names} == set(source.classes)
    count = Counter(name for names in people for name in names)
    published = {
        "SR": 143, "STACH": 4, "SBRAD": 25, "SARRH": 8 + 2, "AFIB": 15, "AFLT": 3, "LAD": 66, "RAD": 3, "SAB": 1,
        "1AVB": 10, "3AVB": 5, "IRBBB": 29, "ILBBB": 6, "LAFB": 16, "CRBBB": 4, "CLBBB": 4, "IVCD": 4 + 1, "RVH": 3,
        "LVH": 108, "PACE": 10,
    }  # fmt: skip
    assert {name: count[name] for name in published} == published


def _lines(person: dict[str, str]) -> list[str]:
    cells = [cell for column, cell in person.items() if column not in ("ID", "Sex", "Age")]
    return [line for cell in cells for line in cell.split("\n") if line]


def test_no_finding_is_without_a_class_but_an_axis_that_is_not_deviated(real: Path) -> None:
    source = ready(real)
    lines = {line for person in source._people.values() for line in _lines(person)}
    assert {line for line in lines if line not in source.meaning} == {
        f"{AXIS}normal", f"{AXIS}vertical", f"{AXIS}horizontal",
    }  # fmt: skip


def test_real_recordings_are_whole(some: list[Recording]) -> None:
    for r in some:
        assert (r.signal.shape, r.signal.dtype, r.fs) == ((12, 5000), np.float32, 500)
        assert r.leads == tuple(LEADS)
        assert r.split == hashed_split(r.patient)
        assert r.sex in ("F", "M")
        assert r.age is not None
        assert r.beats is not None
        assert r.spans is not None
        assert set(r.beats.labels) == {""}
        assert set(r.spans.leads) == set(LEADS)
        assert set(r.spans.labels) <= {"P", "QRS", "T"}
        assert (r.spans.end > r.spans.start + 5).all()
        assert (r.spans.end - r.spans.start < 250).all(), "no wave lasts half a second"


def test_real_beats_lie_in_their_qrs(some: list[Recording]) -> None:
    for r in some:
        assert r.beats is not None
        assert r.spans is not None
        qrs = (r.spans.leads == "ii") & (r.spans.labels == "QRS")
        inside = [((r.spans.start[qrs] <= s) & (s < r.spans.end[qrs])).any() for s in r.beats.samples]
        assert np.mean(inside) == 1 or r.notes


def test_unfinished_waves_of_a_real_recording_are_told(some: list[Recording]) -> None:
    notes = {r.record: r.notes for r in some if r.notes}
    assert notes == {"104": ("36 of 204 waves have no onset or no offset: left out",)}


# --- the imitation


def test_a_recording_is_read_as_it_was_written(root: Path) -> None:
    first, second, third = ready(root).recordings()
    assert [r.record for r in (first, second, third)] == ["1", "2", "3"]
    np.testing.assert_allclose(second.signal, counts(2, 5000).T / 1000, atol=1e-6)
    assert [(r.age, r.sex, r.notes) for r in (first, second, third)] == [(51, "F", ()), (90, "M", ()), (19, "F", ())]
    assert first.labels == ("Sinus bradycardia", AXIS + "left axis deviation")
    assert third.labels == ("Sinus rhythm",)
    assert len(second.labels) == 13


def test_findings_stand_for_classes(root: Path) -> None:
    source = ready(root)
    classes = [{name for label in r.labels for name in source.meaning.get(label, ())} for r in source.recordings()]
    assert classes == [
        {"SBRAD", "LAD"},
        {"AFIB", "IVCD", "1AVB", "IRBBB", "PVC", "LAO/LAE", "PACE", "MI", "STTC", "ER"},
        {"SR"},
    ]


def test_waves_go_from_onset_to_offset_and_beats_are_those_of_lead_ii(root: Path) -> None:
    recording = ready(root).read(0)
    spans, beats = recording.spans, recording.beats
    assert spans is not None
    assert beats is not None
    assert beats.samples.tolist() == [FIRST + 1 + 80, FIRST + 1 + 200]
    for i, lead in enumerate(LEADS):
        of_lead = spans.leads == lead
        assert spans.labels[of_lead].tolist() == ["P", "QRS", "T", "QRS"]
        assert spans.start[of_lead].tolist() == [FIRST + i + 60 * n for n in range(4)]
        assert spans.end[of_lead].tolist() == [FIRST + i + 60 * n + 41 for n in range(4)]


@pytest.mark.parametrize(
    ("marks", "whole", "without"),
    [
        ("N)(p)(N)", ["P", "QRS"], 1),  # before the first onset
        ("(N)(t", ["QRS"], 1),
        ("N()(t)", ["T"], 1),  # an onset after its peak, as in record 7
        ("((tt))", [], 2),  # as in record 116
        ("()(N)", ["QRS"], 0),  # a wave without a peak is none
        ("N", [], 1),
    ],
)
def test_a_wave_without_onset_or_offset_is_left_out_and_told(
    root: Path, marks: str, whole: list[str], without: int
) -> None:
    mark(root, "1", "v3", marks)
    recording = ready(root).read(0)
    assert recording.spans is not None
    assert recording.spans.labels[recording.spans.leads == "v3"].tolist() == whole
    total = 44 + sum(symbol in "pNt" for symbol in marks)
    expected = (f"{without} of {total} waves have no onset or no offset: left out",) if without else ()
    assert recording.notes == expected


@pytest.mark.parametrize("suffix", ["hea", "dat", "avf"])
def test_a_missing_file_is_named_and_hinders_no_other(root: Path, suffix: str) -> None:
    (root / "data" / f"2.{suffix}").unlink()
    source = ready(root)
    with pytest.raises(DataError, match=rf"2\.{suffix}"):
        source.read(1)
    assert source.read(2).record == "3"


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ([PEOPLE[0], PEOPLE[0]], "the ID '1' is no number, or stands twice"),
        ([["a", *PEOPLE[0][1:]]], "the ID 'a' is no number"),
        ([], "it has no rows"),
    ],
)
def test_a_wrong_table_is_refused_before_work_starts(root: Path, people: list[list[str]], message: str) -> None:
    write_table(root, people)
    with pytest.raises(DataError, match=message):
        ready(root)


def test_a_foreign_table_is_refused(root: Path) -> None:
    (root / "ludb.csv").write_text("ID,Sex,Age\n1,F,51\n")
    with pytest.raises(DataError, match=r"ludb\.csv is not the table of LUDB: it lacks the column Rhythms, Electric"):
        ready(root)


def test_an_age_that_makes_no_sense_is_noted(root: Path) -> None:
    write_table(root, [["1", "?", "old", *PEOPLE[0][3:]]])
    recording = ready(root).read(0)
    assert (recording.age, recording.sex) == (None, None)
    assert recording.notes == (
        "age 'old' is no number: taken as unknown",
        "sex '?' is neither F nor M: taken as unknown",
    )


def test_without_files_it_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lacks 1 of the 1 files needed of LUDB: ludb\.csv") as caught:
        ready(tmp_path)
    assert "https://physionet.org/content/ludb/1.0.1/" in str(caught.value)


def test_another_process_gets_the_source_and_not_its_table(root: Path) -> None:
    source = ready(root)
    sent = pickle.dumps(source)
    assert len(sent) < 500
    assert pickle.loads(sent).read(1).labels == source.read(1).labels


def test_it_can_be_prepared(root: Path) -> None:
    source = ready(root)
    store = build(source, Preprocessing(leads=source.leads), cache=root / "cache")
    assert store.records["record"].tolist() == ["1", "2", "3"]


# --- waves for delineation


def test_every_lead_gives_its_waves_and_the_stretch_that_is_marked(root: Path) -> None:
    waves = ready(root).waves(0)
    assert [each.lead for each in waves] == LEADS
    for number, each in enumerate(waves):
        assert each.labels.tolist() == ["P", "QRS", "T", "QRS"]
        assert (each.onset - FIRST - number).tolist() == [0, 60, 120, 180]
        assert (each.peak - each.onset).tolist() == (each.offset - each.peak).tolist() == [20] * 4
        assert (each.stretches - FIRST - number).tolist() == [[0, 221]]


def test_a_boundary_that_is_not_marked_is_none(root: Path) -> None:
    mark(root, "1", "i", "p)(N(t)N")
    waves = ready(root).waves(0)[0]
    assert (waves.onset - FIRST).tolist() == [-1 - FIRST, 40, 80, -1 - FIRST]
    assert (waves.offset - FIRST).tolist() == [20, -1 - FIRST, 120, -1 - FIRST]
    mark(root, "1", "i", "+")
    assert ready(root).waves(0)[0].stretches.shape == (0, 2)


def test_real_waves_are_the_spans_and_those_half_marked(real: Path) -> None:
    source = ready(real)
    marked = whole = 0
    for number in range(0, 200, 25):
        spans, waves = source.read(number).spans, source.waves(number)
        assert spans is not None
        for each in waves:
            both = (each.onset >= 0) & (each.offset >= 0)
            mine = spans.leads == each.lead
            assert each.onset[both].tolist() == spans.start[mine].tolist()
            assert each.offset[both].tolist() == (spans.end[mine] - 1).tolist()
            assert (each.peak[both] >= each.onset[both]).all() and (each.peak[both] <= each.offset[both]).all()
            marked, whole = marked + len(both), whole + int(both.sum())
    assert 0.99 < whole / marked <= 1


def test_a_data_set_without_waves_says_which_have_them() -> None:
    with pytest.raises(UserError, match="MITBIH marks no P, QRS and T waves: LUDB and QTDB do"):
        MITBIH("nowhere").waves(0)
