"""The fine-tuning command: rows from the same patients, and a checkpoint that knows whose labels it saw."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from checkpoints import fresh_checkpoint
from pytorch_lightning.utilities import rank_zero_only
from safetensors import safe_open
from safetensors.torch import load_file
from wandb_file import wandb_records

from ssl_ecg import finetune
from ssl_ecg.checkpoint import load_encoder
from ssl_ecg.data.sources import MITBIH, Simulated
from ssl_ecg.data.sources.mitbih import DS1
from ssl_ecg.errors import DataError
from ssl_ecg.finetune.training import macro_auroc
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.report.results import read_results
from ssl_ecg.study import Study, open_study
from ssl_ecg.study.label_draws import Sides, label_sides
from ssl_ecg.study.study import check_untaught
from ssl_ecg.training.embedding import embed
from ssl_ecg.training.log import Throughput
from ssl_ecg.training.processes import trained_by_one

SIZE = {"patients": 60, "records_per_patient": 2, "duration": 5}
TINY = [
    "--data=Simulated",
    *(f"--data.{name}={value}" for name, value in SIZE.items()),
    "--batch_size=16",
    "--trainer.max_epochs=2",
    "--trainer.accelerator=cpu",
    "--resamples=20",
]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("finetune")


@pytest.fixture(scope="module")
def checkpoint(here: Path) -> Path:
    """Pretrained, it says, on one patient of the train split, and on nobody of the test split."""
    return fresh_checkpoint(
        here / "fresh", Preprocessing(leads=("II", "V1"), window=5), (("Simulated", train_patient()),)
    )


def train_patient() -> str:
    return next(r.patient for r in Simulated(**SIZE).recordings() if r.split == "train")


def given(checkpoint: Path, here: Path, *more: str) -> list[str]:
    return [str(checkpoint), *TINY, f"--cache={here}/cache", f"--out={here}/runs", *more]


@pytest.fixture(scope="module")
def run(checkpoint: Path, here: Path) -> Path:
    finetune.main(given(checkpoint, here, "--wandb=offline"))
    return here / "runs" / "fresh-finetuned-simulated"


def test_the_run_has_every_row_with_intervals_and_differences(run: Path) -> None:
    results = read_results(run)
    rows = ["fine-tuned", "fine-tuned, one rate", "from scratch", "frozen linear probe"]
    scores = results.scores()
    assert list(scores) == list(results.about["trained"]) == rows
    for row in rows:
        area = scores[row]["auroc_NORM"]  # the rarest classes have too few patients for one
        assert area.low <= area.value <= area.high
    assert {r.reference for r in results.rows if r.reference} == set(rows[1:])
    assert {r.system for r in results.rows if r.reference} == {rows[0]}
    assert {r.data for r in results.rows} == {"Simulated"}
    assert results.about["setting"] == "inductive: no test patient was in pretraining"
    assert results.about["trained"]["fine-tuned"]["layer_decay"] == 0.75
    assert results.about["trained"]["from scratch"]["lr"] == 2e-3
    assert set(pd.read_csv(run / "results.csv")["system"]) == set(rows)
    for figure in ("curves.png", "classes.png"):
        assert (run / figure).stat().st_size > 5000
    for row in ("fine-tuned", "fine-tuned-one-rate", "from-scratch"):
        assert len(pd.read_csv(run / row / "metrics.csv")) == 2
        assert list((run / row / "wandb").glob("offline-run-*/run-*.wandb"))
    (file,) = (run / "wandb").glob("offline-run-*/run-*.wandb")
    logged = {item.key or item.nested_key[0] for record in wandb_records(file) for item in record.history.item}
    assert {"finetune", "curves", "classes"} <= logged


def test_the_checkpoint_and_its_head_predict_as_the_run_did(run: Path, checkpoint: Path, here: Path) -> None:
    study = open_study(checkpoint, Simulated(**SIZE), here / "cache")
    sides = label_sides(study)
    z = embed(load_encoder(run).encoder, sides.validation.batches())
    head = load_file(run / "head.safetensors")
    logits = (z @ head["weight"].T + head["bias"]).double()
    area = macro_auroc(sides.validation.targets, logits.softmax(dim=1).numpy())
    assert area == pytest.approx(read_results(run).about["trained"]["fine-tuned"]["validation AUROC"])
    with safe_open(run / "head.safetensors", "pt") as file:
        assert file.metadata()["classes"].split(",") == list(study.data.classes)


def test_the_checkpoint_knows_whose_labels_it_saw(run: Path, checkpoint: Path) -> None:
    tuned = load_encoder(run)
    everyone = {r.patient: r.split for r in Simulated(**SIZE).recordings()}
    fitted = sorted(patient for patient, split in everyone.items() if split != "test")
    tested = sorted(patient for patient, split in everyone.items() if split == "test")
    assert tuned.saw("Simulated", fitted) == fitted
    assert tuned.saw("Simulated", tested) == []
    assert load_encoder(checkpoint).saw("Simulated", fitted) == [train_patient()]
    assert tuned.taught_by("Simulated", fitted) == fitted
    assert load_encoder(checkpoint).taught_by("Simulated", fitted) == []
    assert tuned.card["finetuning"]["data"] == "Simulated"
    assert tuned.card["taught_cohorts"] == ["Simulated"]
    assert tuned.card["taught_covers"] == []
    # A collection that holds Simulated under other names may hold them among those it does not tell apart.
    assert tuned.taught_by("Collection", ["?group", "named"], ["Simulated"]) == ["?group"]
    assert tuned.taught_by("Collection", ["?group", "named"], ["Others"]) == []
    card = (run / "checkpoint" / "README.md").read_text()
    assert f"| fine-tuned on | {len(fitted)} patients of Simulated, with labels (NORM," in card
    assert "Simulated data: no heart was involved" in card


def test_a_fine_tuned_encoder_is_not_scored_on_those_who_taught_it(
    run: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Simulated(**SIZE)
    study = open_study(run, source, here / "cache")  # its test patients taught nobody
    patient = str(study.train.patient[0])
    taught = study.train.where(study.train.patient == patient)
    with pytest.raises(DataError, match=f"fine-tuned on the labels of 1 of the 1 patients .* {patient}"):
        check_untaught(study.encoder, "Simulated", taught, source)
    monkeypatch.setattr(Simulated, "shared_patients", {patient: ("r",)})  # where the protocol itself has it so
    check_untaught(study.encoder, "Simulated", taught, source)


def test_a_finished_run_is_not_trained_again(
    run: Path, checkpoint: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_results(run)
    monkeypatch.setattr(Throughput, "on_train_batch_start", lambda *_: pytest.fail("trained again"))
    finetune.main(given(checkpoint, here))
    after = read_results(run)
    assert str(after.rows) == str(before.rows)  # NaN is NaN
    assert after.about["trained"] == before.about["trained"]


def test_validation_never_looks_at_the_test_set(
    checkpoint: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ssl_ecg.finetune.command.Benchmark", lambda *_, **__: pytest.fail("scored the test set"))
    finetune.main(given(checkpoint, here, "--validate", "--name=validated", "--layer_decay=1"))
    assert "The test set was not touched" in capsys.readouterr().out
    folder = here / "runs" / "validated"
    rows = read_results(folder / "validation.json").rows
    assert [row.system for row in rows] == [
        "fine-tuned",
        "from scratch",
        "frozen linear probe",
    ]
    assert {(row.subset, row.score) for row in rows} == {("validation patients", "macro_auroc")}
    assert not (folder / "results.json").exists()


def test_a_run_stopped_anywhere_ends_with_the_same_weights(
    run: Path, checkpoint: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_file(run / "checkpoint" / "model.safetensors")
    more = ["--name=stopped", "--trainer.save_minutes=0.00001"]
    steps = 36 * 2 // 16  # an epoch's
    for step in (1, steps, steps + 1):  # of one run, stopped again and again

        def stop(self: Throughput, trainer: Any, *_: Any, at: int = step) -> None:
            if trainer.global_step == at:
                raise RuntimeError("stopped")

        with monkeypatch.context() as patch:
            patch.setattr(Throughput, "on_train_batch_start", stop)
            with pytest.raises(RuntimeError, match="stopped"):
                finetune.main(given(checkpoint, here, *more))
        torch.manual_seed(99)  # global state must not matter
    finetune.main(given(checkpoint, here, *more, "--validate"))
    found = load_file(here / "runs" / "stopped" / "checkpoint" / "model.safetensors")
    assert found.keys() == whole.keys()
    assert all(torch.equal(found[name], whole[name]) for name in whole)


def test_few_labels_are_of_few_patients_and_nobody_is_on_two_sides(checkpoint: Path, here: Path) -> None:
    study = open_study(checkpoint, Simulated(**SIZE), here / "cache")
    whole, tenth = label_sides(study), label_sides(study, 0.1)
    assert set(tenth.learners) < set(whole.learners)
    assert len(tenth.learners) == round(0.1 * len(whole.learners))
    assert tenth.judges == whole.judges
    for side in (whole, tenth):
        assert not set(side.learners) & set(side.judges)
        assert not (set(side.learners) | set(side.judges)) & set(study.test.patient.tolist())
    assert label_sides(study, 0.1, seed=1).learners != tenth.learners


def test_patients_the_encoder_has_not_seen_choose_the_epoch(mitdb: Path, here: Path) -> None:
    seen = tuple(("MITBIH", record) for record in DS1[:14])
    place = fresh_checkpoint(here / "beats", Preprocessing(window=1.28), seen)
    study = open_study(place, MITBIH(str(mitdb)), here / "cache")
    sides = label_sides(study)
    assert len(sides.judges) == 4
    assert not set(sides.judges) & set(DS1[:14])
    assert len(sides.learners) + len(sides.judges) == 22


def test_who_cannot_learn_or_judge_is_said(checkpoint: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = open_study(checkpoint, Simulated(**SIZE), here / "cache")
    study.train.index.label[:] = 0
    with pytest.raises(DataError, match=r"no class can be learned: all .* windows of .* patient"):
        label_sides(study)


def test_classes_that_do_not_exclude_each_other(
    shared_data: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shared_data / "ptb-xl"
    if not (root / "ptbxl_database.csv").exists():
        pytest.skip(f"no PTB-XL in {root}")
    place = fresh_checkpoint(here / "twelve", Preprocessing(leads=("ECG",), window=2.5))
    more = [
        "--lead=V2",
        "--trainer.max_epochs=1",
        "--fraction=0.1",
        "--views=physiological",
        "--head=fresh",
        "--batch_size=32",
    ]
    finetune.main(
        [
            *(str(place), "--data=PTBXL", f"--data.root={root}", f"--cache={here}/cache", f"--out={here}/runs"),
            *("--trainer.accelerator=cpu", "--resamples=20", "--name=multi", *more),
        ]
    )
    results = read_results(here / "runs" / "multi")
    assert results.about["train_patients"] == 142
    for scores in results.scores().values():
        assert {"macro_auroc", "macro_auprc", "macro_f1", "auroc_NORM"} <= set(scores)
    assert load_encoder(here / "runs" / "multi").preprocessing.leads == ("V2",)


def test_a_run_is_not_gone_on_with_from_other_weights_data_or_patients(
    run: Path, checkpoint: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Paths and settings stay the same; what lies there does not."""

    def refused(what: str) -> None:
        with pytest.raises(SystemExit):
            finetune.main(given(checkpoint, here))
        err = capsys.readouterr().err
        assert "was started from something else" in err
        assert "another --name" in err
        assert [line.split(":")[0].strip() for line in err.splitlines() if ": was " in line] == [what]

    monkeypatch.setattr(Throughput, "on_train_batch_start", lambda *_: pytest.fail("trained again"))
    with monkeypatch.context() as patch:

        def other_weights(*of: Any) -> Study:
            study = open_study(*of)
            study.encoder.weights = "0" * 64
            return study

        patch.setattr("ssl_ecg.finetune.command.open_study", other_weights)
        refused("weights of the checkpoint")
    with monkeypatch.context() as patch:

        def other_data(*of: Any) -> Study:
            study = open_study(*of)
            study.store.meta["fingerprint"] = {"sha256": "another file's"}
            return study

        patch.setattr("ssl_ecg.finetune.command.open_study", other_data)
        refused("data")
    with monkeypatch.context() as patch:

        def fewer(*of: Any) -> Sides:
            sides = label_sides(*of)
            return Sides(sides.learn.where(sides.learn.patient != sides.learners[0]), sides.validation)

        patch.setattr("ssl_ecg.finetune.command.label_sides", fewer)
        refused("patients learned from")


