"""Checkpoints in an archive at an address: whole, the right one, and inside its folder, or refused."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from checkpoints import fresh_checkpoint
from hub import Hub, serving

from ssl_ecg import load_encoder
from ssl_ecg.checkpoint import find_checkpoint
from ssl_ecg.errors import CheckpointError
from ssl_ecg.preprocessing import Preprocessing

X = np.random.default_rng(0).normal(size=(2, 1500)).astype(np.float32)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("SSL_ECG_CACHE", str(tmp_path / "cache"))
    with serving() as made:
        yield made


@pytest.fixture
def local(tmp_path: Path) -> Path:
    return fresh_checkpoint(tmp_path, Preprocessing(leads=("I", "II"), window=3.0))


def zipped(folder: Path, inside: str = "run/checkpoint/") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, inside + path.name)
    return made.getvalue()


def tarred(folder: Path) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        archive.add(folder, "ecg")
    return made.getvalue()


def serve(server: Hub, content: bytes, name: str = "ecg.zip") -> str:
    server.files[name] = content
    return f"{server.url}/{name}#sha256={hashlib.sha256(content).hexdigest()}"


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_it_is_fetched_once_and_embeds_as_the_local_one(server: Hub, local: Path, pack: object) -> None:
    ref = serve(server, pack(local))  # type: ignore[operator]
    z = load_encoder(local)(X, 500, ["I", "II"])
    np.testing.assert_array_equal(load_encoder(ref)(X, 500, ["I", "II"]), z)
    load_encoder(ref.replace("/ecg.zip", "/moved.zip"))  # the content is what counts
    assert len(server.asked) == 1


def test_without_a_digest_nothing_is_fetched(server: Hub) -> None:
    for ref in ("https://host/ecg.zip", "https://host/ecg.zip#sha256=abc"):
        with pytest.raises(CheckpointError, match="has no SHA-256 to check it by: write https://ADDRESS#sha256=DIGEST"):
            find_checkpoint(ref)
    with pytest.raises(CheckpointError, match="http:// is for this machine alone"):
        find_checkpoint(f"http://host/ecg.zip#sha256={'0' * 64}")
    with pytest.raises(CheckpointError, match=r"a reference begins with hf://, wandb://, https://, .*, not s3://"):
        find_checkpoint("s3://bucket/ecg")


def test_another_file_is_refused_and_forgotten(server: Hub, local: Path) -> None:
    ref = serve(server, zipped(local))
    server.files["ecg.zip"] = bytes([*server.files["ecg.zip"][:-1], 7])
    with pytest.raises(CheckpointError, match=r"ecg.zip is not the file it should be \(SHA-256 .*it was changed"):
        load_encoder(ref)
    server.files["ecg.zip"] = zipped(local)
    load_encoder(serve(server, zipped(local)))


def test_a_cut_connection_goes_on_where_it_was(server: Hub, local: Path) -> None:
    ref = serve(server, zipped(local))
    server.cut["/ecg.zip"] = [1000, 500]
    load_encoder(ref)
    assert server.ranges == ["bytes=1000-", "bytes=1500-"]


def test_what_was_interrupted_goes_on_with_the_next_call(server: Hub, local: Path) -> None:
    ref = serve(server, zipped(local))
    server.cut["/ecg.zip"] = [1000, 0, 0]
    with pytest.raises(CheckpointError, match=r"connection failed 3 times \([\d,]+ bytes are missing\): try again"):
        load_encoder(ref)
    load_encoder(ref)
    assert server.ranges[-1] == "bytes=1000-"


def test_what_the_server_says_is_said(server: Hub, local: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot be fetched: the server says 404 \(Not Found\)"):
        find_checkpoint(f"{server.url}/none.zip#sha256={'0' * 64}")
    with pytest.raises(CheckpointError, match=r"connection failed 3 times \(.*refused"):
        find_checkpoint(f"http://127.0.0.1:9/none.zip#sha256={'0' * 64}")


def test_offline_the_copy_is_used(server: Hub, local: Path) -> None:
    ref = serve(server, zipped(local))
    load_encoder(ref)
    server.down = 503
    load_encoder(ref)


def test_a_copy_that_was_damaged_here_heals(server: Hub, local: Path, tmp_path: Path) -> None:
    ref = serve(server, zipped(local))
    (find_checkpoint(ref) / "model.safetensors").write_bytes(b"half")
    load_encoder(ref)
    (find_checkpoint(ref) / "model.safetensors").write_bytes(b"half")
    server.down = 503
    with pytest.raises(CheckpointError, match="not the file that was saved"):
        load_encoder(ref)


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info, io.BytesIO())
    return made.getvalue()


def zip_of(name: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, "x")
    return made.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        member("../out"),
        member("/tmp/out"),
        member("a/../../out"),
        member("link", tarfile.SYMTYPE, "/etc"),
        member("hard", tarfile.LNKTYPE, "../out"),
        member("pipe", tarfile.FIFOTYPE),
        zip_of("../out"),
        zip_of("/tmp/out"),
        zip_of("c:/out"),
    ],
)
def test_an_archive_stays_inside_its_folder(server: Hub, tmp_path: Path, content: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"would write outside its folder \(.*\): it is not unpacked"):
        find_checkpoint(serve(server, content))
    assert not list(tmp_path.rglob("out"))
    assert not list(tmp_path.rglob("content"))


def test_what_is_no_archive_of_a_checkpoint(server: Hub) -> None:
    with pytest.raises(CheckpointError, match="is no zip or tar archive that can be read"):
        find_checkpoint(serve(server, b"<html>please log in</html>"))
    with pytest.raises(CheckpointError, match=r"holds no checkpoint of ssl_ecg: it has no config.json"):
        find_checkpoint(serve(server, zip_of("paper.pdf")))


def test_a_cache_that_cannot_be_written(
    server: Hub, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = serve(server, zipped(local))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))  # of a file: as good as of a disk
        with pytest.raises(CheckpointError, match=r"cannot be written \(File too large\): free some space, or set SSL"):
            load_encoder(ref)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    load_encoder(ref)
    (tmp_path / "file").touch()
    monkeypatch.setenv("SSL_ECG_CACHE", str(tmp_path / "file"))
    with pytest.raises(CheckpointError, match=r"cannot be written \(.*\): free some space, or set SSL_ECG_CACHE"):
        load_encoder(ref)


@pytest.mark.slow
def test_two_processes_fetch_it_once(server: Hub, local: Path) -> None:
    ref = serve(server, zipped(local))
    code = f"from ssl_ecg.checkpoint import find_checkpoint; print(find_checkpoint({ref!r}))"
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ})
        for _ in range(2)
    ]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0] == said[1]
    assert server.asked == ["GET /ecg.zip"]
    load_encoder(said[0].strip())
