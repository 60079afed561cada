"""Checkpoints on the Hugging Face Hub, with its real client, against a server that speaks its routes."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
from checkpoints import fresh_checkpoint
from hub import Hub, serving

from ssl_ecg import load_encoder
from ssl_ecg.checkpoint import find_checkpoint, hub
from ssl_ecg.errors import CheckpointError
from ssl_ecg.preprocessing import Preprocessing

P = Preprocessing(leads=("I", "II"), window=3.0)
REF = "hf://somebody/ecg"
X = np.random.default_rng(0).normal(size=(2, 1500)).astype(np.float32)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # its transfers need a server of its own
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serving() as made:
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        yield made


@pytest.fixture
def local(tmp_path: Path) -> Path:
    return fresh_checkpoint(tmp_path, P)


def refused(ref: str = REF) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_encoder(ref)
    assert len(str(caught.value).splitlines()) == 1
    assert ref in str(caught.value)
    return str(caught.value)


def cached(tmp_path: Path, name: str) -> Path:
    (found,) = (tmp_path / "hub").rglob(f"snapshots/*/{name}")
    return found


def test_it_is_pulled_once_and_embeds_as_the_local_one(server: Hub, local: Path) -> None:
    repository = server.add("somebody/ecg", local)
    first = repository.refs["main"]
    z = load_encoder(local)(X, 500, ["I", "II"])
    np.testing.assert_array_equal(load_encoder(REF)(X, 500, ["I", "II"]), z)
    assert any(asked.startswith("GET /large/") for asked in server.asked)  # behind a redirect
    server.asked.clear()
    load_encoder(REF)
    assert not [asked for asked in server.asked if "/resolve/" in asked or "/large/" in asked]
    server.asked.clear()
    load_encoder(f"{REF}@{first}")  # a commit stands for one set of weights: nothing to ask
    assert server.asked == []
    load_encoder(Path(REF))  # as a function that takes paths may have made of it


def test_a_revision_is_the_one_that_was_asked_for(server: Hub, local: Path, tmp_path: Path) -> None:
    repository = server.add("somebody/ecg", local)
    repository.refs["v1"] = first = repository.refs["main"]
    other = fresh_checkpoint(tmp_path / "other", Preprocessing(leads=("II",)))
    repository.commit({path.name: path.read_bytes() for path in other.iterdir()})
    assert load_encoder(f"{REF}@v1").preprocessing == load_encoder(f"{REF}@{first}").preprocessing == P
    assert load_encoder(REF).preprocessing.leads == ("II",)


def test_what_the_hub_answers_is_said_in_a_line(server: Hub, local: Path) -> None:
    assert "no such repository, or it is private: check the name, or `hf auth login`" in refused()
    repository = server.add("somebody/ecg", local)
    assert "has no revision v7: that branch, tag or commit is gone, or never was" in refused(f"{REF}@v7")
    repository.private = True
    assert "it is private" in refused()
    repository.private, repository.gated = False, True
    assert "accept the terms on its page" in refused()
    repository.gated, server.down = False, 503
    assert "the Hub cannot be reached" in refused()
    with pytest.raises(CheckpointError, match="is hf://ORG/NAME or hf://ORG/NAME@REVISION"):
        find_checkpoint("hf://only-a-name")


def test_a_repository_of_something_else_is_none_of_ours(server: Hub, local: Path) -> None:
    server.add("somebody/ecg", local)
    commit = server.repositories["somebody/ecg"].commits[server.repositories["somebody/ecg"].refs["main"]]
    config = commit.pop("config.json")
    assert "holds no checkpoint of ssl_ecg: it has no config.json" in refused()
    again = server.repositories["somebody/ecg"].commit({"config.json": b'{"architectures": ["BertModel"]}'})
    assert "another library's or damaged (KeyError: 'sha256')" in refused()
    commit = server.repositories["somebody/ecg"].commits[again]
    commit["config.json"] = config
    server.repositories["somebody/ecg"].commit({})
    commit = server.repositories["somebody/ecg"].commits[server.repositories["somebody/ecg"].refs["main"]]
    del commit["golden.safetensors"]
    assert "is no whole checkpoint: it has no golden.safetensors" in refused()


def test_one_changed_weight_is_refused(server: Hub, local: Path) -> None:
    weights = bytearray((local / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (local / "model.safetensors").write_bytes(weights)
    server.add("somebody/ecg", local)
    with pytest.raises(CheckpointError, match=r"hf://somebody/ecg/model.safetensors is not the file that was"):
        load_encoder(REF)


def test_a_swapped_config_is_refused(server: Hub, local: Path, tmp_path: Path) -> None:
    config = json.loads((local / "config.json").read_text())
    config["preprocessing"]["lowpass"] = 20.0
    (local / "config.json").write_text(json.dumps(config))
    server.add("somebody/ecg", local)
    with pytest.raises(CheckpointError, match="does not give the embedding stored with it"):
        load_encoder(REF)
    other = fresh_checkpoint(tmp_path / "other", Preprocessing(leads=("II",)))
    shutil.copy(other / "config.json", local / "config.json")
    server.add("somebody/ecg", local)
    with pytest.raises(CheckpointError, match="not the file that was saved"):
        load_encoder(REF)


def test_a_newer_format_says_update(server: Hub, local: Path) -> None:
    (local / "config.json").write_text('{"format": 3, "files": {}}')
    server.add("somebody/ecg", local)
    with pytest.raises(CheckpointError, match=r"format 3, of a newer ssl_ecg: update it"):
        load_encoder(REF)


def test_a_foreign_class_needs_trust(server: Hub, local: Path) -> None:
    config = json.loads((local / "config.json").read_text())
    config["encoder"]["class"] = "their_package.Net"
    (local / "config.json").write_text(json.dumps(config))
    server.add("somebody/ecg", local)
    with pytest.raises(CheckpointError, match=r"names the encoder their_package.Net, .*trust=\['their_package.Net'\]"):
        load_encoder(REF)


def test_nothing_is_fetched_that_would_be_unpickled(server: Hub, local: Path) -> None:
    (local / "pytorch_model.bin").write_bytes(b"\x80\x04boom")
    (local / "modeling.py").write_text("raise SystemExit")
    server.add("somebody/ecg", local)
    names = {path.name for path in find_checkpoint(REF).iterdir()}
    assert names == {"config.json", "golden.safetensors", "model.safetensors", "README.md"}


def test_a_copy_that_was_damaged_here_heals(server: Hub, local: Path, tmp_path: Path) -> None:
    server.add("somebody/ecg", local)
    load_encoder(REF)
    cached(tmp_path, "model.safetensors").resolve().write_bytes(b"half")
    load_encoder(REF)
    cached(tmp_path, "model.safetensors").resolve().write_bytes(b"half")
    server.down = 503
    with pytest.raises(CheckpointError, match="not the file that was saved"):
        load_encoder(REF)


def test_a_connection_that_is_cut_is_taken_up_again(server: Hub, local: Path) -> None:
    server.add("somebody/ecg", local)
    digest = json.loads((local / "config.json").read_text())["sha256"]["model.safetensors"]
    server.cut[f"/large/{digest}"] = [1000]
    load_encoder(REF)
    assert server.asked.count(f"GET /large/{digest}") == 2


def test_a_connection_that_stays_cut_is_said_and_nothing_half_is_loaded(server: Hub, local: Path) -> None:
    server.add("somebody/ecg", local)
    server.cut["config.json"] = [10] * 50
    assert "the connection broke" in refused()
    server.cut.clear()
    load_encoder(REF)


def test_offline(server: Hub, local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add("somebody/ecg", local)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set and there is no copy in the cache: pull it once" in refused()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    load_encoder(REF)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    server.asked.clear()
    load_encoder(REF)
    assert server.asked == []


def test_without_a_network_the_copy_is_used(server: Hub, local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add("somebody/ecg", local)
    load_encoder(REF)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    load_encoder(REF)
    assert "cannot be reached and there is no copy in the cache" in refused("hf://somebody/else")


def test_a_cache_that_cannot_be_written(
    server: Hub, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add("somebody/ecg", local)
    (tmp_path / "file").touch()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    assert "cannot be written (Not a directory): free some space, or set HF_HOME" in refused()


def test_a_full_cache(server: Hub, local: Path) -> None:
    server.add("somebody/ecg", local)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))  # of a file: as good as of a disk
        assert "cannot be written (File too large): free some space, or set HF_HOME" in refused()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    load_encoder(REF)


@pytest.mark.slow
def test_two_processes_pull_at_once(server: Hub, local: Path, tmp_path: Path) -> None:
    server.add("somebody/ecg", local)
    code = f"from ssl_ecg.checkpoint import find_checkpoint; print(find_checkpoint({REF!r}))"
    env = {**os.environ, "HF_ENDPOINT": server.url, "HF_HUB_CACHE": str(tmp_path / "both")}
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env) for _ in range(2)
    ]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0] == said[1]
    load_encoder(Path(said[0].strip().splitlines()[-1]))


def test_push_and_pull(server: Hub, local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (local / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="cannot push to hf://somebody/mine: log in first"):
        hub.push(local, "hf://somebody/mine")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert hub.push(local, "hf://somebody/mine").startswith(f"{server.url}/somebody/mine/commit/")
    pushed = server.repositories["somebody/mine"]
    assert set(pushed.commits[pushed.refs["main"]]) == {
        "config.json",
        "golden.safetensors",
        "model.safetensors",
        "README.md",
    }
    z = load_encoder(local)(X, 500, ["I", "II"])
    np.testing.assert_array_equal(load_encoder("hf://somebody/mine")(X, 500, ["I", "II"]), z)
    hub.push(local, "hf://somebody/mine@v2")
    load_encoder("hf://somebody/mine@v2")
