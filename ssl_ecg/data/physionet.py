"""Files of a PhysioNet database: fetched in parallel, resumed where they stopped, verified by SHA-256.

wfdb supplies the address and no more: its own `dl_files` takes no version, has no time-outs and no checksums,
and appends to a half file whatever comes.
"""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ssl_ecg.data.fetch import Digest, Fetcher, WebFile, file_digest
from ssl_ecg.errors import DataError
from ssl_ecg.files import alone_in

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
    base = base_url or os.environ.get(MIRROR) or _wfdb_url()
    url = f"{base.rstrip('/')}/{database.strip('/')}/"
    help_ = remedy(database, root, files[0])
    fetcher = Fetcher(help_, workers, attempts, backoff, timeout, progress)
    with alone_in(root):
        if fresh := not (root / SUMS).is_file():
            fetcher.fetch([WebFile(url + SUMS, root / SUMS)])
        sums = _read_sums(root)
        if unknown := [name for name in files if name not in sums]:
            if fresh:
                (root / SUMS).unlink()  # a login page, for one
            source = url + SUMS if fresh else root / SUMS
            raise DataError(f"{source} does not list {unknown[0]}: not the checksums of {database}.\n{help_}")
        verify(root, [f for f in files if (root / f).is_file()])
        todo = [f for f in files if not (root / f).is_file()]
        if todo:  # else another process was faster
            wanted = [WebFile(url + name, root / name, Digest("sha256", sums[name])) for name in todo]
            fetcher.fetch(wanted, f"Fetching {len(todo)} files from {url} into {root}")


def verify(root: Path, files: Sequence[str]) -> dict[str, str]:
    """SHA-256 of each file, compared with `SHA256SUMS.txt` where `root` has one.

    Raises:
        DataError: if a file is missing, unreadable, or not the one PhysioNet published.
    """
    published = _read_sums(root)
    if len(files) > 8:
        with ThreadPoolExecutor(4) as pool:
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


def sha256(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        DataError: if it cannot be read.
    """
    return file_digest(path, "sha256")


def _wfdb_url() -> str:
    from wfdb.io import download as wfdb_download

    return str(wfdb_download.config.db_index_url)
