import numpy as np
import pytest
from sklearn.decomposition import PCA

from ssl_ecg.errors import UserError
from ssl_ecg.evaluation.baselines import pca_features


def windows(n, seed, shape=(2, 50)):
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(99).normal(size=(8, *shape)) * (0.5 ** np.arange(8))[:, None, None]
    return (np.einsum("nk,kct->nct", rng.normal(size=(n, 8)), directions) + 3).astype(np.float32)


def test_it_is_scikit_learns_up_to_sign():
    train, test = windows(400, 0), windows(100, 1)
    ours = pca_features(train, test, n_components=5)
    model = PCA(5, svd_solver="full").fit(train.reshape(400, -1))
    for mine, raw in zip(ours, (train, test), strict=True):
        theirs = model.transform(raw.reshape(len(raw), -1))
        np.testing.assert_allclose(np.abs(mine), np.abs(theirs), atol=2e-3 * np.abs(theirs).max())


def test_few_windows_give_few_components():
    (found,) = pca_features(windows(10, 0), n_components=64)
    assert found.shape == (10, 10)
    assert np.isfinite(found).all()


def test_the_others_do_not_move_the_axes():
    train = windows(50, 0)
    first, _ = pca_features(train, windows(20, 1))
    np.testing.assert_array_equal(first, pca_features(train)[0])


def test_what_it_refuses():
    train = windows(50, 0)
    with pytest.raises(UserError, match="same C and T"):
        pca_features(train, train[..., :10])
    with pytest.raises(UserError, match="do not make"):
        pca_features(train[:1])
    with pytest.raises(UserError, match="1 of 50 windows"):
        pca_features(np.where(np.arange(50)[:, None, None] == 4, np.nan, train))
