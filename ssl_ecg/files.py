"""Outputs appear whole or not at all: written under a temporary name, then renamed."""

from __future__ import annotations

import errno
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ssl_ecg.errors import DataError, UserError

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}  # only writing meets these, and `write` names no file


def default_cache() -> Path:
    """Name the folder of all that is prepared or fetched: `$SSL_ECG_CACHE`, or `~/.cache/ssl_ecg`."""
    return Path(os.environ.get("SSL_ECG_CACHE", "~/.cache/ssl_ecg")).expanduser()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, of no other process, that takes its place if the block succeeds.

    UserError if the file cannot be written; an `OSError` of anything else in the block is passed on.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno not in _DISK and str(temporary) not in (str(error.filename), str(error.filename2)):
            raise
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):  # a read-only file system refuses even what is not there
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all; UserError if it cannot be written."""
    with replacing(path) as temporary:
        temporary.write_text(text)


def ensure_writable(folder: Path) -> None:
    """Make a folder and prove that files can be written to it, before any long work; UserError if not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"cannot write to {folder} ({error.strerror}): choose another folder") from None


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make a folder, and let one process at a time work in it: the others wait, and then find what it made.

    DataError if it cannot be made or read.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be made ({error.strerror}).") from error
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    while True:
        try:
            handle = os.open(folder, os.O_RDONLY)
        except OSError as error:
            raise DataError(f"The folder {folder} cannot be read ({error.strerror}).") from error
        with suppress(OSError):  # file systems without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if folder.exists() and folder.stat().st_ino == os.fstat(handle).st_ino:
            break
        os.close(handle)  # whoever was in it renamed it meanwhile
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        os.close(handle)
