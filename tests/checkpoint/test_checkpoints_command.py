"""`python -m ssl_ecg.checkpoints`: what it prints, and what arrives on another machine."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
from checkpoints import fresh_checkpoint
from hub import Hub, serving

from ssl_ecg import load_encoder
from ssl_ecg.checkpoints import main
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.report.results import read_results

P = Preprocessing(leads=("I", "II"), window=5.0)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("SSL_ECG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with serving() as made:
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        yield made


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "simclr"
    checkpoint = fresh_checkpoint(folder, P, data="Simulated", method="SimCLR", simulated=True)
    (checkpoint / "README.md").write_text('---\ntags: [ecg]\n---\n# SimCLR\nload_encoder("PATH")\n')
    (folder / "config.yaml").write_text("seed: 0\n")
    (folder / "last.ckpt").write_bytes(b"pickled")
    (folder / "sidecar.json").write_text('{"host": "node7"}')
    (folder / "wandb").mkdir()
    (folder / "wandb" / "log.json").write_text("{}")
    return folder


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    main([*argv])
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit):
        main([*argv])
    return capsys.readouterr().err


def test_a_run_goes_to_another_machine_in_one_archive(
    server: Hub, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "simclr.zip"
    out = said(capsys, "export-run", str(run), f"--out={archive}")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert f"https://ADDRESS/simclr.zip#sha256={digest}" in out
    names = {"config.yaml", *(f"checkpoint/{n}" for n in ("README.md", "config.json", "golden.safetensors"))}
    assert set(zipfile.ZipFile(archive).namelist()) == {f"simclr/{n}" for n in (*names, "checkpoint/model.safetensors")}
    assert said(capsys, "export-run", str(run), f"--out={tmp_path / 'again.zip'}").endswith(f"{digest}\n")

    server.files["simclr.zip"] = archive.read_bytes()
    ref = f"{server.url}/simclr.zip#sha256={digest}"
    copy = tmp_path / "copy"
    assert said(capsys, "pull", ref, f"--out={copy}") == f"{copy}\n"
    assert load_encoder(copy).weights == load_encoder(run).weights
    assert "is there already: give another --out" in refused(capsys, "pull", ref, f"--out={copy}")
    listed = said(capsys, "list", f"--root={run.parent}")
    assert ref in listed
    assert str(run) in listed


def test_push_pull_and_list(server: Hub, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = said(capsys, "list")
    assert "ecg1-v1" in before and "me/ecg" not in before
    assert "Pushed to http" in said(capsys, "push", str(run), "hf://me/ecg")
    assert "snapshots" in said(capsys, "pull", "hf://me/ecg")
    shown = said(capsys, "show", "hf://me/ecg")
    assert 'load_encoder("hf://me/ecg")' in shown  # as its card says it there
    assert "tags:" not in shown
    assert "Simulated (simulated)" in shown
    assert "hf://me/ecg@main" in said(capsys, "list")
    assert "not to /somewhere" in refused(capsys, "push", str(run), "/somewhere")


def test_verify_says_what_it_checked_and_push_spreads_no_damage(
    server: Hub, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = said(capsys, "verify", str(run))
    assert load_encoder(run).weights in out
    assert "the encoder that was saved" in out
    config = json.loads((run / "checkpoint" / "config.json").read_text())
    config["preprocessing"]["lowpass"] = 20.0
    (run / "checkpoint" / "config.json").write_text(json.dumps(config))
    assert "does not give the embedding stored with it" in refused(capsys, "verify", str(run))
    assert "does not give the embedding stored with it" in refused(capsys, "push", str(run), "hf://me/ecg")
    assert "me/ecg" not in server.repositories


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert "export-run RUN" in said(capsys)
    with pytest.raises(SystemExit):
        main(["pull", "--help"])
    assert capsys.readouterr().out.startswith("usage: python -m ssl_ecg.checkpoints pull REF")
    assert "there is no command fetch: it is one of list, show, pull, push" in refused(capsys, "fetch")


def test_compare_is_a_table_of_checkpoints_and_data_sets(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = fresh_checkpoint(tmp_path / "other", Preprocessing(leads=("II",), window=5.0))
    out = tmp_path / "compared"
    data = [
        "--data=Simulated",
        "--data.0.patients=40",
        "--data.0.records_per_patient=1",
        f"--cache={tmp_path / 'cache'}",
    ]
    shown = said(capsys, "compare", str(run), str(other), *data, f"--out={out}", "--resamples=50", "--components=8")
    found = read_results(out)
    systems = list(found.scores())
    assert systems == [
        "simclr",
        "simclr, untrained",
        "other",
        "other, untrained",
        "raw PCA",
        "hand features",
        "raw PCA, as other sees it",
        "hand features, as other sees it",
    ]
    pairs = {(row.system, row.reference) for row in found.rows if row.reference}
    assert pairs == {("simclr", "simclr, untrained"), ("other", "other, untrained"), ("other", "simclr")}
    assert "simclr - simclr, untrained: macro AUROC" in shown
    assert "simulated ECG" in shown


def test_compare_scores_a_network_that_all_have_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    preprocessing = Preprocessing(leads=("ECG",), window=5.0)
    refs = [str(fresh_checkpoint(tmp_path / name, preprocessing)) for name in ("one", "two")]
    data = ["--data=Simulated", "--data.0.patients=40", "--data.0.records_per_patient=1", "--lead=II"]
    more = [f"--cache={tmp_path / 'cache'}", f"--out={tmp_path / 'out'}", "--resamples=50", "--beside=untrained"]
    shown = said(capsys, "compare", *refs, *data, *more)
    found = read_results(tmp_path / "out")
    assert list(found.scores()) == ["one", "two", "untrained"]
    pairs = {(row.system, row.reference) for row in found.rows if row.reference}
    assert pairs == {("one", "untrained"), ("two", "untrained"), ("two", "one")}
    assert shown.count("an encoder of lead ECG reads lead II") == 1
