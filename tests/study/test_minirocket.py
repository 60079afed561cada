from importlib.util import find_spec

import numpy as np
import pytest

from ssl_ecg.errors import UserError
from ssl_ecg.study import minirocket
from ssl_ecg.study.minirocket import fit_minirocket

needs_aeon = pytest.mark.skipif(find_spec("aeon") is None, reason="aeon is not installed")


@pytest.fixture
def windows():
    return np.random.default_rng(0).normal(size=(30, 2, 120)).astype(np.float32)


@needs_aeon
@pytest.mark.parametrize("channels", [1, 2])
def test_features_are_shares_of_each_window_alone(windows, channels, monkeypatch):
    x = windows[:, :channels]
    fitted = fit_minirocket(x, n_kernels=500)
    z = fitted.transform(x)
    assert z.shape == (30, 420) and z.dtype == np.float32
    assert z.min() >= 0 and z.max() <= 1 and z.std(axis=0).mean() > 0.01
    monkeypatch.setattr(minirocket, "_BLOCK", 7)
    np.testing.assert_array_equal(fitted.transform(x), z)
    np.testing.assert_array_equal(fitted.transform(x[4:5]), z[4:5])
    assert fitted.transform(x[:0]).shape == (0, 420)


@needs_aeon
def test_a_convolution_is_what_the_paper_says(windows):
    x = windows[:, :1]
    fitted = fit_minirocket(x, n_kernels=84)
    assert fitted.rocket.parameters[2].tolist() == [1]  # one dilation
    bias = fitted.rocket.parameters[4][0]
    kernel = np.full(9, -1.0)
    kernel[:3] = 2.0  # the first kernel has its three 2s in front
    convolved = np.correlate(np.pad(x[3, 0], 4), kernel, mode="valid")
    assert fitted.transform(x)[3, 0] == pytest.approx((convolved > bias).mean(), abs=1.5 / 120)


@needs_aeon
def test_one_seed_gives_one_transform_and_leaves_numpys_generator_alone(windows):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (fit_minirocket(windows, 168, seed=s).transform(windows) for s in (0, 0, 1))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@needs_aeon
def test_components_keep_what_the_features_vary_in(windows, monkeypatch):
    monkeypatch.setattr(minirocket, "_PCA_WINDOWS", 20)
    z = fit_minirocket(windows, 168).transform(windows)
    reduced = fit_minirocket(windows, 168, components=8)
    few = reduced.transform(windows)
    assert few.shape == (30, 8) and few.dtype == np.float32
    assert few[:, 0].var() > few[:, -1].var()
    assert 0.2 < few.var(axis=0).sum() / z.var(axis=0).sum() <= 1
    assert fit_minirocket(windows, 168, components=500).transform(windows[:2]).shape == (2, 20)
    assert reduced.transform(windows[:0]).shape == (0, 8)


@needs_aeon
def test_what_does_not_fit_is_said(windows):
    fitted = fit_minirocket(windows, 84)
    with pytest.raises(UserError, match=r"fitted on windows \(n, 2, 120\)"):
        fitted.transform(windows[:, :1])
    with pytest.raises(UserError, match="9 samples"):
        fit_minirocket(windows[..., :8])
    with pytest.raises(UserError, match="not finite"):
        fit_minirocket(np.full_like(windows, np.nan))


def test_without_aeon_the_remedy_is_said(windows, monkeypatch):
    monkeypatch.setattr(minirocket, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'ssl-ecg\[baselines\]'"):
        fit_minirocket(windows)
