"""The command: beats, classes, episodes and annotations of tapes; stopped, it goes on; what is bad is named."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import wfdb
from tapes import FS, drawn, regular, write

from ssl_ecg.errors import UserError
from ssl_ecg.monitor import listen as listening
from ssl_ecg.monitor.command import Monitor, main


@pytest.fixture(autouse=True)
def _short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "PIECE", 60.0)


def watch(encoder: Path, head: Path, out: Path, *records: Path, **how: Any) -> Any:
    return Monitor([str(record) for record in records], encoder=str(encoder), head=str(head), out=str(out), **how).run()


def episodes(folder: Path) -> list[dict[str, str]]:
    with open(folder / "episodes.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def story() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Four minutes with a wide run at 100 s, a pause at 130 s, 25 s at 150 a minute from 160 s on."""
    times = regular(240)
    wide = np.zeros(len(times), dtype=bool)
    first = int(np.searchsorted(times, 100))
    wide[[20, 50, *range(first, first + 5)]] = True
    keep = (times < 130) | ((times > 132.5) & (times < 159.6)) | (times > 185.2)
    fast = np.arange(160, 185, 0.4)
    times, wide = np.append(times[keep], fast), np.append(wide[keep], np.zeros(len(fast), dtype=bool))
    order = np.argsort(times)
    return times[order], wide[order], drawn(times[order], wide[order], 240)


def test_a_tape_is_read(
    story: tuple[np.ndarray, np.ndarray, np.ndarray], encoder: Path, head: Path, tmp_path: Path
) -> None:
    times, wide, x = story
    record = write(tmp_path, "day", x)
    done = watch(encoder, head, tmp_path / "out", record)
    out = tmp_path / "out" / "day"
    beats = pd.read_parquet(out / "beats.parquet")
    off = np.abs(beats.time.to_numpy()[:, None] - times).min(axis=0)
    assert (off < 0.06).mean() > 0.99 and abs(len(beats) - len(times)) <= 2
    assert (beats["sample"].diff().dropna() > 0).all()
    nearest = np.abs(times[:, None] - beats.time.to_numpy()).argmin(axis=0)
    assert ((beats["class"] == "V") == wide[nearest]).mean() > 0.98
    assert beats.confidence.between(0, 1).all() and beats.quality.between(0.5, 1).all()
    unusual = beats.unusual.to_numpy()
    assert np.median(unusual[wide[nearest]]) > 2 * np.median(unusual[~wide[nearest]])
    assert beats.abnormal.notna().all()
    found = {(each["kind"], round(float(each["start"]), -1)) for each in episodes(out)}
    assert {("ventricular run", 100), ("pause", 130), ("tachycardia", 160)} <= found
    assert len(found) == 3
    read = wfdb.rdann(str(out / "day"), "beats")
    assert read.fs == FS and np.isin(read.symbol, list("NSVFQ+")).all()
    assert [s for s in read.symbol if s != "+"] == beats["class"].replace("", "Q").tolist()
    assert "(VT" in [note.strip("\0") for note in read.aux_note]
    assert not (out / ".pieces").exists()
    assert done.read["day"]["beats"] == len(beats) and done.read["day"]["notes"] == []


