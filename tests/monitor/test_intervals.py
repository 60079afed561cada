"""QRS and QTc over the day."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tapes import FS, drawn, regular, write

from ssl_ecg.checkpoint import load_encoder, shipped_head
from ssl_ecg.monitor import intervals as of
from ssl_ecg.monitor import listen as listening
from ssl_ecg.monitor.command import Monitor
from ssl_ecg.study.head import load_head as load_beats
from ssl_ecg.waves import Found, find_waves, load_head, save_head
from ssl_ecg.waves.intervals import NAMES


def test_medians_are_of_enough_beats() -> None:
    sample = np.arange(0, 700, 10) * int(FS)  # ten seconds a beat: three stretches, the last of ten beats
    values = np.tile(np.float32([100, 150, 90, 400, 420, 410]), (70, 1))
    values[:20, NAMES.index("PR")] = np.nan  # of thirty
    values[60:63, NAMES.index("QRS")] = np.nan
    rows = pd.DataFrame(of.by_stretch((sample, values), FS))
    assert sorted(set(rows.start)) == [0.0, 300.0, 600.0]
    assert not ((rows.start == 0) & (rows.interval == "PR")).any()
    assert not ((rows.start == 600) & (rows.interval == "QRS")).any(), "seven beats are too few"
    assert (rows[rows.interval == "QTc Fridericia"]["median"] == 410).all()
    assert of.by_stretch(of.none(), FS) == []


def test_the_shipped_head_measures_drawn_beats() -> None:
    encoder = load_encoder("ecg1-v1")
    head, _ = load_head(str(shipped_head(encoder.weights, "waves")), encoder.weights)
    times = regular(30)
    x = drawn(times, np.zeros(len(times), dtype=bool), 30)
    sample, values = of.measure(find_waves(encoder, head, x[:1], FS), x.shape[1], FS)
    assert len(sample) == pytest.approx(len(times), abs=2)
    qrs, qt = (float(np.nanmedian(values[:, NAMES.index(name)])) for name in ("QRS", "QT"))
    assert 60 < qrs < 130 and 330 < qt < 480
    noise = np.random.default_rng(0).normal(size=(1, 7500)).astype(np.float32)
    assert len(of.measure(find_waves(encoder, head, noise, FS), noise.shape[1], FS)[0]) == 0


def test_leads_that_are_encoded_once_are_read_as_if_twice() -> None:
    encoder = load_encoder("ecg1-v1")
    head = load_beats(str(shipped_head(encoder.weights, "beats")), encoder.weights)
    waves, _ = load_head(str(shipped_head(encoder.weights, "waves")), encoder.weights)
    times = regular(150)
    x = drawn(times, np.zeros(len(times), dtype=bool), 150)[:1]
    peaks = np.rint(np.asarray(times) * FS).astype(np.int64)
    z, (sample, values) = listening.Reader(encoder, ("any",), head, waves).read(x, peaks, FS)
    np.testing.assert_allclose(z, head.embed(encoder, x, peaks, FS, ["any"]), atol=2e-3 * float(np.abs(z).max()))
    apart, same = of.measure(find_waves(encoder, waves, x, FS), x.shape[1], FS)
    np.testing.assert_array_equal(sample, apart)
    np.testing.assert_array_equal(values, same)


def test_a_day_has_its_intervals(encoder: Path, head: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "PIECE", 60.0)
    times = regular(150)
    record = write(tmp_path, "day", drawn(times, np.zeros(len(times), dtype=bool), 150))
    monkeypatch.setattr(listening, "find_waves", lambda encoder, head, x, fs: found(x.shape[1] / fs))
    shipped = load_encoder("ecg1-v1").weights
    waves, _ = load_head(str(shipped_head(shipped, "waves")), shipped)
    save_head(tmp_path / "waves", waves, load_encoder(encoder).weights, {})
    how = {"encoder": str(encoder), "head": str(head), "waves": str(tmp_path / "waves")}
    Monitor([str(record)], out=str(tmp_path / "out"), **how).run()
    rows = pd.read_parquet(tmp_path / "out" / "day" / "intervals.parquet")
    assert set(rows.interval) == set(NAMES) and (rows.start == 0).all()
    assert rows[rows.interval == "QRS"]["median"].iloc[0] == pytest.approx(90, abs=1)
    assert int(rows[rows.interval == "QRS"].beats.iloc[0]) == pytest.approx(150, abs=8)  # each in one piece alone
    page = (tmp_path / "out" / "day" / "report.html").read_text()
    assert "QRS and QTc" in page and "QTc Fridericia" in page


def found(seconds: float) -> list[Found]:
    """A P wave, a QRS complex and a T wave every second, of known lengths."""
    n = int(seconds) - 1
    onset = (0.2 + np.arange(n)[:, None] + [0.0, 0.15, 0.35]).ravel()
    offset = onset + np.tile([0.1, 0.09, 0.2], n)
    return [Found(np.tile(["P", "QRS", "T"], n), onset, (onset + offset) / 2, offset, np.ones(3 * n))]
