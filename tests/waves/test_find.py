"""Waves of a long lead, which is encoded in pieces, several of them together."""

from __future__ import annotations

import numpy as np
import pytest

from ssl_ecg.checkpoint import load_encoder, shipped_head
from ssl_ecg.data.sources.simulated import Simulated
from ssl_ecg.waves import find, find_waves, load_head

NAME = "ecg1-tiny-v1"


@pytest.mark.parametrize("seconds", [9, 125, 400])
def test_pieces_together_are_pieces_alone(seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_encoder(NAME)
    head, _ = load_head(str(shipped_head(encoder.weights, "waves")), encoder.weights)
    recording = Simulated().read(0)
    one = recording.signal[:1]
    rng = np.random.default_rng(0)
    lead = np.tile(one, int(seconds * recording.fs / one.shape[1]) + 1)[:, : round(seconds * recording.fs)]
    x = (np.concatenate([lead, -0.5 * lead]) + 0.02 * rng.normal(size=(2, lead.shape[1]))).astype(np.float32)
    together = find_waves(encoder, head, x, recording.fs)
    monkeypatch.setattr(find, "_ROWS", 1)
    for mine, alone in zip(together, find_waves(encoder, head, x, recording.fs), strict=True):
        assert len(mine.onset) > 0
        np.testing.assert_array_equal(mine.labels, alone.labels)
        np.testing.assert_allclose(mine.onset, alone.onset, atol=1e-3)
