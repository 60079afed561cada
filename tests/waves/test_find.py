"""Waves of a long lead, which is encoded in rows, several of them together."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ssl_ecg.checkpoint import load_encoder, long, shipped_head
from ssl_ecg.data.sources.simulated import Simulated
from ssl_ecg.waves import find_waves, load_head

NAME = "ecg1-tiny-v1"


def leads(seconds: float) -> tuple[np.ndarray, float]:
    """Two leads of a simulated recording, again and again, and its rate."""
    recording = Simulated().read(0)
    one = recording.signal[:1]
    rng = np.random.default_rng(0)
    lead = np.tile(one, int(seconds * recording.fs / one.shape[1]) + 1)[:, : round(seconds * recording.fs)]
    x = np.concatenate([lead, -0.5 * lead]) + 0.02 * rng.normal(size=(2, lead.shape[1]))
    return x.astype(np.float32), recording.fs


@pytest.mark.parametrize("seconds", [9, 125, 400])
def test_rows_together_are_rows_alone(seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_encoder(NAME)
    head, _ = load_head(str(shipped_head(encoder.weights, "waves")), encoder.weights)
    x, fs = leads(seconds)
    together = find_waves(encoder, head, x, fs)
    monkeypatch.setattr(long, "_AT_ONCE", 1)
    for mine, alone in zip(together, find_waves(encoder, head, x, fs), strict=True):
        assert len(mine.onset) > 0
        np.testing.assert_array_equal(mine.labels, alone.labels)
        np.testing.assert_allclose(mine.onset, alone.onset, atol=1e-3)


@pytest.mark.parametrize("samples", [5, 900, 8_000, 10_203, 10_204, 20_001, 33_337])
@pytest.mark.parametrize("name", [NAME, "ecg1-v1"])
def test_rows_have_the_tokens_of_the_whole(name: str, samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long, "_MEMORY", 60.0)
    encoder = load_encoder(name).encoder
    drawn, fs = leads(samples / 100 + 1)
    x = torch.from_numpy(drawn[:, :: round(fs / 100)][:, :samples].copy())
    x /= x.std(dim=1, keepdim=True)
    with torch.inference_mode():
        whole = list(encoder.details(x[:, None]))
    found: list[list[torch.Tensor]] = [[] for _ in whole]
    ends = [0]
    for piece in long.in_rows(encoder, x, 100.0):
        assert piece.start == ends[-1]
        ends.append(piece.stop)
        for parts, each, grid in zip(found, piece.maps, encoder.detail_grids, strict=True):
            last = None if piece.stop == samples else (piece.stop - piece.origin) // grid.stride
            parts.append(each[..., (piece.start - piece.origin) // grid.stride : last])
    assert ends[-1] == samples
    for parts, each, grid in zip(found, whole, encoder.detail_grids, strict=True):
        if math.isfinite(grid.left):
            torch.testing.assert_close(torch.cat(parts, dim=-1), each, atol=2e-5, rtol=1e-4)
        else:  # a recurrent network begins a minute before a row: what it remembers from before is little
            off = (torch.cat(parts, dim=-1) - each).abs()
            assert off.mean() < 1e-3 and off.max() < 0.1  # of .3 on average
