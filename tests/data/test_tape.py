"""Long recordings a stretch at a time: what any format gives in parts is what it gives as a whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wfdb

from ssl_ecg.data.ishne import HEADER
from ssl_ecg.data.tape import open_tape
from ssl_ecg.errors import DataError, UserError

FS = 200.0
X = np.round(np.random.default_rng(0).normal(scale=0.3, size=(2, 6000)), 2).astype(np.float32)


def record(folder: Path) -> Path:
    how = {"fmt": ["212"] * 2, "adc_gain": [200.0] * 2, "baseline": [0] * 2, "write_dir": str(folder)}
    wfdb.wrsamp("r", FS, ["mV", "mV"], ["MLII", "V1"], X.T.astype(float), **how)
    return folder / "r.hea"


def edf(folder: Path) -> Path:
    edfio = pytest.importorskip("edfio")
    limits = {"physical_dimension": "uV", "physical_range": (-3276.8, 3276.7)}
    signals = [
        edfio.EdfSignal(1000.0 * lead.astype(float), FS, label=name, **limits)
        for lead, name in zip(X, ("ECG II", "ECG V1"), strict=True)
    ]
    breath = edfio.EdfSignal(np.zeros(300), 10, label="Resp", physical_dimension="%", physical_range=(-1, 1))
    edfio.Edf([*signals, breath]).write(folder / "r.edf")
    return folder / "r.edf"


def ishne(folder: Path) -> Path:
    counts = np.round(X * 100).astype("<i2")  # of 10,000 nV
    codes, resolution = [6, 11, *[-9] * 10], [10_000, 10_000, *[-9] * 10]
    begin, one, two, fs = [b"ISHNE1.0", 0, 0, 6000, 522, 522, 1], [b""] * 3, [0] * 14, int(FS)
    numbers = [*codes, *[-9] * 12, *resolution]
    head = [*begin, *one, *two, 2, *numbers, 0, b"", fs, b"", b"", b""]
    (folder / "r.ecg").write_bytes(HEADER.pack(*head) + counts.T.tobytes())
    return folder / "r.ecg"


def csv(folder: Path) -> Path:
    rows = np.column_stack([np.arange(6000) / FS + 17, X.T])
    np.savetxt(folder / "r.csv", rows, fmt="%.3f", delimiter=",", header="time,II,V1", comments="")
    return folder / "r.csv"


@pytest.mark.parametrize("write", [record, edf, ishne, csv])
def test_parts_are_those_of_the_whole(write: Callable[[Path], Path], tmp_path: Path) -> None:
    tape = open_tape(write(tmp_path), tmp_path / "scratch")
    assert (tape.name, tape.fs, tape.samples, tape.seconds) == ("r", FS, 6000, 30.0)
    assert tape.leads in (("II", "V1"), ("MLII", "V1"))
    for start, stop in ((0, 6000), (0, 1), (1234, 2345), (5900, 6000)):
        np.testing.assert_allclose(tape.read(start, stop), X[:, start:stop], atol=0.006)
    assert any("Resp" in note for note in tape.notes) == (write is edf)


@pytest.mark.parametrize("layout", ["fixed", "variable"])
def test_segments_are_one_tape_with_gaps_where_nothing_was_recorded(layout: str, tmp_path: Path) -> None:
    def segment(name: str, rows: list[int], start: int, stop: int) -> str:
        names, many = [("II", "V1")[row] for row in rows], len(rows)
        how = {"fmt": ["16"] * many, "adc_gain": [200.0] * many, "baseline": [0] * many, "write_dir": str(tmp_path)}
        wfdb.wrsamp(name, FS, ["mV"] * many, names, X[rows, start:stop].T.astype(float), **how)
        return f"{name} {stop - start}"

    wanted, fixed = X.copy(), layout == "fixed"
    wanted[:, 1000:2000] = np.nan
    if not fixed:
        wanted[0, 2000:4000] = np.nan
    parts = [
        segment("a", [0, 1], 0, 1000),
        "~ 1000",
        segment("b", [0, 1] if fixed else [1], 2000, 4000),
        segment("c", [0, 1] if fixed else [1, 0], 4000, 6000),
    ]
    channels = 2
    if not fixed:  # as MIMIC's waveforms have it
        said = [f"~ 0 200/{unit} 16 0 0 0 0 {name}\n" for name, unit in (("II", "mV"), ("ABP", "mmHg"), ("V1", "mV"))]
        (tmp_path / "r_layout.hea").write_text(f"r_layout 3 {FS:g} 0\n{''.join(said)}")
        parts, channels = ["r_layout 0", *parts], 3
    (tmp_path / "r.hea").write_text("\n".join([f"r/{len(parts)} {channels} {FS:g} 6000", *parts, ""]))
    tape = open_tape(tmp_path / "r.hea", tmp_path / "scratch")
    assert (tape.leads, tape.samples) == (("II", "V1"), 6000)
    for start, stop in ((0, 6000), (900, 2100), (1000, 2000), (1200, 1300), (3990, 4010)):
        np.testing.assert_allclose(tape.read(start, stop), wanted[:, start:stop], atol=0.006)


def test_an_array_needs_its_rate_and_leads(tmp_path: Path) -> None:
    np.save(tmp_path / "r.npy", 1000 * X)
    with pytest.raises(UserError, match="--fs"):
        open_tape(tmp_path / "r.npy", tmp_path)
    with pytest.raises(UserError, match="--leads"):
        open_tape(tmp_path / "r.npy", tmp_path, fs=FS)
    with pytest.raises(DataError, match=r"has shape \(2, 6000\)"):
        open_tape(tmp_path / "r.npy", tmp_path, fs=FS, leads=["II"])
    tape = open_tape(tmp_path / "r.npy", tmp_path, fs=FS, leads=["II", "V1"], unit="uV")
    np.testing.assert_allclose(tape.read(10, 20), X[:, 10:20], rtol=1e-5)


def test_a_clock_that_jumps_leaves_a_gap(tmp_path: Path) -> None:
    times = np.arange(2000) / FS
    times[1000:] += 3.0
    rows = np.column_stack([times, X[0, :2000]])
    np.savetxt(tmp_path / "r.csv", rows, fmt="%.3f", delimiter=",", header="time,II", comments="")
    tape = open_tape(tmp_path / "r.csv", tmp_path / "scratch")
    assert tape.samples == 2600 and tape.notes == ("the clock jumps by 3.0 s at 5.0 s: nothing is there",)
    assert np.isnan(tape.read(1000, 1600)).all()
    np.testing.assert_allclose(tape.read(1600, 2600)[0], X[0, 1000:2000], atol=0.006)
    again = open_tape(tmp_path / "r.csv", tmp_path / "scratch")
    assert (again.notes, again.samples) == (tape.notes, tape.samples)
    rows[1500:, 0] -= 4.0
    np.savetxt(tmp_path / "r.csv", rows, fmt="%.3f", delimiter=",", header="time,II", comments="")
    with pytest.raises(DataError, match="run backwards"):
        open_tape(tmp_path / "r.csv", tmp_path / "scratch")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    for name, content, why in (
        ("a.hea", "nothing\n", "not a readable WFDB header"),
        ("b.edf", "nothing", "not a readable EDF file"),
        ("c.ecg", "nothing", "no ISHNE file"),
        ("d.csv", "1,2\n3,4\n", "no names above its columns"),
        ("e.csv", "II\n1\nx\n", "not a readable CSV file"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(DataError, match=why):
            open_tape(tmp_path / name, tmp_path / "scratch")
    with pytest.raises(DataError, match="does not exist"):
        open_tape(tmp_path / "none", tmp_path)
