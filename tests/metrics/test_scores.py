import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from ssl_ecg.errors import UserError
from ssl_ecg.metrics.scores import (
    auroc,
    confusion_matrix,
    decide,
    f1,
    ppv,
    score,
    sensitivity,
)

CLASSES = ("N", "S", "V", "F")


def predictions(seed=0, n=400, ties=False):
    rng = np.random.default_rng(seed)
    y = rng.choice(4, n, p=[0.7, 0.1, 0.15, 0.05])
    p = rng.dirichlet(np.ones(4), n) + 0.4 * np.eye(4)[y]
    p /= p.sum(axis=1, keepdims=True)
    return y, np.round(p, 1) if ties else p


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=50))
def test_auroc_is_scikit_learns_with_any_ties(samples):
    positive, scores = (np.array(column) for column in zip(*samples, strict=True))
    found = auroc(positive, scores)
    if positive.all() or not positive.any():
        assert np.isnan(found)
    else:
        assert found == pytest.approx(metrics.roc_auc_score(positive, scores))


@pytest.mark.parametrize("ties", [False, True])
def test_scores_are_scikit_learns(ties):
    y, p = predictions(ties=ties)
    predicted = p.argmax(axis=1)
    values = score(y, p, CLASSES, subsets=[("N", "S", "V")])
    np.testing.assert_array_equal(confusion_matrix(y, predicted, 4), metrics.confusion_matrix(y, predicted))
    each = metrics.precision_recall_fscore_support(y, predicted)
    for i, name in enumerate(CLASSES):
        assert values[f"ppv_{name}"] == pytest.approx(each[0][i])
        assert values[f"sensitivity_{name}"] == pytest.approx(each[1][i])
        assert values[f"f1_{name}"] == pytest.approx(each[2][i])
        assert values[f"auroc_{name}"] == pytest.approx(metrics.roc_auc_score(y == i, p[:, i]))
    assert values["macro_f1"] == pytest.approx(metrics.f1_score(y, predicted, average="macro"))
    assert values["macro_f1_NSV"] == pytest.approx(each[2][:3].mean())
    assert values["macro_auroc"] == pytest.approx(np.mean([values[f"auroc_{name}"] for name in CLASSES]))
    assert not any(name.startswith("prior_") for name in values)


def test_the_prior_corrected_rule_stands_beside():
    y, p = predictions()
    priors = np.bincount(y) / len(y)
    found = score(y, p, CLASSES, priors=priors)
    joint = p * priors
    predicted = (joint / joint.sum(axis=1, keepdims=True)).argmax(axis=1)
    np.testing.assert_array_equal(decide(p, priors), predicted)
    assert found["prior_macro_f1"] == pytest.approx(metrics.f1_score(y, predicted, average="macro"))
    assert found["macro_f1"] == score(y, p, CLASSES)["macro_f1"]


def test_an_absent_class_is_left_out():
    y, p = predictions()
    p, y = p[y != 1], y[y != 1]
    found = score(y, p, CLASSES, subsets=["NS"])
    assert "auroc_S" not in found
    assert found["macro_auroc"] == pytest.approx(np.mean([found[f"auroc_{n}"] for n in "NVF"]))
    assert found["macro_f1"] == pytest.approx(np.mean([found[f"f1_{n}"] for n in "NVF"]))
    assert found["macro_f1_NS"] == pytest.approx(found["f1_N"])


def test_a_class_never_predicted_has_no_ppv_and_an_f1_of_zero():
    matrix = confusion_matrix(np.array([0, 0, 1]), np.array([0, 0, 0]), 2)
    assert np.isnan(ppv(matrix)[1])
    assert sensitivity(matrix)[1] == 0
    assert f1(matrix)[1] == 0


def test_matrices_are_scored_in_batches():
    matrices = np.random.default_rng(0).integers(0, 9, (5, 2, 3, 3))
    for function in (f1, ppv, sensitivity):
        assert function(matrices).shape == (5, 2, 3)
        np.testing.assert_array_equal(function(matrices)[3, 1], function(matrices[3, 1]))


def test_what_it_refuses():
    y, p = predictions(n=20)
    for says, call in {
        "shape": lambda: score(y, p[:, :3], CLASSES),
        "not finite": lambda: score(y, p * np.nan, CLASSES),
        "integer labels": lambda: score(y.astype(float), p, CLASSES),
        "labels run from": lambda: score(y - 1, p, CLASSES),
        "class priors": lambda: score(y, p, CLASSES, priors=np.ones(3)),
        "unknown classes": lambda: score(y, p, CLASSES, subsets=[("N", "Q")]),
    }.items():
        with pytest.raises(UserError, match=says):
            call()
