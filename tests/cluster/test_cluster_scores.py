"""Agreement of clusters with classes and patients: against scikit-learn, by hand, and on resamples."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from multilabel_study import CLASSES, records
from sklearn import metrics

from ssl_ecg.cluster.clustering import Clustering
from ssl_ecg.cluster.scores import (
    ClusterBenchmark,
    patient_agreement,
    random_purity,
)
from ssl_ecg.errors import UserError
from ssl_ecg.study.benchmark import Labels


def study(n=900, n_patients=18, seed=0):
    """Classes (n,), patients (n,) and clusters (n,) that know something of both."""
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, n_patients, n)
    y = np.where(rng.random(n) < 0.7, 0, rng.integers(0, 3, n))
    clusters = np.where(rng.random(n) < 0.5, y, 3 + patient % 3)
    return y, np.char.add("p", patient.astype(str)), clusters


def bootstrap(y, patients, **more):
    return ClusterBenchmark(Labels(y, patients, patients), ("N", "S", "V"), **more)


def test_scores_are_those_of_scikit_learn():
    y, patients, clusters = study()
    values = bootstrap(y, patients, resamples=5).resample(clusters).values
    assert values["nmi"] == pytest.approx(metrics.normalized_mutual_info_score(y, clusters))
    assert values["ami"] == pytest.approx(metrics.adjusted_mutual_info_score(y, clusters))
    assert values["ari"] == pytest.approx(metrics.adjusted_rand_score(y, clusters))
    whose = patient_agreement(clusters, patients)
    assert whose["ami"] == pytest.approx(metrics.adjusted_mutual_info_score(patients, clusters))
    assert whose["ari"] == pytest.approx(metrics.adjusted_rand_score(patients, clusters))


def test_resamples_score_what_was_drawn_around_the_score_itself():
    y, patients, clusters = study()
    ours = bootstrap(y, patients, resamples=40, seed=3)
    found = ours.resample(clusters)
    whose = np.unique(patients, return_inverse=True)[1]
    rows = [np.repeat(np.arange(len(y)), times[whose].astype(int)) for times in ours.drawn]
    for name, score in {
        "nmi": metrics.normalized_mutual_info_score,
        "ami": metrics.adjusted_mutual_info_score,
        "ari": metrics.adjusted_rand_score,
    }.items():
        expected = np.array([score(y[drawn], clusters[drawn]) for drawn in rows])
        expected += found.values[name] - expected.mean()
        # chance is followed by its leading term, all else is exact
        np.testing.assert_allclose(found.replicates[name], expected, atol=2e-4 if name == "ami" else 1e-9)


def test_the_interval_of_clusters_that_are_people_is_around_their_score():
    y = np.random.default_rng(0).integers(0, 2, 48)
    patients = np.repeat(np.arange(16), 3).astype(str)
    clusters = np.repeat(np.arange(16), 3)  # agree better with fewer people, as resamples have
    for name, interval in bootstrap(y, patients, resamples=300).resample(clusters).intervals().items():
        assert np.isnan(interval.value) or interval.low <= interval.value <= interval.high, name


@given(arrays(np.int64, 60, elements=st.integers(-1, 5)), arrays(np.int64, 60, elements=st.integers(0, 2)))
@settings(max_examples=50, deadline=None)
def test_scores_stay_in_their_range_whatever_the_clusters(clusters, y):
    found = bootstrap(y, np.arange(60).astype(str), resamples=20).resample(clusters)
    for name, value in found.values.items():
        assert np.isnan(value) or value <= 1 + 1e-9, name
        assert np.isnan(value) or name not in ("nmi", "purity") or value >= 0, name
        assert np.isnan(value) or np.nanmean(found.replicates[name]) == pytest.approx(value), name


def test_names_of_clusters_do_not_matter_and_noise_is_one_of_them():
    y, patients, clusters = study()
    ours = bootstrap(y, patients, resamples=5)
    named = ours.resample(clusters).values
    renamed = ours.resample(np.where(clusters == 2, -1, 10 - clusters)).values
    assert named == pytest.approx(renamed, nan_ok=True)


def test_clusters_of_people_say_nothing_within_patients():
    y, patients, _ = study(3000)
    whose = np.unique(patients, return_inverse=True)[1]
    ours = bootstrap(y, patients, resamples=20)
    assert ours.resample(whose).values["within"] == 0
    assert ours.resample(y).values["within"] == pytest.approx(1)
    assert ours.resample(y).values["explained"] == pytest.approx(1)
    assert abs(ours.resample(np.random.default_rng(0).integers(0, 8, 3000)).values["within"]) < 0.02
    assert patient_agreement(whose, patients)["explained"] == pytest.approx(1)


def test_within_patients_is_undefined_where_nobody_has_two_classes():
    y, patients, clusters = study()
    alone = np.arange(len(y)).astype(str)
    assert np.isnan(bootstrap(y, alone, resamples=5).resample(clusters).values["within"])
    few = np.where(np.isin(patients, np.unique(patients)[:4]), y, 0)
    assert np.isnan(bootstrap(few, patients, resamples=5).resample(clusters).values["within"])


def test_purity_and_what_random_clusters_have():
    y = np.array([0, 0, 0, 1, 1, 1, 2, 0])
    clusters = np.array([0, 0, 0, 0, 1, 1, 1, -1])
    patients = np.array([*"ababcdcd"])
    found = ClusterBenchmark(Labels(y, patients, patients), ("N", "S", "V"), resamples=5).resample(clusters)
    assert found.values["purity"] == (3 + 2 + 1) / 8
    rng = np.random.default_rng(0)
    y, clusters = rng.integers(0, 5, 20_000), rng.integers(0, 4, 20_000)
    assert random_purity(clusters, y) == pytest.approx(0.2, abs=0.02)
    assert random_purity(np.arange(20_000), y) == 1  # everybody alone is pure


def test_where_samples_have_several_classes_each_is_scored_by_itself():
    x, targets, patients = records()
    clusters = (x[:, 0] > np.median(x[:, 0])).astype(np.int64) + 2 * targets[:, 0]
    ours = ClusterBenchmark(Labels(targets, patients, patients), CLASSES, resamples=30)
    found = ours.resample(clusters)
    for name, score in {
        "ami": metrics.adjusted_mutual_info_score,
        "nmi": metrics.normalized_mutual_info_score,
        "ari": metrics.adjusted_rand_score,
    }.items():
        assert found.values[name] == pytest.approx(np.mean([score(t, clusters) for t in targets.T]))
    assert "purity" not in found.values

    rare = targets.copy()
    rare[:, 2] = False
    rare[0, 2] = True
    ours = ClusterBenchmark(Labels(rare, patients, patients), CLASSES, resamples=5)
    assert ours.too_few == ("HYP",)
    mean = np.mean([metrics.adjusted_mutual_info_score(t, clusters) for t in rare.T[:2]])
    assert ours.resample(clusters).values["ami"] == pytest.approx(mean)
    with pytest.raises(UserError, match="no class can be scored"):
        ClusterBenchmark(Labels(np.zeros_like(rare), patients, patients), CLASSES)


def test_systems_are_compared_on_the_same_resamples():
    y, patients, clusters = study()
    benchmark = ClusterBenchmark(Labels(y, patients, patients), ("N", "S", "V"), resamples=200)
    noise = np.random.default_rng(0).integers(0, 4, len(y))
    one, other = (Clustering("k-means", labels, {}, "given") for labels in (clusters, noise))
    benchmark.score("random", "k = 4", other, 0.0)
    found = benchmark.score("ours", "k = 4", one, 0.5, ["random"])
    assert found.versus["random"]["ami"].low > 0
    assert found.versus["random"]["ami"].p_value < 0.05
    assert found.plain["purity_random"] < found.scores["purity"].value
    same = benchmark.score("same", "k = 4", one, 0.5, ["ours"]).versus["ours"]["ami"]
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_clusters_that_do_not_fit_the_samples_are_refused():
    y, patients, clusters = study()
    with pytest.raises(UserError, match="expected 900 clusters"):
        bootstrap(y, patients, resamples=5).resample(clusters[:-1])