def test_a_stopped_run_goes_on(
    story: tuple[np.ndarray, np.ndarray, np.ndarray],
    encoder: Path,
    head: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = write(tmp_path, "day", story[2])
    watch(encoder, head, tmp_path / "whole", record)
    heard, hear = [], listening.hear

    def power_cut(tape: Any, reader: Any, start: int, stop: int) -> Any:
        if start > 100 * FS:
            raise KeyboardInterrupt
        return hear(tape, reader, start, stop)

    def counted(*of: Any) -> Any:
        heard.append(of[2])
        return hear(*of)

    monkeypatch.setattr(listening, "hear", power_cut)
    with pytest.raises(KeyboardInterrupt):
        watch(encoder, head, tmp_path / "out", record)
    pieces = tmp_path / "out" / "day" / ".pieces"
    assert {"000000.npz", "000001.npz"} <= {path.name for path in pieces.iterdir()}
    (pieces / ".000002.npz.x.tmp").write_bytes(b"half")  # what a kill leaves behind
    monkeypatch.setattr(listening, "hear", counted)
    watch(encoder, head, tmp_path / "out", record)
    assert sorted(heard) == [120 * FS, 180 * FS]
    for name in ("beats.parquet", "episodes.csv", "day.beats"):
        whole, again = (tmp_path / out / "day" / name for out in ("whole", "out"))
        assert whole.read_bytes() == again.read_bytes()
    heard.clear()
    assert watch(encoder, head, tmp_path / "out", record).took == 0 and not heard  # all is there
    watch(encoder, head, tmp_path / "out", record, pause=5.0)
    assert heard and "pause" not in {each["kind"] for each in episodes(tmp_path / "out" / "day")}


def test_what_is_done_in_parts_is_what_it_is_at_once(
    story: tuple[np.ndarray, np.ndarray, np.ndarray],
    encoder: Path,
    head: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = write(tmp_path, "day", story[2])
    watch(encoder, head, tmp_path / "whole", record)
    monkeypatch.setattr("ssl_ecg.monitor.outputs._AT_ONCE", 7)
    monkeypatch.setattr("ssl_ecg.monitor.episodes._AT_ONCE", 5)
    watch(encoder, head, tmp_path / "parts", record)
    whole, parts = tmp_path / "whole" / "day", tmp_path / "parts" / "day"
    for name in ("episodes.csv", "day.beats"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes()
    beats = pd.read_parquet(whole / "beats.parquet")
    assert len(beats) > 100
    pd.testing.assert_frame_equal(pd.read_parquet(parts / "beats.parquet"), beats)


def test_what_is_bad_is_named(encoder: Path, head: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = regular(120)
    x = drawn(times, np.zeros(len(times), dtype=bool), 120)
    off, gap = x.copy(), x.copy()
    off[:, round(50 * FS) : round(81 * FS)] = 0.3
    gap[:, round(40 * FS) : round(60 * FS)] = np.nan
    records = {
        "off": write(tmp_path, "off", off),
        "gap": write(tmp_path, "gap", gap),
        "flat": write(tmp_path, "flat", np.zeros_like(x)),
        "short": write(tmp_path, "short", x[:, : round(5 * FS)]),
        "slow": write(tmp_path, "slow", x, fs=25),
        "rate": write(tmp_path, "rate", x, fs=85),
        "ok": write(tmp_path, "ok", x[:1], leads=("ECG",)),
        "cut": write(tmp_path, "cut", x),
    }
    (tmp_path / "cut.dat").write_bytes((tmp_path / "cut.dat").read_bytes()[:1000])
    with pytest.raises(SystemExit) as stop:
        main(
            [
                *map(str, records.values()),
                "missing.hea",
                f"--encoder={encoder}",
                f"--head={head}",
                f"--out={tmp_path}/o",
            ]
        )
    assert stop.value.code == 1
    said = " ".join(capsys.readouterr().out.split())
    for text in (
        "flat.hea: not read: no beat was found: lead off 100%",
        "short.hea: not read: 5.0 s are too short",
        "slow.hea: not read: a signal at 25 Hz ends at 12.5 Hz",
        "cut.dat is truncated",
        "missing.hea: not read: missing.hea does not exist",
        "off: 25% of the time no lead could be read",
        "is the sampling rate of 85 Hz right?",
        "ok: the head was fitted on lead II, and lead ECG is read",
        "MB of memory at most, libraries included",
    ):
        assert text in said, text
    state = pd.read_parquet(tmp_path / "o" / "off" / "quality.parquet").set_index(["lead", "start"]).state
    assert state["MLII"].tolist() == [*["good"] * 5, *["lead off"] * 3, *["good"] * 4]
    assert not (tmp_path / "o" / "missing").exists() and not (tmp_path / "o" / "short").exists()
    (lost,) = [each for each in episodes(tmp_path / "o" / "off") if each["kind"] == "lead off"]
    assert (float(lost["start"]), float(lost["end"])) == (50, 80)
    (lost,) = [each for each in episodes(tmp_path / "o" / "gap") if each["kind"] == "no samples"]
    assert (float(lost["start"]), float(lost["end"])) == (40, 60)
    beats = pd.read_parquet(tmp_path / "o" / "gap" / "beats.parquet")
    assert not beats.time.between(40.2, 59.8).any() and int(beats.rr.isna().sum()) == 2
    assert json.loads((tmp_path / "o" / "ok" / "summary.json").read_text())["beats"] == pytest.approx(len(times), abs=1)


def test_a_head_of_something_else_is_refused(encoder: Path, head: Path, tmp_path: Path) -> None:
    for name in ("head.json", "head.safetensors"):
        (tmp_path / name).write_bytes((head / name).read_bytes())
    said = json.loads((head / "head.json").read_text())
    for change, why in (
        ({"windows": "cut"}, "--windows stretches --save_head FOLDER"),
        ({"encoder": "0"}, "belongs to the encoder"),
    ):
        (tmp_path / "head.json").write_text(json.dumps({**said, **change}))
        with pytest.raises(UserError, match=why):
            watch(encoder, tmp_path, tmp_path / "out", tmp_path / "x.hea")


def test_without_a_head_one_that_ships_is_taken_or_the_command_that_fits_one_is_named(
    encoder: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        UserError, match=r"has one with it, and for this one python -m ssl_ecg\.probe .*checkpoint --data"
    ):
        Monitor([str(tmp_path / "x.hea")], encoder=str(encoder), out=str(tmp_path / "out")).run()
    assert not (tmp_path / "out").exists()


def test_a_real_record(mitdb: Path, encoder: Path, head: Path, tmp_path: Path) -> None:
    n = 3 * 60 * 360
    x = wfdb.rdrecord(str(mitdb / "208"), sampto=n).p_signal.T
    record = write(tmp_path, "208", x, fs=360)
    watch(encoder, head, tmp_path / "out", record)
    beats = pd.read_parquet(tmp_path / "out" / "208" / "beats.parquet")
    marked = wfdb.rdann(str(mitdb / "208"), "atr", sampto=n)
    truth = marked.sample[np.isin(marked.symbol, list("NLRBejAaJSVEFQ/f"))]
    off = np.abs(truth[:, None] - beats["sample"].to_numpy()).min(axis=1)
    assert (off <= 0.15 * 360).mean() > 0.98 and abs(len(beats) - len(truth)) < 0.03 * len(truth)


def test_the_head_that_ships_finds_ventricular_beats_of_a_patient_it_never_saw(mitdb: Path, tmp_path: Path) -> None:
    n = 3 * 60 * 360
    record = wfdb.rdrecord(str(mitdb / "233"), sampto=n)  # of DS2
    tape = write(tmp_path, "233", record.p_signal.T, fs=360, leads=tuple(record.sig_name))
    Monitor([str(tape)], out=str(tmp_path / "out")).run()
    beats = pd.read_parquet(tmp_path / "out" / "233" / "beats.parquet")
    marked = wfdb.rdann(str(mitdb / "233"), "atr", sampto=n)
    truth = marked.sample[np.array(marked.symbol) == "V"]
    called = beats["sample"][beats["class"] == "V"].to_numpy()
    off = np.abs(truth[:, None] - called).min(axis=1)
    assert len(truth) > 50 and (off < 54).mean() > 0.9 and len(called) < 1.1 * len(truth)


@pytest.mark.slow
def test_a_killed_command_goes_on(mitdb: Path, encoder: Path, head: Path, tmp_path: Path) -> None:
    """Half an hour of 208, killed as soon as a piece of ten minutes is there."""
    here = [sys.executable, "-m", "ssl_ecg.monitor", str(mitdb / "208"), f"--encoder={encoder}", f"--head={head}"]
    subprocess.run([*here, f"--out={tmp_path}/whole"], check=True, capture_output=True)
    process = subprocess.Popen([*here, f"--out={tmp_path}/out"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    work = tmp_path / "out" / "208" / ".pieces"
    while process.poll() is None and not any(work.glob("0*.npz")):
        time.sleep(0.01)
    process.kill()
    process.wait()
    before = {path.name: path.stat().st_mtime_ns for path in work.glob("0*.npz")}
    assert before
    subprocess.run([*here, f"--out={tmp_path}/out"], check=True, capture_output=True)
    for name in ("beats.parquet", "episodes.csv", "208.beats", "report.html"):
        whole, again = (tmp_path / out / "208" / name for out in ("whole", "out"))
        assert whole.read_bytes() == again.read_bytes(), name
