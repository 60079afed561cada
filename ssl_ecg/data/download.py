"""Fetch files of data sets: several at a time, resumed where they stopped, in place only if their checksum is right.

pooch checks, tries again and moves into place. wfdb's own `dl_files` takes no version, has no time-outs and no
checksums, and appends to a half file whatever comes.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ssl_ecg.errors import DataError
from ssl_ecg.files import alone_in

PHYSIONET_MIRROR = "SSL_ECG_PHYSIONET_URL"
"""Environment variable with the address of a mirror, in place of https://physionet.org/files/."""

ZENODO_MIRROR = "SSL_ECG_ZENODO_URL"
"""Environment variable with the address of a mirror, in place of https://zenodo.org/."""

SUMS = "SHA256SUMS.txt"
_OFFICIAL = "https://physionet.org/files/"
_TIMEOUT = (5.0, 15.0)  # s: for a connection, and for the next bytes
_WORKERS = 4  # files at a time


def from_physionet(database: str, files: Sequence[str], root: Path) -> None:
    """Fetch the files of a PhysioNet database that are not yet in `root`, checked against its `SHA256SUMS.txt`.

    A file gets its name only once it is whole and its checksum is right; until then it is `<name>.part`, and the next
    call resumes it. A file that is there already is never overwritten. `database` is slug and version, such as
    "mitdb/1.0.0"; `files` are paths inside it. DataError if one cannot be fetched, or one in `root` is not what
    PhysioNet published.
    """
    from wfdb.io.download import config  # `wfdb.set_db_index_url` changes PhysioNet's address

    base = os.environ.get(PHYSIONET_MIRROR) or str(config.db_index_url)
    url, remedy = f"{base.rstrip('/')}/{database.strip('/')}/", physionet_remedy(database, root, files[0])
    with alone_in(root):
        if fresh := not (root / SUMS).is_file():
            _fetch({SUMS: (url + SUMS, None)}, root, remedy)
        sums = _read_sums(root)
        if unknown := [name for name in files if name not in sums]:
            if fresh:
                (root / SUMS).unlink()  # a login page, for one
            source = url + SUMS if fresh else root / SUMS
            raise DataError(f"{source} does not list {unknown[0]}: not the checksums of {database}.\n{remedy}")
        verify(root, [name for name in files if (root / name).is_file()])
        missing = {name: (url + name, f"sha256:{sums[name]}") for name in files if not (root / name).is_file()}
        if missing:  # else another process was faster
            _fetch(missing, root, remedy, f"Fetching {len(missing)} files from {url} into {root}")


def from_zenodo(record: int, files: Sequence[str], root: Path) -> None:
    """Fetch the files of a Zenodo record that are not yet in `root`, checked against the record's own checksums.

    `record` is its number, such as 4916206. DataError if a file cannot be fetched, or the record has no such file.
    """
    import requests

    remedy = (
        f"On a machine that reaches Zenodo, get it from https://zenodo.org/records/{record}; put it so that "
        f"{root.absolute() / files[0]} exists.\nTo use a mirror of the same layout, set {ZENODO_MIRROR}=https://..."
    )
    with alone_in(root):
        missing = [name for name in files if not (root / name).is_file()]
        if not missing:  # another process was faster
            return
        url = f"{os.environ.get(ZENODO_MIRROR, 'https://zenodo.org').rstrip('/')}/api/records/{record}"
        try:
            answer = requests.get(url, timeout=_TIMEOUT)
            answer.raise_for_status()
            published: dict[str, Any] = {entry["key"]: entry for entry in answer.json()["files"]}
        except (requests.JSONDecodeError, KeyError, TypeError):  # a login page, for one
            raise DataError(f"{url} does not answer as Zenodo does.\n{remedy}") from None
        except requests.RequestException as error:
            raise DataError(f"Cannot fetch {url}: {_reason(error)}.\n{remedy}") from None
        if unknown := [name for name in missing if name not in published]:
            raise DataError(f"{url} has no file {unknown[0]}; it has {', '.join(sorted(published))}.\n{remedy}")
        wanted = {name: (published[name]["links"]["self"], published[name]["checksum"]) for name in missing}
        title = f"Fetching {len(wanted)} files of {url} into {root}"
        _fetch(wanted, root, remedy, title, attempts=10)  # some are of gigabytes


def verify(root: Path, files: Sequence[str]) -> dict[str, str]:
    """Compute the SHA-256 of each file, and compare it with `SHA256SUMS.txt` where `root` has one.

    DataError if a file is missing, unreadable, or not the one PhysioNet published.
    """
    published = _read_sums(root)
    if len(files) > 8:
        with ThreadPoolExecutor(_WORKERS) as pool:
            digests = dict(zip(files, pool.map(lambda name: sha256(root / name), files), strict=True))
    else:
        digests = {name: sha256(root / name) for name in files}
    for name, digest in digests.items():
        if published.get(name, digest) != digest:
            raise DataError(
                f"{root / name} is not the file PhysioNet published: SHA-256 {digest[:12]}…, {SUMS} says "
                f"{published[name][:12]}…. Delete it, and the same command fetches it again."
            )
    return digests


