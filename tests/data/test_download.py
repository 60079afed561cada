"""Downloads, from a server on this machine that breaks off, stalls, lies and limps."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import wfdb

from ssl_ecg.data import download
from ssl_ecg.errors import DataError

DATABASE = "toydb/1.0.0"
SUMS = download.SUMS


class Site:
    """A PhysioNet of our own: `files` under /toydb/1.0.0/, and `faults`, one used up by each request."""

    def __init__(self, files: dict[str, bytes]) -> None:
        lines = [f"{hashlib.sha256(content).hexdigest()} {name}\n" for name, content in files.items()]
        self.files = {**files, SUMS: "".join(lines).encode()}
        self.faults: dict[str, list[str]] = {}
        self.asked: list[tuple[str, str]] = []
        self.resume = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.removeprefix(f"/{DATABASE}/")
        span = request.headers.get("Range", "")
        self.asked.append((name, span))
        fault = self.faults[name].pop(0) if self.faults.get(name) else ""
        content = self.files.get(name)
        if content is None or fault.isdigit():
            request.send_error(int(fault or 404))
            return
        start = int(re.findall(r"\d+", span)[0]) if span and fault != "no range" else 0
        if start >= len(content):
            request.send_error(416)
            return
        if fault == "stall":
            self.resume.wait(10)
        if fault == "corrupt":
            content = bytes([content[0] ^ 1]) + content[1:]
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        half = start + (len(content) - start) // 2
        try:
            request.wfile.write(content[start:half])
            request.wfile.flush()
            if fault == "drop":
                return
            if fault == "pause":
                self.resume.wait(10)
            request.wfile.write(content[half:])
        except OSError:
            pass  # the client has gone


@pytest.fixture
def files() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    return {name: rng.bytes(300_000) for name in ("a.dat", "b.dat", "c.dat", "records100/0/d.dat")}


@pytest.fixture
def site(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    site = Site(files)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(download.PHYSIONET_MIRROR, site.url)
    yield site
    site.resume.set()
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_TIMEOUT", (2.0, 2.0))
    monkeypatch.setattr("pooch.core.time", SimpleNamespace(sleep=lambda seconds: None))


def fetch(root: Path, *names: str) -> None:
    download.from_physionet(DATABASE, names, root)


def content(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name != SUMS}


def test_fetches_every_file_once(site: Site, files: dict[str, bytes], tmp_path: Path) -> None:
    root = tmp_path / "new" / "folder"
    fetch(root, *files)
    assert content(root) == files
    assert len(site.asked) == len(files) + 1
    fetch(root, *files)
    assert len(site.asked) == len(files) + 1, "asked again for what is there"


def test_fetches_only_what_is_missing(site: Site, files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(files["a.dat"])
    fetch(tmp_path, "a.dat", "b.dat")
    assert [name for name, _ in site.asked] == [SUMS, "b.dat"]


@pytest.mark.parametrize("fault", ["drop", "503", "429", "corrupt"])
def test_recovers(fault: str, site: Site, files: dict[str, bytes], tmp_path: Path) -> None:
    site.faults = {"a.dat": [fault], SUMS: ["503"]}
    fetch(tmp_path, *files)
    assert content(tmp_path) == files
    assert all(path.stat().st_mode & 0o777 == 0o666 & ~umask() for path in tmp_path.rglob("*.dat"))


def umask() -> int:
    before = os.umask(0)
    os.umask(before)
    return before


def test_goes_on_where_the_connection_broke(site: Site, files: dict[str, bytes], tmp_path: Path) -> None:
    site.faults = {"a.dat": ["drop"] * 3}
    fetch(tmp_path, "a.dat")
    assert content(tmp_path) == {"a.dat": files["a.dat"]}
    begins = [int(span[6:-1] or 0) for name, span in site.asked if name == "a.dat"]
    assert len(begins) == 4
    assert begins == sorted(set(begins)), "went back"
    assert begins[1] > 140_000, "threw away what had come"


@pytest.mark.parametrize("left", ["half", "all", "too much", "other"])
@pytest.mark.parametrize("fault", ["", "no range"])
def test_goes_on_from_an_earlier_call(
    left: str, fault: str, site: Site, files: dict[str, bytes], tmp_path: Path
) -> None:
    whole = files["a.dat"]
    parts = {"half": whole[:150_000], "all": whole, "too much": whole + b"more", "other": b"x" * 150_000}
    (tmp_path / "a.dat.part").write_bytes(parts[left])
    site.faults = {"a.dat": [fault] * 3}
    fetch(tmp_path, "a.dat")
    assert content(tmp_path) == {"a.dat": whole}
    if left == "half":
        assert site.asked[1:] == [("a.dat", "bytes=150000-")]


def test_a_failure_keeps_what_the_other_files_have(site: Site, files: dict[str, bytes], tmp_path: Path) -> None:
    site.faults = {"a.dat": ["pause"], "b.dat": ["404"]}
    threading.Timer(0.5, site.resume.set).start()
    with pytest.raises(DataError, match=r"b\.dat: HTTP 404"):
        fetch(tmp_path, "a.dat", "b.dat")
    assert not (tmp_path / "a.dat").exists() or content(tmp_path) == {"a.dat": files["a.dat"]}
    assert list(tmp_path.glob("a.dat*")), "what had come was thrown away"
    fetch(tmp_path, "a.dat", "b.dat")
    assert content(tmp_path) == {name: files[name] for name in ("a.dat", "b.dat")}


def test_damaged_on_the_server(site: Site, tmp_path: Path) -> None:
    site.faults = {"a.dat": ["corrupt"] * 9}
    with pytest.raises(DataError, match=r"a\.dat: what arrives is damaged, its SHA-256"):
        fetch(tmp_path, "a.dat")
    assert content(tmp_path) == {}


def test_not_on_the_server(site: Site, tmp_path: Path) -> None:
    del site.files["a.dat"]
    with pytest.raises(DataError, match=r"Cannot fetch http://127.*/toydb/1\.0\.0/a\.dat: HTTP 404"):
        fetch(tmp_path, "a.dat")
    assert len(site.asked) == 2, "a 404 is not tried again"


def test_server_that_does_not_answer(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_TIMEOUT", (0.2, 0.2))
    site.faults = {SUMS: ["stall"] * 9}
    with pytest.raises(DataError, match=r"SHA256SUMS\.txt: no answer in time"):
        fetch(tmp_path, "a.dat")


def test_server_that_stops_half_way(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_TIMEOUT", (0.2, 0.2))
    site.faults = {"a.dat": ["pause"] + ["stall"] * 9}
    with pytest.raises(DataError, match=r"a\.dat: no answer in time"):
        fetch(tmp_path, "a.dat")
    assert (tmp_path / "a.dat.part").stat().st_size > 0


def test_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv(download.PHYSIONET_MIRROR, url)
    with pytest.raises(DataError) as caught:
        fetch(tmp_path, "a.dat")
    message = str(caught.value)
    assert f"Cannot fetch {url}/{DATABASE}/{SUMS}: " in message
    assert "Connection refused." in message
    assert "--cut-dirs=3" in message
    assert f"https://physionet.org/files/{DATABASE}/" in message
    assert f"{tmp_path / 'a.dat'} exists" in message
    assert download.PHYSIONET_MIRROR in message


def test_login_page_instead_of_checksums(site: Site, tmp_path: Path) -> None:
    site.files[SUMS] = b"<html>Welcome to the hotel</html>"
    with pytest.raises(DataError, match=r"SHA256SUMS\.txt does not list a\.dat"):
        fetch(tmp_path, "a.dat")
    assert not (tmp_path / SUMS).exists()


def test_never_overwrites(site: Site, tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"a\.dat is not the file PhysioNet published.*Delete it"):
        fetch(tmp_path, "a.dat", "b.dat")
    assert (tmp_path / "a.dat").read_bytes() == b"mine"
    (tmp_path / SUMS).write_text("mine as well")
    with pytest.raises(DataError, match="not the checksums of toydb"):
        fetch(tmp_path, "a.dat", "b.dat")
    assert (tmp_path / SUMS).read_text() == "mine as well"


def test_folder_that_cannot_be(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file/folder cannot be made"):
        fetch(tmp_path / "file" / "folder", "a.dat")
    (tmp_path / "a.dat.part").mkdir()
    with pytest.raises(DataError, match=r"a\.dat\.part cannot be written"):
        fetch(tmp_path, "a.dat")


def test_two_at_once_share_the_work(site: Site, files: dict[str, bytes], tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(fetch, tmp_path, *files) for _ in range(2)]:
            future.result()
    assert content(tmp_path) == files
    assert len(site.asked) == len(files) + 1


def test_address_from_wfdb(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(download.PHYSIONET_MIRROR)
    wfdb.set_db_index_url(site.url)
    try:
        fetch(tmp_path, "a.dat")
    finally:
        wfdb.set_db_index_url()
    assert (tmp_path / "a.dat").exists()


def test_progress(site: Site, files: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    download.from_physionet(DATABASE, list(files), tmp_path)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"Fetching 4 files from {site.url}" in shown.err
    assert "4/4 files, 1.2 MB" in shown.err
