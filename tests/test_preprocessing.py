"""Preprocessing: the same signal comes out whatever rate, order and spelling it came in."""

from __future__ import annotations

import tracemalloc
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_ecg import preprocessing
from ssl_ecg.data.sources import CinC2021
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.leads import STANDARD_12, canonical, pick
from ssl_ecg.preprocessing import Preprocessing


def tone(frequency: float, fs: float, seconds: float = 10.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * fs)) / fs)[None].astype(np.float32)


def amplitude(x: np.ndarray) -> float:
    middle = x[..., x.shape[-1] // 4 : -x.shape[-1] // 4]
    return float(np.sqrt(2 * np.mean(middle**2)))


@pytest.mark.parametrize("fs", [100, 128, 250, 360, 500, 1000, 257])
def test_a_tone_in_the_pass_band_survives_any_rate(fs: float) -> None:
    p = Preprocessing()
    x = p.condition(tone(8, fs), fs, ["II"])
    assert x.shape == (1, pytest.approx(1000, abs=2))
    assert amplitude(x) == pytest.approx(1, abs=0.02)
    wanted = tone(8, 100)[0, 200:800]
    assert np.abs(x[0, 200:800] - wanted).max() < 0.03  # zero phase: nothing moves


@pytest.mark.parametrize("frequency", [0.05, 60.0, 90.0, 140.0])
def test_what_lies_outside_the_band_is_gone_and_does_not_alias(frequency: float) -> None:
    x = Preprocessing().condition(tone(frequency, 500, 40), 500, ["II"])
    assert amplitude(x) < 0.1


def test_without_a_low_pass_resampling_still_does_not_alias() -> None:
    x = Preprocessing(lowpass=0, highpass=0).condition(tone(90, 360), 360, ["II"])
    assert amplitude(x) < 0.05


def test_leads_are_found_by_any_spelling_and_in_any_order() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 1000)).astype(np.float32)
    p = Preprocessing(leads=("II", "aVR", "V1"))
    one = p.condition(x, 100, ["MLII", "AVR", "v1"])
    other = p.condition(x[[2, 0, 1]], 100, ["lead_V1", "ii", "avr"])
    np.testing.assert_array_equal(one, other)


def test_limb_leads_follow_from_two_of_them() -> None:
    rng = np.random.default_rng(0)
    i, ii = rng.normal(size=(2, 50)).astype(np.float32)
    out = pick(np.stack([i, ii]), ("I", "II"), ("III", "aVR", "aVL", "aVF"))
    np.testing.assert_allclose(out, [ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2], rtol=1e-6)
    assert np.allclose(pick(out[[0]], ("III",), ("III",)), out[0])
    # To the bit as ever: stores and embeddings hang on it.
    np.testing.assert_array_equal(out, np.stack([ii - i, -0.5 * i - 0.5 * ii, i - 0.5 * ii, ii - 0.5 * i]))
    np.testing.assert_array_equal(pick(out[[3, 0, 1]], ("aVF", "III", "aVR"), ("aVF",))[0], out[3])


