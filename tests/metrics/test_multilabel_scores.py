import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multilabel_study import CLASSES, records
from sklearn import metrics

from ssl_ecg.errors import UserError
from ssl_ecg.metrics.bootstrap import ScoreBootstrap, difference, resampled_ranking
from ssl_ecg.metrics.scores import average_precision, best_threshold, scorable, score_multilabel

THRESHOLDS = np.array([0.5, 0.4, 0.3])

ranked = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=50)


def study(seed=0, noise=1.0, **sizes):
    _, targets, patients = records(seed=seed, **sizes)
    rng = np.random.default_rng(seed + 1)
    p = 1 / (1 + np.exp(-(2.0 * targets - 1 + noise * rng.normal(size=targets.shape))))
    return targets, np.round(p, 2), patients


@given(ranked)
def test_average_precision_is_scikit_learns_with_any_ties(samples):
    positive, scores = (np.array(column) for column in zip(*samples, strict=True))
    found = average_precision(positive, scores)
    if positive.all() or not positive.any():
        assert np.isnan(found)
    else:
        assert found == pytest.approx(metrics.average_precision_score(positive, scores))


@given(ranked)
def test_no_threshold_has_a_better_f1(samples):
    positive, scores = (np.array(column) for column in zip(*samples, strict=True))
    threshold = best_threshold(positive, scores)
    if not positive.any():
        assert threshold == 0.5
    else:
        every = [metrics.f1_score(positive, scores >= t) for t in range(8)]
        assert metrics.f1_score(positive, scores >= threshold) == pytest.approx(max(every))


def test_scores_are_scikit_learns():
    targets, p, patients = study()
    found = score_multilabel(targets, p, CLASSES, patients, THRESHOLDS)
    values = found
    assert "macro_auroc_all" not in values
    assert values["macro_auroc"] == pytest.approx(metrics.roc_auc_score(targets, p, average="macro"))
    assert values["macro_auprc"] == pytest.approx(metrics.average_precision_score(targets, p, average="macro"))
    assert values["macro_f1"] == pytest.approx(metrics.f1_score(targets, p >= THRESHOLDS, average="macro"))
    for i, name in enumerate(CLASSES):
        assert values[f"auroc_{name}"] == pytest.approx(metrics.roc_auc_score(targets[:, i], p[:, i]))
        assert values[f"auprc_{name}"] == pytest.approx(metrics.average_precision_score(targets[:, i], p[:, i]))
        assert values[f"f1_{name}"] == pytest.approx(metrics.f1_score(targets[:, i], p[:, i] >= THRESHOLDS[i]))


def test_a_class_that_few_patients_have_is_listed_and_not_scored():
    targets, p, patients = study()
    four = np.unique(patients)[:4]
    targets[:, 1] = np.isin(patients, four)  # many records, of four people
    found = score_multilabel(targets, p, CLASSES, patients, THRESHOLDS)
    assert not any(name.endswith("_MI") for name in found)
    areas = [metrics.roc_auc_score(targets[:, i], p[:, i]) for i in range(3)]
    assert found["macro_auroc"] == pytest.approx((areas[0] + areas[2]) / 2)
    assert found["macro_auroc_all"] == pytest.approx(np.mean(areas))
    np.testing.assert_array_equal(scorable(~targets, patients), [True, False, True])  # as few that lack it
    assert scorable(targets[:, :0], patients).shape == (0,)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 4)), min_size=2, max_size=60),
    st.integers(1, 12),
    st.integers(0, 2**31),
)
def test_a_resamples_areas_are_those_of_the_weighted_samples(samples, n_resamples, seed):
    positive, scores, patient = (np.array(column) for column in zip(*samples, strict=True))
    drawn = np.random.default_rng(seed).integers(0, 3, (n_resamples, 5)).astype(float)
    areas, precisions = resampled_ranking(positive, scores.astype(float), patient, drawn)
    for area, precision, times in zip(areas, precisions, drawn, strict=True):
        weight = times[patient]
        if weight[positive].sum() and weight[~positive].sum():
            assert area == pytest.approx(metrics.roc_auc_score(positive, scores, sample_weight=weight))
            assert precision == pytest.approx(metrics.average_precision_score(positive, scores, sample_weight=weight))
        else:
            assert np.isnan(area) and np.isnan(precision)