def test_a_failed_start_does_not_block_the_name(
    checkpoint: Path, here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a mistyped checkpoint nor data that teach nothing leave settings that the next start must agree with."""
    place = [f"--out={tmp_path}", "--name=again"]
    for arguments in (given(here / "fersh", here, *place), given(checkpoint, here, *place, "--data.patients=3")):
        with pytest.raises(SystemExit):
            finetune.main(arguments)
        assert "Traceback" not in capsys.readouterr().err
        assert not (tmp_path / "again").exists()


def test_validation_patients_who_taught_the_encoder_are_not_scored(
    run: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more, says in ((["--validate"], "to score it on"), (["--fraction=0.5"], "fine-tuned on the labels of")):
        with pytest.raises(SystemExit):
            finetune.main(given(run, here, "--name=twice", *more))
        assert says in capsys.readouterr().err
        assert not (here / "runs" / "twice").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--fraction=0"], 1, "fraction must be above 0 and at most 1, not 0"),
        (["--layer_decay=1.5"], 1, "layer_decay must be above 0 and at most 1"),
        (["--hold_out=1"], 1, "somebody has to choose the epoch"),
        (["--scratch_lr=-1"], 1, "scratch_lr must be positive"),
        (["--batch_size=0"], 1, "batch_size must be positive"),
        (["--batch_size=-3"], 1, "batch_size must be positive"),
        (["--scratch_lr=.inf"], 1, "scratch_lr must be positive"),
        (["--head=neck"], 2, "head"),
        (["--device=abacus"], 1, "there is no device 'abacus' here"),
        (["--optimiser.lr=-1"], 2, "lr must be positive"),
        (["--views=physiologicl"], 2, "physiological"),
        (["--views=LeadViews", "--views.augmentations=GaussianNoise"], 1, "views: LeadViews show one lead at a time"),
        (["--views=MultiCrop", "--views.augmentations=GaussianNoise"], 1, "views: MultiCrop shows pieces of a window"),
        (["--views.augmentations=Powerline"], 1, "views: Powerline"),
        (["--trainer.devices=1000"], 1, "trainer.devices is 1000, but there are"),
        (["--seed=7"], 1, "seed: was 0, now 7"),
    ],
)
def test_bad_settings_are_said_before_any_training(
    run: Path,
    checkpoint: Path,
    here: Path,
    arguments: list[str],
    code: int,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop:
        finetune.main(given(checkpoint, here, *arguments))
    err = capsys.readouterr().err
    assert stop.value.code == code, err
    assert says in err
    assert "epoch 1" not in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--fraction=2"], "fraction must be"),
        (["--hold_out=0"], "hold_out must be"),
        (["--batch_size=0"], "batch_size must be"),
        (["--resamples=0"], "resamples must be"),
        (["--seed=-1"], "seed must be at least 0 and below 4294967296, not -1"),
        (["--seed=4294967296"], "seed must be at least 0 and below 4294967296"),
        (["--trainer.accelerator=gpu"], "trainer.accelerator is gpu, but there is none here"),
        (["--name=../evil/x"], "name must be that of a folder in"),
        (["--name=.."], "name must be that of a folder in"),
        (["--name=file"], "file is a file"),
    ],
)
def test_what_needs_no_data_to_be_refused_is_refused_before_any_work(
    tmp_path: Path, arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ssl_ecg.finetune.command.open_study", lambda *_: pytest.fail("opened the data"))
    for module in (torch.cuda, torch.backends.mps):
        monkeypatch.setattr(module, "is_available", lambda: False)
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as stop:
        finetune.main(given(tmp_path / "none", tmp_path, f"--out={tmp_path}", *arguments))
    assert stop.value.code == 1
    assert says in capsys.readouterr().err


def test_a_run_is_one_commands_from_its_first_line_to_its_last(
    run: Path, checkpoint: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = []

    def another(*_: Any, **__: Any) -> None:
        patch.setattr("ssl_ecg.finetune.command.write_finetuning", lambda *_, **__: pytest.fail("two at a time"))
        with pytest.raises(SystemExit):
            finetune.main(given(checkpoint, here))
        inside.append(capsys.readouterr().err)

    # What the sidecar says is when it was trained last.
    kept = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file() and path.name != "sidecar.json"}
    with monkeypatch.context() as patch:
        patch.setattr("ssl_ecg.finetune.command.write_finetuning", another)  # the last it does
        finetune.main(given(checkpoint, here))
    assert [f"{run} is being trained by another process" in err for err in inside] == [True]
    with trained_by_one(run):  # and free again
        assert {name: (run / name).read_bytes() for name in kept} == kept


def test_a_process_that_is_not_the_first_scores_writes_and_says_nothing(
    run: Path, checkpoint: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    for last in ("save_encoder", "Benchmark", "write_finetuning"):
        monkeypatch.setattr(f"ssl_ecg.finetune.command.{last}", lambda *_, **__: pytest.fail("not the first"))
    finetune.main(given(checkpoint, here))
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_two_processes_leave_one_run(checkpoint: Path, here: Path) -> None:
    """One says it, one scores it, one writes it."""
    line = given(checkpoint, here, "--name=two", "--trainer.devices=2", "--batch_size=8")
    process = subprocess.run(
        [sys.executable, "-m", "ssl_ecg.finetune", *line],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    folder = here / "runs" / "two"
    assert process.stdout.count("Written to") == process.stdout.count("95 % intervals") == 1
    assert process.stderr.count("run folder") == process.stderr.count("from scratch:") == 1
    assert process.stderr.count("epoch 2/2") == 3  # trainings
    assert {path.name for path in folder.iterdir()} == {
        *("config.yaml", "origin.json", "results.json", "results.csv", "curves.png", "classes.png"),
        *("checkpoint", "head.safetensors", "fine-tuned", "fine-tuned-one-rate", "from-scratch", "sidecar.json"),
    }
    for row in ("fine-tuned", "fine-tuned-one-rate", "from-scratch"):
        assert {path.name for path in (folder / row).iterdir()} == {"last.ckpt", "best.ckpt", "metrics.csv"}
        assert len(pd.read_csv(folder / row / "metrics.csv")) == 2
    best = torch.load(folder / "fine-tuned" / "best.ckpt", weights_only=True)
    for name, value in load_file(folder / "checkpoint" / "model.safetensors").items():
        assert torch.equal(value, best["module"][f"encoder.{name}"]), name  # running statistics too
    trained = read_results(folder).about["trained"]
    assert trained["fine-tuned"]["validation AUROC"] == pytest.approx(best["val_auroc"])


def test_recordings_that_the_protocol_shares_are_left_out_in_a_second_scoring(
    run: Path, checkpoint: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = next(r for r in Simulated(**SIZE).recordings() if r.split == "test")
    monkeypatch.setattr(Simulated, "shared_patients", {shared.patient: (shared.record,)})
    finetune.main(given(checkpoint, here))
    assert f"without {shared.record}: fine-tuned: macro AUROC" in capsys.readouterr().out
    results = read_results(run)
    assert results.about["excluded"] == [shared.record]
    left = results.scores(subset=f"without {shared.record}")
    for system, scores in results.scores().items():
        assert left[system]["macro_auroc"].value != scores["macro_auroc"].value
