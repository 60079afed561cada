"""Found boundaries against marked ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_ecg.data.source import Waves
from ssl_ecg.waves.matching import BOUNDARIES, EXTRA, HITS, MISSED, Found, count, match, scores_of, unmatched

times = st.lists(st.integers(0, 400), max_size=30, unique=True).map(lambda x: np.sort(np.array(x, dtype=float)) / 100)


@given(times, times, st.sampled_from([0.01, 0.05, 0.15]))
def test_pairs_are_near_and_nothing_is_in_two(a: np.ndarray, b: np.ndarray, tolerance: float) -> None:
    i, j = match(a, b, tolerance)
    assert len(set(i.tolist())) == len(i) == len(set(j.tolist())) == len(j)
    assert (np.abs(a[i] - b[j]) <= tolerance).all()
    left, over = np.delete(a, i), np.delete(b, j)
    assert not (np.abs(left[:, None] - over) <= tolerance).any(), "nothing that could be a pair is left"


def waves(n: int = 5, fs: float = 500.0) -> Waves:
    onset = 200 + 400 * np.arange(n)
    onset = np.concatenate([onset + 80 * k for k in range(3)]).reshape(3, n).T.ravel()
    labels = np.array(["P", "QRS", "T"] * n, dtype=np.str_)
    return Waves("ii", labels, onset, onset + 20, onset + 40, np.array([[onset[0], onset[-1] + 41]]))


def found_of(marked: Waves, shift: float = 0.0, fs: float = 500.0, keep: slice = slice(None)) -> Found:
    on, off = marked.onset[keep] / fs + shift, marked.offset[keep] / fs + shift
    return Found(marked.labels[keep], on, (on + off) / 2, off, np.ones(len(on)))


@given(st.floats(-0.039, 0.039))
def test_a_shift_within_the_tolerances_is_an_error_and_no_miss(shift: float) -> None:
    marked = waves()
    counts, errors = count(marked, 500, found_of(marked, shift))
    scores = scores_of(counts)
    np.testing.assert_allclose([scores[name] for name in ("f1", "f1_P", "f1_QRS", "f1_T")], 1)
    for wave, end in BOUNDARIES:
        assert scores[f"mean_ms_{wave}_{end}"][0] == pytest.approx(1000 * shift, abs=1e-6)
        assert scores[f"sd_ms_{wave}_{end}"][0] == pytest.approx(0, abs=1e-3)
    assert all(len(each) == 5 for each in errors)


def test_each_boundary_has_its_own_tolerance() -> None:
    counts, _ = count(waves(), 500, found_of(waves(), 0.045))
    assert counts[0, :, HITS].tolist() == [5, 5, 0, 0, 5, 5], "QRS has 40 ms"
    assert counts[1, :, HITS].tolist() == [5] * 6, "150 ms"
    counts, _ = count(waves(), 500, found_of(waves(), 0.060))
    assert counts[0, :, HITS].tolist() == [0, 0, 0, 0, 0, 5], "the T offset has 100 ms"


def test_what_is_missed_and_what_is_extra() -> None:
    marked = waves()
    counts, _ = count(marked, 500, found_of(marked, keep=slice(3, None)))
    assert (counts[..., MISSED] == 1).all() and (counts[..., EXTRA] == 0).all()
    fewer = Waves("ii", *(x[3:] for x in (marked.labels, marked.onset, marked.peak, marked.offset)), marked.stretches)
    counts, _ = count(fewer, 500, found_of(marked))
    assert (counts[..., EXTRA] == 1).all() and (counts[..., MISSED] == 0).all()
    missed, extra = unmatched(fewer, 500, found_of(marked, 0.045))
    assert (missed == (fewer.labels == "QRS")).all(), "QRS has 40 ms"
    assert extra.tolist() == [True] * 3 + (fewer.labels == "QRS").tolist()


def test_outside_what_is_marked_nothing_counts() -> None:
    marked = waves()
    inner = Waves(
        "ii", *(x[3:-3] for x in (marked.labels, marked.onset, marked.peak, marked.offset)), np.array([[600, 1601]])
    )
    counts, _ = count(inner, 500, found_of(marked))
    assert (counts[..., HITS] == 3).all() and (counts[..., EXTRA] == 0).all()


def test_a_boundary_that_is_not_marked_is_neither_right_nor_wrong() -> None:
    marked = waves()
    onset = marked.onset.copy()
    onset[2] = -1  # of the first T wave
    partly = Waves("ii", marked.labels, onset, marked.peak, marked.offset, marked.stretches)
    counts, _ = count(partly, 500, found_of(marked))
    t_onset = BOUNDARIES.index(("T", "onset"))
    assert counts[0, t_onset, [HITS, EXTRA, MISSED]].tolist() == [4, 0, 0]
    assert counts[0, t_onset + 1, HITS] == 5
    assert not np.concatenate(unmatched(partly, 500, found_of(marked))).any()


def test_boundaries_that_a_rule_leaves_open_are_missed() -> None:
    found = found_of(waves())
    found.onset[:] = np.nan
    counts, _ = count(waves(), 500, found)
    assert (counts[:, [0, 2, 4], MISSED] == 5).all() and (counts[..., EXTRA] == 0).all()
