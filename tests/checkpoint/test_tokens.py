"""Tokens, positions and features of whole recordings: what a cut window gives, computed once."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ssl_ecg.checkpoint import PretrainedEncoder, long
from ssl_ecg.checkpoint.long import embed_at
from ssl_ecg.encoders import Encoder, ResNet1d
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.preprocessing import Preprocessing

LEADS = ("I", "II")
RAW = Preprocessing(leads=LEADS, fs=100, window=3, highpass=0, lowpass=0, normalise="none")


def frozen(preprocessing: Preprocessing = RAW, **settings: Any) -> PretrainedEncoder:
    torch.manual_seed(0)
    encoder = ResNet1d(len(preprocessing.leads), width=4, **settings)
    encoder(torch.randn(16, len(preprocessing.leads), 300))  # batch statistics other than the initial ones
    return PretrainedEncoder(encoder, preprocessing)


def noise(seconds: float = 30, fs: float = 100) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, round(seconds * fs))).astype(np.float32)


def test_tokens_are_the_last_stage_s_and_know_their_time() -> None:
    encoder, x = frozen(), noise()
    tokens, times = encoder.tokens(x, 100, LEADS)
    with torch.no_grad():
        wanted = encoder.encoder.tokens(torch.from_numpy(x)[None])[0]
    np.testing.assert_allclose(tokens, wanted, atol=1e-5)
    np.testing.assert_allclose(times, np.arange(188) * 0.16)
    assert isinstance(encoder.tokens(torch.from_numpy(x), 100, LEADS)[0], torch.Tensor)
    spike = np.zeros((2, 3000), np.float32)
    spike[:, 1600] = 100
    moved = np.abs(encoder.tokens(spike, 100, LEADS)[0] - encoder.tokens(0 * spike, 100, LEADS)[0]).sum(0)
    assert times[moved.argmax()] == pytest.approx(16, abs=0.17)
    assert np.ptp(times[moved > 0]) <= (291 - 1) / 100


@pytest.mark.parametrize(
    "settings", [{}, {"pooling": "stages", "stretch": 40}, {"leads": "apart"}, {"leads": "beside"}]
)
def test_a_long_recording_in_pieces_is_what_it_is_in_one(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    encoder, x = frozen(**settings), noise(61.03)
    beats = np.arange(5, 6100, 83)
    edges = (-0.9, -0.1, 0.05, 1.2)

    def everything() -> list[Any]:
        beats_of = encoder.at(x, beats, 100, LEADS), encoder.at(x, beats, 100, LEADS, stretches=edges)
        return [encoder.tokens(x, 100, LEADS)[0], *beats_of, encoder.features(x, 100, LEADS)[0]]

    before = everything()
    monkeypatch.setattr(long, "_PIECE", 1000)
    monkeypatch.setattr(long, "_ROWS", 7)
    for a, b in zip(before, everything(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert before[1].shape == (74, encoder.dim)


@pytest.mark.parametrize("normalise", ["none", "record"])
@pytest.mark.parametrize("settings", [{}, {"pooling": "stages", "statistics": ["mean", "std", "attentive"]}])
def test_a_beat_of_mit_bih_is_what_it_is_in_a_window_cut_around_it(
    mitdb: Path, normalise: Any, settings: dict[str, Any]
) -> None:
    import wfdb

    record, beats = wfdb.rdrecord(str(mitdb / "100"), sampto=60_000), wfdb.rdann(str(mitdb / "100"), "atr").sample
    p = Preprocessing(leads=("II", "V5"), fs=360, window=10, normalise=normalise)
    encoder = frozen(p, **settings)
    beats = np.unique(beats[(beats > 2000) & (beats < 57_000)] // 16 * 16)  # on the token grid
    x = torch.from_numpy(p.condition(record.p_signal.T.astype(np.float32), 360, record.sig_name))
    at = encoder.at(record.p_signal.T.astype(np.float32), beats, 360, record.sig_name)
    windows = [x[:, beat - 1792 : beat - 1792 + 3600] for beat in beats]
    cut = torch.cat([embed_at(encoder.encoder, window, torch.tensor([1792]), 360) for window in windows])
    assert len(beats) > 150
    np.testing.assert_allclose(at, cut, atol=1e-5)
    plain = torch.cat([encoder.encoder(window[None]) for window in windows])
    assert not np.allclose(at, plain, atol=1e-2)  # which pools all of the window, and its borders


def test_with_window_normalisation_a_beat_differs_little_from_the_window_cut_around_it() -> None:
    encoder = frozen(Preprocessing(leads=LEADS, fs=100, window=10))
    t = np.arange(0, 60, 0.01)
    x = ((1 + 0.3 * np.sin(t / 5)) * np.sin(2 * np.pi * 1.1 * t) ** 31 * np.ones((2, 1))).astype(np.float32)
    beats = np.arange(1008, 5000, 160)
    p = encoder.preprocessing
    clean = torch.from_numpy(p.condition(x, 100, LEADS))
    windows = [p.normalise_windows(clean[None, :, b - 496 : b + 504])[0] for b in beats]
    cut = torch.cat([embed_at(encoder.encoder, window, torch.tensor([496]), 100) for window in windows]).numpy()
    at = encoder.at(x, beats, 100, LEADS)
    off = np.linalg.norm(at - cut, axis=1) / np.linalg.norm(cut - cut.mean(0), axis=1).mean()
    assert 0 < off.max() < 0.5


def test_a_beat_in_stretches_has_the_mean_of_every_map_over_each() -> None:
    encoder, x = frozen(), noise()
    beats, edges = np.array([0, 701, 1502, 2999]), (-0.5, -0.1, 0.3, 0.62)
    z = encoder.at(x, beats, 100, LEADS, stretches=edges)
    maps, grids = long.stages(encoder.encoder, torch.from_numpy(x), details=True), encoder.encoder.detail_grids
    wanted = []
    for values, grid in zip(maps, grids, strict=True):  # a token lasts for its stride, around where it stands
        fine = np.repeat(values.numpy().astype(float), 100 * grid.stride, axis=1)
        began = grid.centre - grid.stride / 2  # samples; each step of `fine` is a hundredth of one
        for first, last in itertools.pairwise(edges):
            a, b = (np.rint(100 * (beats + 100 * edge - began)).astype(int) for edge in (first, last))
            a, b = a.clip(0, fine.shape[1] - 1), b.clip(1, fine.shape[1])
            wanted.append([fine[:, i : max(j, i + 1)].mean(1) for i, j in zip(a, b, strict=True)])
    np.testing.assert_allclose(z, np.concatenate(wanted, axis=1), atol=2e-3)
    for wrong in ([0.1], [0.3, 0.1], [0.1, 0.1]):
        with pytest.raises(DataError, match="edges of stretches must ascend"):
            encoder.at(x, beats, 100, LEADS, stretches=wrong)
    assert encoder.at(x, [], 100, LEADS, stretches=edges).shape == (0, z.shape[1])


def test_positions_near_the_ends_and_at_other_rates_are_embedded() -> None:
    encoder, x = frozen(), noise(30, 200)
    z = encoder.at(x, [0, 3000, 5999], 200, LEADS, span=2)
    assert z.shape == (3, encoder.dim) and np.isfinite(z).all()
    assert encoder.at(x, [], 200, LEADS).shape == (0, encoder.dim)
    assert encoder.at(x[:, :10], [5], 200, LEADS).shape == (1, encoder.dim)
    for wrong in ([-1], [6000], [[1]]):
        with pytest.raises(DataError, match="lie in the signal of 6000 samples"):
            encoder.at(x, wrong, 200, LEADS)
    with pytest.raises(DataError, match="those of one recording"):
        encoder.at(x[None], [1], 200, LEADS)


def test_features_hold_every_stage_on_one_grid() -> None:
    encoder, x = frozen(), noise()
    z, times = encoder.features(x, 100, LEADS)
    assert z.shape == (4 + 8 + 16 + 32, 1500)
    np.testing.assert_allclose(times, np.arange(1500) * 0.02)
    with torch.no_grad():
        first, *_, last = encoder.encoder.stages(torch.from_numpy(x)[None])
    np.testing.assert_allclose(z[:4], first[0], atol=1e-5)
    np.testing.assert_allclose(z[-32:, ::8], last[0], atol=1e-5)
    np.testing.assert_allclose(z[-32:, 4:-12:8], (last[0, :, :-1] + last[0, :, 1:])[..., :186] / 2, atol=1e-5)
    slow, times = encoder.features(x, 100, LEADS, rate=10)
    np.testing.assert_allclose(slow, z[:, ::5], atol=1e-5)
    assert len(times) == 300
    with pytest.raises(DataError, match="positive number of Hz"):
        encoder.features(x, 100, LEADS, rate=0)


@pytest.mark.parametrize("normalise", ["none", "record", "window"])
def test_every_unit_gives_the_same_embedding(normalise: Any) -> None:
    encoder = frozen(Preprocessing(leads=LEADS, window=3, normalise=normalise))
    x = noise()
    z = encoder(x, 100, LEADS)
    np.testing.assert_allclose(encoder(x * 1000, 100, LEADS, unit="uV"), z, atol=1e-5)
    np.testing.assert_allclose(encoder(x.astype(np.float64) / 1000, 100, LEADS, unit="V"), z, atol=1e-5)
    np.testing.assert_allclose(
        encoder.at(x * 1000, [99], 100, LEADS, unit="uV"), encoder.at(x, [99], 100, LEADS), atol=1e-5
    )
    assert np.allclose(encoder(x, 100, LEADS, unit="uV"), z, atol=1e-3) == (normalise != "none")
    with pytest.raises(DataError, match="one of mV, uV, V, not 'pV'"):
        encoder(x, 100, LEADS, unit="pV")  # type: ignore[arg-type]


def test_normalising_a_recording_normalises_each_sample_by_the_window_around_it() -> None:
    p = Preprocessing(leads=LEADS, fs=100, window=3)
    x = torch.from_numpy(noise()) + torch.linspace(0, 50, 3000)
    whole = p.normalise_record(x)
    for sample in (0, 700, 2999):
        start = min(max(sample - 150, 0), 2700)
        window = p.normalise_windows(x[None, :, start : start + 300])[0]
        torch.testing.assert_close(whole[:, sample], window[:, sample - start], atol=1e-4, rtol=1e-4)


class Alone(Encoder):
    """Writes `forward` alone."""

    def __init__(self) -> None:
        super().__init__(2)
        self.dim, self.weight = 2, torch.nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(-1) * self.weight


def test_an_encoder_without_tokens_says_so() -> None:
    encoder = PretrainedEncoder(Alone(), RAW)
    assert encoder(noise(), 100, LEADS).shape == (2,)
    for ask in (encoder.tokens, encoder.features, lambda *a: encoder.at(a[0], [1], *a[1:])):
        with pytest.raises(UserError, match="Alone gives no tokens"):
            ask(noise(), 100, LEADS)