def physionet_remedy(database: str, root: Path, sample: str) -> str:
    """Say how to get a database by hand: what to fetch and where to put it, so that `root/sample` exists."""
    folder = root.absolute()
    return (
        f"On a machine that reaches PhysioNet, run\n"
        f"    wget -r -N -c -np -nH --cut-dirs={database.count('/') + 2} -P {shlex.quote(str(folder))} "
        f"{_OFFICIAL}{database}/\n"
        f"or get the files from https://physionet.org/content/{database}/; put them so that "
        f"{folder / sample} exists.\n"
        f"To use a mirror of the same layout, set {PHYSIONET_MIRROR}=https://...; for files elsewhere, give their root."
    )


def sha256(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal; DataError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def _read_sums(root: Path) -> dict[str, str]:
    """File name -> SHA-256, or nothing where there is no `SHA256SUMS.txt`."""
    path = root / SUMS
    if not path.is_file():
        return {}
    state = path.stat()
    return _parsed_sums(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=4)  # asked for every recording, and a large data set's has a line for each
def _parsed_sums(path: Path, modified: int, size: int) -> dict[str, str]:
    rows = (line.split(maxsplit=1) for line in path.read_text(errors="replace").splitlines())
    return {row[1].strip(): row[0].lower() for row in rows if len(row) == 2 and len(row[0]) == 64}


def _fetch(
    files: Mapping[str, tuple[str, str | None]], root: Path, remedy: str, title: str = "", attempts: int = 4
) -> None:
    """Fetch files into `root`: path -> its address and checksum ("sha256:..."), None if none is published.

    Shows a progress bar below the title, where there is one. pooch waits 1 s, 2 s, ... between the attempts. DataError,
    ending with the remedy, if a file cannot be fetched; what has come stays, for the next call.
    """
    import pooch
    import requests
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    pooch.get_logger().setLevel("ERROR")
    urls = {name: url for name, (url, _) in files.items()}
    sums = {name: checksum for name, (_, checksum) in files.items()}
    fetcher = pooch.create(root, "", registry=sums, urls=urls, retry_if_failed=attempts - 1)
    console = Console(stderr=True, quiet=not title)
    console.print(title, highlight=False, soft_wrap=True)
    columns = BarColumn(), MofNCompleteColumn(), TextColumn("files, {task.fields[mb]:.1f} MB"), TimeElapsedColumn()
    with Progress(*columns, console=console) as bar, ThreadPoolExecutor(_WORKERS) as pool:
        task, total, lock, stop = bar.add_task("", total=len(files), mb=0.0), [0], threading.Lock(), threading.Event()

        def count(received: int) -> None:
            if stop.is_set():
                raise _GivenUpError("stopped")
            with lock:
                total[0] += received
                bar.update(task, mb=total[0] / 1e6)

        def one(name: str) -> None:
            part = root / f"{name}.part"
            try:
                part.parent.mkdir(parents=True, exist_ok=True)
                if sums[name] is None:
                    part.unlink(missing_ok=True)  # nothing would tell a wrong continuation
                fetcher.fetch(name, downloader=_Resuming(part, count))
            except (_GivenUpError, requests.RequestException) as error:
                raise DataError(f"Cannot fetch {urls[name]}: {_reason(error)}.\n{remedy}") from None
            except ValueError:  # pooch's word for a wrong checksum
                kind = {"sha256": "SHA-256", "md5": "MD5"}.get((sums[name] or "").partition(":")[0], "checksum")
                why = f"what arrives is damaged, its {kind} is not the published one"
                raise DataError(f"Cannot fetch {urls[name]}: {why}.\n{remedy}") from None
            except OSError as error:
                raise DataError(f"{part} cannot be written: {error.strerror or error}.") from error

        futures = [pool.submit(one, name) for name in files]
        try:
            for future in as_completed(futures):
                future.result()
                bar.advance(task)
        except BaseException:  # Ctrl-C as well
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _GivenUpError(Exception):
    """No further try would help."""


@dataclass(frozen=True)
class _Resuming:
    """A downloader for pooch that goes on with a `.part` file, of this call or an earlier one.

    pooch wants the whole file at a place of its own; if it finds the checksum wrong there, it starts from nothing.
    `count` is told how many bytes came; it may raise to stop.
    """

    part: Path
    count: Callable[[int], None]

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        import requests

        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if response.status_code in (401, 403, 404):
                raise _GivenUpError(f"HTTP {response.status_code} {response.reason}")
            if response.status_code != 416:  # nothing left to send
                response.raise_for_status()
                with self.part.open("ab" if response.status_code == 206 else "wb") as out:
                    for chunk in response.iter_content(1 << 13):  # of a broken one, nothing is seen
                        out.write(chunk)
                        self.count(len(chunk))
        os.replace(self.part, output_file)


def _reason(error: Exception) -> str:
    """Why a request failed, in a few words."""
    import requests

    if isinstance(error, requests.RequestException):
        if error.response is not None:
            return f"HTTP {error.response.status_code} {error.response.reason}"
        if isinstance(error, requests.Timeout):
            return "no answer in time"
        if isinstance(error, requests.exceptions.ChunkedEncodingError):
            return "the connection breaks off"
    cause = getattr(error.args[0] if error.args else None, "reason", error)  # what urllib3 wraps
    return str(cause).rsplit(": ", 1)[-1] or type(error).__name__
