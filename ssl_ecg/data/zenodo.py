"""Files of a Zenodo record: fetched as `fetch` does, with the checksums the record publishes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssl_ecg.data.fetch import Digest, Fetcher, WebFile, reason
from ssl_ecg.errors import DataError
from ssl_ecg.files import alone_in

MIRROR = "SSL_ECG_ZENODO_URL"
"""Environment variable with the address of a mirror, in place of https://zenodo.org/."""


def download(record: int, files: Sequence[str], root: Path) -> None:
    """Fetch the files of a record that are not yet in `root`.

    Args:
        record: number of the record, such as 4916206.
        files: their names.
        root: folder to put them in; made if need be.

    Raises:
        DataError: if a file cannot be had, or the record has no such file.
    """
    remedy = (
        f"On a machine that reaches Zenodo, get it from https://zenodo.org/records/{record}; put it so that "
        f"{root.absolute() / files[0]} exists.\nTo use a mirror of the same layout, set {MIRROR}=https://..."
    )
    with alone_in(root):
        missing = [name for name in files if not (root / name).is_file()]
        if missing:  # else another process was faster
            url = f"{os.environ.get(MIRROR, 'https://zenodo.org').rstrip('/')}/api/records/{record}"
            published = {entry["key"]: entry for entry in _entries(url, remedy)}
            if unknown := [name for name in missing if name not in published]:
                raise DataError(f"{url} has no file {unknown[0]}; it has {', '.join(sorted(published))}.\n{remedy}")
            wanted = [_web_file(published[name], root) for name in missing]
            title = f"Fetching {len(wanted)} files of {url} into {root}"
            Fetcher(remedy).fetch(wanted, title)


def _entries(url: str, remedy: str) -> list[dict[str, Any]]:
    """What a record says of its files: name, size, checksum and address of each."""
    import requests

    try:
        answer = requests.get(url, timeout=(5.0, 15.0))
        answer.raise_for_status()
        entries: list[dict[str, Any]] = answer.json()["files"]
    except (requests.JSONDecodeError, KeyError, TypeError):  # a login page, for one
        raise DataError(f"{url} does not answer as Zenodo does.\n{remedy}") from None
    except requests.RequestException as error:
        raise DataError(f"Cannot fetch {url}: {reason(error)}.\n{remedy}") from None
    return entries


def _web_file(entry: dict[str, Any], root: Path) -> WebFile:
    kind, _, value = entry["checksum"].partition(":")
    digest = Digest("md5", value.lower()) if kind == "md5" else None
    return WebFile(entry["links"]["self"], root / entry["key"], digest)
