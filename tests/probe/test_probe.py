"""The probe command on real and simulated ECG: baselines beside it, intervals, no leak."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from checkpoints import fresh_checkpoint
from rescoring import assert_rescored

from ssl_ecg import pretrain, probe
from ssl_ecg.checkpoint import load_encoder
from ssl_ecg.data.build import build
from ssl_ecg.data.sources import MITBIH, Simulated
from ssl_ecg.data.sources.mitbih import DS2
from ssl_ecg.data.windows import BeatCentred, PeakCentred, WindowSet
from ssl_ecg.errors import DataError
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.probe.command import _validated
from ssl_ecg.report.results import Results, Row, read_results
from ssl_ecg.study import open_study
from ssl_ecg.study.head import load_head
from ssl_ecg.study.rhythm import rhythm_of, rr_features
from ssl_ecg.study.study import labelled_sides, setting_of, unseen_by, validation_of

SIMULATED = Preprocessing(leads=("I", "II"), window=5.0)
FEW = "--beside=untrained,raw PCA"


def of(results: Results, **where: Any) -> dict[str, Row]:
    """Rows by the name of their score, of those that agree with `where`."""
    return {row.score: row for row in results.select(**where)}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("probe")


@pytest.fixture(scope="module")
def simulated(here: Path) -> Path:
    pretrain.main(
        [
            "--data.patients=80",
            "--data.records_per_patient=3",
            "--method.encoder.width=4",
            "--method.encoder.stages=2",
            "--batch_size=16",
            "--trainer.max_epochs=1",
            f"--out={here}/runs",
            f"--cache={here}/cache",
            "--name=simulated",
        ]
    )
    return here / "runs" / "simulated"


def test_whole_records_are_probed(simulated: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(simulated), "--data=Simulated", "--data.patients=80", "--data.records_per_patient=3"]
    probe.main([*arguments, f"--cache={here}/cache", "--resamples=50", f"--save_head={here}/head"])
    head = load_head(here / "head", load_encoder(simulated).weights)
    assert head.blocks == ("pretrained",) and head.windows == "cut" and head.about["patients"] > 10
    out = " ".join(capsys.readouterr().out.split())  # a title is broken where the table ends
    assert "inductive: no test patient was in pretraining" in out
    assert "simulated ECG (no heart was involved)" in out
    (folder,) = simulated.glob("probe-simulated-*")  # not the default number of resamples
    results = read_results(folder)
    assert list(results.about["systems"])[:4] == ["pretrained", "untrained", "raw PCA", "hand features"]
    assert set(list(results.about["systems"])[4:]) <= {"MiniRocket"}  # if aeon is installed
    scores = of(results, system="pretrained", reference="")
    assert {"macro_auroc", "auroc_NORM", "macro_f1", "prior_macro_f1"} <= set(scores)
    for row in scores.values():
        assert math.isnan(row.low) or row.low <= row.value <= row.high
    table = pd.read_csv(folder / "results.csv")
    assert set(table["system"]) == set(results.about["systems"])
    assert_rescored(folder)
    for figure in ("confusion.png", "map.png", "scores.png"):
        assert (folder / figure).stat().st_size > 5000


def test_validation_never_looks_at_the_test_set(
    simulated: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ssl_ecg.study.benchmark.Benchmark.score", lambda *_: pytest.fail("scored the test set"))
    arguments = [str(simulated), "--data=Simulated", "--data.patients=80", "--data.records_per_patient=3"]
    probe.main([*arguments, f"--cache={here}/cache", "--validate", FEW])
    out = capsys.readouterr().out
    assert "The test set was not touched" in out
    assert "Inductive: judged by 16 train patients who were not in pretraining" in out
    (file,) = simulated.glob("probe-simulated-*/validation.json")
    assert of(read_results(file), system="pretrained")["macro_auroc"].subset == "train patients, cross-validated"


def test_validation_refuses_judges_whose_labels_the_encoder_knows(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    everybody = tuple(("Simulated", f"p{i:05d}") for i in range(80))
    plain = fresh_checkpoint(tmp_path / "plain", SIMULATED)
    source = Simulated(patients=80, records_per_patient=3)
    train = sorted(set(open_study(plain, source, f"{here}/cache").train.patient.tolist()))
    arguments = ["--data=Simulated", "--data.patients=80", "--data.records_per_patient=3", f"--cache={here}/cache"]
    for number, known in enumerate((train, train[:-20])):
        who = tuple(pair for pair in everybody if pair[1] in known)
        taught = fresh_checkpoint(tmp_path / str(number), SIMULATED, seen=who, taught=who)
        if known == train:
            with pytest.raises(SystemExit):
                probe.main([str(taught), *arguments, "--validate", FEW])
            assert f"fine-tuned on the labels of {len(train)} of the {len(train)} patients" in capsys.readouterr().err
        else:  # others judge
            probe.main([str(taught), *arguments, "--validate", FEW])
            assert "Inductive: judged by 20 train patients" in capsys.readouterr().out


@pytest.mark.parametrize("setting", ["components", "resamples"])
def test_bad_settings_are_said_before_any_work(
    setting: str, simulated: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ssl_ecg.probe.command.open_study", lambda *_: pytest.fail("long work was begun"))
    with pytest.raises(SystemExit):
        probe.main([str(simulated), "--data=Simulated", f"--{setting}=0"])
    assert f"{setting} must be at least 1, not 0" in capsys.readouterr().err


class Side(NamedTuple):
    """As much of a `WindowSet` as the guard asks for."""

    patient: np.ndarray
    split: np.ndarray | None = None
    store: SimpleNamespace = SimpleNamespace(cohort="Any", meta={"covers": []})

    def where(self, mask: np.ndarray) -> Side:
        return Side(self.patient[mask])


def test_with_few_unseen_patients_all_judge_and_it_is_said() -> None:
    side = Side(np.array(["a", "a", *"bcdefg"]))
    encoder = SimpleNamespace(saw=lambda cohort, patients, covers: [p for p in patients if p in seen])
    seen = ["a", "b"]
    assert unseen_by(encoder, side).tolist() == [False] * 3 + [True] * 5
    assert _validated(unseen_by(encoder, side), side).startswith("inductive: judged by 5")
    seen = ["a", "b", "c"]
    assert unseen_by(encoder, side) is None
    assert "transductive" in _validated(None, side)


def test_where_there_is_a_validation_split_its_unseen_patients_judge() -> None:
    side = Side(np.array([*"aabcdefghij"]), np.array(["train"] * 4 + ["val"] * 7))
    encoder = SimpleNamespace(saw=lambda cohort, patients, covers: [p for p in patients if p in seen])
    validation = validation_of(side)
    assert validation is not None
    seen = ["a", "b", "d"]
    assert unseen_by(encoder, side, validation).tolist() == [False] * 5 + [True] * 6
    assert unseen_by(encoder, side).tolist() == [False] * 3 + [True] + [False] + [True] * 6
    seen = ["d", "e", "f"]
    assert unseen_by(encoder, side, validation) is None
    assert validation_of(SimpleNamespace(split=np.array(["train", "train"]))) is None


def test_test_patients_seen_in_pretraining_are_said(simulated: Path) -> None:
    encoder = load_encoder(simulated)
    assert setting_of(["p00001"], Simulated()) == "transductive: 1 test patient(s) were in pretraining"
    assert encoder.saw("Simulated", ["p00000"]) == ["p00000"]
    assert encoder.saw("MITBIH", ["p00000"]) == []


def test_what_is_no_checkpoint_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        probe.main([str(tmp_path), "--data=Simulated"])
    assert stop.value.code == 1
    assert "is no checkpoint" in capsys.readouterr().err


@pytest.fixture(scope="module")
def mitbih_run(mitdb: Path, here: Path) -> Path:
    recipe = Path(__file__).parents[2] / "experiments" / "recipes" / "simclr_mitbih.yaml"
    pretrain.main(
        [
            f"--config={recipe}",
            f"--data.root={mitdb}",
            "--method.encoder.width=4",
            "--windows=Sliding",
            "--windows.stride=20",
            "--batch_size=64",
            "--trainer.max_epochs=1",
            f"--out={here}/runs",
            f"--cache={here}/cache",
        ]
    )
    return here / "runs" / "simclr-mitbih"


FEW_RECORDS = "101 106 118 119 207 208 100 200 202 213 221 231 232 233".split()  # six of DS1, eight of DS2


def few_beats(side: WindowSet) -> WindowSet:
    """Of few records every 15th normal beat and the first sixty others: what all of them take minutes for."""
    other = side.label != 0
    keep = ~other & (np.arange(len(side)) % 15 == 0)
    for record in FEW_RECORDS:
        keep[np.flatnonzero(other & (side.record == record))[:60]] = True
    return side.where(keep & np.isin(side.record, FEW_RECORDS))


def test_beats_of_mit_bih_are_probed_by_the_protocol(
    mitdb: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def of_few(*given: Any) -> Any:
        study = open_study(*given)
        return replace(study, train=few_beats(study.train), test=few_beats(study.test))

    monkeypatch.setattr("ssl_ecg.probe.command.open_study", of_few)
    checkpoint = fresh_checkpoint(here / "beats", Preprocessing(window=1.28, normalise="record"))
    arguments = [str(checkpoint), "--data=MITBIH", f"--data.root={mitdb}", f"--cache={here}/cache"]
    probe.main([*arguments, "--beside=raw PCA,RR alone", "--components=4", "--resamples=20"])
    out = capsys.readouterr().out
    assert "without 202:" in out and "without 232:" in out
    (folder,) = checkpoint.glob("probe-mitbih-*")
    results = read_results(folder)
    systems = {"pretrained + RR", "pretrained", "raw PCA + RR", "raw PCA", "RR alone"}
    assert set(results.about["systems"]) == systems
    subsets = {"without 202": ["202"], "without 232": ["232"]}
    assert results.about["subsets"] == subsets
    for system in systems:
        scores = of(results, system=system, subset="", reference="")
        for part in subsets:
            others = of(results, system=system, subset=part, reference="")
            assert set(others) == set(scores) and others["macro_auroc"].value != scores["macro_auroc"].value
        for score in ("macro_f1", "prior_macro_f1", "macro_f1_NSV", "auroc_V", "sensitivity_V", "ppv_V"):
            assert 0 <= scores[score].value <= 1
    assert {r.reference for r in results.rows if r.system == "pretrained + RR"} == {"", "raw PCA + RR", "RR alone"}
    assert {r.reference for r in results.rows if r.system == "pretrained"} == {"", "raw PCA"}
    assert_rescored(folder)


def test_what_follows_validate_is_the_checkpoint(here: Path, simulated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[probe.Probe] = []
    monkeypatch.setattr(probe.Probe, "run", lambda made: given.append(made))
    probe.main(["--validate", str(simulated), "--data=Simulated"])
    probe.main([str(simulated), "--data=Simulated", "--validate"])
    assert [(p.validate, p.checkpoint) for p in given] == [(True, str(simulated))] * 2


def test_a_mistyped_checkpoint_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        probe.main(["runs/typo", "--data=Simulated"])
    assert "runs/typo" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_other_settings_have_another_folder_and_replace_no_results(
    simulated: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data=Simulated", "--data.patients=80", "--data.records_per_patient=3", f"--cache={here}/cache"]
    arguments = [str(simulated), *data, "--validate", "--beside=raw PCA", f"--out={here}/one"]
    probe.main(arguments)
    before = (here / "one" / "validation.json").read_text()
    probe.main(arguments)
    with pytest.raises(SystemExit):
        probe.main([*arguments, "--components=3"])
    assert "components" in capsys.readouterr().err
    assert (here / "one" / "validation.json").read_text() == before


def test_the_patients_of_a_mit_bih_checkpoint_are_of_ds1(mitbih_run: Path) -> None:
    encoder = load_encoder(mitbih_run)
    assert encoder.saw("MITBIH", [record for record in DS2 if record != "202"]) == []
    held_out = json.loads((mitbih_run / "results.json").read_text())["held_out"]
    assert len(held_out) == 11
    assert encoder.saw("MITBIH", held_out) == []


def test_windows_rhythm_and_labels_belong_to_the_same_beat(mitdb: Path, here: Path) -> None:
    p = Preprocessing(window=1.28, normalise="record")
    source = MITBIH(str(mitdb))
    store = build(source, p, here / "cache")
    everything = WindowSet(store, p, BeatCentred().index(store, p.samples))
    rhythm = rhythm_of(store)
    recording = next(r for r in source.recordings() if r.record == "208")
    assert recording.beats is not None
    mine = everything.where(everything.record == "208")
    rows = mine.index.beat.numpy() - int(
        np.flatnonzero(store.records["record"].to_numpy()[store.beats["record"]] == "208")[0]
    )
    labels = recording.beats.labels[rows]
    assert [source.classes[i] for i in mine.label] == labels.tolist()
    wanted = rr_features(recording.beats.samples, 360)[rows]
    np.testing.assert_array_equal(rhythm[mine.index.beat.numpy()], wanted)
    centre = mine.index.start.numpy() + p.samples // 2
    assert np.abs(centre - recording.beats.samples[rows] / 3.6).max() <= 0.5


def test_detected_peaks_lie_on_annotated_beats(mitdb: Path, here: Path) -> None:
    p = Preprocessing(window=1.28, normalise="record")
    store = build(MITBIH(str(mitdb)), p, here / "cache")
    found = PeakCentred().index(store, p.samples)
    hits = beats = 0
    for row in range(len(store.records)):
        peaks = np.sort(found.start[found.record == row].numpy() + p.samples // 2)
        mine = store.beats["r_peak"][store.beats["record"] == row].to_numpy() / 3.6
        nearest = np.abs(
            peaks[np.clip(np.searchsorted(peaks, mine)[:, None] + [-1, 0], 0, len(peaks) - 1)] - mine[:, None]
        )
        hits += int((nearest.min(1) <= 7).sum())
        beats += len(mine)
    assert hits / beats > 0.985
    assert len(found) / beats < 1.02
    assert torch.equal(
        PeakCentred(jitter=0.1).index(store, p.samples).start, PeakCentred(jitter=0.1).index(store, p.samples).start
    )


def test_a_patient_on_both_sides_is_refused(here: Path, simulated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ssl_ecg.data.sources import Simulated

    source = Simulated(patients=80, records_per_patient=3)
    encoder = load_encoder(simulated)
    store = build(source, encoder.preprocessing, here / "cache")
    train, test = labelled_sides(store, source, encoder)
    assert not set(train.patient) & set(test.patient)
    store.patient[torch.from_numpy((store.records["split"] == "test").to_numpy())] = 0  # plant one
    with pytest.raises(DataError, match="in both train and test, which would leak: p00000"):
        labelled_sides(store, source, encoder)


@pytest.mark.parametrize("duration", [5, 8])  # s; a window has 5
def test_tokens_are_probed_by_attention_beside_the_linear_probe(here: Path, tmp_path: Path, duration: int) -> None:
    checkpoint = fresh_checkpoint(tmp_path, SIMULATED)
    size = ["--data.patients=40", "--data.records_per_patient=1", f"--data.duration={duration}"]
    given = [str(checkpoint), "--data=Simulated", *size, f"--cache={here}/cache", "--resamples=20", "--attentive"]
    probe.main([*given, "--beside=untrained", f"--out={tmp_path}/test"])
    results = read_results(tmp_path / "test")
    assert {r.system for r in results.select(predictor="linear probe")} == {"pretrained", "untrained"}
    attentive = results.select(predictor="attentive probe", reference="", score="macro_auroc")
    assert [r.system for r in attentive] == ["pretrained, attentive", "untrained, attentive"]
    compared = results.select(system="pretrained, attentive", reference="untrained, attentive", score="macro_auroc")
    assert len(compared) == 1
    assert_rescored(tmp_path / "test")
    probe.main([*given, "--beside=untrained", "--validate", f"--out={tmp_path}/validation"])
    judged = read_results(tmp_path / "validation" / "validation.json").select(predictor="attentive probe")
    assert len(judged) == 2 and all(0 < r.value < 1 for r in judged)
