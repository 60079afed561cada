"""The summary and the picture of a store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_ecg.data.build import build
from ssl_ecg.data.source import Beats, Recording, Source, Spans
from ssl_ecg.data.store import Store
from ssl_ecg.errors import DataError
from ssl_ecg.prepare.figure import SIMULATED, data_figure
from ssl_ecg.prepare.report import print_summary, summarise, write_summary
from ssl_ecg.preprocessing import Preprocessing


class Given(Source):
    """Recordings that a test has written down."""

    leads = ("I", "II")

    def __init__(self, *recordings: Recording | str, **about: Any) -> None:
        self.given = recordings
        vars(self).update({"classes": (), "task": "record", "multilabel": True} | about)

    def ensure(self, limit: int | None = None) -> None:
        pass

    def fingerprint(self) -> dict[str, object]:
        return {}

    @property
    def records(self) -> Sequence[str]:
        return [r if isinstance(r, str) else r.record for r in self.given]

    def read(self, number: int) -> Recording:
        found = self.given[number]
        if isinstance(found, str):
            raise DataError(f"/somewhere/{found}.dat is truncated: {len(found):,} bytes. Fetch it again.")
        return found


def recording(record: str, patient: str | None = None, seconds: float = 10, **more: Any) -> Recording:
    x = np.random.default_rng(3).normal(size=(2, round(200 * seconds))).astype(np.float32)
    return Recording(record, patient or record, x, 200, ("I", "II"), **more)


def made(tmp_path: Path, *recordings: Recording | str, **about: Any) -> Store:
    return build(Given(*recordings, **about), Preprocessing(fs=100, leads=("I", "II")), tmp_path)


def words(figure: Any) -> str:
    from matplotlib.text import Text

    figure.canvas.draw()
    return " | ".join(t.get_text() for t in figure.findobj(Text) if t.get_visible())


def printed(store: Store, capsys: pytest.CaptureFixture[str]) -> str:
    print_summary(summarise(store))
    return capsys.readouterr().out


def several(tmp_path: Path) -> Store:
    return made(
        tmp_path,
        recording("a", "p", labels=("AF",), age=40, sex="F"),
        recording("b", "p", labels=("AF", "LBBB"), age=41, sex="F"),
        recording("c", seconds=20, labels=("other",), split="val"),
        recording("d", labels=("LBBB",), split="test", age=90, sex="M"),
        recording("e", split="test", labels=("AF",), notes=("age '9x' is no number: taken as unknown",)),
        classes=("LBBB", "AF", "PVC"),
    )


def test_counts_of_records_with_several_classes(tmp_path: Path, capsys: Any) -> None:
    store = several(tmp_path)
    summary = summarise(store)
    assert summary["all"] == {"records": 5, "patients": 4, "hours": pytest.approx(60 / 3600)}
    assert summary["splits"]["train"] == {"records": 2, "patients": 1, "hours": pytest.approx(20 / 3600)}
    assert list(summary["classes"].items()) == [
        ("AF", {"train": 2, "val": 0, "test": 1}),
        ("LBBB", {"train": 1, "val": 0, "test": 1}),
        ("PVC", {"train": 0, "val": 0, "test": 0}),
        ("none of these", {"train": 0, "val": 1, "test": 0}),
    ]
    assert summary["age"] == {"known": 3, "median": 41}
    assert summary["sex"] == {"F": 2, "M": 1}
    assert summary["seconds"] == {"least": 10, "median": 10, "most": 20}
    said = printed(store, capsys)
    for part in ("5 records of 4 patients", "no records  of PVC", "10 s to 20 s", "2 F, 1 M", "'9x'", "none of these"):
        assert part in said


def test_beats_and_hours_of_rhythms_are_counted_at_the_rate_of_the_record(tmp_path: Path) -> None:
    beats = Beats(np.array([100, 300, 500, 700]), np.array(["N", "V", "N", ""]))
    spans = Spans(np.array([0, 720]), np.array([720, 2000]), np.array(["AF", "N"]), np.array(["", ""]))
    one = [recording("a", beats=beats, spans=spans), recording("b", beats=beats, split="test")]
    by_beat = summarise(made(tmp_path / "beat", *one, task="beat", classes=("V", "N")))
    assert list(by_beat["classes"].items()) == [
        ("N", {"train": 2, "test": 2}),
        ("V", {"train": 1, "test": 1}),
        ("none of these", {"train": 1, "test": 1}),
    ]
    by_rhythm = summarise(made(tmp_path / "rhythm", *one, task="rhythm", classes=("AF", "N")))
    assert by_rhythm["classes"] == {
        "N": {"train": pytest.approx(6.4 / 3600), "test": 0},
        "AF": {"train": pytest.approx(3.6 / 3600), "test": 0},
    }


def test_a_patient_on_two_sides_is_shouted_out_unless_the_protocol_says_so(tmp_path: Path, capsys: Any) -> None:
    both = [recording("a", "p"), recording("b", "p", split="test"), recording("c", "q"), recording("d", "r")]
    leaking = made(tmp_path / "leak", *both)
    assert summarise(leaking)["on_two_sides"] == ["p"]
    assert "LEAK        1 patient(s) on two sides of the split, which would leak: p" in printed(leaking, capsys)
    allowed = made(tmp_path / "protocol", *both, shared_patients={"p": ("a", "b")})
    assert summarise(allowed)["on_two_sides"] == []
    said = printed(allowed, capsys)
    assert "LEAK" not in said and "the protocol itself has patient p on two sides" in said


def test_reasons_that_differ_in_names_and_numbers_are_one_kind(tmp_path: Path, capsys: Any) -> None:
    names = [f"bad{'x' * i}" for i in range(7)]
    notes = [recording(f"r{i}", notes=(f"age 'o{i}' is no number",)) for i in range(2)]
    store = made(tmp_path, *names, *notes, recording("s", notes=("lead II is flat",)))
    summary = summarise(store)
    assert [kind["records"] for kind in summary["dropped"]] == [names]
    assert [kind["records"] for kind in summary["noted"]] == [["r0", "r1"], ["s"]]
    said = printed(store, capsys)
    assert "7 records left out: /somewhere/bad.dat is truncated" in said and "and 2 more" in said
    assert "1 record kept, though: lead II is flat [s]" in said


def test_of_many_kinds_the_terminal_shows_ten(tmp_path: Path, capsys: Any) -> None:
    store = made(tmp_path, recording("a", notes=tuple(f"odd {'very ' * i}" for i in range(13))))
    assert len(summarise(store)["noted"]) == 13
    said = printed(store, capsys).splitlines()
    assert len([line for line in said if line.startswith("noted")]) == 11
    assert "and 3 more kinds: see summary.json" in said[-1]


def test_the_summary_is_json_and_written_once(tmp_path: Path) -> None:
    store = several(tmp_path)
    summary = summarise(store)
    write_summary(store, summary)
    assert json.loads((store.path / "summary.json").read_text()) == summary
    before = (store.path / "summary.png").stat().st_mtime_ns
    write_summary(store, summary)
    assert (store.path / "summary.png").stat().st_mtime_ns == before


def test_the_picture_shows_a_strip_of_each_class_and_how_all_is_distributed(tmp_path: Path) -> None:
    store = several(tmp_path)
    figure = data_figure(store, summarise(store))
    written = words(figure)
    parts = ("e: AF", "d: LBBB", "II (mV)", "AF (3)", "LBBB (2)", "train", "val", "test", "age (years)", "duration of")
    for part in parts:
        assert part in written
    assert "PVC" not in written and SIMULATED not in written
    strip = figure.findobj(lambda artist: getattr(artist, "get_title", str)() == "e: AF")[0]
    np.testing.assert_array_equal(strip.lines[0].get_ydata(), store.signal(4)[1])
    np.testing.assert_allclose(strip.lines[0].get_xdata()[[0, -1]], [0, 9.99])


def test_the_strip_of_a_beat_has_it_in_the_middle(tmp_path: Path) -> None:
    at = np.arange(100, 6000, 160)
    labels = np.where(np.arange(len(at)) == 20, "V", "N")
    beats = Beats(at, labels)
    store = made(tmp_path, recording("a", seconds=30, beats=beats), task="beat", classes=("N", "V"))
    figure = data_figure(store, summarise(store))
    (strip,) = figure.findobj(lambda artist: getattr(artist, "get_title", str)() == "a: V")
    (mark,) = (text for text in strip.texts if text.get_text() == "V")
    assert mark.xy[0] == at[20] / 200
    assert np.mean(strip.lines[0].get_xdata()) == pytest.approx(at[20] / 200, abs=0.02)


def test_simulated_and_normalised_data_say_so(tmp_path: Path, capsys: Any) -> None:
    source = Given(recording("a"), simulated=True)
    store = build(source, Preprocessing(fs=100, leads=("I", "II"), normalise="record"), tmp_path)
    written = words(data_figure(store, summarise(store)))
    assert SIMULATED in written and "II (SD)" in written
    assert SIMULATED in printed(store, capsys)


def test_the_unit_is_the_sources_and_a_picture_from_before_it_was_known_is_drawn_anew(
    tmp_path: Path, capsys: Any
) -> None:
    store = made(tmp_path, recording("a"), amplitude_unit="SD")
    summary = summarise(store)
    assert "II (SD)" in words(data_figure(store, summary))
    assert "I, II at 100 Hz, in SD" in printed(store, capsys)
    (store.path / "summary.png").write_text("with mV beside its strips")
    document = store.path / "summary.json"
    document.write_text(json.dumps({name: value for name, value in summary.items() if name != "unit"}))
    write_summary(store, summary)
    assert (store.path / "summary.png").read_bytes()[:4] == b"\x89PNG"
    assert json.loads(document.read_text())["unit"] == "SD"


def test_records_without_labels_ages_or_more_than_one_length_are_drawn_too(tmp_path: Path) -> None:
    store = made(tmp_path, recording("a"), recording("b"))
    assert "duration of a record (s)" in words(data_figure(store, summarise(store)))
