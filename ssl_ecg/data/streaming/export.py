"""Writes a store where other machines can stream it from."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.data.store import Store
from ssl_ecg.data.streaming.blocks import Layout, exists, get, litdata, local_folder, put
from ssl_ecg.errors import DataError, UserError

FORMAT = 1
MARK = "stream.json"
"""Written last, so a place without it holds no streamed store."""


def export(
    store: Store, url: str, block: int = 4 << 20, progress: Callable[[Iterable[int], int], Iterable[int]] | None = None
) -> None:
    """Write a store to a folder or an object store, for `StreamedStore`.

    What is written: the blocks, each one file of litdata's format and about `block` bytes large; litdata's list of
    them; the tables of the store, unchanged; and `stream.json` with their checksums, last. Does nothing where the same
    store has been exported in the same way; a place where an export was stopped is written anew.

    Args:
        store: what to write.
        url: a folder, or s3://, gs:// or r2:// with a bucket and a prefix.
        block: bytes in a block: what one request fetches, and how far windows are mixed in steps of.
        progress: wraps the numbers of the blocks and how many there are, to show a progress bar.

    Raises:
        DataError: if `url` cannot be written or holds another store.
        UserError: if litdata is not installed, or a block would not hold a second of signal.
    """
    if block < 2 * len(store.leads) * store.fs:
        raise UserError(f"a block of {block} bytes holds less than a second of {len(store.leads)} leads: give more")
    url = url.rstrip("/")
    tables = sorted([*store.path.glob("*.parquet"), store.path / "report.json", store.path / "store.json"])
    mark = {
        "format": FORMAT,
        "block": block // 2,
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tables},
    }
    litdata()
    from litdata.streaming.cache import Cache

    if (folder := local_folder(url)) is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot write to {folder} ({error.strerror}): give another place") from None
    with tempfile.TemporaryDirectory() as temporary:
        if exists(url, MARK):
            if json.loads(get(url, MARK, Path(temporary)).read_text()) == mark:
                return
            raise DataError(f"{url} holds another store, or this one in other blocks: give another place or empty it")
        layout = Layout.of(store.length, len(store.leads), block // 2)
        numbers: Iterable[int] = range(len(layout.sizes))
        if progress is not None:
            numbers = progress(numbers, len(layout.sizes))
        written = Cache(str(Path(temporary) / "blocks"), chunk_size=1)
        for number in numbers:
            if done := written._add_item(number, _content(store, layout, number)):  # that of the block before it
                put(Path(done), url)
        for done in written.done() or ():
            put(Path(done), url)
        written.merge()
        put(Path(written.cache_dir) / "index.json", url)
        for path in tables:
            put(Path(shutil.copy(path, temporary)), url)
        (Path(temporary) / MARK).write_text(json.dumps(mark, indent=1))
        put(Path(temporary) / MARK, url)


def is_streamed(url: str) -> bool:
    """Whether a store has been exported to a place, if it is a folder; an address is taken to be of one."""
    folder = local_folder(url)
    return folder is None or (folder / MARK).is_file()


def _content(store: Store, layout: Layout, number: int) -> NDArray[np.int16]:
    """The samples of a block."""
    c = len(store.leads)
    pieces = []
    for p in torch.nonzero(layout.block == number).flatten().tolist():
        row, start, length = int(layout.record[p]), int(layout.start[p]), int(layout.length[p])
        whole = store.signals[int(store.offset[row]) :][: c * int(store.length[row])].view(c, -1)
        pieces.append(whole[:, start : start + length].flatten())
    return np.asarray(torch.cat(pieces).cpu().numpy())
