"""Few labels: nothing but the known labels is read, unlabelled samples help, and what is missing does no harm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ssl_ecg.errors import UserError
from ssl_ecg.metrics.scores import auroc
from ssl_ecg.sweep import predictors
from ssl_ecg.sweep.label_efficiency import predictor
from ssl_ecg.sweep.predictors import JudgedPredictor, LinearProbe, Neighbours, Predictor, TrainSide
from ssl_ecg.sweep.semi_supervised import SelfTraining, Spreading

KINDS: list[type[Predictor]] = [LinearProbe, Neighbours, Spreading, SelfTraining]
JUDGED: list[type[JudgedPredictor]] = [Neighbours, Spreading, SelfTraining]
FEW = ["p00", "p07", "p11", "p16", "p20"]
K = 3


def study(seed: int = 0, patients: int = 24, multilabel: bool = False, apart: float = 2.0):
    """Clusters of classes in 8 dimensions, some shift for every patient; train features and labels, test ones."""
    rng = np.random.default_rng(seed)
    centres = apart * rng.normal(size=(K, 8))
    sides = []
    for _ in range(2):
        who = np.repeat(np.arange(patients), 20)
        targets = (
            rng.random((len(who), K)) < 0.4 if multilabel else np.eye(K, dtype=bool)[rng.integers(K, size=len(who))]
        )
        x = targets @ centres + rng.normal(size=(len(who), 8)) + 0.5 * rng.normal(size=(patients, 8))[who]
        names = np.array([f"p{i:02}" for i in who])
        sides.append((x.astype(np.float32), TrainSide(targets, names, exclusive=not multilabel)))
    return *sides[0], *sides[1]


def macro(targets: np.ndarray, p: np.ndarray) -> float:
    return float(np.mean([auroc(targets[:, k], p[:, k]) for k in range(K)]))


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_few_patients_teach_the_classes(kind: type[Predictor], multilabel: bool) -> None:
    x, labels, other, truth = study(multilabel=multilabel)
    found = kind(x, other, labels).predict(np.isin(labels.patients, FEW))
    assert found.probabilities.shape == (len(other), K)
    assert ((found.probabilities >= 0) & (found.probabilities <= 1 + 1e-6)).all()
    assert found.thresholds.shape == (K,)
    if not multilabel and kind is not LinearProbe:  # it has a regression for each class by itself
        np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    assert (found.how, len(found.curve)) == ("cross-validation", len(kind(x, other, labels).settings))
    assert found.chosen in kind(x, other, labels).settings
    assert macro(truth.targets, found.probabilities) > 0.9


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_only_known_labels_are_read(kind: type[Predictor], multilabel: bool) -> None:
    x, labels, other, _ = study(multilabel=multilabel)
    known = np.isin(labels.patients, ["p03", "p04", "p05"])
    rng = np.random.default_rng(1)
    scrambled = labels.targets.copy()
    scrambled[~known] = rng.permutation(scrambled[~known])
    one = kind(x, other, labels).predict(known)
    two = kind(x, other, replace(labels, targets=scrambled)).predict(known)
    np.testing.assert_array_equal(one.probabilities, two.probabilities)
    np.testing.assert_array_equal(one.thresholds, two.thresholds)


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_other_test_samples_change_no_prediction(kind: type[Predictor], multilabel: bool) -> None:
    x, labels, other, _ = study(multilabel=multilabel)
    known = np.isin(labels.patients, ["p03", "p04", "p05"])
    alone = kind(x, other[:7], labels).predict(known).probabilities
    np.testing.assert_allclose(kind(x, other, labels).predict(known).probabilities[:7], alone, atol=1e-5)


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_class_that_no_labelled_patient_has_is_never_predicted(kind: type[Predictor], multilabel: bool) -> None:
    x, labels, other, truth = study(multilabel=multilabel)
    known = np.isin(labels.patients, ["p00", "p01", "p02"])
    y = labels.targets.copy()
    if multilabel:
        y[known, 2] = False
    else:
        known &= ~y[:, 2]
    found = kind(x, other, replace(labels, targets=y)).predict(known)
    assert (found.probabilities[:, 2] < found.thresholds[2]).all()
    assert found.probabilities[:, 2].max() < 1e-6
    assert auroc(truth.targets[:, 2], found.probabilities[:, 2]) == pytest.approx(0.5)


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_one_patient_or_one_class_is_enough_to_answer(kind: type[Predictor], multilabel: bool) -> None:
    x, labels, other, _ = study(multilabel=multilabel)
    method = kind(x, other, labels)
    one = method.predict(labels.patients == "p00")
    assert np.isfinite(one.probabilities).all()
    assert (one.thresholds == 0.5).all()
    assert (one.how, np.isnan(one.curve).all()) == ("default", True)
    same = (labels.targets == labels.targets[0]).all(axis=1)
    for known in (same & (labels.patients == "p00"), same):
        np.testing.assert_array_equal(method.predict(known).probabilities[0], labels.targets[0])


@pytest.mark.parametrize("kind", KINDS)
def test_all_labelled_is_the_supervised_case(kind: type[Predictor]) -> None:
    x, labels, other, truth = study()
    assert macro(truth.targets, kind(x, other, labels).predict(np.ones(len(x), dtype=bool)).probabilities) > 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_units_of_a_feature_do_not_matter(kind: type[Predictor]) -> None:
    x, labels, other, _ = study()
    known = np.isin(labels.patients, ["p00", "p01"])
    units = np.array([1, 1000, 1, 0.01, 1, 1, 1, 1], dtype=np.float32)
    np.testing.assert_allclose(
        kind(x * units + 5, other * units + 5, labels).predict(known).probabilities,
        kind(x, other, labels).predict(known).probabilities,
        atol=0.02,
    )


def test_labels_flow_along_what_unlabelled_samples_show() -> None:
    """Two arcs of a circle with a gap: each is labelled at its start, which is near the end of the other."""
    rng = np.random.default_rng(0)
    y = np.arange(600) % 2
    angle = np.radians(180 * y + rng.uniform(0, 150, size=600))
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    names = np.array([f"p{i:03}" for i in range(300)])
    labels = TrainSide(y[:300, None] == np.arange(2), names, exclusive=True)
    known = np.degrees(angle[:300]) % 180 < 10
    right = [
        (kind(x[:300], x[300:], labels).probabilities(known, setting).argmax(axis=1) == y[300:]).mean()
        for kind, setting in ((Spreading, 0.9), (Neighbours, 5))
    ]
    assert right[0] > 0.99
    assert right[1] < 0.8


def test_a_classifier_teaches_itself() -> None:
    """With no unlabelled sample, self-training is a logistic regression; with some, it moves."""
    x, labels, other, _ = study(apart=1.5)
    known = np.isin(labels.patients, ["p00", "p01"])
    method = SelfTraining(x, other, labels)
    alone = SelfTraining(
        x[known], other, replace(labels, targets=labels.targets[known], patients=labels.patients[known])
    )
    without = alone.probabilities(np.ones(known.sum(), dtype=bool), 1.0)
    assert np.abs(method.probabilities(known, 1.0) - without).max() > 0.05


def test_a_large_set_is_drawn_from_evenly_over_patients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SelfTraining, "most", 200)
    monkeypatch.setattr(Spreading, "most", 200)
    monkeypatch.setattr(predictors, "_JUDGED", 40)
    x, labels, other, truth = study()
    known = np.isin(labels.patients, FEW)
    for kind in (Neighbours, Spreading, SelfTraining):
        assert macro(truth.targets, kind(x, other, labels).predict(known).probabilities) > 0.9


@pytest.mark.parametrize("multilabel", [False, True])
def test_labels_beyond_what_always_takes_part_spread_too(multilabel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The label of any labelled sample changes what is predicted, also where few samples are drawn into the graph."""
    x, labels, other, _ = study(multilabel=multilabel)
    known = np.isin(labels.patients, FEW)
    monkeypatch.setattr(Spreading, "most", 100)
    method = Spreading(x, other, labels)
    assert not np.isin(np.flatnonzero(known), method.nodes).all()
    before = method.probabilities(known, 0.6)
    for row in np.flatnonzero(known):
        y = labels.targets.copy()
        y[row] = ~y[row] if multilabel else np.roll(y[row], 1)
        changed = Spreading(x, other, replace(labels, targets=y))
        assert np.abs(changed.probabilities(known, 0.6) - before).max() > 1e-6