def test_resamples_are_scored_in_parts_as_in_one(monkeypatch):
    targets, p, patients = study()
    once = ScoreBootstrap(targets, patients, CLASSES, n_resamples=50).resample(p, THRESHOLDS)
    monkeypatch.setattr("ssl_ecg.metrics.bootstrap._AT_ONCE", 1000)
    parts = ScoreBootstrap(targets, patients, CLASSES, n_resamples=50).resample(p, THRESHOLDS)
    for name in once.values:
        np.testing.assert_array_equal(once.replicates[name], parts.replicates[name])


@settings(max_examples=10)
@given(st.integers(0, 2**31))
def test_a_resample_scores_like_its_patients_written_out(seed):
    targets, p, patients = study()
    bootstrap = ScoreBootstrap(targets, patients, CLASSES, n_resamples=3, seed=seed)
    found = bootstrap.resample(p, THRESHOLDS)
    names = np.unique(patients)
    for b, times in enumerate(bootstrap.drawn.astype(int)):
        rows = np.concatenate(
            [np.flatnonzero(patients == name) for name, n in zip(names, times, strict=True) for _ in range(n)]
        )
        expected = score_multilabel(targets[rows], p[rows], CLASSES, patients[rows], THRESHOLDS)
        for name in found.values:
            assert found.replicates[name][b] == pytest.approx(expected[name]), name


def test_a_resample_without_a_rare_class_averages_over_the_others():
    targets, p, patients = study(n_patients=20)
    targets[:, 2] &= np.isin(patients, np.unique(patients[targets[:, 2]])[:5])
    found = ScoreBootstrap(targets, patients, CLASSES, n_resamples=5000).resample(p, THRESHOLDS)
    lacking = np.isnan(found.replicates["auroc_HYP"])
    assert 0 < lacking.sum() < 100
    others = (found.replicates["auroc_NORM"] + found.replicates["auroc_MI"]) / 2
    np.testing.assert_allclose(found.replicates["macro_auroc"][lacking], others[lacking])
    assert found.intervals()["auroc_HYP"].undefined == lacking.sum()
    assert found.intervals()["macro_auroc"].undefined == 0


def test_paired_differences_and_intervals():
    targets, good, patients = study(noise=0.7)
    bad = study(noise=1.5)[1]
    bootstrap = ScoreBootstrap(targets, patients, CLASSES, n_resamples=300)
    better, worse = (bootstrap.resample(p, THRESHOLDS) for p in (good, bad))
    for name in ("macro_auroc", "macro_auprc", "auroc_MI"):
        found = difference(better, worse)[name]
        assert 0 < found.low <= found.value <= found.high
        assert found.p_value == pytest.approx(2 / 301)
        interval = better.intervals()[name]
        assert interval.low <= interval.value <= interval.high
    other = ScoreBootstrap(targets, patients, CLASSES, n_resamples=300, seed=1).resample(bad, THRESHOLDS)
    with pytest.raises(UserError, match="same resamples"):
        difference(better, other)


def test_patients_not_records_are_drawn():
    """Copies of a patient's records add no certainty."""
    targets, p, patients = study(n=150)
    once = ScoreBootstrap(targets, patients, CLASSES).resample(p, THRESHOLDS).intervals()["macro_auroc"]
    copies = ScoreBootstrap(np.tile(targets, (9, 1)), np.tile(patients, 9), CLASSES)
    often = copies.resample(np.tile(p, (9, 1)), THRESHOLDS).intervals()["macro_auroc"]
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_what_it_refuses():
    targets, p, patients = study()
    for says, call in {
        "bool targets": lambda: score_multilabel(targets.astype(int), p, CLASSES, patients, THRESHOLDS),
        "probabilities of shape": lambda: score_multilabel(targets, p[:, :2], CLASSES, patients, THRESHOLDS),
        "needs two": lambda: ScoreBootstrap(targets, np.zeros(len(p)), CLASSES),
        "bool targets of shape": lambda: ScoreBootstrap(targets, patients, CLASSES[:2]),
    }.items():
        with pytest.raises(UserError, match=says):
            call()
