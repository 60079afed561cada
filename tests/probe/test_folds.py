import numpy as np
import pytest
from multilabel_study import CLASSES, records
from sklearn.metrics import roc_auc_score

from ssl_ecg.errors import UserError
from ssl_ecg.study.benchmark import Folds, Labels


@pytest.fixture(scope="module")
def study():
    x, y, patients = records(n=500)
    return x, Labels(y, patients, patients)


def test_nobody_is_scored_by_a_probe_that_learned_from_them(study):
    x, labels = study
    validation = Folds(labels, CLASSES, n_folds=4, resamples=50)
    scored = np.zeros(len(x), dtype=int)

    def extract(fit_on, score_on):
        assert not set(labels.patients[fit_on]) & set(labels.patients[score_on])
        assert (fit_on ^ score_on).all()
        scored[score_on] += 1
        return {"x": x[fit_on]}, {"x": x[score_on]}

    found = validation.run("x", extract)
    assert (scored == 1).all()
    assert len(found.probes) == 4
    area = found.scores["macro_auroc"]
    assert area.low < area.value < area.high


def test_scores_are_the_mean_of_the_folds(study):
    x, labels = study
    validation = Folds(labels, CLASSES, n_folds=3, resamples=50)
    oracle = labels.y @ np.array([[1.0, 0.3], [0.2, 1.0], [0.5, -1.0]]) + np.random.default_rng(0).normal(
        size=(len(x), 2)
    )
    found = validation.run("oracle", lambda a, b: ({"o": oracle[a]}, {"o": oracle[b]}))
    again = []
    for f, benchmark in enumerate(validation.benchmarks):
        mine = validation.fold == f
        fitted = benchmark.fit("again", {"o": oracle[~mine]})
        p = fitted.probe.predict_proba({"o": oracle[mine]})
        again.append(roc_auc_score(labels.y[mine], p, average=None))
    wanted = np.mean(again, axis=0)
    got = [found.scores[f"auroc_{name}"].value for name in CLASSES]
    np.testing.assert_allclose(got, wanted, atol=1e-9)
    np.testing.assert_allclose(found.scores["macro_auroc"].value, wanted.mean(), atol=1e-9)


def test_a_system_does_not_differ_from_itself_and_beats_noise(study):
    x, labels = study
    validation = Folds(labels, CLASSES, n_folds=3, resamples=200)
    noise = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    bad = validation.run("noise", lambda a, b: ({"n": noise[a]}, {"n": noise[b]}))
    good = validation.run("x", lambda a, b: ({"x": x[a]}, {"x": x[b]}))
    twin = validation.run("twin", lambda a, b: ({"x": x[a]}, {"x": x[b]}), [good, bad])
    same, better = (twin.versus[name]["macro_auroc"] for name in ("x", "noise"))
    assert same.value == same.low == same.high == 0
    assert 0.2 < better.low < better.value
    assert better.p_value == pytest.approx(2 / 201)


def test_classes_that_exclude_each_other(study):
    x, labels = study
    y = np.where(labels.y[:, 1], 1, np.where(labels.y[:, 0], 0, 2))
    validation = Folds(Labels(y, labels.patients, labels.records), CLASSES, n_folds=3, resamples=50)
    found = validation.run("x", lambda a, b: ({"x": x[a]}, {"x": x[b]}))
    assert 0.6 < found.scores["macro_auroc"].value < 1
    assert "macro_f1" in found.scores


def test_one_fold_is_none(study):
    with pytest.raises(UserError, match="two folds"):
        Folds(study[1], CLASSES, n_folds=1)