def test_no_labelled_patient_is_left_out_of_a_graph_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels, other, _ = study()
    monkeypatch.setattr(Spreading, "most", 10)
    method = Spreading(x, other, labels)
    everyone = np.ones(len(x), dtype=bool)
    nodes = method.prepared(everyone).args[0].nodes
    assert set(labels.patients[nodes]) == set(labels.patients)
    assert len(nodes) <= 10 + 24
    assert method.predict(everyone).probabilities.shape == (len(other), K)


def test_what_was_asked_before_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels, other, _ = study()
    monkeypatch.setattr(Spreading, "most", 100)
    few, many = (np.isin(labels.patients, [f"p{i:02}" for i in range(n)]) for n in (4, 12))
    used, fresh = (Spreading(x, other, labels) for _ in range(2))
    used.predict(many)
    np.testing.assert_array_equal(used.predict(few).probabilities, fresh.predict(few).probabilities)


def test_many_features_are_reduced_first() -> None:
    x, labels, other, truth = study()
    rng = np.random.default_rng(0)
    lift = rng.normal(size=(8, 100)).astype(np.float32)
    known = np.isin(labels.patients, FEW)
    method = Spreading(x @ lift, other @ lift, labels)
    assert method.reduced[0].shape == (len(x), 64)
    assert macro(truth.targets, method.predict(known).probabilities) > 0.9


