"""Files from the web: fetched in parallel, resumed where they stopped, whole and right or not there."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from ssl_ecg.errors import DataError

if TYPE_CHECKING:
    import requests


class Digest(NamedTuple):
    """A published checksum.

    Attributes:
        kind: how it was made.
        value: in hexadecimal, lower case.
    """

    kind: Literal["sha256", "md5"]
    value: str


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file to fetch.

    Attributes:
        url: where it is.
        target: where to put it. Until it is whole and right it is `<target>.part`, and the next call goes on
            from there.
        digest: its checksum; without one, whole is right.
    """

    url: str
    target: Path
    digest: Digest | None = None


@dataclass(frozen=True)
class Fetcher:
    """Fetches files, several at a time, and tries again what broke off.

    Args:
        remedy: what the user can do where a file cannot be had; ends the error message.
        workers: files fetched at a time.
        attempts: tries in a row that may bring nothing before a file is given up.
        backoff: pause before the second try, in seconds; doubled before each further one.
        timeout: seconds to wait for a connection, and for the next bytes.
        progress: show a progress bar on stderr.
    """

    remedy: str
    workers: int = 4
    attempts: int = 3
    backoff: float = 0.5
    timeout: tuple[float, float] = (5.0, 15.0)
    progress: bool = True
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)

    def fetch(self, files: Sequence[WebFile], title: str = "") -> None:
        """Fetch files. One that is there already is overwritten, once the new one is whole and right.

        Args:
            files: which.
            title: shown above the progress bar; without one, nothing is shown.

        Raises:
            DataError: if a file cannot be had; what has come stays, for the next call.
        """
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True, quiet=not (self.progress and title))
        console.print(title, highlight=False, soft_wrap=True)
        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("files, {task.fields[mb]:.1f} MB"),
            TimeElapsedColumn(),
        )
        with (
            self._session() as session,
            Progress(*columns, console=console) as bar,
            ThreadPoolExecutor(self.workers) as pool,
        ):
            task, total, lock = bar.add_task("", total=len(files), mb=0.0), [0], threading.Lock()

            def count(received: int) -> None:
                with lock:
                    total[0] += received
                    bar.update(task, mb=total[0] / 1e6)

            futures = [pool.submit(self._one, session, file, count) for file in files]
            try:
                for future in as_completed(futures):
                    future.result()
                    bar.advance(task)
            except BaseException:  # Ctrl-C as well: what has come stays, for the next time
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        import requests

        with requests.Session() as session:
            session.headers["Accept-Encoding"] = "identity"
            yield session

    def _one(self, session: requests.Session, file: WebFile, count: Callable[[int], None]) -> None:
        job = _Job(session, file, self.timeout, self._stop, count)
        if problem := job.run(self.attempts, self.backoff):
            raise DataError(f"Cannot fetch {file.url}: {problem}.\n{self.remedy}")


@dataclass(frozen=True, slots=True)
class _Job:
    """One file on its way."""

    session: requests.Session
    file: WebFile
    timeout: tuple[float, float]
    stop: threading.Event
    count: Callable[[int], None]

    @property
    def part(self) -> Path:
        return self.file.target.with_name(self.file.target.name + ".part")

    def run(self, attempts: int, backoff: float) -> str:
        """Fetch the file; returns why it could not be, or ""."""
        import requests

        failures, why = 0, "stopped"
        try:
            self.file.target.parent.mkdir(parents=True, exist_ok=True)
            if self.file.digest is None:
                self.part.unlink(missing_ok=True)  # nothing would tell a wrong continuation
            furthest = _size(self.part)
            while failures < attempts and not self.stop.is_set():
                if failures:
                    self.stop.wait(backoff * 2 ** (failures - 1))
                try:
                    self._continue()
                    if self.stop.is_set():
                        return "stopped"
                    if self._right():
                        self.part.replace(self.file.target)
                        return ""
                    self.part.unlink()
                    why = f"what arrives is damaged, its {self._kind} is not the published one"
                except requests.RequestException as error:
                    why = reason(error)
                    if error.response is not None and error.response.status_code in (401, 403, 404):
                        return why
                size = _size(self.part)
                failures = 0 if size > furthest else failures + 1  # a try that brought something is none
                furthest = max(furthest, size)
        except OSError as error:
            raise DataError(f"{self.part} cannot be written: {error.strerror or error}.") from error
        return why

    @property
    def _kind(self) -> str:
        return {"sha256": "SHA-256", "md5": "MD5"}[self.file.digest.kind] if self.file.digest else ""

    def _right(self) -> bool:
        digest = self.file.digest
        return digest is None or digest.value == file_digest(self.part, digest.kind)

    def _continue(self) -> None:
        """Ask for what is not there yet, and append it."""
        have = _size(self.part)
        headers = {"Range": f"bytes={have}-"} if have else {}
        with self.session.get(self.file.url, headers=headers, stream=True, timeout=self.timeout) as response:
            if response.status_code == 416:  # nothing left to send
                return
            response.raise_for_status()
            with self.part.open("ab" if response.status_code == 206 else "wb") as out:
                for chunk in response.iter_content(1 << 13):  # of a broken one, nothing is seen
                    out.write(chunk)
                    self.count(len(chunk))
                    if self.stop.is_set():
                        return


def file_digest(path: Path, kind: Literal["sha256", "md5"]) -> str:
    """Checksum of a file, in hexadecimal.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, kind).hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def reason(error: requests.RequestException) -> str:
    """Why a request failed, in a few words."""
    import requests

    if error.response is not None:
        return f"HTTP {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection breaks off"
    cause = getattr(error.args[0] if error.args else None, "reason", error)  # what urllib3 wraps
    return str(cause).rsplit(": ", 1)[-1] or type(error).__name__


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
