"""Checkpoints in one archive at an address, with its SHA-256: fetched once, checked, unpacked inside its folder."""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
import urllib.error
import urllib.request
import uuid
import zipfile
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path, PurePosixPath, PureWindowsPath

from ssl_ecg.checkpoint.files import CONFIG, unwritable
from ssl_ecg.errors import CheckpointError, DataError
from ssl_ecg.files import alone_in, default_cache

_REFERENCE = re.compile(r"(https?:)/{1,2}([^/#]+)(/[^#]*)#sha256=([0-9a-fA-F]{64})")
_HERE = ("127.0.0.1", "localhost", "[::1]")
_TIMEOUT = 15.0  # s without a byte
_TRIES = 3
_BLOCK = 1 << 20
_LARGEST = 4 << 30  # bytes unpacked


def fetch(ref: str, again: bool = False) -> Path:
    """Fetch an archive `https://ADDRESS#sha256=DIGEST`, unpack it in the cache, and give the folder of its checkpoint.

    A copy in the cache is used as it is, unless `again`. What was interrupted goes on where it was. CheckpointError if
    it cannot be fetched, has another SHA-256, or is no archive of a checkpoint.
    """
    url, digest = _parse(ref)
    place = default_cache() / "checkpoints" / digest
    if again or not (place / "content").is_dir():
        try:
            with alone_in(place):
                if again:
                    shutil.rmtree(place / "content", ignore_errors=True)
                if not (place / "content").is_dir():  # else another process was faster
                    part = place / "archive.part"
                    _download(url, digest, part)
                    unpack(part, place / "content", ref)
                    (place / "source").write_text(ref)
                    part.unlink()
        except (OSError, DataError) as error:
            raise unwritable(ref, place, error) from None
    return _checkpoint_in(place / "content", ref)


def unpack(archive: Path, folder: Path, name: str) -> None:
    """Unpack a zip or tar archive into a folder that is not there yet, whole or not at all.

    CheckpointError, with the archive's `name`, if it is none, is damaged, or would write outside the folder: absolute
    paths, `..`, links and devices are refused.
    """
    fresh = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                _check_members([(m.filename, m.file_size, True) for m in zipped.infolist()], name)
                zipped.extractall(fresh)
        else:
            with tarfile.open(archive) as tarred:
                _check_members([(m.name, m.size, m.isfile() or m.isdir()) for m in tarred.getmembers()], name)
                tarred.extractall(fresh, filter="data")
        fresh.rename(folder)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise CheckpointError(f"{name} is no zip or tar archive that can be read ({error})") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _check_members(members: list[tuple[str, int, bool]], name: str) -> None:
    for member, _, plain in members:
        parts = PurePosixPath(member).parts
        if not plain or ".." in parts or PurePosixPath(member).is_absolute() or PureWindowsPath(member).drive:
            raise CheckpointError(f"{name} would write outside its folder ({member}): it is not unpacked")
    if sum(size for _, size, _ in members) > _LARGEST:
        raise CheckpointError(f"{name} would unpack to more than {_LARGEST >> 30} GiB: it is not unpacked")


def _parse(ref: str) -> tuple[str, str]:
    match = _REFERENCE.fullmatch(ref)
    if match is None:
        raise CheckpointError(
            f"{ref} has no SHA-256 to check it by: write https://ADDRESS#sha256=DIGEST, with the 64 digits that "
            "whoever made the archive says (sha256sum FILE)"
        )
    scheme, host, path, digest = match.groups()
    if scheme == "http:" and re.sub(r":\d+$", "", host) not in _HERE:
        raise CheckpointError(f"{ref}: give an https:// address; http:// is for this machine alone")
    return f"{scheme}//{host}{path}", digest.lower()


def _download(url: str, digest: str, part: Path) -> None:
    """Fetch into a file, going on where it was; CheckpointError if it cannot be had whole, or is another file."""
    why = ""
    for _ in range(_TRIES):
        try:
            _go_on(url, part)
        except urllib.error.HTTPError as error:
            if error.code == 416:  # what is there is longer than the file
                part.unlink(missing_ok=True)
                continue
            raise CheckpointError(f"{url} cannot be fetched: the server says {error.code} ({error.reason})") from None
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
            why = str(getattr(error, "reason", error)) or type(error).__name__
            continue
        with open(part, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found == digest:
            return
        part.unlink()
        raise CheckpointError(
            f"{url} is not the file it should be (SHA-256 {found[:12]}..., expected {digest[:12]}...): it was changed, "
            "or the digest is another file's; it was not unpacked"
        )
    raise CheckpointError(f"{url} cannot be fetched: the connection failed {_TRIES} times ({why}): try again later")


def _go_on(url: str, part: Path) -> None:
    """Add to a file what it lacks."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with (
        urllib.request.urlopen(request, timeout=_TIMEOUT) as answer,
        open(part, "ab" if answer.status == 206 else "wb") as file,
    ):
        left = int(answer.headers.get("Content-Length", 0))
        while block := answer.read(_BLOCK):
            file.write(block)
            left -= len(block)
    if left > 0:
        raise ConnectionError(f"{left:,} bytes are missing")


def _checkpoint_in(content: Path, ref: str) -> Path:
    """The folder of the checkpoint in what was unpacked: the archive may hold it, or a run, in a folder or not."""
    found = [path.parent for path in content.rglob(CONFIG)]
    with suppress(ValueError):
        return min(found, key=lambda folder: len(folder.parts))
    raise CheckpointError(f"{ref} holds no checkpoint of ssl_ecg: it has no {CONFIG}")
