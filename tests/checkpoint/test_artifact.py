"""Checkpoints as artifacts of Weights & Biases: pushed by its real client, offline, and pulled again.

There is no server here: `wandb.Api` is the one seam, and gives what the offline run holds.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from checkpoints import fresh_checkpoint
from wandb_file import wandb_records

from ssl_ecg import load_encoder
from ssl_ecg.checkpoint import artifact, find_checkpoint
from ssl_ecg.errors import CheckpointError
from ssl_ecg.preprocessing import Preprocessing

wandb = pytest.importorskip("wandb")

REF = "wandb://somebody/ecg/simclr"


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SSL_ECG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staged"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "wandb-cache"))
    return fresh_checkpoint(tmp_path, Preprocessing(leads=("I", "II"), window=3.0))


class Offline:
    """As an artifact that `wandb.Api` gives, of the files of an offline run's record."""

    def __init__(self, record: Any) -> None:
        self.files = {entry.path: Path(entry.local_path) for entry in record.manifest.contents}
        self.version = "v0"

    def download(self, root: str) -> str:
        Path(root).mkdir(parents=True)
        for name, path in self.files.items():
            shutil.copy(path, Path(root, name))
        return root

    def verify(self, root: str) -> None:
        if {path.name for path in Path(root).iterdir()} != set(self.files):
            raise ValueError("not the artifact's files")


class Api:
    """In place of `wandb.Api`."""

    asked: list[str] = []  # noqa: RUF012
    known: dict[str, Offline] = {}  # noqa: RUF012

    def artifact(self, name: str) -> Offline:
        self.asked.append(name)
        if name not in self.known:
            raise wandb.errors.CommError(f"artifact '{name}' not found")
        return self.known[name]


@pytest.fixture
def pushed(local: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An artifact as an offline run logged it, in place of what a server would have of it."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    said = artifact.push(local, REF)
    monkeypatch.delenv("WANDB_MODE")
    (log,) = Path(said.partition(", for `wandb sync`")[0]).glob("*.wandb")
    (record,) = [r.artifact for r in wandb_records(log) if r.WhichOneof("record_type") == "artifact"]
    assert (record.name, record.type, record.entity, record.project) == ("simclr", "model", "somebody", "ecg")
    offline = Offline(record)
    assert set(offline.files) == {"config.json", "golden.safetensors", "model.safetensors", "README.md"}
    monkeypatch.setattr(Api, "asked", [])
    monkeypatch.setattr(Api, "known", dict.fromkeys(["somebody/ecg/simclr:v0", "somebody/ecg/simclr:latest"], offline))
    monkeypatch.setattr(wandb, "Api", Api)
    return local


def test_what_was_pushed_is_pulled(pushed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = load_encoder(pushed).weights
    assert (
        load_encoder(f"{REF}:v0").weights
        == load_encoder(f"{REF}:latest").weights
        == load_encoder(REF).weights
        == weights
    )
    Api.asked.clear()
    load_encoder(f"{REF}:v0")  # a version stands for one set of weights: nothing to ask
    assert Api.asked == []
    monkeypatch.setenv("WANDB_MODE", "offline")
    load_encoder(f"{REF}:v0")
    with pytest.raises(CheckpointError, match="WANDB_MODE is offline, and the copies here are v0: name one"):
        load_encoder(REF)
    with pytest.raises(CheckpointError, match="copies here are v0: name one, or pull it once where there"):
        load_encoder(f"{REF}:v1")


def test_what_cannot_be_pulled_is_said(pushed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match=r"v7 cannot be fetched: artifact '.*' not found; check its name and ver"):
        find_checkpoint(f"{REF}:v7")
    with pytest.raises(CheckpointError, match="is wandb://ENTITY/PROJECT/ARTIFACT:VERSION"):
        find_checkpoint("wandb://simclr:v0")
    (tmp_path / "file").touch()
    monkeypatch.setenv("SSL_ECG_CACHE", str(tmp_path / "file"))
    with pytest.raises(CheckpointError, match=r"cannot be written .*free some space, or set SSL_ECG_CACHE"):
        find_checkpoint(REF)


def test_a_changed_weight_is_refused(pushed: Path) -> None:
    file = Api.known["somebody/ecg/simclr:v0"].files["model.safetensors"]
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"\7")
    with pytest.raises(CheckpointError, match=r"model.safetensors is not the file that was saved"):
        load_encoder(f"{REF}:v0")


def test_a_copy_that_was_damaged_here_heals(pushed: Path) -> None:
    (find_checkpoint(f"{REF}:v0") / "model.safetensors").write_bytes(b"half")
    load_encoder(f"{REF}:v0")
    assert len(Api.asked) == 2
