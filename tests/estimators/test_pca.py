import numpy as np
import pytest
from sklearn.decomposition import PCA

from ssl_ecg.errors import UserError
from ssl_ecg.estimators.pca import fit_pca


def windows(n, seed, shape=(2, 50)):
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(99).normal(size=(8, *shape)) * (0.5 ** np.arange(8))[:, None, None]
    return (np.einsum("nk,kct->nct", rng.normal(size=(n, 8)), directions) + 3).astype(np.float32)


def test_it_is_scikit_learns_up_to_sign():
    train, test = windows(400, 0), windows(100, 1)
    ours = fit_pca(train, n_components=5)
    model = PCA(5, svd_solver="full").fit(train.reshape(400, -1))
    for raw in (train, test):
        theirs = model.transform(raw.reshape(len(raw), -1))
        np.testing.assert_allclose(np.abs(ours(raw)), np.abs(theirs), atol=2e-3 * np.abs(theirs).max())
        lost = ((raw.reshape(len(raw), -1) - model.inverse_transform(theirs)) ** 2).mean(axis=1)
        np.testing.assert_allclose(ours.residual(raw), lost, atol=1e-3 * lost.max())


def test_few_windows_give_few_components():
    train = windows(10, 0)
    found = fit_pca(train, n_components=64)(train)
    assert found.shape == (10, 10)
    assert np.isfinite(found).all()


def test_features_have_the_components_of_windows_of_one_lead():
    train = windows(100, 0)[:, 0]
    np.testing.assert_array_equal(fit_pca(train, 5)(train), fit_pca(train[:, None], 5)(train[:, None]))


def test_what_it_refuses():
    train = windows(50, 0)
    with pytest.raises(UserError, match="of the shape of the fit"):
        fit_pca(train)(train[..., :10])
    with pytest.raises(UserError, match="do not make"):
        fit_pca(train[:1])
    with pytest.raises(UserError, match="components must be at least 1, not 0"):
        fit_pca(train, n_components=0)
    with pytest.raises(UserError, match="1 of 50 samples"):
        fit_pca(np.where(np.arange(50)[:, None, None] == 4, np.nan, train))
