import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from ssl_ecg.anomaly.benchmark import AnomalyBenchmark, AnomalyBootstrap, normal_samples
from ssl_ecg.errors import UserError
from ssl_ecg.estimators.detectors import (
    DETECTORS,
    Forest,
    KNNDistance,
    Mahalanobis,
    Reconstruction,
    held_out_scores,
)
from ssl_ecg.metrics.bootstrap import difference
from ssl_ecg.study.benchmark import Labels

CLASSES = ("N", "S", "V", "F")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_scores_what_is_far_from_normal_higher(name, rng):
    mixing = rng.normal(size=(3, 20))
    normal = rng.normal(size=(600, 3)) @ mixing + 0.1 * rng.normal(size=(600, 20))
    other = 3 * rng.normal(size=(100, 20)) + 2
    detector = DETECTORS[name]().fit(normal[:400], np.repeat(np.arange(8), 50))
    scores = detector.score(np.concatenate([normal[400:], other]))
    assert scores.shape == (300,) and scores.dtype == np.float64
    assert roc_auc_score(np.arange(300) >= 200, scores) > 0.95
    np.testing.assert_allclose(detector.score(other[:7]), scores[200:207], rtol=1e-4)


@pytest.mark.parametrize("name", DETECTORS)
def test_units_of_features_change_nothing(name, rng):
    normal, others, patients = rng.normal(size=(200, 5)), rng.normal(size=(50, 5)), np.arange(200) // 20
    gain, offset = np.array([1e-3, 1.0, 50.0, 1e4, 2.0]), np.array([0, 5, -100, 1e3, 0.0])
    plain = DETECTORS[name]().fit(normal, patients).score(others)
    scaled = DETECTORS[name]().fit(normal * gain + offset, patients).score(others * gain + offset)
    np.testing.assert_allclose(scaled, plain, rtol=2e-2)


def test_knn_is_the_mean_distance_to_the_nearest(rng):
    normal, others = rng.normal(size=(80, 4)), rng.normal(size=(33, 4))
    scores = KNNDistance(k=3, batch_size=10).fit(normal, np.zeros(80)).score(others)
    z, q = ((x - normal.mean(0)) / normal.std(0) for x in (normal, others))
    distances = np.sort(np.linalg.norm(q[:, None] - z, axis=2), axis=1)
    np.testing.assert_allclose(scores, distances[:, :3].mean(axis=1), rtol=1e-4)
    assert KNNDistance(k=500, bank=1000).fit(normal, np.zeros(80)).score(others).shape == (33,)


def test_mahalanobis_knows_the_directions_that_are_used(rng):
    normal = rng.normal(size=(2000, 2)) @ np.array([[1.0, 0.95], [0.0, 0.3]])
    along, across = np.array([[2.0, 2.0]]), np.array([[2.0, -2.0]])
    detector = Mahalanobis().fit(normal, np.zeros(2000))
    assert detector.score(across)[0] > 3 * detector.score(along)[0]


def test_mahalanobis_keeps_directions_of_a_small_variance(rng):
    axes = np.linalg.qr(rng.normal(size=(200, 200)))[0]
    normal = (rng.normal(size=(4000, 200)) * np.where(np.arange(200) < 2, 1000.0, 0.03)) @ axes
    detector = Mahalanobis().fit(normal, np.zeros(4000))
    other = normal[:100] + 3 * axes[150]
    assert roc_auc_score(np.arange(200) >= 100, detector.score(np.concatenate([normal[100:200], other]))) > 0.99


def test_reconstruction_keeps_what_explains_normal_samples(rng):
    axes = np.linalg.qr(rng.normal(size=(30, 30)))[0]
    normal = (rng.normal(size=(500, 30)) * np.where(np.arange(30) < 4, 3.0, 0.1)) @ axes
    detector = Reconstruction(variance=0.95).fit(normal, np.zeros(500))
    assert 3 <= detector._axes.shape[1] <= 6
    within, outside = 5 * axes[:4], 5 * axes[4:8]
    assert detector.score(outside).min() > 5 * detector.score(within).max()


@pytest.mark.parametrize("name", DETECTORS)
def test_constant_and_single_features_are_no_obstacle(name, rng):
    constant = np.concatenate([rng.normal(size=(50, 1)), np.ones((50, 1))], axis=1)
    for normal in (constant, constant[:, :1]):
        assert np.isfinite(DETECTORS[name]().fit(normal, np.zeros(50)).score(normal + 1)).all()


def test_the_bank_is_an_even_share_of_every_patient(rng):
    patients = np.repeat(np.arange(3), [100, 100, 5])
    detector = KNNDistance(k=1, bank=15).fit(rng.normal(size=(205, 2)), patients)
    assert np.bincount(patients[detector._kept]).tolist() == [5, 5, 5]


