"""Batches: a pure function of seed and step; patients never on both sides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import Toy

from ssl_ecg.data.batches import Batches
from ssl_ecg.data.build import build
from ssl_ecg.data.module import ECGDataModule
from ssl_ecg.data.randomness import generator
from ssl_ecg.data.splits import check_disjoint, hold_out_patients
from ssl_ecg.data.store import Store
from ssl_ecg.data.windows import BeatCentred, Sliding, WindowSet
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.preprocessing import Preprocessing

P = Preprocessing(leads=("II", "V1"), window=3.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return build(Toy(), P, tmp_path_factory.mktemp("cache"))


def sliding(store: Store) -> WindowSet:
    return WindowSet(store, P, Sliding(1.0).index(store, P.samples))


def batches(store: Store, patients: int = 0, rank: int = 0, ranks: int = 1, first: int = 0) -> Batches:
    return Batches(sliding(store), 12, patients, 3, rank, ranks, first)


@pytest.mark.parametrize("patients", [0, 2])
def test_starting_at_any_step_gives_the_same_batches(store: Store, patients: int) -> None:
    every = batches(store, patients)
    twice = [*every, *batches(store, patients, first=len(every))]  # two epochs
    assert len(twice) == 2 * len(every)
    assert not torch.equal(twice[0].x, twice[len(every)].x)  # shuffled anew
    for step in (0, 1, len(every) - 1, len(every), len(every) + 3):
        resumed = batches(store, patients, first=step)
        assert len(list(resumed)) == len(resumed) == len(every) - step % len(every)
        assert torch.equal(next(iter(resumed)).x, twice[step].x)


def test_an_epoch_sees_no_window_twice(store: Store) -> None:
    b = batches(store)
    rows = torch.cat([b._rows(step, b._order(0)) for step in range(len(b))])
    assert len(rows.unique()) == len(rows) > len(b.windows) - 12


def test_ranks_share_an_epoch_without_overlap(store: Store) -> None:
    parts = [batches(store, rank=r, ranks=2) for r in range(2)]
    rows = [torch.cat([b._rows(step, b._order(0)) for step in range(len(b))]) for b in parts]
    assert len(rows[0]) == len(rows[1])
    assert not set(rows[0].tolist()) & set(rows[1].tolist())


def test_a_batch_of_few_patients_has_just_those(store: Store) -> None:
    b = batches(store, 2)
    whose = store.records["patient"].to_numpy()[b.windows.index.record.numpy()]
    assert len(b) >= 4
    for _, numbers, _, rows in b:
        _, counts = np.unique(whose[rows.numpy()], return_counts=True)
        assert counts.tolist() == [6, 6]
        assert len(rows.unique()) == 12
        assert [len(set(whose[rows[numbers == n].numpy()])) for n in numbers.unique()] == [1, 1]


def test_batches_that_cannot_be_are_refused(store: Store) -> None:
    with pytest.raises(UserError, match="must divide"):
        batches(store, 5)
    with pytest.raises(UserError, match="do not fill one batch"):
        Batches(sliding(store), 10_000)
    for size in (0, -5):
        with pytest.raises(UserError, match=f"batch_size must be at least 1, not {size}"):
            Batches(sliding(store), size)


def test_held_out_patients_are_whole_and_never_trained_on(store: Store) -> None:
    module = ECGDataModule(store, P, Sliding(1.0), BeatCentred(), batch_size=8, hold_out=0.3)
    trained = set(module.train.patient)
    held = set(module.probe_val.patient)
    assert trained == set(module.patients)
    assert held == set(module.held_out)
    assert not trained & held
    assert "p5" not in trained | held  # the test split
    assert set(module.probe_train.patient) == trained


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 12), st.floats(0.05, 0.95), st.integers(0, 5))
def test_hold_out_keeps_both_sides_and_spreads_classes(n: int, fraction: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    patients = np.repeat([f"p{i}" for i in range(n)], 20)
    labels = rng.integers(-1, 3, len(patients))
    held = hold_out_patients(patients, labels, fraction, seed)
    assert 0 < len(held) < n
    assert held == hold_out_patients(patients, labels, fraction, seed)


def test_a_rare_class_is_put_on_both_sides_where_it_can_be() -> None:
    patients = np.repeat([f"p{i}" for i in range(10)], 10)
    labels = np.zeros(100, np.int64)
    labels[[5, 15]] = 1  # two patients out of ten have it
    held = hold_out_patients(patients, labels, 0.2)
    assert len(held & {"p0", "p1"}) == 1


def test_a_planted_leak_is_refused() -> None:
    with pytest.raises(DataError, match="in both train and test, which would leak: a"):
        check_disjoint(["a", "b"], ["c", "a"], "train and test")
    check_disjoint(["a"], ["a"], "train and test", allowed=frozenset({"a"}))
    with pytest.raises(DataError, match="1 patient"):
        hold_out_patients(["a", "a"], np.zeros(2, np.int64), 0.5)


def test_generators_of_different_keys_differ() -> None:
    draws = {
        tuple(torch.rand(2, generator=generator(*key)).tolist())
        for key in [(0, 0), (0, 1), (1, 0), (1, 1), (0, 0, 0), (5,), (6,)]
    }
    assert len(draws) == 7
    assert torch.equal(torch.rand(3, generator=generator(1, 2)), torch.rand(3, generator=generator(1, 2)))


def test_a_sample_of_windows_has_equal_shares_and_is_stable(store: Store) -> None:
    windows = WindowSet(store, P, BeatCentred().index(store, P.samples))
    sample = windows.sample(60)
    assert np.bincount(sample.label).tolist() == [30, 30]
    assert torch.equal(sample.index.start, windows.sample(60).index.start)
    x = torch.cat(list(sample.batches(7)))
    assert x.shape == (60, 2, 300)
    torch.testing.assert_close(x.mean(-1), torch.zeros(60, 2), atol=1e-5, rtol=0)
