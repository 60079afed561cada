import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_ecg.errors import UserError
from ssl_ecg.estimators.design import patient_folds


def one_hot(y, n_classes=2):
    return y[:, None] == np.arange(n_classes)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=2, max_size=60).filter(
        lambda beats: len({patient for patient, _ in beats}) > 1
    ),
    st.integers(2, 5),
)
def test_nobody_is_on_both_sides(beats, n_folds):
    patients, y = np.array(beats).T
    fold = patient_folds(patients, one_hot(y, 4), n_folds)
    for patient in np.unique(patients):
        assert len(np.unique(fold[patients == patient])) == 1
    assert set(fold) == set(range(min(n_folds, len(np.unique(patients)))))


def test_the_patients_of_a_rare_class_are_spread():
    patients = np.repeat(np.arange(20), 50)
    y = np.zeros(1000, dtype=int)
    for patient, n in {3: 40, 4: 2, 11: 1, 17: 1}.items():
        y[np.flatnonzero(patients == patient)[:n]] = 1
    fold = patient_folds(patients, one_hot(y))
    assert len({fold[patients == p][0] for p in (3, 4, 11, 17)}) == 4


def test_classes_are_evened_out_rather_than_samples():
    sizes = np.array([900, 900, 900, *[20] * 7])
    patients = np.repeat(np.arange(10), sizes)
    rare = np.concatenate([np.arange(size) < 10 for size in sizes]).astype(int)
    fold = patient_folds(patients, one_hot(rare))
    np.testing.assert_array_equal(np.bincount(fold, weights=rare), [20] * 5)


def test_it_does_not_depend_on_the_order_of_samples():
    rng = np.random.default_rng(0)
    patients, y = rng.integers(0, 12, 300), rng.integers(0, 4, 300)
    order = rng.permutation(300)
    y = one_hot(y, 4)
    np.testing.assert_array_equal(patient_folds(patients, y)[order], patient_folds(patients[order], y[order]))


def test_one_patient_cannot_be_cross_validated():
    with pytest.raises(UserError, match="two patients"):
        patient_folds(np.zeros(5), np.zeros((5, 2), dtype=bool))
