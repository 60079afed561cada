"""The order of phases that a path takes, whatever the scores are, and how long they last."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_ecg.data.source import Waves
from ssl_ecg.waves.decoding import Durations, viterbi
from ssl_ecg.waves.head import Head, without_strays
from ssl_ecg.waves.phases import FOLLOWS, PHASES, PQ, QRS, ST, TP, UNMARKED, P, T, classes_of, segments_of

RATE = 100.0
BEAT = ((TP, 30), (P, 10), (PQ, 6), (QRS, 9), (ST, 10), (T, 20))


def runs(beats: int = 20) -> list[list[tuple[int, float, float]]]:
    found, at = [], 0.0
    for phase, lasts in BEAT * beats:
        found.append((phase, at, at + lasts))
        at += lasts
    return [found]


def scores(path: list[tuple[int, int, int]], n: int, sure: float = 3.0) -> np.ndarray:
    logits = np.zeros((n, len(PHASES)))
    for phase, start, end in path:
        logits[start:end, phase] = sure
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def true_path(beats: int = 4) -> list[tuple[int, int, int]]:
    return [(phase, int(start), int(end)) for phase, start, end in runs(beats)[0]]


LEARNED = Durations.learn(runs(), RATE)


@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.floats(0.1, 20))
@settings(max_examples=40)
def test_every_path_is_whole_and_in_an_order_that_a_heart_has(seed: int, n: int, sure: float) -> None:
    random = np.random.default_rng(seed).normal(size=(3, n, 6)) * sure
    for path in viterbi(random, LEARNED, RATE):
        assert path[0][1] == 0 and path[-1][2] == n
        assert all(end == start for (_, _, end), (_, start, _) in itertools.pairwise(path))
        assert all(start < end for _, start, end in path)
        assert {(a, b) for (a, _, _), (b, _, _) in itertools.pairwise(path)} <= set(FOLLOWS)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_a_row_is_what_it_is_alone(seed: int) -> None:
    random = np.random.default_rng(seed).normal(size=(4, 120, 6))
    together = viterbi(random, LEARNED, RATE)
    assert together == [viterbi(row[None], LEARNED, RATE)[0] for row in random]


def test_a_clear_path_is_found_as_it_is() -> None:
    path = true_path()
    assert viterbi(scores(path, path[-1][2])[None], LEARNED, RATE)[0] == path


def test_it_is_the_best_of_all_paths() -> None:
    """Against every path of a few samples, by brute force."""
    random = np.random.default_rng(1).normal(size=(1, 7, 6)) * 3
    exact, least = LEARNED.table(RATE)
    follows = LEARNED.follows

    def best(t: int, phase: int) -> float:
        """The best score from sample t on, where this phase begins."""
        found = -np.inf
        for end in range(t + 1, 8):
            here = random[0, t:end, phase].sum()
            here += (least if t == 0 or end == 7 else exact)[phase, end - t - 1]
            rest = 0.0 if end == 7 else max(follows[phase, b] + best(end, b) for a, b in FOLLOWS if a == phase)
            found = max(found, here + rest)
        return float(found)

    (path,) = viterbi(random, LEARNED, RATE)
    total = follows[[a for a, _, _ in path[:-1]], [b for b, _, _ in path[1:]]].sum()
    for phase, start, end in path:
        total += random[0, start:end, phase].sum()
        total += (least if start == 0 or end == 7 else exact)[phase, end - start - 1]
    assert total == pytest.approx(max(best(0, phase) for phase in range(6)))


def test_an_absent_wave_is_absent_and_a_long_pause_is_one() -> None:
    path = [(TP, 0, 50), (QRS, 50, 59), (ST, 59, 69), (T, 69, 89), (TP, 89, 389), (QRS, 389, 398), (TP, 398, 450)]
    assert viterbi(scores(path, 450, sure=6)[None], LEARNED, RATE)[0] == path


def test_a_blip_that_is_too_short_to_be_a_wave_is_none() -> None:
    path = true_path()
    said = scores(path, path[-1][2])
    said[[10, 11]] = said[[10, 11]][:, [P, TP, PQ, QRS, ST, T]]  # the P wave's and TP's scores exchanged
    assert viterbi(said[None], LEARNED, RATE)[0] == path


def marked(labels: str, at: list[tuple[int, int]], stretches: list[tuple[int, int]]) -> Waves:
    names = np.array([{"p": "P", "N": "QRS", "t": "T"}[each] for each in labels], dtype=np.str_)
    onset, offset = (np.array(side, dtype=np.int64) for side in zip(*at, strict=True))
    peak = np.where((onset >= 0) & (offset >= 0), (onset + offset) // 2, np.maximum(onset, offset))
    return Waves("ii", names, onset, peak, offset, np.array(stretches, dtype=np.int64))


def test_marks_become_phases() -> None:
    waves = marked("pNtNp", [(100, 149), (175, 224), (300, 399), (600, 649), (700, 749)], [(100, 750)])
    assert [(phase, start, end) for phase, start, end in segments_of(waves, 500, 100)[0]] == [
        (P, 20, 30), (PQ, 30, 35), (QRS, 35, 45), (ST, 45, 60), (T, 60, 80), (TP, 80, 120), (QRS, 120, 130),
        (TP, 130, 140), (P, 140, 150),
    ]  # fmt: skip
    classes = classes_of(waves, 500, 100, 200)
    assert (classes[:20] == UNMARKED).all() and (classes[150:] == UNMARKED).all()
    assert np.bincount(classes[20:150]).tolist() == [50, 20, 5, 20, 15, 20]


def test_of_a_wave_without_an_end_nothing_is_known() -> None:
    waves = marked("pNtp", [(100, 149), (175, 224), (-1, 399), (500, 549)], [(100, 550)])
    assert [[phase for phase, _, _ in run] for run in segments_of(waves, 500, 100)] == [[P, PQ, QRS], [P]]
    parted = marked("pNpN", [(0, 49), (75, 124), (1000, 1049), (1075, 1124)], [(0, 125), (1000, 1125)])
    assert [len(run) for run in segments_of(parted, 500, 100)] == [3, 3]


def test_waves_at_the_ends_are_left_out_and_boundaries_lie_between_samples() -> None:
    path = true_path(3)
    head = Head(torch.zeros(1, 6), torch.zeros(6), LEARNED)
    n = path[-1][2]
    (found,) = head.find([scores(path, n)], RATE)
    assert found.labels.tolist() == ["P", "QRS", "T", "P", "QRS", "T", "P", "QRS"]  # the last T wave may go on
    wanted = [start - 0.5 for phase, start, end in path if phase in (P, QRS, T) and end < n]
    np.testing.assert_allclose(found.onset * RATE, wanted, atol=1e-6)
    assert (found.confidence > 0.7).all()


def test_doubtful_p_waves_are_left_out_where_few_beats_have_one() -> None:
    beats = [(QRS, 100.0 * k, 100.0 * k + 10, 0.9) for k in range(10)]
    doubtful = [(P, 100.0 * k + 80, 100.0 * k + 90, 0.6) for k in range(10)]
    sure = [(P, 100.0 * k + 80, 100.0 * k + 90, 0.9) for k in range(3)]
    assert without_strays([*beats, *doubtful[:7]], 6000) == [*beats, *doubtful[:7]]
    assert without_strays([*beats, *doubtful[:6]], 6000) == beats
    assert without_strays([*beats, *sure, *doubtful[5:7]], 6000) == [*beats, *sure]
    assert without_strays([*beats, *doubtful[:5]], 500) == [*beats, *doubtful[:5]], "each stretch by itself"


def test_a_long_lead_is_decoded_in_stretches_as_it_is_in_one() -> None:
    path = true_path(200)
    head = Head(torch.zeros(1, 6), torch.zeros(6), LEARNED)
    (found,) = head.find([scores(path, path[-1][2])], RATE)
    wanted = [start - 0.5 for phase, start, end in path if phase in (P, QRS, T) and end < path[-1][2]]
    np.testing.assert_allclose(found.onset * RATE, wanted, atol=1e-6)
