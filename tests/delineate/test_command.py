"""The command on real recordings of LUDB: scores in folds over people, a head, and what it finds in files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import wfdb
from checkpoints import fresh_checkpoint

from ssl_ecg.checkpoint import find_checkpoint, load_encoder, save_encoder, shipped_head
from ssl_ecg.checkpoint.heads import with_head
from ssl_ecg.checkpoints import main as checkpoints
from ssl_ecg.data.sources import LUDB
from ssl_ecg.delineate.command import Delineate
from ssl_ecg.delineate.corpus import deal
from ssl_ecg.delineate.evaluate import training_people
from ssl_ecg.encoders import ConvGRU
from ssl_ecg.errors import CheckpointError, DataError, UserError
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.report.results import Results, read_results
from ssl_ecg.waves.find import find_waves
from ssl_ecg.waves.head import load_head

PREPROCESSING = Preprocessing(fs=100, leads=("ECG",), window=9, normalise="record")
PEOPLE = ("1", "2", "3", "5", "6", "7", "9", "10")


@pytest.fixture(scope="module")
def ludb(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight people of LUDB, the last in atrial fibrillation."""
    real = shared_data / "ludb"
    if not (real / "ludb.csv").is_file():
        pytest.skip(f"no recordings of LUDB in {real}")
    root = tmp_path_factory.mktemp("ludb")
    with (real / "ludb.csv").open(newline="") as file:
        head, *rows = list(csv.reader(file))
    fibrillating = next(row[0] for row in rows if "fibrillation" in row[3])
    with (root / "ludb.csv").open("w", newline="") as file:
        csv.writer(file).writerows([head, *(row for row in rows if row[0] in {*PEOPLE[:-1], fibrillating})])
    (root / "data").symlink_to(real / "data")
    return root


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained causal encoder of one lead."""
    torch.manual_seed(0)
    encoder = ConvGRU(1, width=16, context=16).eval()
    golden = np.random.default_rng(0).normal(size=(1, 900)).astype(np.float32)
    folder = tmp_path_factory.mktemp("run") / "checkpoint"
    return save_encoder(folder, encoder, PREPROCESSING, {"patients": []}, golden, "# card").parent


@pytest.fixture(scope="module")
def scored(ludb: Path, checkpoint: Path, shared_data: Path) -> tuple[Results, Path]:
    """Results of two folds, and the folder of the head that was kept."""
    head = checkpoint / "head"
    command = Delineate(
        str(checkpoint),
        LUDB(str(ludb), download=False),
        save_head=str(head),
        leads=("II", "V2"),
        people=(2, "all"),
        folds=2,
        beside=("untrained", "raw samples"),
        stages=True,
        noise=str(shared_data / "nstdb"),
        resamples=50,
        out=str(checkpoint / "scores"),
    )
    results = command.run()
    assert isinstance(results, Results)
    return results, head


def test_every_system_is_scored_in_every_way(scored: tuple[Results, Path], checkpoint: Path) -> None:
    results, _ = scored
    read = read_results(checkpoint / "scores")
    assert len(read.rows) == len(results.rows)
    assert {row.system for row in results.rows} >= {"pretrained", "untrained", "raw samples", "pretrained, map 4"}
    assert {row.fraction for row in results.rows} == {0.5, 1.0}
    for subset in ("", "lead II"):
        (row,) = results.select(system="pretrained", subset=subset, fraction=1.0, score="f1", reference="")
        assert 0.3 < row.value <= 1 and row.low <= row.value <= row.high
    (row,) = results.select(system="pretrained", subset="", fraction=1.0, score="f1_150ms", reference="")
    (near,) = results.select(system="pretrained", subset="", fraction=1.0, score="f1", reference="")
    assert row.value >= near.value
    (same,) = results.select(system="pretrained", subset="", fraction=1.0, score="f1", reference="untrained")
    assert np.isfinite([same.value, same.low, same.high]).all()
    (false_p,) = results.select(
        system="pretrained", subset="atrial fibrillation", fraction=1.0, score="false_p_a_beat", reference=""
    ) or [None]
    assert false_p is None or false_p.value >= 0  # one person has no interval
    heard = results.select(system="untrained", score="f1", subset="muscle, 0 dB")
    assert len(heard) == 1 and 0 <= heard[0].value <= 1 and heard[0].fraction == 1
    assert len({row.subset for row in results.rows if row.subset.endswith("dB")}) == 8
    assert read.about["people"] == 8 and read.about["setting"].startswith("inductive")
    assert set(read.about["median_error_ms"]) >= {"pretrained, 4 people", "untrained, 2 people"}
    assert {path.name for path in (checkpoint / "scores").iterdir()} == {
        "results.json", "results.csv", "people.png", "stages.png", "noise.png", "worst.png",
    }  # fmt: skip


def test_a_head_is_read_back_and_belongs_to_its_encoder(scored: tuple[Results, Path], checkpoint: Path) -> None:
    _, folder = scored
    encoder = load_encoder(checkpoint)
    head, about = load_head(folder, encoder.weights)
    assert about["people"] == 8 and about["leads"] == ["II", "V2"] and about["fitted_on"] == "LUDB"
    assert head.weight.shape == (2 * (16 + 24 + 32 + 16), 6)
    with pytest.raises(CheckpointError, match="belongs to the encoder with weights"):
        load_head(folder, "0" * 64)
    with pytest.raises(CheckpointError, match="holds no head"):
        load_head(folder.parent, encoder.weights)
    card = (folder / "README.md").read_text()
    assert "all 8 people of LUDB 1.0.1 (ODC-By 1.0), leads II, V2" in card and "| lead II, P onset | " in card


def test_a_changed_head_is_refused(scored: tuple[Results, Path], checkpoint: Path, tmp_path: Path) -> None:
    _, folder = scored
    for name in ("head.json", "head.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with (tmp_path / "head.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\1")
    with pytest.raises(CheckpointError, match="not the file that was saved"):
        load_head(tmp_path, load_encoder(checkpoint).weights)


@pytest.fixture
def ward(ludb: Path, tmp_path: Path) -> Path:
    """A folder of recordings: two that are good, and one bad one of each kind."""
    for record in ("1", "2"):
        for suffix in ("hea", "dat"):
            (tmp_path / f"{record}.{suffix}").write_bytes((ludb / "data" / f"{record}.{suffix}").read_bytes())
    random = np.random.default_rng(0)
    bad = {"flat": np.zeros((5000, 1)), "short": random.normal(size=(30, 1)), "noise": random.normal(size=(5000, 1))}
    for name, signal in bad.items():
        wfdb.wrsamp(
            name, 500, ["mV"], ["II"], signal, fmt=["16"], adc_gain=[200.0], baseline=[0], write_dir=str(tmp_path)
        )
    (tmp_path / "broken.hea").write_text("broken 1 500 5000\n")
    return tmp_path


def test_files_are_delineated_and_bad_ones_named(
    scored: tuple[Results, Path], checkpoint: Path, ward: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    applied = Delineate(str(checkpoint), files=str(ward), head=str(scored[1]), out=str(ward / "found")).run()
    assert not isinstance(applied, Results)
    said = capsys.readouterr().out
    assert {"1", "2"} <= set(applied.records)
    for name, why in {"flat, lead II": "flat", "short, lead II": "too short", "broken": "incomplete"}.items():
        assert why in applied.refused[name]
        assert name in said
    assert "noise" not in applied.records or applied.refused

    waves = pd.read_parquet(ward / "found" / "waves.parquet")
    assert set(waves.wave) == {"P", "QRS", "T"}
    assert ((waves.onset <= waves.peak) & (waves.peak <= waves.offset)).all()
    assert waves.confidence.between(0, 1).all()
    beats = pd.read_parquet(ward / "found" / "beats.parquet")
    assert set(beats.columns) >= {"record", "lead", "time", "QRS ms", "QT ms", "QTc Bazett ms", "missing"}
    medians = pd.read_parquet(ward / "found" / "intervals.parquet")
    qrs = medians[(medians.lead == "joined") & (medians.interval == "QRS") & (medians.record == "1")]
    assert 40 < float(qrs["median"].iloc[0]) < 200

    read = wfdb.rdann(str(ward / "found" / "1"), "waves")
    assert read.fs == 500 and set(read.symbol) <= {"(", "p", "N", "t", ")"}
    joined = waves[(waves.record == "1") & (waves.lead == "joined")]
    assert len(read.sample) == 3 * len(joined)
    assert (ward / "found" / "1.png").stat().st_size > 10_000


def test_heads_are_convolutional_and_causal_and_encoders_fine_tuned(
    ludb: Path, checkpoint: Path, tmp_path: Path
) -> None:
    how: dict[str, Any] = {"leads": ("II",), "people": (2,), "folds": 2, "resamples": 20, "steps": 2}
    how |= {"head_kind": "conv", "causal": True, "beside": ("fine-tuned",), "out": str(tmp_path / "out")}
    results = Delineate(str(checkpoint), LUDB(str(ludb), download=False), save_head=str(tmp_path / "head"), **how).run()
    assert isinstance(results, Results)
    assert {row.system for row in results.rows} == {"pretrained", "fine-tuned"}
    assert {row.predictor for row in results.rows} == {"conv head"}
    head, about = load_head(tmp_path / "head", load_encoder(checkpoint).weights)
    assert head.causal and about["causal"] and head.refine is not None and head.weight.shape[1] == 24
    assert "two convolutions" in (card := (tmp_path / "head" / "README.md").read_text()) and "forwards alone" in card
    recording = LUDB(str(ludb), download=False).read(0)
    (found,) = find_waves(load_encoder(checkpoint), head, recording.signal[1:2], recording.fs)
    assert (found.labels == "QRS").sum() >= 5


@pytest.mark.parametrize("name", with_head("waves"))
def test_a_shipped_encoder_brings_its_head(
    name: str, ward: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shipped_head(load_encoder(name).weights, "waves")
    assert folder is not None and folder.is_relative_to(find_checkpoint(name))
    assert sum(file.stat().st_size for file in folder.iterdir()) < 300_000
    for file in (*ward.glob("2.*"), *ward.glob("noise.*")):
        file.unlink()
    Delineate(name, files=str(ward), out=str(tmp_path / "found")).run()
    medians = pd.read_parquet(tmp_path / "found" / "intervals.parquet")
    mine = medians[medians.lead == "joined"].set_index("interval")["median"]
    assert 80 < mine["QRS"] < 120 and 120 < mine["PR"] < 200 and 380 < mine["QTc Bazett"] < 460
    checkpoints(["show", name])
    assert "head, waves   fitted on LUDB, 200 people" in capsys.readouterr().out


def test_a_long_recording_in_pieces_is_what_it_is_in_one(
    scored: tuple[Results, Path], checkpoint: Path, ludb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder(checkpoint)
    head, _ = load_head(scored[1], encoder.weights)
    recording = LUDB(str(ludb), download=False).read(0)
    long = np.tile(recording.signal[1:2], 6)
    (before,) = find_waves(encoder, head, long, recording.fs)
    monkeypatch.setattr("ssl_ecg.checkpoint.long._SIZE", 20.0)
    (after,) = find_waves(encoder, head, long, recording.fs)
    assert before.labels.tolist() == after.labels.tolist()
    np.testing.assert_allclose(before.onset, after.onset, atol=2e-3)


def test_what_cannot_be_used_is_said_before_any_work(checkpoint: Path, tmp_path: Path) -> None:
    data = LUDB(str(tmp_path), download=False)
    for settings, said in {
        "nothing to do": {},
        "needs a --head": {"files": "x"},
        "one of the two": {"data": data, "head": "a", "save_head": "b"},
        "folds must be at least 2": {"data": data, "folds": 1},
        "unknown baseline mice": {"data": data, "beside": ("mice",)},
        "people must be numbers": {"data": data, "people": (0,)},
        "penalty": {"data": data, "penalty": -1.0},
        "steps must be at least 1": {"data": data, "steps": 0},
    }.items():
        with pytest.raises(UserError, match=settings):
            Delineate(str(checkpoint), **said).run()  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"ludb\.csv"):
        Delineate(str(checkpoint), data).run()
    two = fresh_checkpoint(tmp_path, Preprocessing(leads=("I", "II"), fs=100))
    with pytest.raises(UserError, match="2 leads together"):
        Delineate(str(two), data).run()


def test_people_are_dealt_evenly_and_fewer_are_part_of_more() -> None:
    names = [f"p{k}" for k in range(23)]
    fold = deal([*names, *names], 5, 0)
    assert sorted(np.bincount(list(fold.values())).tolist()) == [4, 4, 5, 5, 5]
    some, more = (training_people(fold, 2, number, 7) for number in (4, 9))
    assert len(some) == 4 and some < more and not {who for who in more if fold[who] == 2}
    with pytest.raises(UserError, match="5 folds need as many people"):
        deal(["a"], 5, 0)
