"""`Simulated`: reproducible, told apart by what tells real classes apart, and every patient their own."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ssl_ecg.data.source import Recording
from ssl_ecg.data.sources import simulated
from ssl_ecg.data.sources.simulated import Simulated
from ssl_ecg.errors import UserError

SMALL: dict[str, Any] = {"patients": 24, "records_per_patient": 2}


def drawn(**settings: Any) -> list[Recording]:
    return list(Simulated(**(SMALL | settings)).recordings())


def same(a: Recording, b: Recording) -> bool:
    assert a.beats is not None and b.beats is not None
    return np.array_equal(a.signal, b.signal) and np.array_equal(a.beats.samples, b.beats.samples)


@pytest.fixture(scope="module")
def clean() -> list[Recording]:
    """Noiseless records of 30 patients a class, at a rate at which durations can be measured."""
    return drawn(patients=240, fs=250, noise=0.0)


@pytest.fixture(scope="module")
def by_class(clean: list[Recording]) -> dict[str, list[Recording]]:
    groups: dict[str, list[Recording]] = defaultdict(list)
    for recording in clean:
        groups[recording.labels[0]].append(recording)
    return groups


def intervals(recording: Recording) -> NDArray[np.float64]:
    assert recording.beats is not None
    return np.diff(recording.beats.samples) / recording.fs


def rates(group: list[Recording]) -> NDArray[np.float64]:
    return np.array([60 / intervals(recording).mean() for recording in group])


def median_beat(recording: Recording, before: float = 0.24, after: float = 0.45) -> NDArray[np.float32]:
    """The median of the beats around their R peaks, from the level before the QRS complex: (12, samples)."""
    assert recording.beats is not None
    around = np.arange(-round(before * recording.fs), round(after * recording.fs))
    peaks = recording.beats.samples
    peaks = peaks[(peaks + around[0] >= 0) & (peaks + around[-1] < recording.signal.shape[1])]
    beat: NDArray[np.float32] = np.median(recording.signal[:, peaks[:, None] + around], axis=1)
    level = around < -round(0.08 * recording.fs)
    return beat - np.median(beat[:, level & (around > -round(0.1 * recording.fs))], axis=1, keepdims=True)


def qrs_duration(recording: Recording) -> float:
    """Seconds around the R peak during which the leads move fast."""
    before, after = 0.12, 0.14
    speed = np.abs(np.diff(median_beat(recording, before, after), axis=1)).max(axis=0) * recording.fs
    fast = np.flatnonzero(speed > 0.12 * speed.max())
    return float(fast[-1] - fast[0]) / recording.fs


def test_every_recording_fulfils_the_contract() -> None:
    source = Simulated(**SMALL)
    source.ensure()
    recordings = list(source.recordings())
    assert len(recordings) == len(source) == 48
    assert len({r.record for r in recordings}) == 48 and len({r.patient for r in recordings}) == 24
    for r in recordings:
        assert r.signal.shape == (12, 1000) and r.signal.dtype == np.float32 and np.isfinite(r.signal).all()
        assert r.leads == ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
        assert r.labels[0] in source.classes and len(r.labels) == 1
        assert r.beats is not None and set(r.beats.labels) == {""}
        assert r.beats.samples.dtype == np.int64 and len(r.beats.labels) == len(r.beats.samples)
        assert (np.diff(r.beats.samples) > 0).all()
        assert r.beats.samples[0] >= 0 and r.beats.samples[-1] < 1000
    assert source.simulated and source.task == "record"


def test_same_seed_same_bits_other_seed_other_patients() -> None:
    first, second, other = drawn(), drawn(), drawn(seed=1)
    assert all(same(a, b) for a, b in zip(first, second, strict=True))
    assert not any(np.array_equal(a.signal, b.signal) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("batch", [1, 7_000, 10_000_000])
def test_a_record_does_not_depend_on_its_batch(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = drawn()
    monkeypatch.setattr(simulated, "_BATCH_SAMPLES", batch)
    assert all(same(a, b) for a, b in zip(usual, drawn(), strict=True))


def test_a_record_does_not_depend_on_how_many_there_are() -> None:
    few = {r.record: r for r in drawn()}
    many = {r.record: r for r in drawn(patients=40, records_per_patient=3)}
    assert all(same(few[name], many[name]) for name in few)


def test_limb_leads_obey_einthoven_and_goldberger() -> None:
    for r in drawn(fs=250):
        one, two, three, avr, avl, avf = r.signal[:6]
        np.testing.assert_array_equal(three, two - one)
        np.testing.assert_allclose(avr, -(one + two) / 2, atol=1e-6)
        np.testing.assert_allclose(avl, (one - three) / 2, atol=1e-6)
        np.testing.assert_allclose(avf, (two + three) / 2, atol=1e-6)


def test_the_rate_of_sampling_changes_neither_beats_nor_shape() -> None:
    slow, mid, fast = (drawn(fs=fs, noise=0) for fs in (100, 250, 500))
    for a, b, c in zip(slow, mid, fast, strict=True):
        assert a.beats is not None and b.beats is not None and c.beats is not None
        assert (a.signal.shape[1], b.signal.shape[1], c.signal.shape[1]) == (1000, 2500, 5000)
        np.testing.assert_allclose(a.beats.samples / 100, c.beats.samples / 500, atol=0.01)
        np.testing.assert_allclose(b.beats.samples / 250, c.beats.samples / 500, atol=0.004)
        np.testing.assert_allclose(c.signal[:, ::5], a.signal, atol=2e-3)


def test_noise_is_as_loud_as_asked_and_leaves_the_heart_alone() -> None:
    silent, usual, loud = (drawn(patients=80, noise=level) for level in (0.0, 0.1, 0.2))
    added = np.stack([b.signal - a.signal for a, b in zip(silent, usual, strict=True)])
    twice = np.stack([b.signal - a.signal for a, b in zip(silent, loud, strict=True)])
    assert 0.07 < np.median(added.std(axis=-1)) < 0.13
    np.testing.assert_allclose(twice, 2 * added, atol=1e-4)


def test_noiseless_records_rest_between_the_beats(by_class: dict[str, list[Recording]]) -> None:
    for r in by_class["SBRAD"]:
        assert r.beats is not None
        before_p = np.median(r.signal[:, r.beats.samples[1:] - round(0.3 * r.fs)], axis=1)
        assert np.abs(before_p).max() < 0.02


def test_rates_are_those_of_the_class(by_class: dict[str, list[Recording]]) -> None:
    assert (rates(by_class["SBRAD"]) < 62).all()
    assert (rates(by_class["STACH"]) > 98).all()
    norm = rates(by_class["NORM"])
    assert ((norm > 55) & (norm < 110)).all() and 65 < np.median(norm) < 80
    assert norm.std() > 5


def test_fibrillation_is_irregular_and_has_no_p_wave(by_class: dict[str, list[Recording]]) -> None:
    def irregularity(group: list[Recording]) -> NDArray[np.float64]:
        return np.array([np.median(np.abs(np.diff(intervals(r)))) / intervals(r).mean() for r in group])

    assert np.quantile(irregularity(by_class["AFIB"]), 0.1) > np.quantile(irregularity(by_class["NORM"]), 0.9)

    def p_wave(group: list[Recording]) -> float:
        beats = (median_beat(r)[1] for r in group)
        return float(np.median([beat[: round(0.14 * 250)].max() - beat[:5].mean() for beat in beats]))

    assert p_wave(by_class["NORM"]) > 0.08 > 1.5 * p_wave(by_class["AFIB"])

    def ripple(group: list[Recording]) -> float:
        """How much V1 moves just before the P wave would begin, where nothing else is."""
        return float(np.median([np.std(r.signal[6, p - 80 : p - 60]) for r in group for p in peaks(r)]))

    def peaks(r: Recording) -> NDArray[np.int64]:
        assert r.beats is not None
        return r.beats.samples[1:][intervals(r) > 0.8]

    assert ripple(by_class["AFIB"]) > 3 * ripple(by_class["NORM"])


def test_premature_beats_come_early_wide_and_with_a_pause(by_class: dict[str, list[Recording]]) -> None:
    for r in by_class["PVC"]:
        rr = intervals(r)
        usual = np.median(rr)
        assert rr.min() < 0.85 * usual
        assert r.beats is not None
        early = 1 + np.flatnonzero((rr[:-1] < 0.85 * usual) & (rr[1:] > 1.15 * usual))
        assert np.all(rr[early - 1] + rr[early] > 1.5 * usual)
    regular = [r for r in by_class["NORM"] if intervals(r).min() > 0.8 * np.median(intervals(r))]
    assert len(regular) > len(by_class["NORM"]) / 2


def test_bundle_branch_blocks_widen_the_qrs_complex(by_class: dict[str, list[Recording]]) -> None:
    width = {name: np.array([qrs_duration(r) for r in group]) for name, group in by_class.items()}
    assert 0.07 < np.median(width["NORM"]) < 0.11
    for block in ("LBBB", "RBBB"):
        assert np.median(width[block]) > 0.115
        assert np.quantile(width[block], 0.1) > np.median(width["NORM"])

    def area(group: list[Recording], lead: int) -> float:
        at = slice(round(0.16 * 250), round(0.36 * 250))
        return float(np.median([median_beat(r)[lead, at].mean() for r in group]))

    def swing(group: list[Recording], lead: int) -> float:
        """Largest deflection of the T wave, with its sign."""
        waves = (median_beat(r)[lead, round(0.44 * 250) : round(0.6 * 250)] for r in group)
        return float(np.median([wave[np.abs(wave).argmax()] for wave in waves]))

    lbbb, norm = by_class["LBBB"], by_class["NORM"]
    assert area(lbbb, 6) < -0.3 < 0.3 < area(lbbb, 11)  # V1 down, V6 up
    assert swing(lbbb, 6) > 0.1 and swing(lbbb, 11) < -0.1  # and T against it
    assert swing(norm, 11) > 0.1
    terminal = [median_beat(r)[6, round(0.3 * 250) : round(0.32 * 250)].mean() for r in by_class["RBBB"]]
    assert np.median(terminal) > 0.2  # the second R in V1


def test_st_elevation_lifts_a_territory(by_class: dict[str, list[Recording]]) -> None:
    def elevation(group: list[Recording]) -> NDArray[np.float64]:
        at = round((0.24 + 0.12) * 250)
        return np.array([median_beat(r)[:, at].max() for r in group])

    assert np.median(elevation(by_class["STE"])) > 0.2
    assert np.median(elevation(by_class["STE"])) > 2 * np.median(elevation(by_class["NORM"]))


def test_r_wave_grows_from_v1_to_v4(by_class: dict[str, list[Recording]]) -> None:
    beats = np.stack([median_beat(r) for r in by_class["NORM"]])
    tall = np.median(beats.max(axis=2), axis=0)
    deep = np.median(beats.min(axis=2), axis=0)
    r_waves = tall[6:]
    assert r_waves[0] < r_waves[1] < r_waves[2] < r_waves[3] and r_waves[3] > r_waves[5]
    assert deep[6] < -0.5 and deep[3] < -0.4  # S in V1; aVR upside down
    assert 0.6 < tall[1] < 1.8  # mV, lead II


def test_a_patient_looks_like_themselves() -> None:
    recordings = [r for r in drawn(patients=80) if r.labels == ("NORM",)]
    beats = np.stack([median_beat(r).ravel() for r in recordings])
    alike = np.atleast_2d(np.corrcoef(beats))
    patient = np.array([r.patient for r in recordings])
    own = (patient[:, None] == patient) & ~np.eye(len(patient), dtype=bool)
    others = patient[:, None] != patient
    assert np.median(alike[own]) > 0.9
    assert np.median(alike[own]) > np.median(alike[others]) + 0.1
    nearest = np.where(np.eye(len(patient), dtype=bool), -1, alike).argmax(axis=1)
    assert np.mean(patient[nearest] == patient) > 0.8


@pytest.mark.parametrize("patients", [24, 40, 131])
def test_each_split_has_every_class_and_its_own_patients(patients: int) -> None:
    recordings = drawn(patients=patients, records_per_patient=1, duration=4)
    found = {s: {r.labels[0] for r in recordings if r.split == s} for s in ("train", "val", "test")}
    assert all(classes == set(Simulated.classes) for classes in found.values())
    if patients == 40:
        counts = {s: sum(r.split == s for r in recordings) for s in found}
        assert counts == {"train": 24, "val": 8, "test": 8}


def test_all_records_of_a_patient_are_in_one_split_and_class() -> None:
    kept: dict[str, set[tuple[str, tuple[str, ...]]]] = defaultdict(set)
    for r in drawn():
        kept[r.patient].add((r.split, r.labels))
    assert all(len(of_one) == 1 for of_one in kept.values())


def test_every_short_record_of_class_pvc_holds_one() -> None:
    for r in drawn(patients=200, duration=4, fs=100):
        if r.labels == ("PVC",):
            assert intervals(r).min() < 0.85 * intervals(r).max()


def test_long_records_beat_to_their_end() -> None:
    for r in drawn(records_per_patient=1, duration=120):
        assert r.beats is not None
        assert r.signal.shape == (12, 12_000) and r.beats.samples[-1] > 11_800
        assert np.isfinite(r.signal).all() and intervals(r).max() < 4


def test_the_fingerprint_is_the_settings() -> None:
    a = Simulated(fs=100, **SMALL).fingerprint()
    assert json.loads(json.dumps(a)) == a
    assert a == Simulated(fs=100.0, **SMALL).fingerprint()
    assert a != Simulated(fs=250, **SMALL).fingerprint() and a != Simulated(seed=1, **SMALL).fingerprint()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("patients", 23),
        ("patients", 30.5),
        ("records_per_patient", 0),
        ("duration", 3.0),
        ("duration", float("inf")),
        ("fs", 50),
        ("fs", float("nan")),
        ("fs", 1e6),
        ("noise", -0.1),
        ("noise", float("nan")),
        ("seed", -1),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(setting: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"Simulated: {setting} = "):
        Simulated(**{setting: value})
