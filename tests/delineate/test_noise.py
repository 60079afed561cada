"""Noise at a ratio, and NeuroKit2 where it is installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ssl_ecg.data.source import Waves
from ssl_ecg.delineate import neurokit
from ssl_ecg.delineate.corpus import Lead
from ssl_ecg.delineate.noise import read_noise, with_noise
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.preprocessing import Preprocessing

P = Preprocessing(fs=100, leads=("ECG",), window=9, normalise="record")


def lead(height: float = 2.0, seconds: int = 10, fs: float = 500.0) -> Lead:
    """Spikes of a height, mV, once a second, marked as QRS complexes."""
    n = round(seconds * fs)
    signal = np.zeros(n, dtype=np.float32)
    peaks = np.arange(round(fs / 2), n, round(fs))
    signal[peaks] = height
    labels = np.array(["QRS"] * len(peaks))
    marked = Waves("ii", labels, peaks - 20, peaks, peaks + 20, np.array([[peaks[0] - 20, peaks[-1] + 21]]))
    return Lead("1", "1", "II", (), signal, fs, torch.zeros(round(seconds * 100)), marked)


@pytest.mark.parametrize("decibels", [24, 0])
def test_noise_has_the_power_that_its_ratio_says(decibels: int) -> None:
    noise = np.random.default_rng(0).normal(size=60_000)
    clean = lead()
    (noisy,) = with_noise([clean], noise, decibels, P, seed=0)
    power = float((noisy.signal - clean.signal).var())
    assert 10 * np.log10(2.0**2 / 8 / power) == pytest.approx(decibels, abs=1e-3)
    assert noisy.x.shape == clean.x.shape and noisy.marked is clean.marked
    (again,) = with_noise([clean], noise, decibels, P, seed=0)
    np.testing.assert_array_equal(noisy.signal, again.signal)
    with pytest.raises(DataError, match="the noise lasts"):
        with_noise([clean], noise[:100], decibels, P, seed=0)


def test_recorded_noise_is_that_of_the_second_half(shared_data: Path) -> None:
    if not (shared_data / "nstdb" / "bw.hea").is_file():
        pytest.skip("no noise records")
    noise = read_noise(shared_data / "nstdb", "bw", 500.0)
    assert len(noise) / 500 == pytest.approx(325_000 / 360, abs=1)
    assert abs(float(noise.mean())) < 0.05 * float(noise.std())
    with pytest.raises(DataError, match="missing"):
        read_noise(shared_data / "nstdb", "nothing", 500.0)


def test_neurokit_finds_the_waves_of_a_simulated_lead() -> None:
    nk = pytest.importorskip("neurokit2")
    signal = nk.ecg_simulate(duration=10, sampling_rate=500, heart_rate=70, random_state=0)
    found = neurokit.find(np.asarray(signal, dtype=np.float32), 500, "dwt")
    assert 9 <= (found.labels == "QRS").sum() <= 13
    assert len(neurokit.find(np.zeros(5000, dtype=np.float32), 500, "dwt").labels) == 0


def test_without_neurokit_its_absence_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neurokit, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"NeuroKit2 is not installed: pip install 'ssl-ecg\[waves\]'"):
        neurokit.require()
