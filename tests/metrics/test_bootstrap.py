import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from ssl_ecg.errors import UserError
from ssl_ecg.metrics.bootstrap import ScoreBootstrap, difference, resampled_auroc
from ssl_ecg.metrics.scores import score

CLASSES = ("N", "S", "V")


def study(seed=0, n=600, n_patients=12, strength=0.5):
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=[0.7, 0.2, 0.1])
    patients = rng.integers(0, n_patients, n)
    p = rng.dirichlet(np.ones(3), n) + strength * np.eye(3)[y]
    return y, np.round(p / p.sum(axis=1, keepdims=True), 2), np.char.add("patient", patients.astype(str))


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 4)), min_size=2, max_size=60),
    st.integers(1, 40),
    st.integers(0, 2**31),
)
def test_a_resamples_auroc_is_that_of_the_weighted_samples(samples, n_resamples, seed):
    """With few resamples of the five patients and with many, which are computed in different ways."""
    positive, scores, patient = (np.array(column) for column in zip(*samples, strict=True))
    drawn = np.random.default_rng(seed).integers(0, 3, (n_resamples, 5)).astype(float)
    found = resampled_auroc(positive, scores.astype(float), patient, drawn)
    for value, times in zip(found, drawn, strict=True):
        weight = times[patient]
        if weight[positive].sum() and weight[~positive].sum():
            assert value == pytest.approx(metrics.roc_auc_score(positive, scores, sample_weight=weight))
        else:
            assert np.isnan(value)


@settings(max_examples=20)
@given(st.integers(0, 2**31))
def test_a_resample_scores_like_its_patients_written_out(seed):
    y, p, patients = study()
    priors = np.array([0.7, 0.2, 0.1])
    bootstrap = ScoreBootstrap(y, patients, CLASSES, subsets=["NV"], n_resamples=3, seed=seed)
    found = bootstrap.resample(p, priors)
    names = np.unique(patients)
    for b, times in enumerate(bootstrap.drawn.astype(int)):
        rows = np.concatenate(
            [np.flatnonzero(patients == name) for name, n in zip(names, times, strict=True) for _ in range(n)]
        )
        expected = score(y[rows], p[rows], CLASSES, priors=priors, subsets=["NV"])
        assert set(y[rows].tolist()) == set(range(len(CLASSES)))
        for name, value in expected.items():
            assert found.replicates[name][b] == pytest.approx(value), name


def test_intervals_hold_the_value_and_widen_with_the_level():
    y, p, patients = study()
    found = ScoreBootstrap(y, patients, CLASSES, n_resamples=500).resample(p)
    wide, narrow = found.intervals(0.99), found.intervals(0.5)
    for name, interval in found.intervals().items():
        assert interval.low <= interval.value <= interval.high
        assert wide[name].low <= interval.low <= narrow[name].low
        assert wide[name].high >= interval.high >= narrow[name].high
        assert interval.undefined == 0
        assert interval.value == found.values[name]
    assert str(found.intervals()["macro_f1"]).count("0.") == 3


