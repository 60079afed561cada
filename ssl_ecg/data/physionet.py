"""Files of a PhysioNet database: fetched in parallel, resumed where they stopped, verified by SHA-256.

wfdb supplies the address and no more: its own `dl_files` takes no version, has no time-outs and no checksums,
and appends to a half file whatever comes.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ssl_ecg.errors import DataError

if TYPE_CHECKING:
    import requests

MIRROR = "SSL_ECG_PHYSIONET_URL"
"""Environment variable with the address of a mirror, in place of https://physionet.org/files/."""

SUMS = "SHA256SUMS.txt"
_OFFICIAL = "https://physionet.org/files/"


def download(
    database: str,
    files: Sequence[str],
    root: Path,
    *,
    base_url: str | None = None,
    workers: int = 4,
    attempts: int = 3,
    backoff: float = 0.5,
    timeout: tuple[float, float] = (5.0, 15.0),
    progress: bool = True,
) -> None:
    """Fetch the files of a database that are not yet in `root`.

    A file gets its name only once it is whole and its checksum is right; until then it is `<name>.part`, and
    the next call goes on from there. A file that is there already is never overwritten.

    Args:
        database: slug and version, such as "mitdb/1.0.0".
        files: their paths inside the database.
        root: folder to put them in; made if need be.
        base_url: where databases lie; default: the environment variable `SSL_ECG_PHYSIONET_URL`, else wfdb's
            (https://physionet.org/files/, unless `wfdb.set_db_index_url` says otherwise).
        workers: files fetched at a time.
        attempts: tries in a row that may bring nothing before a file is given up.
        backoff: pause before the second try, in seconds; doubled before each further one.
        timeout: seconds to wait for a connection, and for the next bytes.
        progress: show a progress bar on stderr.

    Raises:
        DataError: if a file cannot be had, or one in `root` is not what PhysioNet published.
    """
    import requests
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    base = base_url or os.environ.get(MIRROR) or _wfdb_url()
    url = f"{base.rstrip('/')}/{database.strip('/')}/"
    help_ = remedy(database, root, files[0])
    stop = threading.Event()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"The folder {root} cannot be made ({error.strerror}).") from error

    with _alone_in(root), requests.Session() as session:
        session.headers["Accept-Encoding"] = "identity"

        def fetch(name: str, digest: str | None, count: Callable[[int], None]) -> None:
            job = _Fetch(session, url + name, root / name, digest, timeout, stop, count)
            if problem := job.run(attempts, backoff):
                raise DataError(f"Cannot fetch {url}{name}: {problem}.\n{help_}")

        if fresh := not (root / SUMS).is_file():
            fetch(SUMS, None, lambda _: None)
        sums = _read_sums(root)
        if unknown := [name for name in files if name not in sums]:
            if fresh:
                (root / SUMS).unlink()  # a login page, for one
            source = url + SUMS if fresh else root / SUMS
            raise DataError(f"{source} does not list {unknown[0]}: not the checksums of {database}.\n{help_}")
        verify(root, [f for f in files if (root / f).is_file()])
        todo = [f for f in files if not (root / f).is_file()]
        if not todo:  # another process was faster
            return

        console = Console(stderr=True, quiet=not progress)
        console.print(f"Fetching {len(todo)} files from {url} into {root}", highlight=False, soft_wrap=True)
        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("files, {task.fields[mb]:.1f} MB"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console) as bar, ThreadPoolExecutor(workers) as pool:
            task, total, lock = bar.add_task("", total=len(todo), mb=0.0), [0], threading.Lock()

            def count(received: int) -> None:
                with lock:
                    total[0] += received
                    bar.update(task, mb=total[0] / 1e6)

            futures = [pool.submit(fetch, name, sums[name], count) for name in todo]
            try:
                for future in as_completed(futures):
                    future.result()
                    bar.advance(task)
            except BaseException:  # Ctrl-C as well: what has come stays, for the next time
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def verify(root: Path, files: Sequence[str]) -> dict[str, str]:
    """SHA-256 of each file, compared with `SHA256SUMS.txt` where `root` has one.

    Raises:
        DataError: if a file is missing, unreadable, or not the one PhysioNet published.
    """
    published = _read_sums(root)
    with ThreadPoolExecutor(4) as pool:
        digests = dict(zip(files, pool.map(lambda name: _sha256(root / name), files), strict=True))
    for name, digest in digests.items():
        if published.get(name, digest) != digest:
            raise DataError(
                f"{root / name} is not the file PhysioNet published: SHA-256 {digest[:12]}…, {SUMS} says "
                f"{published[name][:12]}…. Delete it, and the same command fetches it again."
            )
    return digests


