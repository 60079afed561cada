import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_ecg.errors import UserError
from ssl_ecg.study.hand import (
    RECORD_RR_FEATURES,
    SHAPE_FEATURES,
    SIMILARITY_FEATURES,
    beat_features,
    record_features,
)
from ssl_ecg.study.rhythm import TYPICAL_RR_S


def beat_feature_names(leads):
    wavelets = [f"wavelet_{i}" for i in range(32)]
    return [f"{lead} {name}" for lead in leads for name in (*SHAPE_FEATURES, *wavelets, *SIMILARITY_FEATURES)]


def record_feature_names(leads):
    bands = [f"band_{i}" for i in range(1, 8)]
    return [*RECORD_RR_FEATURES, *(f"{lead} {name}" for lead in leads for name in (*SHAPE_FEATURES, *bands))]


def beat(fs, seconds=3.0, width=0.012, height=1.5, t_wave=0.3, at=()):
    """A QRS complex in the centre, 1 mV wide as told, a P and a T wave; and the same at other times from it, s."""
    time = (np.arange(round(seconds * fs)) - round(seconds * fs) // 2) / fs

    def one(centre):
        bump = [(0.0, width, height), (2.2 * width, width, -0.25 * height), (-0.17, 0.02, 0.1), (0.28, 0.04, t_wave)]
        return sum(a * np.exp(-0.5 * ((time - centre - m) / s) ** 2) for m, s, a in bump)

    return sum(one(centre) for centre in (0.0, *at))[None, None].astype(np.float32)


def of(windows, fs, name):
    return beat_features(windows, fs)[:, beat_feature_names(["II"]).index(f"II {name}")]


@pytest.mark.parametrize("fs", [100, 128, 250, 360, 500])
def test_amplitudes_and_times_are_those_of_the_beat_at_any_rate(fs):
    x = beat(fs)
    assert of(x, fs, "r_amplitude")[0] == pytest.approx(1.5, abs=0.15)
    assert of(x, fs, "s_amplitude")[0] == pytest.approx(-0.25 * 1.5, abs=0.12)
    assert of(x, fs, "r_time")[0] == pytest.approx(0.0, abs=1.01 / fs)
    assert of(x, fs, "t_max")[0] == pytest.approx(0.3, abs=0.02)
    assert of(x, fs, "t_time")[0] == pytest.approx(0.28, abs=1.01 / fs)
    assert of(x, fs, "p_max")[0] == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("fs", [100, 360])
def test_a_wide_complex_measures_wide(fs):
    narrow, wide = beat(fs, width=0.012), beat(fs, width=0.03)
    for name in ("qrs_width", "r_width", "qrs_size"):
        assert of(wide, fs, name)[0] > 1.7 * of(narrow, fs, name)[0]
    assert of(wide, fs, "upslope")[0] < of(narrow, fs, "upslope")[0]
    assert 0.04 < of(narrow, fs, "qrs_width")[0] < 0.12 < of(wide, fs, "qrs_width")[0] < 0.25


def test_a_wide_complex_among_narrow_ones_resembles_none_of_them():
    fs = 250
    same = beat(fs, at=(-0.8, 0.8))
    odd = beat(fs, at=(-0.8, 0.8)) - beat(fs) + beat(fs, width=0.04, height=-1.2)
    for name in ("similar_before", "similar_after"):
        assert of(same, fs, name)[0] > 0.99
        assert of(odd, fs, name)[0] < 0.8
    alone = beat(fs, seconds=0.5)
    assert of(alone, fs, "similar_before")[0] == of(alone, fs, "similar_after")[0] == 0


def test_beats_are_measured_one_by_one_and_lead_by_lead():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 3, 300)).astype(np.float32)
    together = beat_features(x, 100)
    names = beat_feature_names(["I", "II", "V1"])
    assert together.shape == (900, len(names)) and len(set(names)) == len(names)
    # Windows are worked on in blocks, and sums of floats depend a little on what stands beside them.
    np.testing.assert_allclose(together[[5, 899]], beat_features(x[[5, 899]], 100), rtol=1e-4, atol=1e-5)
    second = [i for i, name in enumerate(names) if name.startswith("II ")]
    np.testing.assert_allclose(together[:9, second], beat_features(x[:9, 1:2], 100), rtol=1e-4, atol=1e-5)


