import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_ecg.errors import UserError
from ssl_ecg.study.rhythm import TYPICAL_RR_S, rr_features

intervals = st.lists(st.integers(60, 2000), min_size=2, max_size=40)


def naive(samples, fs):
    rows = []
    rr = []
    for i in range(len(samples)):
        if i == 0:
            rows.append([np.log(TYPICAL_RR_S), 0, 0, 0])
            continue
        now = (samples[i] - samples[i - 1]) / fs
        if rr:
            rows.append([np.log(r) for r in (now, now / rr[-1], now / np.mean(rr[-10:]), now / np.median(rr))])
        else:
            rows.append([np.log(now), 0, 0, 0])
        rr.append(now)
    return np.array(rows)


@given(intervals)
def test_it_says_what_the_definition_says(steps):
    samples = np.cumsum(steps)
    np.testing.assert_allclose(rr_features(samples, 360.0), naive(samples, 360.0), rtol=1e-5, atol=1e-6)


@given(intervals, st.data())
def test_later_beats_change_nothing(steps, data):
    samples = np.cumsum(steps)
    seen = data.draw(st.integers(1, len(samples)))
    np.testing.assert_array_equal(rr_features(samples, 360.0)[:seen], rr_features(samples[:seen], 360.0))


@given(intervals, st.integers(2, 5))
def test_time_counts_in_seconds(steps, factor):
    samples = np.cumsum(steps)
    np.testing.assert_allclose(rr_features(samples * factor, 100.0 * factor), rr_features(samples, 100.0), atol=1e-5)


@pytest.mark.parametrize("n", [0, 1])
def test_recordings_too_short_for_an_interval(n):
    features = rr_features(np.arange(n), 360.0)
    assert features.shape == (n, 4)
    assert features.dtype == np.float32


@pytest.mark.parametrize(
    ("samples", "fs", "says"),
    [
        ([10, 400, 400], 360.0, "beat 2 at sample 400 follows one at 400"),
        ([10, 400], 0.0, "above 0 Hz"),
        ([[10, 400]], 360.0, "shape"),
    ],
)
def test_it_refuses(samples, fs, says):
    with pytest.raises(UserError, match=says):
        rr_features(np.array(samples), fs)
