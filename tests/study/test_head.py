"""A head gives what its probe gave, after it was written and read, and belongs to one encoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.encoders import ResNet1d
from ssl_ecg.errors import CheckpointError
from ssl_ecg.estimators.pca import PrincipalComponents, fit_pca
from ssl_ecg.estimators.probe import fit_probe
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.study.context import EDGES
from ssl_ecg.study.head import Head, load_head, normal_beats, save_head


@pytest.fixture
def made() -> tuple[Head, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    blocks = {name: rng.normal(size=(300, d)).astype(np.float32) for name, d in (("pretrained", 12), ("RR", 4))}
    y = (blocks["pretrained"][:, 0] + blocks["RR"][:, 0] > 1).astype(np.int64) + 1
    y[:150] = 0
    patients = np.array([f"p{i % 6}" for i in range(300)])
    probe = fit_probe(blocks, y, patients, 3, cs=[0.1])
    normal = normal_beats(blocks["pretrained"][y == 0], patients[y == 0])
    return Head(probe, ("N", "S", "V"), "abc", ("II",), "context", 0.8, normal=normal, about={"patients": 6}), blocks


def test_a_head_is_read_back(made: tuple[Head, dict[str, np.ndarray]], tmp_path: Path) -> None:
    head, blocks = made
    save_head(tmp_path, head)
    read = load_head(tmp_path, "abc")
    z, rr = blocks.values()
    np.testing.assert_array_equal(read.predict(z, rr), head.probe.predict_proba(blocks))
    np.testing.assert_allclose(read.posterior(z, rr).sum(axis=1), 1)
    assert read.normal is not None and head.normal is not None
    np.testing.assert_allclose(read.normal.score(z), head.normal.score(z), rtol=1e-6)
    assert (read.classes, read.leads, read.windows, read.span) == (("N", "S", "V"), ("II",), "context", 0.8)
    assert read.about["patients"] == 6


def test_what_reduces_stretches_is_kept_and_used(made: tuple[Head, dict[str, np.ndarray]], tmp_path: Path) -> None:
    p = Preprocessing(leads=("II",), fs=100, window=3, normalise="record")
    encoder = PretrainedEncoder(ResNet1d(1, width=4).eval(), p)
    x, beats = np.random.default_rng(0).normal(size=(1, 3000)), np.arange(300, 2700, 90)
    raw = np.asarray(encoder.at(x, beats, 100, ["II"], stretches=EDGES))
    found = fit_pca(raw, 12)
    reduction = PrincipalComponents(found.mean, found.axes.half().float())
    save_head(tmp_path, replace(made[0], windows="stretches", reduction=reduction))
    read = load_head(tmp_path, "abc")
    np.testing.assert_allclose(read.embed(encoder, x, beats, 100, ["II"]), reduction(raw), atol=1e-5)
    assert read.dim == 12 and made[0].embed(encoder, x, beats, 100, ["II"]).shape == (len(beats), encoder.encoder.dim)


def test_normal_is_what_normal_beats_are_like(made: tuple[Head, dict[str, np.ndarray]]) -> None:
    head, blocks = made
    assert head.normal is not None
    z = blocks["pretrained"]
    assert np.median(head.normal.score(z[:150])) < 1 < head.normal.score(z[:150] + 5).min()
    assert normal_beats(z, np.zeros(len(z))) is None  # of one patient alone


def test_another_encoder_s_head_or_a_damaged_one_is_refused(
    made: tuple[Head, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    save_head(tmp_path, made[0])
    with pytest.raises(CheckpointError, match="belongs to the encoder with weights abc"):
        load_head(tmp_path, "def")
    file = tmp_path / "head.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\1")
    with pytest.raises(CheckpointError, match="not the file that was saved"):
        load_head(tmp_path, "abc")
    with pytest.raises(CheckpointError, match="no head that can be read"):
        load_head(tmp_path / "none", "abc")
