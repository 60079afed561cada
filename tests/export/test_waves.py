"""A head that finds waves inside the graph says what it says in torch, at any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ssl_ecg.checkpoint import load_encoder, shipped_head
from ssl_ecg.errors import UserError
from ssl_ecg.export.command import Export
from ssl_ecg.export.runtime import ExportedEncoder
from ssl_ecg.waves import load_head
from ssl_ecg.waves.features import Frozen, condition


@pytest.mark.parametrize("name", ["ecg1-v1", "ecg1-tiny-v1"])
def test_phases_are_those_of_torch(name: str, tmp_path: Path) -> None:
    Export(name, waves="shipped", out=str(tmp_path / "out")).run()
    device, encoder = ExportedEncoder(tmp_path / "out"), load_encoder(name)
    assert device.about["phases"] == ["TP", "P", "PQ", "QRS", "ST", "T"] and device.about["any_length"]
    assert device.golden_error() < 1e-4
    head, _ = load_head(str(shipped_head(encoder.weights, "waves")), encoder.weights)
    for seconds in (9, 23):
        x = np.random.default_rng(seconds).normal(size=(2, seconds * 250)).cumsum(-1) / 20
        found = device.phases(x, 250, ["I", "V1"])
        lead = condition(encoder.preprocessing, torch.from_numpy(x), 250)
        wanted = head.scores(Frozen("", encoder.encoder, 100.0).together(lead), lead.shape[1])
        assert found.shape == wanted.shape == (2, seconds * 100, 6)
        np.testing.assert_allclose(found, wanted, atol=1e-3 * np.abs(wanted).max())
        np.testing.assert_allclose(np.exp(found).sum(-1), 1, atol=1e-4)
    assert device(x, 250, ["I", "V1"]).shape == (encoder.dim,)


def test_without_a_head_for_waves_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no head"):
        Export("ecg1-tiny-v1", waves=str(tmp_path / "none"), out=str(tmp_path / "out")).run()