@pytest.mark.parametrize("have", list(combinations(STANDARD_12[:6], 2)), ids="+".join)
def test_any_two_limb_leads_give_all_six_of_a_real_recording(have: tuple[str, str], shared_data: Path) -> None:
    folder = shared_data / "cinc2021-sample"
    if not folder.exists():
        pytest.skip(f"no records of CinC 2021 in {folder}")
    limb = STANDARD_12[:6]
    source = CinC2021(str(folder), download=False)
    for number in (0, len(source.records) // 2, len(source.records) - 1):
        recording = source.read(number)
        wanted = pick(recording.signal, recording.leads, limb)
        derived = pick(pick(recording.signal, recording.leads, have), have, limb)
        np.testing.assert_array_equal(derived[[limb.index(lead) for lead in have]], pick(wanted, limb, have))
        assert np.abs(derived - wanted).max() < 0.012 < np.abs(wanted).max()  # mV: what was rounded adds up


@pytest.mark.parametrize("have", [("II",), ("II", "V1"), ("V1", "V2")])
def test_one_limb_lead_gives_no_other(have: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"lead aVF is wanted, but .* derived from any two other limb leads"):
        pick(np.zeros((len(have), 9), np.float32), have, ("aVF",))
    with pytest.raises(ValueError, match=r"lead V3 is wanted, but the signal has I, II$"):
        pick(np.zeros((2, 9), np.float32), ("I", "II"), ("V3",))


@given(st.sampled_from(STANDARD_12), st.sampled_from([str.upper, str.lower, str.title, lambda s: f"lead {s}"]))
def test_canonical_is_the_same_for_every_spelling(lead: str, spell) -> None:  # type: ignore[no-untyped-def]
    assert canonical(spell(lead)) == lead
    assert canonical(canonical(spell(lead))) == lead


@settings(deadline=None, max_examples=20)
@given(st.integers(40, 2000), st.integers(80, 1000))
def test_any_length_and_rate_gives_finite_samples(length: int, fs: int) -> None:
    x = np.random.default_rng(0).normal(size=(1, length))
    out = Preprocessing().condition(x, fs, ["II"])
    assert np.isfinite(out).all()


@pytest.mark.parametrize(
    ("settings", "enough", "too_slow"),
    [
        ({}, 80, 79),  # what lies under 40 Hz
        ({"fs": 500}, 128, 79.9),  # a Holter monitor for an encoder of a faster rate, of the same band
        ({"fs": 250, "lowpass": 64}, 128, 125),
        ({"lowpass": 0}, 100, 64),
        ({"fs": 360, "lowpass": 0}, 359.9, 250),  # the clock of a recorder is off by that much
    ],
)
def test_a_rate_that_cannot_carry_the_band_is_refused(
    settings: dict[str, float], enough: float, too_slow: float
) -> None:
    p = Preprocessing(**settings)  # type: ignore[arg-type]
    assert amplitude(p.condition(tone(8, enough), enough, ["II"])) == pytest.approx(1, abs=0.02)
    needed = 2 * p.lowpass or p.fs
    for slow in (too_slow, 1, 0.5):
        said = (
            f"at {slow:g} Hz ends at {slow / 2:g} Hz, but the encoder sees up to {needed / 2:g} Hz.* {needed:g} Hz or"
        )
        with pytest.raises(DataError, match=said):
            p.condition(tone(8, slow, 1000), slow, ["II"])


def test_a_batch_is_treated_as_its_members() -> None:
    x = np.random.default_rng(0).normal(size=(4, 2, 720)).astype(np.float32)
    p = Preprocessing(leads=("II", "V1"))
    batch = p.condition(x, 360, ["II", "V1"])
    for one, row in zip(x, batch, strict=True):
        np.testing.assert_allclose(p.condition(one, 360, ["II", "V1"]), row, atol=1e-6)


def test_windows_are_normalised_and_a_flat_one_is_not_blown_up() -> None:
    x = torch.randn(3, 2, 300) * 5 + 7
    x[0, 0] = 2.0
    y = Preprocessing().normalise_windows(x)
    assert torch.all(y[0, 0] == 0)
    torch.testing.assert_close(y[1:].mean(-1), torch.zeros(2, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(y[1:].std(-1, unbiased=False), torch.ones(2, 2))
    assert Preprocessing(normalise="none").normalise_windows(x) is x


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"leads": ()}, "at least one lead"),
        ({"leads": ("II", "MLII")}, "twice"),
        ({"fs": 0}, "positive"),
        ({"fs": np.inf}, "fs must be a positive number of Hz, not inf"),
        ({"fs": np.nan}, "fs must be a positive number of Hz, not nan"),
        ({"window": np.nan}, "window must be a number of seconds, not nan"),
        ({"window": np.inf}, "window must be a number of seconds, not inf"),
        ({"window": -3}, "under 8 samples"),
        ({"highpass": np.nan}, "highpass of nan Hz is not between"),
        ({"lowpass": np.inf}, "lowpass of inf Hz is not between"),
        ({"window": 0.01}, "under 8 samples"),
        ({"lowpass": 60}, "fs/2"),
        ({"highpass": 45}, "not below lowpass"),
        ({"normalise": "z"}, "one of window, record, none"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Preprocessing(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("signal", "fs", "leads", "says"),
    [
        (np.zeros(100), 100, ["II"], "shape"),
        (np.zeros((2, 100)), 100, ["II"], "2 channels"),
        (np.zeros((1, 100)), 0, ["II"], "positive"),
        (np.zeros((1, 100)), np.inf, ["II"], "positive number of Hz, not inf"),
        (np.zeros((1, 100)), np.nan, ["II"], "positive number of Hz, not nan"),
        (np.zeros((1, 100), np.complex64), 100, ["II"], "real numbers, not complex64"),
        (np.zeros((1, 100)), 100, ["V5"], "lead II is wanted, but the signal has V5"),
        (np.zeros((2, 100)), 100, ["II", "MLII"], "named twice"),
        (np.full((1, 100), np.nan), 100, ["II"], "NaN or infinite in 100 of 100 samples, first in lead II at 0.000 s"),
    ],
)
def test_bad_signals_are_named(signal: np.ndarray, fs: float, leads: list[str], says: str) -> None:
    with pytest.raises(DataError, match=says):
        Preprocessing().condition(signal, fs, leads)


def test_normalising_by_record_keeps_relative_sizes_and_shrugs_at_artefacts() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 3000)).astype(np.float32)
    p = Preprocessing(normalise="record", highpass=0, lowpass=0)
    y = p.condition(x, 100, ["II"])
    assert y.std() == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(p.condition(100 * x, 100, ["II"]), y, rtol=1e-5)  # the gain is gone
    x[0, 1000:1100] += 500  # one second of artefact
    np.testing.assert_allclose(p.condition(x, 100, ["II"])[0, :900], y[0, :900], rtol=0.05)
    window = torch.from_numpy(y[None, :, :300] * 3)
    assert p.normalise_windows(window) is window


@pytest.mark.parametrize("normalise", ["none", "record"])
@pytest.mark.parametrize("fs", [100, 101.3, 250, 500])
def test_a_long_recording_is_conditioned_in_blocks_to_the_same(
    normalise: Literal["none", "record"], fs: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    p = Preprocessing(leads=("III", "V1"), normalise=normalise)
    x = np.random.default_rng(0).normal(size=(3, 60_001)).cumsum(-1) / 10 + 3
    wanted = p.condition(x, fs, ("V1", "I", "II"))
    monkeypatch.setattr(preprocessing, "_LONGEST", 1000)
    monkeypatch.setattr(preprocessing, "_AT_ONCE", 2**13)
    np.testing.assert_allclose(p.condition(x, fs, ("V1", "I", "II")), wanted, atol=1e-6)
    x[1, 50_000] = np.inf
    with pytest.raises(DataError, match=f"in 1 of 120002 samples, first in lead III at {50_000 / fs:.3f} s"):
        p.condition(x, fs, ("V1", "I", "II"))


def test_conditioning_takes_little_memory_beside_signal_and_result() -> None:
    p, x = Preprocessing(leads=STANDARD_12), np.zeros((12, 300_000), dtype=np.float32)
    tracemalloc.start()
    p.condition(x, 500, STANDARD_12)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6