@given(st.integers(1, 400), st.integers(1, 3), st.sampled_from([60.0, 100.0, 257.5, 500.0]), st.integers(0, 3))
def test_any_window_has_finite_features(samples, leads, fs, kind):
    rng = np.random.default_rng(samples)
    x = rng.normal(size=(2, leads, samples)) * [0.0, 1e-6, 1.0, 1e4][kind] + 3
    assert np.isfinite(beat_features(x, fs)).all()
    made = record_features(x, fs)
    assert np.isfinite(made).all() and made.shape == (2, len(record_feature_names(["x"] * leads)))


@given(st.floats(0.1, 10), st.floats(-5, 5))
def test_amplitudes_follow_the_gain_and_not_the_offset(gain, offset):
    fs, names = 250, beat_feature_names(["II"])
    x = beat(fs, at=(-0.9, 0.7)).astype(np.float64)
    plain, changed = beat_features(x, fs)[0], beat_features(gain * x + offset, fs)[0]
    unit_free = [i for i, name in enumerate(names) if name.endswith(("width", "time", "before", "after"))]
    scaled = [i for i in range(len(names)) if i not in unit_free]
    np.testing.assert_allclose(changed[unit_free], plain[unit_free], atol=1.01 / fs)
    np.testing.assert_allclose(changed[scaled], gain * plain[scaled], atol=2e-4 * (1 + abs(offset) + gain) * fs / 100)


def record(fs, intervals, **shape):
    """A recording of 10 s with beats at these intervals."""
    at = 0.5 + np.concatenate([[0.0], np.cumsum(intervals)]) - 5
    return beat(fs, 10.0, at=at[at < 4.5], **shape) - beat(fs, 10.0, **shape)


@pytest.mark.parametrize("fs", [100, 500])
def test_a_recordings_rhythm_and_median_beat_are_found(fs):
    names = record_feature_names(["I", "II"])
    one = record(fs, [0.8] * 11)
    x = np.concatenate([one, 0.5 * one], axis=1)
    found = dict(zip(names, record_features(x, fs)[0], strict=True))
    assert found["rr_mean"] == pytest.approx(0.8, abs=0.01)
    assert found["rr_sd"] < 0.01 and found["pnn50"] == 0
    assert found["typical_min"] > 0.99
    assert found["I r_amplitude"] == pytest.approx(1.5, abs=0.2)
    assert found["II r_amplitude"] == pytest.approx(found["I r_amplitude"] / 2, rel=0.02)
    assert found["I t_time"] == pytest.approx(0.28, abs=2.01 / fs)
    assert sum(found[f"I band_{i}"] for i in range(1, 8)) == pytest.approx(1)


def test_an_uneven_rhythm_is_seen():
    names = record_feature_names(["II"])
    even, uneven = (
        dict(zip(names, record_features(record(250, rr), 250)[0], strict=True)) for rr in ([0.8] * 11, [0.5, 1.1] * 5)
    )
    assert uneven["rmssd"] == pytest.approx(0.6, abs=0.02) and even["rmssd"] < 0.01
    assert uneven["pnn50"] == 1
    assert (uneven["rr_min"], uneven["rr_max"]) == pytest.approx((0.5, 1.1), abs=0.02)


def test_a_flat_recording_has_the_documented_values():
    found = dict(zip(record_feature_names(["II"]), record_features(np.full((1, 1, 1000), 7.0), 100)[0], strict=True))
    typical = {"rr_mean", "rr_min", "rr_max"}
    assert all(found[name] == (np.float32(TYPICAL_RR_S) if name in typical else 0) for name in found)
    assert {*RECORD_RR_FEATURES} < {*found}


def test_what_cannot_be_measured_is_said():
    good = np.zeros((2, 1, 100))
    for measure in (beat_features, record_features):
        with pytest.raises(UserError, match="shape"):
            measure(good[0], 100)
        with pytest.raises(UserError, match="20 Hz or more, got 0"):
            measure(good, 0)
        with pytest.raises(UserError, match="1 of 2 windows"):
            measure(np.where(np.arange(2)[:, None, None] == 1, np.nan, good), 100)
        assert len(measure(good[:0], 100)) == 0
