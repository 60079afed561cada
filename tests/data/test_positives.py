"""Partners: the allowed ones, all of them, equally often, and the same at every resume."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import Toy

from ssl_ecg import load_encoder, pretrain
from ssl_ecg.data.batches import Batches
from ssl_ecg.data.build import build
from ssl_ecg.data.module import ECGDataModule
from ssl_ecg.data.positives import Positives, SamePatient, SameRecord, SameWindow
from ssl_ecg.data.store import Store
from ssl_ecg.data.windows import BeatCentred, Sliding, WindowIndex, WindowSet
from ssl_ecg.errors import UserError
from ssl_ecg.preprocessing import Preprocessing

P = Preprocessing(leads=("II", "V1"), window=3.0)
FS = 10.0


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return build(Toy(), P, tmp_path_factory.mktemp("cache"))


def windows_of(patient: list[int], record: list[int], start: list[int]) -> WindowSet:
    """Windows of records (each window's record and start) whose patients are given; their signals are not needed."""
    index = WindowIndex(*(torch.tensor(values, dtype=torch.int64) for values in (record, start, record, record)))
    length = torch.full((len(patient),), max(start) + 1)
    rows, person = torch.arange(len(patient)), torch.tensor(patient)
    there = SimpleNamespace(fs=FS, length=length, recording=rows, person=person, scattered=True)
    return WindowSet(cast("Store", there), P, index)


@st.composite
def some_windows(draw: st.DrawFn) -> WindowSet:
    """In any order, of any number of records and patients, some at the same place."""
    patient = draw(st.lists(st.integers(0, 3), min_size=1, max_size=6))
    place = st.tuples(st.integers(0, len(patient) - 1), st.integers(0, 40))
    record, start = zip(*draw(st.lists(place, min_size=1, max_size=25)), strict=True)
    return windows_of(patient, list(record), list(start))


def allowed(positives: Positives, windows: WindowSet, i: int) -> set[int]:
    """By the definition, window by window."""
    record, start = windows.index.record.tolist(), windows.index.start.tolist()
    others = [j for j in range(len(record)) if j != i]
    same = {j for j in others if record[j] == record[i]}
    if isinstance(positives, SameRecord):
        return {j for j in same if abs(start[j] - start[i]) <= positives.within * FS} or {i}
    patient = windows.store.person[windows.index.record].tolist()
    return {j for j in others if patient[j] == patient[i] and record[j] != record[i]} or same or {i}


@settings(deadline=None)
@given(some_windows(), st.sampled_from([SameRecord(0.3), SameRecord(1.0), SameRecord(float("inf")), SamePatient()]))
def test_partners_are_all_that_the_definition_allows_and_no_other(windows: WindowSet, positives: Positives) -> None:
    expected = [allowed(positives, windows, i) for i in range(len(windows))]
    shared = sum(partners != {i} for i, partners in enumerate(expected)) / len(windows)
    if not shared:
        with pytest.raises(UserError, match="no window has another for a partner"):
            positives.partners(windows)
        return
    partners = positives.partners(windows)
    assert partners is not None
    assert partners.share == pytest.approx(shared)
    rows = torch.arange(len(windows)).repeat(400)  # a partner of 24 is missed once in 25 million times
    drawn = partners.draw(rows, seed=1, step=2).view(400, -1)
    assert [set(column.tolist()) for column in drawn.T] == expected


@pytest.mark.parametrize("positives", [SameRecord(2.0), SamePatient()])
def test_each_partner_is_as_likely_as_another(positives: Positives) -> None:
    windows = windows_of([0, 0, 0, 1], [0] * 5 + [1] * 2 + [2] + [3] * 3, [0, 9, 18, 27, 36, 0, 9, 0, 0, 9, 18])
    partners = positives.partners(windows)
    assert partners is not None
    n = 20_000
    for i in range(len(windows)):
        drawn = partners.draw(torch.full((n,), i), seed=0, step=i)
        each = allowed(positives, windows, i)
        found = torch.bincount(drawn, minlength=len(windows))[sorted(each)] / n
        assert (found - 1 / len(each)).abs().max() < 0.02  # 5 standard errors


def test_within_counts_whole_samples_where_floats_do_not() -> None:
    windows = windows_of([0], [0, 0], [0, 29])
    windows.store.fs = 100.0
    partners = SameRecord(0.29).partners(windows)  # 0.29 * 100 is 28.999999999999996
    assert partners is not None
    assert partners.draw(torch.tensor([0, 1]), 0, 0).tolist() == [1, 0]
    with pytest.raises(UserError, match="raise within"):
        SameRecord(0.28).partners(windows)


@pytest.mark.parametrize("within", [0.0, -1.0, float("nan")])
def test_a_distance_that_is_none_is_refused(within: float) -> None:
    with pytest.raises(UserError, match="within must be positive"):
        SameRecord(within)


def test_draws_follow_from_seed_step_and_rank_alone() -> None:
    partners = SameRecord().partners(windows_of([0], [0] * 50, list(range(50))))
    assert partners is not None
    rows = torch.arange(50)
    first = partners.draw(rows, 3, 7, 1)
    torch.manual_seed(0)
    assert torch.equal(first, partners.draw(rows, 3, 7, 1))
    for other in [(4, 7, 1), (3, 8, 1), (3, 7, 0)]:
        assert not torch.equal(first, partners.draw(rows, *other))


def test_a_million_windows_of_many_patients_are_drawn_from() -> None:
    n = 1_000_000
    record = np.arange(n) // 2
    windows = windows_of((np.arange(n // 2) // 3).tolist(), record.tolist(), (np.arange(n) % 2).tolist())
    rows = torch.arange(n)
    whose = windows.store.person[windows.index.record]
    partners = SamePatient().partners(windows)
    assert partners is not None
    drawn = partners.draw(rows, 0, 0)
    assert torch.equal(whose[drawn], whose)
    assert not (windows.index.record[drawn] == windows.index.record)[:-4].any()  # the last patient may have few
    neighbours = SameRecord().partners(windows)
    assert neighbours is not None
    assert torch.equal(neighbours.draw(rows, 0, 0), rows ^ 1)


def test_a_batch_brings_the_partners_of_its_windows_and_is_else_what_it_was(store: Store) -> None:
    windows = WindowSet(store, P, Sliding(1.0).index(store, P.samples))
    partners = SameRecord(4.0).partners(windows)
    assert partners is not None
    plain = list(Batches(windows, 12, seed=3))
    paired = Batches(windows, 12, seed=3, partners=partners)
    order = paired._order(0)
    for step, (alone, pair) in enumerate(zip(plain, paired, strict=True)):
        assert alone.partner is None
        assert torch.equal(alone.x, pair.x) and torch.equal(alone.patient, pair.patient)
        assert pair.partner is not None
        rows = paired._rows(step, order)
        drawn = partners.draw(rows, 3, step)
        assert torch.equal(pair.partner, windows.load(drawn))
        apart = (windows.index.start[rows] - windows.index.start[drawn]).abs() / store.fs
        assert apart.min() > 0 and apart.max() <= 4
        assert torch.equal(windows.index.record[rows], windows.index.record[drawn])


@pytest.mark.parametrize("patients", [0, 2])
def test_partners_go_on_at_any_step_as_they_would_have(store: Store, patients: int) -> None:
    windows = WindowSet(store, P, Sliding(1.0).index(store, P.samples))
    partners = SamePatient().partners(windows)
    every = list(Batches(windows, 12, patients, partners=partners))
    resumed = list(Batches(windows, 12, patients, partners=partners, first=5))
    for a, b in zip(every[5:], resumed, strict=True):
        assert a.partner is not None and b.partner is not None
        assert torch.equal(a.partner, b.partner)


@pytest.mark.parametrize("positives", [SameRecord(), SamePatient()])
def test_partners_are_trained_on_never_held_out(store: Store, positives: Positives) -> None:
    module = ECGDataModule(store, P, Sliding(1.0), BeatCentred(), batch_size=8, hold_out=0.3, positives=positives)
    assert module.partners is not None
    rows = module.partners.draw(torch.arange(len(module.train)).repeat(5), 0, 0)
    drawn = module.train[rows]
    assert set(drawn.patient) == set(module.patients)
    assert not set(drawn.patient) & set(module.held_out)
    assert set(drawn.split) == {"train"}
    assert next(iter(module.batches())).partner is not None


def test_the_same_window_needs_no_partner(store: Store) -> None:
    module = ECGDataModule(store, P, Sliding(1.0), BeatCentred(), batch_size=8, positives=SameWindow())
    assert module.partners is None


def test_a_streamed_store_gives_neighbours_but_not_other_records(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "scattered", False)
    windows = WindowSet(store, P, Sliding(1.0).index(store, P.samples))
    assert SameRecord().partners(windows) is not None
    with pytest.raises(UserError, match="use SameRecord or SameWindow, or copy"):
        SamePatient().partners(windows)


def run(folder: Path, name: str, *arguments: str) -> dict[str, Any]:
    pretrain.main(
        [
            "--data.patients=24",
            "--data.records_per_patient=2",
            "--preprocessing.window=4",
            "--windows=Sliding",
            "--method.encoder.width=4",
            "--method.encoder.stages=2",
            "--batch_size=16",
            "--trainer.max_epochs=1",
            f"--name={name}",
            f"--out={folder}/runs",
            f"--cache={folder}/cache",
            *arguments,
        ]
    )
    return dict(yaml.safe_load((folder / "runs" / name / "config.yaml").read_text()))


@pytest.mark.parametrize("method", ["SimCLR", "BYOL"])
def test_the_command_trains_on_any_positives(tmp_path: Path, method: str, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = {
        "SameWindow": ["--positives=SameWindow"],
        "SameRecord": ["--positives=SameRecord", "--positives.within=3"],
        "SamePatient": ["--positives=SamePatient"],
    }
    embeddings = {}
    for name, arguments in chosen.items():
        config = run(tmp_path, name, f"--method={method}", *arguments)
        assert config["positives"]["class_path"].rpartition(".")[2] == name
        assert ("have a partner" in capsys.readouterr().err) == (name != "SameWindow")
        encoder = load_encoder(tmp_path / "runs" / name)
        embeddings[name] = encoder(np.eye(6, 400), fs=100, leads=config["preprocessing"]["leads"])
    assert config["positives"].get("init_args", {}) == {}
    for one, other in itertools.combinations(embeddings.values(), 2):
        assert not np.array_equal(one, other)


def test_other_positives_are_another_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "x")
    for changed, says in [
        (["--positives=SameRecord"], "positives.class_path: was SameWindow, now SameRecord"),
        (["--positives=SameRecord", "--positives.within=0"], "within must be positive"),
    ]:
        with pytest.raises(SystemExit):
            run(tmp_path, "x", *changed)
        assert says in capsys.readouterr().err


def test_one_window_a_record_has_no_neighbour_and_is_told_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(tmp_path, "x", "--windows=Whole", "--positives=SameRecord")
    err = capsys.readouterr().err
    assert "SameRecord: no window has another for a partner; cut records into several windows" in err
    assert "epoch 1" not in err