def test_predictors_have_names() -> None:
    assert [predictor(name) for name in ("linear", "knn", "spreading", "self_training")] == KINDS
    assert [kind.setting for kind in KINDS] == ["C", "k", "alpha", "C"]
    with pytest.raises(UserError, match="some of linear, knn, spreading, self_training, not magic"):
        predictor("magic")


@pytest.mark.parametrize("kind", KINDS)
def test_the_validation_split_chooses_and_is_never_learned_from(kind: type[Predictor]) -> None:
    x, labels, other, _ = study(multilabel=True)
    validation = labels.patients >= "p16"
    known = labels.patients >= "p08"
    side = replace(labels, validation=validation)
    found = kind(x, other, side).predict(known)
    assert found.how == "validation split"
    flipped = replace(side, targets=labels.targets ^ validation[:, None])
    misled = kind(x, other, flipped).predict(known)
    np.testing.assert_allclose(misled.curve, 1 - found.curve, atol=1e-6)
    assert (misled.probabilities == found.probabilities).all() == (misled.chosen == found.chosen)
    few = kind(x, other, side).predict(known & (labels.patients < "p20"))  # four of the split are drawn
    assert (few.how, (few.thresholds == 0.5).all()) == ("default", True)


@pytest.mark.parametrize("kind", KINDS)
def test_those_who_judge_are_the_unseen_where_five_are_drawn(kind: type[Predictor]) -> None:
    x, labels, other, _ = study(multilabel=True, apart=0.7)
    known = labels.patients < "p12"
    by_all = kind(x, other, labels).predict(known).curve
    for judges, same in ((4, True), (6, False)):
        judged = labels.patients < f"p{judges:02}"
        found = kind(x, other, replace(labels, judged=judged)).predict(known).curve
        assert np.array_equal(found, by_all) == same


@pytest.mark.parametrize(
    "known",
    [np.zeros(480, dtype=bool), np.ones(5, dtype=bool), np.arange(600)],
    ids=["none", "other length", "numbers"],
)
def test_what_is_no_mask_of_labelled_samples_is_refused(known: np.ndarray) -> None:
    x, labels, other, _ = study()
    with pytest.raises(UserError, match="expected some labelled of 480 samples"):
        Neighbours(x, other, labels).predict(known)


def test_features_that_do_not_fit_are_refused() -> None:
    x, labels, other, _ = study()
    with pytest.raises(UserError, match="8 features of train samples, but 5 of test samples"):
        Neighbours(x, other[:, :5], labels)
    with pytest.raises(UserError, match="expected 479 patients"):
        Neighbours(x[:-1], other, labels)
