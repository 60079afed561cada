"""Intervals of beats, several leads joined, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from ssl_ecg.waves.intervals import NAMES, beats_of, summary
from ssl_ecg.waves.joining import join
from ssl_ecg.waves.matching import Found
from ssl_ecg.waves.quality import implausible, unusable

SHAPE = {"P": (0.0, 0.1), "QRS": (0.16, 0.25), "T": (0.36, 0.56)}


def found(beats: int = 6, rr: float = 0.8, without: str = "", shift: float = 0.0, sure: float = 0.95) -> Found:
    rows = [
        (wave, on + rr * beat + shift, off + rr * beat + shift)
        for beat in range(beats)
        for wave, (on, off) in SHAPE.items()
        if wave != without
    ]
    labels, on, off = (np.array(column) for column in zip(*rows, strict=True))
    return Found(labels.astype(np.str_), on, (on + off) / 2, off, np.full(len(on), sure))


def test_intervals_are_those_of_the_waves() -> None:
    beats = beats_of(found())
    wanted = {"P": 100, "PR": 160, "QRS": 90, "QT": 400, "QTc Bazett": 400 / 0.8**0.5}
    for beat in beats[1:]:
        assert {name: beat.intervals[name] for name in wanted} == pytest.approx(wanted)
        assert beat.intervals["QTc Fridericia"] == pytest.approx(400 / 0.8 ** (1 / 3))
    assert beats[0].missing == dict.fromkeys(("QTc Bazett", "QTc Fridericia"), "no beat before")
    made = summary(beats)
    assert {name: made[name]["median"] for name in wanted} == pytest.approx(wanted)
    assert made["PR"]["beats"] == 6 and made["QTc Bazett"]["beats"] == 5


@pytest.mark.parametrize(
    ("without", "gone", "why"),
    [("P", ("P", "PR"), "no P wave before"), ("T", ("QT", "QTc Bazett", "QTc Fridericia"), "no T wave after")],
)
def test_an_absent_wave_refuses_its_intervals_and_says_why(without: str, gone: tuple[str, ...], why: str) -> None:
    made = summary(beats_of(found(without=without)))
    assert {name for name in NAMES if "refused" in made[name]} == set(gone)
    assert all(why in str(made[name]["refused"]) for name in gone)


def test_a_wave_of_another_beat_is_not_taken() -> None:
    far = found(beats=1)
    far.onset[0] -= 1.0
    far.offset[0] -= 1.0
    (beat,) = beats_of(far)
    assert "PR" in beat.missing
    assert summary([])["QRS"] == {"beats": 0, "refused": "no QRS complex was found"}


def test_leads_are_joined_to_what_half_of_them_have() -> None:
    leads = [found(shift=0.004 * k) for k in range(4)]
    joined = join(leads)
    assert joined.labels.tolist() == found().labels.tolist()
    np.testing.assert_allclose(joined.onset, found().onset + 0.003)
    np.testing.assert_allclose(joined.offset, found().offset + 0.009)
    assert "P" not in join([found(), *[found(without="P")] * 2]).labels
    assert join([found()]).onset.tolist() == found().onset.tolist()
    assert len(join([found(without="P"), found(beats=1, without="T")]).labels) > 0


def test_leads_that_cannot_have_waves_say_why() -> None:
    noise = np.random.default_rng(0).normal(size=5000)
    assert unusable(noise, 500) == ""
    assert "0.06 s is too short" in unusable(noise[:30], 500)
    assert "flat" in unusable(np.zeros(5000), 500)
    assert "1 samples are no numbers" in unusable(np.where(np.arange(5000) == 7, np.nan, noise), 500)
    assert implausible(found(), 5) == ""
    assert "noise" in implausible(found(sure=0.4), 5)
    assert "no QRS complex" in implausible(found(without="QRS"), 5)
    assert "noise: 600" in implausible(found(beats=50), 5)
