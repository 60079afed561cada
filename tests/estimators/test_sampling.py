import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ssl_ecg.estimators.sampling import even_shares, evenly_over_patients, evenly_spaced, taken_in_turn


@pytest.mark.parametrize("seed", [None, 0, 1])
@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.integers(1, 150))
@example([1, 1], 1)  # one of two patients alike has nothing to give: no share is more even
@example([1, 1, 2], 3)
def test_every_patient_gives_an_even_share(seed, counts, n):
    patients = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    kept = evenly_over_patients(patients, n, None if seed is None else np.random.default_rng(seed))
    assert len(kept) == min(n, len(patients)) and (np.diff(kept) > 0).all()
    mine = np.bincount(patients[kept], minlength=len(counts))
    can_give_more = mine < counts
    assert not can_give_more.any() or mine.max() <= mine[can_give_more].min() + 1


def test_samples_are_drawn_by_the_generator_or_spread_in_time():
    patients = np.repeat(["b", "a"], [100, 11])
    spaced = evenly_over_patients(patients, 10)
    assert spaced.tolist() == [0, 25, 50, 74, 99, 100, 102, 105, 108, 110]
    assert evenly_over_patients(patients[:5], 10).tolist() == list(range(5))
    first, again, other = (evenly_over_patients(patients, 10, np.random.default_rng(s)) for s in (0, 0, 1))
    assert first.tolist() == again.tolist() != other.tolist() != spaced.tolist()


def test_shares_and_places():
    assert even_shares(np.array([1, 10, 10]), 8).tolist() == [1, 3, 4]
    assert even_shares(np.array([5, 2]), 100).tolist() == [5, 2]
    assert evenly_spaced(11, 3).tolist() == [0, 5, 10] and evenly_spaced(2, 5).tolist() == [0, 1]


def test_everybodys_first_comes_before_anybodys_second():
    patients = np.array([*"aabac"])
    assert patients[taken_in_turn(patients, 4)].tolist() == ["a", "b", "c", "a"]
    assert taken_in_turn(patients, 9).tolist() == [0, 2, 4, 1, 3]
