"""References that need no network: folders, and the encoders inside the package."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkpoints import fresh_checkpoint

from ssl_ecg import load_encoder
from ssl_ecg.checkpoint import find_checkpoint, references
from ssl_ecg.checkpoint.references import results_folder, shipped, short_name
from ssl_ecg.checkpoints import main
from ssl_ecg.errors import CheckpointError
from ssl_ecg.preprocessing import Preprocessing


def test_every_encoder_inside_the_package_is_the_one_that_was_saved() -> None:
    sizes = []
    for name in shipped():
        load_encoder(name)
        assert name.rpartition("-v")[2].isdigit()
        sizes.append(sum(file.stat().st_size for file in find_checkpoint(name).iterdir()))
    assert all(size <= 4e6 for size in sizes)
    assert sum(sizes) <= 10e6


def test_a_folder_is_enough_to_ship_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made = fresh_checkpoint(tmp_path, Preprocessing(leads=("I",)))
    (tmp_path / "inside").mkdir()
    made.rename(tmp_path / "inside" / "ecg1-v1")
    monkeypatch.setattr(references, "_SHIPPED", tmp_path / "inside")
    assert shipped() == ("ecg1-v1",)
    assert load_encoder("ecg1-v1").preprocessing.leads == ("I",)
    assert results_folder("ecg1-v1") == Path("runs/ecg1-v1")
    main(["list"])
    assert "ecg1-v1" in capsys.readouterr().out
    # A name stands for one set of weights: a folder of that name is ./ecg1-v1.
    fresh_checkpoint(tmp_path / "ecg1-v1", Preprocessing(leads=("II",)))
    assert load_encoder("ecg1-v1").preprocessing.leads == ("I",)
    assert load_encoder("./ecg1-v1").preprocessing.leads == ("II",)
    with pytest.raises(
        CheckpointError, match=r"ecg2-v1 does not exist: .* that ssl_ecg ships \(ecg1-v1\), or hf://ORG"
    ):
        load_encoder("ecg2-v1")


def test_names_of_references(tmp_path: Path) -> None:
    assert short_name("hf://org/name@v2") == "org-name-v2"
    assert short_name("wandb://e/p/a:v3") == "e-p-a-v3"
    assert short_name("https://host/x/ecg.tar.gz?download=1#sha256=ab") == "ecg"
    assert short_name(tmp_path / "simclr" / "checkpoint") == short_name(tmp_path / "simclr") == "simclr"
    assert results_folder("hf://org/name") == Path("runs/org-name")
    assert results_folder(tmp_path) == tmp_path
