import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_ecg.data.sources import MITBIH
from ssl_ecg.errors import UserError
from ssl_ecg.estimators.probe import fit_probe
from ssl_ecg.metrics.scores import score
from ssl_ecg.study.rhythm import TYPICAL_RR_S, rr_features

FS = 360.0
intervals = st.lists(st.integers(60, 200_000), min_size=2, max_size=40)  # in samples: up to nine minutes


def naive(samples, fs):
    rows = []
    rr = []  # (sample of the beat that ends it, interval)
    for i in range(len(samples)):
        if i == 0:
            rows.append([np.log(TYPICAL_RR_S), 0, 0, 0])
            continue
        now = (samples[i] - samples[i - 1]) / fs
        if rr:
            before = [r for _, r in rr]
            recent = [r for at, r in rr if at >= samples[i] - 300 * fs] or before[-1:]
            rows.append(
                [np.log(r) for r in (now, now / before[-1], now / np.mean(before[-10:]), now / np.mean(recent))]
            )
        else:
            rows.append([np.log(now), 0, 0, 0])
        rr.append((samples[i], now))
    return np.array(rows)


@given(intervals)
def test_it_says_what_the_definition_says(steps):
    samples = np.cumsum(steps)
    np.testing.assert_allclose(rr_features(samples, FS), naive(samples, FS), rtol=1e-5, atol=1e-6)


@given(intervals, st.data())
def test_later_beats_change_nothing(steps, data):
    samples = np.cumsum(steps)
    seen = data.draw(st.integers(1, len(samples)))
    np.testing.assert_array_equal(rr_features(samples, FS)[:seen], rr_features(samples[:seen], FS))


@given(intervals)
def test_with_the_future_the_next_interval_comes_last(steps):
    samples = np.cumsum(steps)
    found = rr_features(samples, FS, future=True)
    assert found.shape[1] == 5
    np.testing.assert_array_equal(found[:, :4], rr_features(samples, FS))
    np.testing.assert_array_equal(found[:-1, 4], found[1:, 0])
    assert found[-1, 4] == found[-1, 0]


@given(intervals, st.integers(2, 5))
def test_time_counts_in_seconds(steps, factor):
    samples = np.cumsum(steps)
    np.testing.assert_allclose(rr_features(samples * factor, 100.0 * factor), rr_features(samples, 100.0), atol=1e-5)


@given(intervals, st.data())
def test_beats_at_one_sample_are_one_beat(steps, data):
    samples = np.cumsum(steps)
    again = data.draw(st.integers(0, len(samples) - 1))
    found = rr_features(np.insert(samples, again, samples[again]), FS, future=True)
    np.testing.assert_array_equal(found[again], found[again + 1])
    np.testing.assert_array_equal(np.delete(found, again, axis=0), rr_features(samples, FS, future=True))


def test_a_premature_beat_stands_out_among_many_of_its_kind():
    """As in MIT-BIH's record 232: pairs of an early beat and a pause, so that early intervals are the commonest."""
    steps = np.tile([0.6, 0.6, 0.6, 1.5], 100)
    found = rr_features(np.round(np.cumsum(steps) * FS).astype(int), FS)[200:, 3]
    assert (found[np.tile([True, True, True, False], 50)] < -0.2).all()  # against their median it would be 0
    assert (found[np.tile([False, False, False, True], 50)] > 0.2).all()


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("future", [False, True])
def test_recordings_too_short_for_an_interval(n, future):
    features = rr_features(np.arange(n), FS, future=future)
    assert features.shape == (n, 4 + future)
    assert features.dtype == np.float32


@pytest.mark.parametrize(
    ("samples", "fs", "says"),
    [
        ([10, 400, 399], 360.0, "beat 2 at sample 399 follows one at 400"),
        ([10, 400], 0.0, "above 0 Hz"),
        ([[10, 400]], 360.0, "shape"),
    ],
)
def test_it_refuses(samples, fs, says):
    with pytest.raises(UserError, match=says):
        rr_features(np.array(samples), fs)


@pytest.mark.slow
def test_the_rhythm_alone_reaches_the_published_auroc_on_all_of_ds2(mitdb):
    """Macro AUROC .936 (experiments/results/mitbih.md), by the protocol's probe; the annotations alone are read."""
    source = MITBIH(str(mitdb), download=False)
    headers = [source.header(i) for i in range(len(source.records))]
    beats = [source.beats(header)[0] for header in headers]
    x = np.concatenate([rr_features(b.samples, h.fs) for b, h in zip(beats, headers, strict=True)])
    labels = np.concatenate([b.labels for b in beats])
    record = np.repeat(source.records, [len(b.labels) for b in beats])
    patient, split = (np.array([of(name) for name in record.tolist()]) for of in (source.patient, source.split))
    y = np.array([source.classes.index(name) if name else -1 for name in labels.tolist()])
    train, test = ((split == side) & (y >= 0) for side in ("train", "test"))
    assert test.sum() == 49_705
    probe = fit_probe({"RR": x[train]}, y[train], patient[train], len(source.classes))
    found = score(y[test], probe.predict_proba({"RR": x[test]}), source.classes)
    assert found["macro_auroc"] == pytest.approx(0.936, abs=0.002)