def test_patients_not_samples_are_drawn():
    """Copies of a patient's samples add no certainty."""
    y, p, patients = study(n=120)
    once = ScoreBootstrap(y, patients, CLASSES).resample(p)
    often = ScoreBootstrap(np.tile(y, 20), np.tile(patients, 20), CLASSES).resample(np.tile(p, (20, 1)))
    for name, interval in once.intervals().items():
        assert often.intervals()[name].low == pytest.approx(interval.low)
        assert often.intervals()[name].high == pytest.approx(interval.high)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """The share of positives ranked above negatives is .76 for scores one standard deviation apart."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        patients = np.repeat(np.arange(40), 6)
        y = np.tile([0, 0, 0, 0, 1, 1], 40)
        scores = y + rng.normal(size=240) * np.sqrt(0.5) + rng.normal(size=40)[patients] * np.sqrt(0.5)
        p = np.stack([-scores, scores], axis=1)
        interval = ScoreBootstrap(y, patients, "ab", n_resamples=200).resample(p).intervals()["auroc_b"]
        covered += interval.low <= 0.7602 <= interval.high
    assert 0.88 <= covered / 200 <= 0.99


def few(n_patients, whose):
    """A study in which so many patients are, and only some of them have V."""
    y, p, patients = study(n_patients=n_patients)
    return np.where((y == 2) & ~np.isin(patients, whose), 0, y), p, patients


def test_a_class_that_fewer_than_five_patients_have_is_listed_and_in_no_average():
    y, p, patients = few(12, ["patient1", "patient2", "patient3", "patient4"])
    bootstrap = ScoreBootstrap(y, patients, CLASSES, subsets=["NV"])
    found = bootstrap.resample(p).intervals()
    assert bootstrap.too_few == ("V",)
    assert not any(name.endswith("_V") for name in found)
    assert found["macro_auroc"].value == pytest.approx((found["auroc_N"].value + found["auroc_S"].value) / 2)
    assert found["macro_f1"].value == pytest.approx((found["f1_N"].value + found["f1_S"].value) / 2)
    assert found["macro_f1_NV"].value == pytest.approx(found["f1_N"].value)
    five = few(12, [f"patient{i}" for i in range(5)])
    assert ScoreBootstrap(five[0], five[2], CLASSES).too_few == ()


def test_of_fewer_than_five_patients_all_classes_are_averaged_over():
    y, p, patients = study(n_patients=4)
    p, patients, y = p[y != 1], patients[y != 1], y[y != 1]
    bootstrap = ScoreBootstrap(y, patients, CLASSES, n_resamples=50)
    found = bootstrap.resample(p).intervals()
    assert bootstrap.too_few == CLASSES
    assert found["macro_auroc"].value == pytest.approx((found["auroc_N"].value + found["auroc_V"].value) / 2)
    assert "auroc_S" not in found  # nobody has it


def test_resamples_without_a_class_are_counted_and_left_out():
    y, p, patients = few(4, ["patient3"])
    found = ScoreBootstrap(y, patients, CLASSES).resample(p).intervals()
    assert found["auroc_V"].undefined == found["macro_auroc"].undefined == found["macro_f1"].undefined
    assert 220 < found["macro_auroc"].undefined < 410  # (3 / 4) ** 4 = .32 of them
    assert found["auroc_N"].undefined == 0
    assert np.isfinite(found["macro_auroc"].low)


def test_where_most_resamples_lack_a_score_it_stands_without_an_interval():
    y, p, patients = study(n_patients=4)
    bootstrap = ScoreBootstrap(y, patients, CLASSES, n_resamples=100)
    for undefined, known in ((50, True), (51, False)):
        ours, theirs = bootstrap.resample(p), bootstrap.resample(p)
        ours.replicates["macro_f1"][:undefined] = np.nan
        alone, apart = ours.intervals()["macro_f1"], difference(ours, theirs)["macro_f1"]
        for found in (alone, apart):
            assert found.undefined == undefined
            assert np.isfinite([found.low, found.high]).tolist() == [known, known]
        assert np.isfinite(apart.p_value) == known
    assert str(alone) == f"{alone.value:.3f}"
    assert str(apart) == "+0.000"


def test_paired_differences():
    y, good, patients = study(strength=1.0)
    bad = study(strength=0.3)[1]
    bootstrap = ScoreBootstrap(y, patients, CLASSES, n_resamples=400)
    better, worse = bootstrap.resample(good), bootstrap.resample(bad)
    found = difference(better, worse)["macro_auroc"]
    assert found.value == pytest.approx(better.values["macro_auroc"] - worse.values["macro_auroc"])
    assert 0 < found.low <= found.value <= found.high
    assert found.p_value == pytest.approx(2 / 401)
    back = difference(worse, better)["macro_auroc"]
    assert (back.value, back.low, back.high) == pytest.approx((-found.value, -found.high, -found.low))
    assert back.p_value == found.p_value
    same = difference(better, better)["macro_f1"]
    assert (same.value, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_pairing_narrows_the_interval_of_systems_that_err_alike():
    y, p, patients = study()
    nearly = p + 0.02 * np.random.default_rng(1).dirichlet(np.ones(3), len(y))
    bootstrap = ScoreBootstrap(y, patients, CLASSES)
    first, second = bootstrap.resample(p), bootstrap.resample(nearly)
    apart = difference(first, second)["macro_auroc"]
    alone = first.intervals()["macro_auroc"]
    assert apart.high - apart.low < 0.5 * (alone.high - alone.low)


def test_the_seed_decides():
    y, p, patients = study()
    first, second, third = (ScoreBootstrap(y, patients, CLASSES, seed=s).resample(p) for s in (0, 0, 1))
    assert difference(first, second)["macro_f1"].p_value == 1
    with pytest.raises(UserError, match="same resamples"):
        difference(first, third)


def test_what_it_refuses():
    y, p, patients = study()
    with pytest.raises(UserError, match="needs two"):
        ScoreBootstrap(y, np.zeros(len(y)), CLASSES)
    with pytest.raises(UserError, match="one per sample"):
        ScoreBootstrap(y, patients[:5], CLASSES)
    for n in (0, -1):
        with pytest.raises(UserError, match=f"resamples must be at least 1, not {n}"):
            ScoreBootstrap(np.eye(3, dtype=bool)[y], patients, CLASSES, n_resamples=n)
    with pytest.raises(UserError, match="probabilities of shape"):
        ScoreBootstrap(y, patients, CLASSES).resample(p[:5])
