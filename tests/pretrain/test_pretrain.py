"""The main job, by its real command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from wandb_file import wandb_records

from ssl_ecg import load_encoder, pretrain
from ssl_ecg.data.sources import Simulated

TINY = [
    "--data.patients=40",
    "--data.records_per_patient=2",
    "--method.encoder.width=4",
    "--method.encoder.stages=2",
    "--batch_size=16",
    "--trainer.max_epochs=2",
]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pretrain")


@pytest.fixture(scope="module")
def run(here: Path) -> Path:
    pretrain.main([*TINY, f"--out={here}/runs", f"--cache={here}/cache", "--wandb=offline"])
    return here / "runs" / "simclr-simulated"


def test_the_run_folder_has_everything(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert {
        "config.yaml",
        "metrics.csv",
        "results.json",
        "training.png",
        "last.ckpt",
        "checkpoint",
        "report.html",
    } <= names
    page = (run / "report.html").read_text()
    for section in ("scores", "training", "collapse", "views", "embeddings", "starts", "settings"):
        assert f'<section id="{section}">' in page
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    for column in (
        "loss",
        "probe_auroc",
        "knn_auroc",
        "effective_rank",
        "spread",
        "alignment",
        "uniformity",
        "samples_per_s",
        "data_wait",
        "lr",
    ):
        assert np.isfinite(float(rows[-1][column])), column
    assert 0 <= float(rows[-1]["data_wait"]) <= 1
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["method"]["init_args"]["encoder"]["init_args"]["in_channels"] == 6
    results = json.loads((run / "results.json").read_text())
    assert set(results["scores"]) == {"pretrained", "untrained"}
    assert results["simulated"] is True
    assert not set(results["held_out"]) & set(_train_patients())


def _train_patients() -> list[str]:
    return [r.patient for r in Simulated(patients=40, records_per_patient=2).recordings() if r.split == "train"]


def test_the_online_probe_can_be_rarer_and_changes_nothing_else(run: Path, here: Path) -> None:
    often = list(csv.DictReader((run / "metrics.csv").open()))
    pretrain.main([*TINY, f"--out={here}/runs", f"--cache={here}/cache", "--name=rarely", "--probe_every=5"])
    rarely = list(csv.DictReader((here / "runs" / "rarely" / "metrics.csv").open()))
    assert [bool(row["probe_auroc"]) for row in rarely] == [False, True]  # the last one always
    for column in ("loss", "probe_auroc", "effective_rank"):
        assert rarely[-1][column] == often[-1][column]


def test_the_checkpoint_embeds_and_knows_whom_it_saw(run: Path) -> None:
    encoder = load_encoder(run)
    recording = next(Simulated(patients=40, records_per_patient=2).recordings())
    z = encoder(recording.signal, fs=recording.fs, leads=recording.leads)
    assert z.shape == (encoder.dim,)
    train = sorted(set(_train_patients()))
    assert encoder.saw("Simulated", train) == train
    assert encoder.card["cohort"] == "Simulated"  # for collections that have its recordings under other names
    assert encoder.saw("Simulated", ["p99999"]) == []
    assert "Simulated data: no heart was involved" in (run / "checkpoint" / "README.md").read_text()


def test_a_finished_run_is_shown_not_trained_again(run: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "last.ckpt").stat().st_mtime_ns
    pretrain.main([*TINY, f"--out={here}/runs", f"--cache={here}/cache", "--wandb=offline"])
    out, err = capsys.readouterr()
    assert "nothing to train" in err
    assert "pretrained" in out
    assert "untrained" in out
    assert "python -m ssl_ecg.probe" in out
    assert (run / "last.ckpt").stat().st_mtime_ns == before


def test_other_settings_in_the_same_folder_are_refused(
    run: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        pretrain.main([*TINY, f"--out={here}/runs", "--seed=5", "--method.temperature=0.2"])
    assert stop.value.code == 1
    err = capsys.readouterr().err
    assert "was started with other settings" in err
    assert "seed: was 0, now 5" in err
    assert "method.temperature: was 0.1, now 0.2" in err


def test_the_offline_wandb_run_holds_metrics_configuration_and_figure(run: Path) -> None:
    (file,) = (run / "wandb").glob("offline-run-*/run-*.wandb")
    config: dict[str, Any] = {}
    seen: set[str] = set()
    for record in wandb_records(file):
        for item in [*record.run.config.update, *record.config.update]:
            config[item.key or item.nested_key[0]] = json.loads(item.value_json)
        seen |= {item.key or item.nested_key[0] for item in record.history.item}
    assert config["method"]["init_args"]["temperature"] == 0.1
    assert config["batch_size"] == 16
    assert {"probe_auroc", "knn_auroc", "effective_rank", "samples_per_s", "pretrained/probe_auroc"} <= seen
    assert {"lr", "loss_step", "loss_epoch", "training"} <= seen
    assert list(file.parent.glob("files/media/images/training*.png"))


@pytest.mark.parametrize("method", ["SimCLR", "BYOL"])
def test_leads_as_views_make_an_encoder_of_any_lead(method: str, here: Path) -> None:
    apart = ["--method.views=LeadViews", "--method.encoder.leads=apart", f"--name=leads-{method}"]
    pretrain.main([*TINY, f"--out={here}/runs", f"--cache={here}/cache", f"--method={method}", *apart])
    encoder = load_encoder(here / "runs" / f"leads-{method}")
    leads = encoder.preprocessing.leads
    ecg = next(iter(Simulated(patients=40).recordings()))
    signal = ecg.signal[[ecg.leads.index(lead) for lead in leads]]
    z = encoder(signal, fs=ecg.fs, leads=leads)
    turned = leads[1:] + leads[:1]  # other names, and so another order, for the same signals
    np.testing.assert_allclose(encoder(signal, fs=ecg.fs, leads=turned), z, rtol=1e-4, atol=1e-5)
    assert not np.allclose(encoder(-signal, fs=ecg.fs, leads=leads), z, rtol=1e-2)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--batchsize=8"], 2, "batch_size"),
        (["--method=SimCRL"], 2, "SimCLR"),
        (["--data=MITBH"], 2, "MITBIH"),
        (["--method.encoder=RestNet1d"], 2, "ResNet1d"),
        (["--method.temprature=1"], 2, "temperature"),
        (["--config=nowhere.yaml"], 2, "nowhere.yaml"),
        (["--batch_size=many"], 2, "batch_size"),
        (["--batch_size=100000"], 1, "do not fill one batch"),
        (["--preprocessing.leads=[V9]"], 1, "V9"),
        (["--preprocessing.lowpass=60"], 1, "fs/2"),
        (["--preprocessing.window=11"], 1, "the longest recording lasts 10 s"),
        (["--trainer.max_epochs=0"], 1, "max_epochs"),
        (["--patients_per_batch=7"], 1, "patients_per_batch"),
        (["--method.encoder.kernel=4"], 2, "kernel must be odd"),
        (["--method.encoder.in_channels=3"], 2, "in_channels"),
        (["--out=/proc/nowhere"], 1, "/proc/nowhere"),
        (["--name=../evil/x"], 1, "name must be that of a folder in"),
        (["--name=.."], 1, "name must be that of a folder in"),
        (["--name=/tmp/evil"], 1, "name must be that of a folder in"),
        (["--method.views.n=1"], 1, "SimCLR compares at least 2 views: method.views.n must be 2, not 1"),
        (["--method=BYOL", "--method.views.n=1"], 1, "BYOL compares 2 views"),
        (["--method=BYOL", "--method.views.n=3"], 1, "BYOL compares 2 views"),
        (["--method.views=LeadViews"], 1, "set method.encoder.leads to apart"),
        (
            ["--method.views=LeadViews", "--preprocessing.leads=II", "--method.encoder.leads=apart"],
            1,
            "must name two or more",
        ),
        (["--method.views.augmentations=Powerline"], 1, "method.views: Powerline"),
        (
            ["--method=DINO", "--method.views=MultiCrop", "--preprocessing.window=4"],
            1,
            "a crop of 5 s does not fit in 4 s",
        ),
        (["--method=VICReg", "--method.views=MultiCrop"], 1, "VICReg compares 2 views: MultiCrop must show 2, not 6"),
        (["--seed=-1"], 1, "seed: -1 is not in bounds"),
        (["--seed=99999999999"], 1, "seed: 99999999999 is not in bounds"),
        (["--batch_size=1"], 1, "batch_size must be at least 2, not 1"),
        (["--batch_size=0"], 1, "batch_size must be at least 2, not 0"),
        (["--batch_size=-5"], 1, "batch_size must be at least 2, not -5"),
        (["--patients_per_batch=-4"], 1, "patients_per_batch must be at least 0, not -4"),
        (["--hold_out=-0.1"], 1, "hold_out must be at least 0 and below 1, not -0.1"),
        (["--hold_out=1"], 1, "hold_out must be at least 0 and below 1, not 1"),
    ],
)
def test_bad_settings_are_said_before_any_training(
    tmp_path: Path, arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [*TINY, f"--out={tmp_path}/runs", f"--cache={tmp_path}/cache", *arguments]
    with pytest.raises(SystemExit) as stop:
        pretrain.main(given)
    err = capsys.readouterr().err
    assert stop.value.code == code, err
    assert says in err
    assert "Traceback" not in err
    assert "epoch 1" not in err
    assert not list(tmp_path.glob("runs/*")), "a failed start takes the name"
    assert not list(tmp_path.glob("evil*"))


def test_a_gpu_that_is_not_there_is_said_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(SystemExit) as stop:
        pretrain.main([*TINY, f"--out={tmp_path}/runs", f"--cache={tmp_path}/cache", "--trainer.accelerator=gpu"])
    assert stop.value.code == 1
    assert "trainer.accelerator is gpu, but there is none here" in capsys.readouterr().err
    assert not list(tmp_path.glob("runs/*"))
    assert not (tmp_path / "cache").exists()


def test_a_file_in_the_place_of_the_run_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(SystemExit) as stop:
        pretrain.main([*TINY, f"--out={tmp_path}", f"--cache={tmp_path}/cache", "--name=taken"])
    assert stop.value.code == 1
    assert f"{tmp_path}/taken is a file: give another --name" in capsys.readouterr().err
    assert (tmp_path / "taken").read_text() == "mine"


UNFIT = '''
from ssl_ecg.encoders import ResNet1d


class Forgetful(ResNet1d):
    """Embeds, but forgets to pool."""

    def forward(self, x):
        return super().forward(x)[..., None].expand(-1, -1, 7)


class Both(ResNet1d):
    """Gives two things."""

    def forward(self, x):
        return super().forward(x), x
'''


@pytest.mark.parametrize(("name", "given"), [("Forgetful", "shape (2, 16, 7)"), ("Both", "tuple")])
def test_an_encoder_that_does_not_embed_is_named_before_any_work(
    name: str, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "unfit_for_test.py").write_text(UNFIT)
    monkeypatch.syspath_prepend(tmp_path)
    encoder = [f"--method.encoder=unfit_for_test.{name}", "--method.encoder.width=4", "--method.encoder.stages=2"]
    others = [option for option in TINY if "encoder" not in option]
    with pytest.raises(SystemExit) as stop:
        pretrain.main([*others, *encoder, f"--out={tmp_path}/runs", f"--cache={tmp_path}/cache"])
    assert stop.value.code == 1
    err = capsys.readouterr().err
    assert f"{name} makes two windows of shape (6, 1000) into {given}" in err
    assert "its dim each, shape (2, 16)" in err
    assert not list(tmp_path.glob("runs/*"))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("saved", [False, True])
def test_a_loss_that_is_not_finite_promises_no_state_that_is_not_there(
    saved: bool, tmp_path: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--method.optimiser.lr=1e30", f"--trainer.save_minutes={1e-9 if saved else 9}"]
    with pytest.raises(SystemExit) as stop:
        pretrain.main([*TINY, *settings, f"--out={tmp_path}", f"--cache={here}/cache", "--name=wild"])
    assert stop.value.code == 1
    err = capsys.readouterr().err
    assert "error: the loss is nan at step" in err
    assert (tmp_path / "wild" / "last.ckpt").exists() == saved
    assert (f"the last good state is kept in {tmp_path}/wild/last.ckpt" in err) == saved
    assert ("nothing was saved yet" in err) != saved


def test_missing_data_is_said_with_what_to_fetch_and_where_to_put_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        pretrain.main(
            ["--data=MITBIH", f"--data.root={tmp_path}/nowhere", "--data.download=false", f"--out={tmp_path}/runs"]
        )
    err = capsys.readouterr().err
    assert stop.value.code == 1
    assert f"{tmp_path}/nowhere lacks 132 of the 132 files" in err
    assert "physionet.org/content/mitdb/1.0.0" in err
