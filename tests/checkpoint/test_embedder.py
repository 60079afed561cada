"""The transformer of scikit-learn: its own checks, and what people do with transformers."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from checkpoints import fresh_checkpoint
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from ssl_ecg import ECGEmbedder, load_encoder
from ssl_ecg.errors import CheckpointError, DataError
from ssl_ecg.preprocessing import Preprocessing

LEADS = ["I", "II"]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return fresh_checkpoint(tmp_path, Preprocessing(leads=("I", "II"), window=3.0))


def recordings(n: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 2, 1500)).astype(np.float32)


def test_it_embeds_as_the_encoder_does(checkpoint: Path) -> None:
    made = ECGEmbedder(checkpoint, fs=500, leads=LEADS, batch_size=4).fit(recordings())
    z = load_encoder(checkpoint)(recordings(), 500, LEADS)
    np.testing.assert_allclose(made.transform(recordings()), z, atol=1e-5)
    assert made.get_feature_names_out()[0] == "ecgembedder0"
    assert len(made.get_feature_names_out()) == z.shape[1]


def test_it_passes_the_checks_of_scikit_learn(tmp_path: Path) -> None:
    """Of one lead, samples by time are a table; theirs are of a few columns, so each is embedded in one piece."""
    checkpoint = fresh_checkpoint(tmp_path, Preprocessing(leads=("II",), fs=100, highpass=0, lowpass=0))
    check_estimator(ECGEmbedder(str(checkpoint), fs=100, leads=["II"], whole=True), on_skip=None)


def test_it_is_cloned_pickled_and_searched(checkpoint: Path) -> None:
    x, y = recordings(24), np.tile([0, 1], 12)
    model = make_pipeline(ECGEmbedder(checkpoint, fs=500, leads=LEADS), LogisticRegression())
    copied = clone(model.named_steps["ecgembedder"])
    assert copied.get_params()["leads"] == LEADS
    fitted = clone(model).fit(x, y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_allclose(again.predict_proba(x), fitted.predict_proba(x), atol=1e-6)
    patients = np.repeat(np.arange(8), 3)
    scores = cross_val_score(model, x, y, groups=patients, cv=GroupKFold(4))
    assert scores.shape == (4,)
    GridSearchCV(model, {"logisticregression__C": [0.1, 1]}, cv=2).fit(x, y)


def test_what_it_cannot_take_is_said(checkpoint: Path, tmp_path: Path) -> None:
    made = ECGEmbedder(checkpoint, fs=500, leads=LEADS).fit(recordings())
    with pytest.raises(DataError, match=r"shape \(n, 2, time\) for the leads I, II, not \(6, 1500\)"):
        ECGEmbedder(checkpoint, fs=500, leads=LEADS).fit(recordings()[:, 0])
    with pytest.raises(ValueError, match="NaN"):
        made.transform(recordings() * np.nan)
    with pytest.raises(DataError, match="lead I is wanted"):
        ECGEmbedder(checkpoint, fs=500, leads=["V1", "V2"]).fit(recordings()).transform(recordings())
    with pytest.raises(CheckpointError, match="does not exist"):
        ECGEmbedder(tmp_path / "nowhere", fs=500, leads=LEADS).fit(recordings())
