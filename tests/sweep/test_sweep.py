"""The sweep command: few labels and many, beside baselines, resumed, and without a leak."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import fresh_checkpoint
from wandb_file import wandb_records

from ssl_ecg import pretrain, sweep
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.study.systems import Frozen, RawPCA
from ssl_ecg.sweep.cells import Cell, SharedFeatures

TINY = ["--method.encoder.width=4", "--method.encoder.stages=2", "--batch_size=16", "--trainer.max_epochs=1"]
DATA = ["--data=Simulated", "--data.0.patients=400", "--data.0.records_per_patient=1"]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep")


@pytest.fixture(scope="module")
def checkpoint(here: Path) -> Path:
    pretrain.main(["--data.patients=60", *TINY, f"--out={here}/runs", f"--cache={here}/cache", "--name=tiny"])
    return here / "runs" / "tiny"


def run(checkpoint: Path, here: Path, *more: str) -> None:
    sweep.main(
        [
            str(checkpoint),
            *DATA,
            "--fractions=0.2,1",
            "--seeds=2",
            "--cs=1e-3,1e-1",
            "--resamples=50",
            f"--cache={here}/cache",
            *more,
        ]
    )


@pytest.fixture(scope="module")
def done(checkpoint: Path, here: Path) -> Path:
    run(checkpoint, here, f"--out={here}/out", "--wandb=offline")
    return here / "out"


def test_each_draw_and_c_has_a_line_and_the_test_is_scored_for_the_chosen_c_alone(done: Path) -> None:
    rows = list(csv.DictReader((done / "results.csv").open()))
    assert len(rows) == 3 * (2 + 1) * 2  # systems, draws, C
    assert {row["system"] for row in rows} == {"tiny", "untrained", "raw PCA"}
    for row in rows:
        assert bool(row["test_macro_auroc"]) == (row["chosen"] == "True")
    for system in ("tiny", "untrained", "raw PCA"):
        for draw in ("0.2", "1.0"):
            mine = [row for row in rows if (row["system"], row["fraction"], row["seed"]) == (system, draw, "0")]
            assert sum(row["chosen"] == "True" for row in mine) == 1
            best = max(mine, key=lambda row: float(row["validation_macro_auroc"]))
            assert best["chosen"] == "True"


def test_the_results_hold_intervals_spread_pairs_and_the_setting(done: Path) -> None:
    results = json.loads((done / "results.json").read_text())
    assert results["simulated"] is True
    task = results["tasks"]["Simulated"]
    assert list(task["systems"]) == ["tiny", "untrained", "raw PCA"]
    mine = task["systems"]["tiny"]
    assert mine["setting"].startswith(("inductive", "transductive"))
    few, everything = mine["fractions"]
    assert few["patients"] < everything["patients"] == task["sides"]["train"]["patients"]
    assert few["test_spread_over_seeds"] > 0
    assert everything["test_spread_over_seeds"] is None
    for point in mine["fractions"]:
        score = point["test"]["macro_auroc"]
        assert score["low"] <= score["value"] <= score["high"]
        assert set(point["versus"]) == {"untrained", "raw PCA"}
        other = next(p for p in task["systems"]["untrained"]["fractions"] if p["fraction"] == point["fraction"])
        difference = score["value"] - other["test"]["macro_auroc"]["value"]
        assert point["versus"]["untrained"]["value"] == pytest.approx(difference)
    for figure in ("label_efficiency.png", "validation.png"):
        assert (done / figure).stat().st_size > 10_000


def test_a_stopped_sweep_goes_on_with_what_is_missing(
    done: Path, checkpoint: Path, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (done / "results.json").read_text()
    (lost,) = (done / "cells").glob("*untrained*")
    lost.unlink()
    monkeypatch.setattr(Frozen, "features", lambda *_: pytest.fail("embedded again"))
    monkeypatch.setattr(RawPCA, "features", lambda *_: pytest.fail("projected again"))
    run(checkpoint, here, f"--out={here}/out")
    err = capsys.readouterr().err
    assert "Simulated: untrained (tiny) ..." in err
    assert "Simulated: pretrained (tiny) ..." not in err
    assert "finished before, and not made again: Simulated: pretrained (tiny), Simulated: raw PCA (tiny)" in err
    assert lost.exists()
    again, first = json.loads((done / "results.json").read_text()), json.loads(before)
    assert (
        again["tasks"]["Simulated"]["systems"]["untrained"]["draws"]
        == (first["tasks"]["Simulated"]["systems"]["untrained"]["draws"])
    )


@pytest.mark.parametrize("setting", ["--seeds=1", "--cs=1e-3,1", "--fractions=0.3,1", "--resamples=40"])
def test_other_settings_reuse_embeddings_but_no_results(
    done: Path, checkpoint: Path, here: Path, setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    embedded = sorted((done / "features").iterdir())
    run(checkpoint, here, f"--out={here}/out", setting)
    err = capsys.readouterr().err
    assert "finished before" not in err
    assert "Simulated: pretrained (tiny) ..." in err
    assert sorted((done / "features").iterdir()) == embedded


def test_two_checkpoints_of_one_architecture_share_their_baselines(
    done: Path, checkpoint: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pretrain.main(
        ["--data.patients=60", *TINY, "--seed=1", f"--out={here}/runs", f"--cache={here}/cache", "--name=other"]
    )
    run(Path(f"{checkpoint},{here}/runs/other"), here, f"--out={here}/out")
    systems = json.loads((done / "results.json").read_text())["tasks"]["Simulated"]["systems"]
    assert list(systems) == ["tiny", "untrained", "raw PCA", "other"]
    assert systems["untrained"]["checkpoints"] == ["tiny", "other"]
    assert set(systems["other"]["fractions"][0]["versus"]) == {"untrained", "raw PCA"}
    assert "other - untrained" in capsys.readouterr().out


def test_a_cell_is_read_as_it_was_written(done: Path, tmp_path: Path) -> None:
    cell = Cell.load(next((done / "cells").glob("*pretrained*")))
    # Or ties between systems would not be those of a sweep that was not stopped.
    thirds = [replace(r, replicates={name: b / 3 for name, b in r.replicates.items()}) for r in cell.resampled]
    cell = replace(cell, resampled=tuple(thirds))
    cell.save(tmp_path / "cell.npz")
    again = Cell.load(tmp_path / "cell.npz")
    assert (again.task, again.cs, again.sides, again.draws) == (cell.task, cell.cs, cell.sides, cell.draws)
    for a, b in zip(again.resampled, cell.resampled, strict=True):
        assert (a.key, a.values) == (b.key, b.values)
        np.testing.assert_array_equal(a.replicates["macro_auroc"], b.replicates["macro_auroc"])


def test_embeddings_from_disk_are_those_of_the_windows(checkpoint: Path, here: Path, tmp_path: Path) -> None:
    from ssl_ecg.data.sources import Simulated
    from ssl_ecg.study import open_study

    study = open_study(checkpoint, Simulated(patients=400, records_per_patient=1), f"{here}/cache")
    shared = SharedFeatures(study, tmp_path)
    system = Frozen("pretrained", study.encoder.encoder)
    for _ in range(2):  # made, then read
        train, test = shared.of(system, shared.key(system))
        torch.testing.assert_close(torch.from_numpy(train), torch.from_numpy(system.features(study.train)))
        torch.testing.assert_close(torch.from_numpy(test), torch.from_numpy(system.features(study.test)))


def test_the_offline_wandb_run_holds_the_table_both_curves_and_the_figures(done: Path) -> None:
    (file,) = (done / "wandb").glob("offline-run-*/run-*.wandb")
    seen: dict[str, list[Any]] = {}
    for record in wandb_records(file):
        for item in record.history.item:
            seen.setdefault(item.key or "/".join(item.nested_key), []).append(json.loads(item.value_json))
    assert seen["label_fraction"] == [0.2, 1.0] * 3
    assert len(seen["test_macro_auroc/Simulated/tiny"]) == 2
    assert len(seen["validation_macro_auroc/Simulated/raw PCA/20 %"]) == 2  # C
    assert {"sweep", "label_efficiency", "validation"} <= {name.partition("/")[0] for name in seen}
    (table,) = file.parent.glob("files/media/table/sweep*.json")
    content = json.loads(table.read_text())
    rows = list(csv.DictReader((done / "results.csv").open()))
    assert content["columns"] == list(rows[0])
    assert len(content["data"]) == 3 * 3 * 2


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--fractions=0,1"], 1, "above 0 and at most 1"),
        (["--seeds=0"], 1, "seeds must be at least 1"),
        (["--cs=0"], 1, "positive values of C"),
        (["--components=0"], 1, "components must be at least 1, not 0"),
        (["--resamples=0"], 1, "resamples must be at least 1, not 0"),
        (["--device=nowhere"], 1, "there is no device 'nowhere' here"),
        (["--beside=untraind"], 1, "unknown baseline untraind: there is untrained, raw PCA"),
        (["--fraction=1"], 2, "fractions"),
        (["--out=/proc/nowhere"], 1, "/proc/nowhere"),
    ],
)
def test_bad_settings_are_said_before_any_work(
    checkpoint: Path, here: Path, arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run(checkpoint, here, f"--out={here}/bad", *arguments)
    err = capsys.readouterr().err
    assert stop.value.code == code, err
    assert says in err
    assert "pretrained (tiny)" not in err


def test_what_is_refused_leaves_no_wandb_run(here: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        run(here / "nowhere", here, f"--out={tmp_path}", "--wandb=offline")
    assert not (tmp_path / "wandb").exists()


def test_an_encoder_that_knows_the_labels_is_not_asked_what_few_are_worth(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preprocessing = Preprocessing(leads=("I", "II"), window=5.0)
    taught = fresh_checkpoint(tmp_path, preprocessing, taught=(("Simulated", "p00001"), ("Simulated", "p00002")))
    everything = ["--beside=raw PCA", f"--out={tmp_path}/out", "--fractions=1"]
    with pytest.raises(SystemExit):
        run(taught, here, *everything[:2], "--fractions=0.5,1")
    assert "was fine-tuned on the labels of" in capsys.readouterr().err
    run(taught, here, *everything)


def test_a_patient_on_both_sides_is_refused(
    checkpoint: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ssl_ecg.study import study

    honest = study.build

    def planted(*args: Any, **kwargs: Any) -> Any:
        store = honest(*args, **kwargs)
        store.patient[torch.from_numpy((store.records["split"] == "test").to_numpy())] = 0
        return store

    monkeypatch.setattr(study, "build", planted)
    with pytest.raises(SystemExit):
        run(checkpoint, here, f"--out={here}/leak")
    assert "in both train and test, which would leak: p00000" in capsys.readouterr().err


def test_pretraining_on_the_test_patients_is_labelled_transductive(
    checkpoint: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "ssl_ecg.checkpoint.PretrainedEncoder.saw", lambda self, cohort, patients, covers: list(patients)[:3]
    )
    run(checkpoint, here, f"--out={here}/transductive")
    assert "tiny: transductive: 3 test patient(s) were in pretraining" in capsys.readouterr().out
    results = json.loads((here / "transductive" / "results.json").read_text())
    systems = results["tasks"]["Simulated"]["systems"]
    assert systems["tiny"]["setting"].startswith("transductive")
    assert systems["untrained"]["setting"] == "inductive: not pretrained"


@pytest.fixture(scope="module")
def ptbxl(shared_data: Path, here: Path) -> Path:
    recipe = Path(__file__).parents[2] / "experiments" / "recipes" / "simclr_ptbxl.yaml"
    small = ["--method.encoder.width=4", "--method.encoder.stages=2", "--trainer.max_epochs=1", "--name=ptbxl"]
    given = [f"--config={recipe}", f"--data.root={shared_data}/ptb-xl", *small]
    pretrain.main([*given, f"--out={here}/runs", f"--cache={here}/cache"])
    return here / "runs" / "ptbxl"


@pytest.mark.slow
def test_the_recipe_of_ptb_xl_sweeps_two_tasks_on_one_embedding(
    ptbxl: Path, shared_data: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Path(__file__).parents[2] / "experiments" / "sweeps" / "ptbxl.yaml"
    roots = [f"--data.{i}.root={shared_data}/ptb-xl" for i in range(2)]
    out = f"--out={here}/ptbxl"
    sweep.main([str(ptbxl), f"--config={config}", *roots, "--resamples=50", f"--cache={here}/cache", out])
    assert len(list((here / "ptbxl" / "features").iterdir())) == 3
    tasks = json.loads((here / "ptbxl" / "results.json").read_text())["tasks"]
    assert list(tasks) == ["PTBXL super", "PTBXL all"]
    for task in tasks.values():
        by_share = [p["test"]["macro_auroc"]["value"] for p in task["systems"]["untrained"]["fractions"]]
        assert by_share[0] < by_share[1] < by_share[2]
        how = [draw["how"] for draw in task["systems"]["untrained"]["draws"]]
        assert how == ["default"] * 5 + ["validation split"] * 6
    assert len(tasks["PTBXL all"]["too_few"]) > 40
    assert "Too few patients to choose C by, so that it is the default: 1 %" in capsys.readouterr().out
