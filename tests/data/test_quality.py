"""Silent stretches are found, and named; a record without any signal is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import Toy

from ssl_ecg.data.build import build
from ssl_ecg.data.convert import describe, silent_share
from ssl_ecg.data.source import Recording
from ssl_ecg.preprocessing import Preprocessing


@given(
    fs=st.sampled_from([100, 128, 360, 500]), start=st.integers(0, 500), length=st.integers(0, 900), top=st.booleans()
)
def test_a_stretch_at_the_rail_is_measured(fs: int, start: int, length: int, top: bool) -> None:
    rng = np.random.default_rng(start)
    x = rng.normal(size=(2, 1500)).astype(np.float32)
    x[1, start : start + length] = 9.0 if top else -9.0
    share = silent_share(x, fs)
    assert share[0] == 0  # an extreme that is touched once is no rail
    assert share[1] == (pytest.approx(length / 1500) if length >= round(0.2 * fs) else 0)


def test_what_is_found_is_said() -> None:
    assert describe(np.array([0.0, 1.0, 0.125, 0.005]), ("I", "II", "V1", "V2")) == (
        "lead II is flat, lead V1 is flat or saturated for 12 % of the time"
    )


class Damaged(Toy):
    """Record r0 has a flat lead, r1 is saturated for a tenth, r2 has no signal in any lead."""

    def read(self, number: int) -> Recording:
        recording = super().read(number)
        if number == 0:
            recording.signal[1] = 0.3
        elif number == 1:
            recording.signal[0, :420] = recording.signal[0].max() + 1
        elif number == 2:
            recording.signal[:, 500:] = 5.0
        return recording


def test_silent_leads_are_noted_and_silent_records_left_out(tmp_path: Path) -> None:
    report = build(Damaged(), Preprocessing(leads=("II", "V1"), window=3.0), tmp_path).report
    assert report["noted"] == [
        {"record": "r0", "note": "lead V1 is flat"},
        {"record": "r1", "note": "lead MLII is flat or saturated for 10 % of the time"},
    ]
    assert [row["record"] for row in report["dropped"]] == ["r2"]
    assert "no wanted lead has a signal for half of the time" in report["dropped"][0]["reason"]


def test_a_silent_lead_that_is_not_wanted_does_not_matter(tmp_path: Path) -> None:
    report = build(Damaged(), Preprocessing(leads=("II",), window=3.0), tmp_path).report
    assert [row["record"] for row in report["noted"]] == ["r1"]