def test_scores_are_computed_on_the_device_that_was_asked_for(rng, monkeypatch):
    asked = []
    move = torch.Tensor.to
    monkeypatch.setattr(torch.Tensor, "to", lambda x, *a, **k: asked.append(a[0]) or move(x, *a, **k))
    x, device = rng.normal(size=(40, 3)), torch.device("cpu", 0)
    for cls in (KNNDistance, Reconstruction):
        asked.clear()
        cls().on(device).fit(x, np.arange(40)).score(x)
        assert asked and set(asked) == {device}


def test_held_out_scores_are_of_detectors_that_had_not_seen_the_patient(rng):
    # Each patient is a cluster of its own: a detector that had seen it would find neighbours at once.
    patients = np.repeat(np.arange(10), 30)
    features = 10 * rng.normal(size=(10, 6))[patients] + 0.01 * rng.normal(size=(300, 6))
    seen = KNNDistance().fit(features, patients).score(features)
    assert held_out_scores(KNNDistance, features, patients).min() > 20 * seen.max()


def test_what_a_detector_cannot_use_is_said(rng):
    x = rng.normal(size=(20, 3))
    with pytest.raises(UserError, match="have 3 features, those to score 2"):
        KNNDistance().fit(x, np.zeros(20)).score(x[:, :2])
    with pytest.raises(UserError, match="not finite"):
        KNNDistance().fit(np.full((3, 2), np.nan), np.zeros(3))
    with pytest.raises(UserError, match="two normal samples"):
        Forest().fit(x[:1], np.zeros(1))
    with pytest.raises(UserError, match="k = 0"):
        KNNDistance(k=0)
    with pytest.raises(UserError, match="variance"):
        Reconstruction(variance=1.0)


def test_normal_is_what_has_a_normal_class_and_no_other():
    targets = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1], [1, 0, 1]], dtype=bool)
    assert normal_samples(targets, ("NORM", "MI", "SR"), ("NORM",)).tolist() == [True] + [False] * 5
    both = normal_samples(targets, ("NORM", "MI", "SR"), ("NORM", "SR"))
    assert both.tolist() == [True, False, False, False, True, True]
    with pytest.raises(UserError, match=r"\['X'\] are not among"):
        normal_samples(targets, ("NORM", "MI", "SR"), ("X",))


def sampled(rng, n=800, n_patients=20):
    y = rng.choice(4, size=n, p=[0.7, 0.15, 0.13, 0.02])
    patients = rng.integers(n_patients, size=n)
    scores = np.round(rng.normal(size=n) + np.array([0, 0.5, 1.5, 0.2])[y], 1)  # with ties
    return y, patients, scores


def slow(positive, scores):
    """By scikit-learn, from samples repeated as often as they were drawn."""
    fpr, tpr, _ = roc_curve(positive, scores, drop_intermediate=False)
    return (
        roc_auc_score(positive, scores),
        average_precision_score(positive, scores),
        tpr[fpr <= 0.05 + 1e-12].max(),
        positive.mean(),
    )


def test_every_resample_is_scored_as_scikit_learn_scores_its_samples(rng):
    y, patients, scores = sampled(rng)
    patients[y == 3] = np.arange((y == 3).sum()) % 4  # too few patients have F
    bootstrap = AnomalyBootstrap(y[:, None] == np.arange(4), patients, CLASSES, ["N"], n_resamples=5, seed=3)
    found = bootstrap.resample(scores, 1.2)
    assert bootstrap.too_few == ("F",)
    assert not any(name.endswith("_F") for name in found.values)
    for b, drawn in enumerate(np.concatenate([np.ones((1, 20)), bootstrap.drawn])):
        again = np.repeat(np.arange(len(y)), drawn[patients].astype(int))
        y_b, s_b = y[again], scores[again]
        expected = dict(zip(("auroc", "auprc", "sensitivity_95", "prevalence"), slow(y_b != 0, s_b), strict=True))
        expected["sensitivity"] = (s_b[y_b != 0] > 1.2).mean()
        expected["specificity"] = (s_b[y_b == 0] <= 1.2).mean()
        for k, name in ((1, "S"), (2, "V")):
            some = (y_b == 0) | (y_b == k)
            for what, value in zip(
                ("auroc", "auprc", "sensitivity_95", "prevalence"), slow(y_b[some] == k, s_b[some]), strict=True
            ):
                expected[f"{what}_{name}"] = value
        expected["macro_auroc"] = (expected["auroc_S"] + expected["auroc_V"]) / 2
        for name, value in expected.items():
            got = found.values[name] if b == 0 else found.replicates[name][b - 1]
            assert got == pytest.approx(value, abs=1e-6), (b, name)