def remedy(database: str, root: Path, sample: str) -> str:
    """How to get a database by hand: what to fetch and where to put it, so that `root/sample` exists."""
    folder = root.absolute()
    return (
        f"On a machine that reaches PhysioNet, run\n"
        f"    wget -r -N -c -np -nH --cut-dirs={database.count('/') + 2} -P {shlex.quote(str(folder))} "
        f"{_OFFICIAL}{database}/\n"
        f"or get the files from https://physionet.org/content/{database}/; put them so that "
        f"{folder / sample} exists.\n"
        f"To use a mirror of the same layout, set {MIRROR}=https://...; for files elsewhere, give their root."
    )


@dataclass(frozen=True, slots=True)
class _Fetch:
    """One file on its way: `target.part` until it is whole and right. Without a digest, whole is right."""

    session: requests.Session
    url: str
    target: Path
    digest: str | None
    timeout: tuple[float, float]
    stop: threading.Event
    count: Callable[[int], None]

    @property
    def part(self) -> Path:
        return self.target.with_name(self.target.name + ".part")

    def run(self, attempts: int, backoff: float) -> str:
        """Fetch the file; returns why it could not be, or ""."""
        import requests

        failures, why = 0, "stopped"
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            if self.digest is None:
                self.part.unlink(missing_ok=True)  # nothing would tell a wrong continuation
            furthest = _size(self.part)
            while failures < attempts and not self.stop.is_set():
                if failures:
                    self.stop.wait(backoff * 2 ** (failures - 1))
                try:
                    self._continue()
                    if self.stop.is_set():
                        return "stopped"
                    if self.digest in (None, _sha256(self.part)):
                        self.part.replace(self.target)
                        return ""
                    self.part.unlink()
                    why = f"what arrives is damaged, its SHA-256 is not the one in {SUMS}"
                except requests.RequestException as error:
                    why = _reason(error)
                    if error.response is not None and error.response.status_code in (401, 403, 404):
                        return why
                size = _size(self.part)
                failures = 0 if size > furthest else failures + 1  # a try that brought something is none
                furthest = max(furthest, size)
        except OSError as error:
            raise DataError(f"{self.part} cannot be written: {error.strerror or error}.") from error
        return why

    def _continue(self) -> None:
        """Ask for what is not there yet, and append it."""
        have = _size(self.part)
        headers = {"Range": f"bytes={have}-"} if have else {}
        with self.session.get(self.url, headers=headers, stream=True, timeout=self.timeout) as response:
            if response.status_code == 416:  # nothing left to send
                return
            response.raise_for_status()
            with self.part.open("ab" if response.status_code == 206 else "wb") as out:
                for chunk in response.iter_content(1 << 13):  # of a broken one, nothing is seen
                    out.write(chunk)
                    self.count(len(chunk))
                    if self.stop.is_set():
                        return


def _reason(error: requests.RequestException) -> str:
    import requests

    if error.response is not None:
        return f"HTTP {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection breaks off"
    cause = getattr(error.args[0] if error.args else None, "reason", error)  # what urllib3 wraps
    return str(cause).rsplit(": ", 1)[-1] or type(error).__name__


def _read_sums(root: Path) -> dict[str, str]:
    """File name -> SHA-256, or nothing where there is no `SHA256SUMS.txt`."""
    path = root / SUMS
    if not path.is_file():
        return {}
    rows = (line.split(maxsplit=1) for line in path.read_text(errors="replace").splitlines())
    return {row[1].strip(): row[0].lower() for row in rows if len(row) == 2 and len(row[0]) == 64}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def _wfdb_url() -> str:
    from wfdb.io import download as wfdb_download

    return str(wfdb_download.config.db_index_url)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Let one process at a time fetch into a folder: the others wait, and then find the files there."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be read ({error.strerror}).") from error
    try:
        with suppress(OSError):  # file systems without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
