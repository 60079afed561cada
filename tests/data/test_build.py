"""Preparing in parallel and in pieces gives the same store, byte for byte."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import Toy
from worker_tasks import die, double

from ssl_ecg.data import build as building
from ssl_ecg.data.build import build, find
from ssl_ecg.data.convert import convert
from ssl_ecg.data.journal import Journal
from ssl_ecg.data.positives import SamePatient
from ssl_ecg.data.r_peaks import detect_r_peaks
from ssl_ecg.data.source import Recording, Spans
from ssl_ecg.data.sources import Prepared, Simulated
from ssl_ecg.data.store import Store
from ssl_ecg.data.windows import ByRhythm, PeakCentred, Sliding, WindowSet, labelled
from ssl_ecg.data.workers import in_order
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.fingerprint import code_fingerprint
from ssl_ecg.preprocessing import Preprocessing

P = Preprocessing(leads=("II", "V1"), window=3.0)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def undisturbed(tmp_path: Path) -> dict[str, bytes]:
    return content(build(Toy(broken=4), P, tmp_path / "undisturbed").path)


def test_processes_do_not_change_the_store(
    undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "_WORTH_WORKERS", 0.0)
    monkeypatch.setattr(building, "_AT_FIRST", 0.0)
    assert content(build(Toy(broken=4), P, tmp_path, workers=2).path) == undisturbed


@pytest.mark.parametrize("after", [0, 1, 5, 11])
def test_what_is_done_is_not_done_again(
    after: int, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def counting(until: int) -> Callable[[Toy, int], Recording]:
        original = Toy.read

        def wrapped(self: Toy, number: int) -> Recording:
            if len(read) == until:
                raise KeyboardInterrupt
            read.append(number)
            return original(self, number)

        return wrapped

    monkeypatch.setattr(building, "_TASK_BYTES", 1)
    with monkeypatch.context() as patch:
        patch.setattr(Toy, "read", counting(after))
        with pytest.raises(KeyboardInterrupt):
            build(Toy(broken=4), P, tmp_path)
    (part,) = tmp_path.glob(".toy*.part")
    for name in ("signals.i16", "journal.jsonl"):  # a kill in the middle of a write
        with open(part / name, "ab") as file:
            file.write(b'{"coun')
    assert find(Toy(broken=4), P, tmp_path) is None
    with monkeypatch.context() as patch:
        patch.setattr(Toy, "read", counting(-1))
        store = build(Toy(broken=4), P, tmp_path)
    assert read == list(range(12))
    assert content(store.path) == undisturbed
    assert find(Toy(broken=4), P, tmp_path) == store.path


@pytest.mark.parametrize("damage", ["no newline", "no signals"])
def test_a_kill_at_an_awkward_moment(damage: str, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for number in range(4):
            journal.add(convert(Toy(broken=4), P, False, range(number, number + 1)))
    if damage == "no newline":
        lines = (tmp_path / "journal.jsonl").read_bytes()
        (tmp_path / "journal.jsonl").write_bytes(lines[:-1])
    else:
        (tmp_path / "signals.i16").unlink()
    with Journal(tmp_path) as journal:
        assert journal.done == (3 if damage == "no newline" else 0)
        for number in range(journal.done, 12):
            journal.add(convert(Toy(broken=4), P, False, range(number, number + 1)))
        journal.finish()
    assert (tmp_path / "signals.i16").read_bytes() == undisturbed["signals.i16"]


def test_a_store_that_only_lacked_its_name_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build(Toy(), P, tmp_path).path
    whole.rename(tmp_path / f".{whole.name}.part")
    monkeypatch.setattr(Toy, "read", lambda self, number: pytest.fail("read"))
    assert build(Toy(), P, tmp_path).path == whole


class Failing(Toy):
    """A network that is gone, a package that is missing, files that are all damaged: until that is mended."""

    error: Exception | None = None

    def read(self, number: int) -> Recording:
        if number and self.error is not None:
            raise self.error
        return super().read(number)


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), UserError("h5py is not installed")])
def test_what_is_no_fault_of_the_recording_is_not_held_against_it(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Failing, "error", error)
    with pytest.raises(UserError, match=r"Input/output error|h5py is not installed"):
        build(Failing(), P, tmp_path)
    monkeypatch.setattr(Failing, "error", None)
    store = build(Failing(), P, tmp_path)
    assert len(store.records) == 12 and not store.report["dropped"]


def test_files_that_are_mended_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Failing, "error", DataError("damaged"))
    with pytest.raises(DataError, match="record r1: damaged"):
        build(Failing(), P, tmp_path, strict=True)
    assert len(build(Failing(), P, tmp_path).records) == 1
    monkeypatch.setattr(Failing, "error", None)
    assert len(build(Failing(), P, tmp_path).records) == 1  # the store is there
    assert len(build(Failing(), P, tmp_path, again=True).records) == 12
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_if_files_come_or_go_meanwhile_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter([["r0", "r1"], *[["r1", "r0"]] * 9])
    monkeypatch.setattr(Toy, "records", property(lambda self: next(names)))
    monkeypatch.setattr(Toy, "read", lambda self, number, read=Toy.read: read(self, 1 - number))
    with pytest.raises(DataError, match="were files added or removed"):
        build(Toy(), P, tmp_path)


class Strangers(Toy):
    """Nobody is told apart."""

    def read(self, number: int) -> Recording:
        return replace(super().read(number), patient="?crowd")


def test_people_who_are_not_told_apart_are_not_one_person(tmp_path: Path) -> None:
    store = build(Strangers(), P, tmp_path)
    assert store.patient.unique().tolist() == [0]
    assert len(store.person.unique()) == 12
    windows = WindowSet(store, P, Sliding(1.0).index(store, P.samples))
    partners = SamePatient().partners(windows)
    assert partners is not None
    rows = torch.arange(len(windows))
    drawn = partners.draw(rows, seed=0, step=0)
    assert torch.equal(windows.index.record[drawn], windows.index.record[rows])


def test_signals_that_do_not_match_the_journal_are_made_anew(undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for number in range(4):
            journal.add(convert(Toy(broken=4), P, False, range(number, number + 1)))
        third = journal.bytes // 2
    with open(tmp_path / "signals.i16", "r+b") as file:
        file.seek(third)
        file.write(b"\x55\x55")
    with Journal(tmp_path) as journal:
        assert 0 < journal.done < 4
        for number in range(journal.done, 12):
            journal.add(convert(Toy(broken=4), P, False, range(number, number + 1)))
        journal.finish()
    for name in ("signals.i16", "records.parquet", "beats.parquet"):
        assert (tmp_path / name).read_bytes() == undisturbed[name]


SOURCE = """
from toy import Toy
from worker_tasks import die, double