def test_a_sample_with_a_normal_class_and_another_is_abnormal(rng):
    targets = rng.random((300, 3)) < 0.4
    targets[:, 0] |= ~targets.any(axis=1)
    bootstrap = AnomalyBootstrap(targets, rng.integers(30, size=300), ("NORM", "MI", "CD"), ["NORM"], n_resamples=10)
    abnormal = targets[:, 1] | targets[:, 2]
    perfect = bootstrap.resample(abnormal.astype(float), 0.5).values
    assert all(perfect[f"auroc{of}"] == 1 for of in ("", "_MI", "_CD"))
    assert perfect["sensitivity"] == perfect["specificity"] == perfect["sensitivity_95"] == 1


def study(rng, n=1200, n_patients=24):
    """Normal train samples and a test set in which V is far off, S a little."""
    y = rng.choice(4, size=n, p=[0.8, 0.1, 0.08, 0.02])
    patients = np.array([f"p{i:02d}" for i in rng.integers(n_patients, size=n)])
    x = rng.normal(size=(n, 6)) + np.array([0, 0.7, 4, 0])[y][:, None] * np.array([1, 0, 0, 0, 0, 0])
    normal = Labels(np.zeros(900, dtype=np.int64), np.repeat([f"q{i}" for i in range(9)], 100), np.repeat("r", 900))
    return normal, rng.normal(size=(900, 6)), Labels(y, patients, patients), x


def test_the_protocol_scores_detectors_pairs_and_both_together(rng):
    normal, train, test, x = study(rng)
    benchmark = AnomalyBenchmark(
        normal, test, CLASSES, ["N"], subsets={"without p03": ["p03", "absent"], "none": ["no"]}, resamples=50
    )
    knn = {"kNN distance": KNNDistance}
    (useless,) = benchmark.run("noise", (rng.normal(size=(900, 2)), rng.normal(size=(1200, 2))), knn)
    (good,) = benchmark.run("good", (train, x), knn, versus=["noise"])
    assert good.intervals["auroc_V"].value > 0.95 > good.intervals["auroc_S"].value > 0.5
    assert good.intervals["specificity"].value == pytest.approx(0.95, abs=0.03)
    assert good.versus["noise"]["auroc"].low > 0
    assert list(good.subsets) == ["without p03"]
    assert good.subsets["without p03"]["auroc"].value != good.intervals["auroc"].value
    both = benchmark.combine("both", good, useless, versus=["good"])
    assert useless.intervals["auroc_V"].value < both.intervals["auroc_V"].value
    assert both.intervals["specificity"].value == pytest.approx(0.95, abs=0.03)
    assert both.versus["good"]["auroc_V"].value < 0


def test_the_threshold_is_set_by_those_who_judge(rng):
    normal, train, test, x = study(rng)
    benchmark = AnomalyBenchmark(normal, test, CLASSES, ["N"], resamples=10)
    judged = np.arange(900) < 300
    train[~judged] *= 5
    (by_all,) = benchmark.run("all", (train, x), {"kNN distance": KNNDistance})
    (by_some,) = benchmark.run("some", (train, x), {"kNN distance": KNNDistance}, judged=judged)
    assert by_some.threshold < by_all.threshold
    np.testing.assert_array_equal(by_some.scores, by_all.scores)
    assert (by_some.held_out[judged] > by_some.threshold).mean() == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("name", DETECTORS)
def test_thousands_of_features_are_no_obstacle(name, rng):
    wide = rng.normal(size=(6, 1500))
    normal, other = (rng.normal(size=(n, 6)) @ wide for n in (300, 200))
    other[100:] += 4 * rng.normal(size=1500)
    detector = DETECTORS[name]().fit(normal, np.arange(300) // 30)
    assert roc_auc_score(np.arange(200) >= 100, detector.score(other)) > 0.9


def test_differences_are_paired(rng):
    y, patients, scores = sampled(rng)
    bootstrap = AnomalyBootstrap(y[:, None] == np.arange(4), patients, CLASSES, ["N"], n_resamples=100)
    one, same = (bootstrap.resample(s, t) for s, t in ((scores, 1.0), (3 * scores + 1, 4.0)))
    assert all(d.value == d.low == d.high == 0 for d in difference(one, same).values())


def test_a_side_without_normal_or_abnormal_samples_is_refused():
    targets = np.zeros((10, 4), dtype=bool)
    targets[:, 0] = True
    with pytest.raises(UserError, match="10 of 10 test samples are normal"):
        AnomalyBootstrap(targets, np.arange(10), CLASSES, ["N"])