class Coded(Toy):
    def read(self, number):
        recording = super().read(number)
        recording.signal[:] *= 2
        return recording
"""


def test_a_store_of_other_code_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)

    def made(text: str) -> Store:
        (tmp_path / "coded.py").write_text(text)
        sys.modules.pop("coded", None)
        code_fingerprint.cache_clear()
        importlib.invalidate_caches()
        return build(vars(importlib.import_module("coded"))["Coded"](), P, tmp_path / "cache")

    first = made(SOURCE)
    said = SOURCE.replace("class", "# a remark\nclass").replace("recording = ", "'Read.'\n        recording = ")
    assert made(said).path == first.path
    third = made(SOURCE.replace("*= 2", "*= 3"))
    assert third.path != first.path
    np.testing.assert_allclose(third.signal(0), 1.5 * first.signal(0), atol=float(third.scale[0] + first.scale[0]))


def test_r_peaks_are_looked_for_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, p = Simulated(patients=24, records_per_patient=1), Preprocessing(leads=("II",), window=1.0)
    store = build(source, p, tmp_path)
    before = content(store.path)
    index = PeakCentred(jitter=0.1).index(store, p.samples)
    found = [detect_r_peaks(store.signal(row), store.fs) for row in range(len(store.records))]
    np.testing.assert_array_equal(store.r_peaks, [(row, peak) for row, peaks in enumerate(found) for peak in peaks])
    (kept,) = (path for path in store.path.iterdir() if path.name not in before)
    assert content(store.path) == before | {kept.name: kept.read_bytes()}

    monkeypatch.setattr("ssl_ecg.data.store.detect_r_peaks", lambda signal, fs: pytest.fail("looked for again"))
    again = PeakCentred(jitter=0.1).index(build(source, p, tmp_path), p.samples)
    assert torch.equal(again.start, index.start) and torch.equal(again.record, index.record)


def test_a_limited_store_is_a_store_of_its_own(tmp_path: Path) -> None:
    whole, few = build(Toy(), P, tmp_path), build(Toy(), P, tmp_path, limit=3)
    assert few.path != whole.path
    assert few.records["record"].tolist() == ["r0", "r1", "r2"]


def test_two_recordings_of_one_name_are_refused_before_any_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Toy, "records", ["r0", "r1", "r0"])
    monkeypatch.setattr(Toy, "read", lambda self, number: pytest.fail("read"))
    with pytest.raises(DataError, match="two recordings are named r0"):
        build(Toy(), P, tmp_path)


def test_results_come_in_order() -> None:
    assert list(in_order(double, (3,), range(20), workers=2)) == [3 * i for i in range(20)]


def test_a_process_that_dies_is_said() -> None:
    with pytest.raises(DataError, match=r"a worker process died.* fewer --workers"):
        list(in_order(die, (), range(6), workers=2))


class Fibrillating(Toy):
    """Fibrillation from 5.5 s on, in a task of rhythms."""

    task = "rhythm"
    classes = ("SR", "AFIB")

    def read(self, number: int) -> Recording:
        recording = super().read(number)
        start, end = np.array([0, 1100]), np.array([1100, recording.signal.shape[1]])
        spans = Spans(start, end, np.array(["SR", "AFIB"]), np.array(["", ""]))
        kept = (recording.record, recording.patient, recording.signal, recording.fs, recording.leads)
        return Recording(*kept, spans=spans, age=61.0, sex="F")


def test_a_window_has_the_rhythm_that_covers_most_of_it(tmp_path: Path) -> None:
    store = build(Fibrillating(), P, tmp_path)
    windows = labelled(store)
    assert isinstance(windows, ByRhythm)
    index = ByRhythm(stride=1.0).index(store, 300)
    first = index.record == 0  # 20 s
    assert index.label[first].tolist() == [0, 0, 0, 0, -1] + [1] * 13  # the fifth is half and half


def test_a_prepared_store_gives_back_recordings(tmp_path: Path) -> None:
    store = build(Fibrillating(), P, tmp_path)
    source = Prepared(str(store.path))
    recording = source.read(2)
    np.testing.assert_array_equal(recording.signal, store.signal(2))
    assert (recording.age, recording.sex, recording.fs) == (61.0, "F", 100.0)
    assert recording.spans is not None and recording.spans.start.tolist() == [0, 550]
    assert (source.classes, source.task, source.cohort) == (("SR", "AFIB"), "rhythm", "Fibrillating")


def test_simulated_records_are_the_same_in_any_order() -> None:
    source, other = (Simulated(patients=24, records_per_patient=2) for _ in range(2))
    forwards = [source.read(i).signal for i in range(30)]
    for i in (29, 3, 17, 16):
        np.testing.assert_array_equal(other.read(i).signal, forwards[i])
