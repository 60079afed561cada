"""A store whose recordings lie elsewhere."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from ssl_ecg.data.store import Store
from ssl_ecg.data.streaming.blocks import Blocks, Buffer, Layout, block_order, get
from ssl_ecg.data.streaming.export import FORMAT, MARK
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.files import default_cache


class StreamedStore(Store):
    """A store that `export` has written, read where it lies: its tables are fetched once, its recordings when needed.

    Args:
        url: a folder (best one that all machines see, which is read in place), or s3://, gs:// or r2://.
        cache: folder for the tables and for litdata's copies of blocks; `default_cache()` if None.
        budget: bytes of blocks that each process keeps on disk.
        group: number of blocks whose windows are mixed in an epoch; three times as many are kept in memory.

    Raises:
        DataError: if there is no streamed store, it cannot be read, or it is damaged.
        UserError: if litdata is not installed, or the budget is less than eight blocks.
    """

    scattered = False

    def __init__(self, url: str, cache: str | Path | None = None, budget: int = 50 << 30, group: int = 16) -> None:
        self.url, self.budget, self.group = url.rstrip("/"), budget, group
        self._streams = (Path(cache) if cache is not None else default_cache()) / "streams"
        self._device = torch.device("cpu")
        super().__init__(self._fetch_tables())

    def to(self, device: torch.device | str) -> StreamedStore:
        """Hand out windows on this device; the blocks stay where they are. Returns self."""
        self._device = torch.device(device)
        return self

    def gather(self, record: Tensor, start: Tensor, samples: int) -> Tensor:
        """Cut windows; as `Store.gather`. Blocks that are not in memory are fetched. DataError where one cannot be."""
        c = len(self.leads)
        x = torch.empty(len(record), c, samples, dtype=torch.int16)
        filled = torch.zeros_like(record)
        while len(rest := torch.nonzero(filled < samples).flatten()):
            at = start[rest] + filled[rest]
            piece = self._layout.piece(record[rest], at)
            inside = at - self._layout.start[piece]
            take = torch.minimum(self._layout.length[piece] - inside, samples - filled[rest])
            block = self._layout.block[piece]
            for number in block.unique().tolist():
                here = block == number
                self._copy(x, number, rest[here], filled[rest[here]], piece[here], inside[here], take[here])
            filled[rest] += take
        return x.to(self._device).float() * self.scale[record].to(self._device)[:, None, None]

    def order(self, record: Tensor, start: Tensor, seed: int, epoch: int, rank: int = 0, ranks: int = 1) -> Tensor:
        """As `Store.order`, such that each rank reads blocks of its own, one after the other. See `block_order`."""
        return block_order(self._block(record, start), seed, epoch, rank, ranks, self.group)

    def expect(self, record: Tensor, start: Tensor, samples: int) -> None:
        """Fetch in the background what these windows need, in their order."""
        both = torch.stack([self._block(record, start), self._block(record, start + samples - 1)], 1).flatten()
        blocks, which = both.unique(return_inverse=True)
        earliest = torch.full_like(blocks, len(both)).scatter_reduce_(0, which, torch.arange(len(both)), "amin")
        self._buffer.expect(blocks[earliest.argsort()].tolist())

    def _block(self, record: Tensor, sample: Tensor) -> Tensor:
        return self._layout.block[self._layout.piece(record, sample)]

    def _copy(
        self, x: Tensor, number: int, row: Tensor, filled: Tensor, piece: Tensor, inside: Tensor, take: Tensor
    ) -> None:
        """Copy from one block what it has of some windows."""
        block, c, samples = self._buffer[number], x.shape[1], x.shape[2]
        length = self._layout.length[piece]
        first = (self._layout.offset[piece] + inside)[:, None] + torch.arange(c) * length[:, None]
        if len(whole := torch.nonzero(take == samples).flatten()):
            # `unfold` is a view in which row i is the window that starts at sample i
            cut = block.unfold(0, samples, 1).index_select(0, first[whole].flatten())
            x[row[whole]] = cut.view(-1, c, samples)
        for i in torch.nonzero(take < samples).flatten().tolist():
            count, done = int(take[i]), int(filled[i])
            for lead in range(c):
                x[row[i], lead, done : done + count] = block[int(first[i, lead]) :][:count]

    def _open_signals(self) -> None:
        self._layout = Layout.of(self.length, len(self.leads), self._block_size)
        sizes = self._layout.sizes
        if self.budget < 16 * int(sizes.max()):
            raise UserError(
                f"a cache of {self.budget / 1e9:g} GB is too small for blocks of {2e-9 * int(sizes.max()):g} GB: "
                "give it room for eight"
            )
        blocks = Blocks(self.url, self._streams, sizes, self.budget)
        self._buffer = Buffer(blocks.read, keep=3 * self.group, ahead=self.group)

    def _fetch_tables(self) -> Path:
        """The folder with the tables: fetched and checked, unless that was done before."""
        try:
            self._streams.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"cannot write to the cache {self._streams} ({error.strerror}): "
                "set SSL_ECG_CACHE to a folder you may write to"
            ) from None
        with tempfile.TemporaryDirectory(dir=self._streams) as temporary:
            text = get(self.url, MARK, Path(temporary)).read_text()
            try:
                mark = json.loads(text)
                if mark["format"] != FORMAT:
                    raise DataError(f"{self.url} has format {mark['format']}, not {FORMAT}: export the store again")
                sums, self._block_size = dict(mark["sha256"]), int(mark["block"])
            except (KeyError, TypeError, json.JSONDecodeError) as error:
                raise DataError(f"{self.url}/{MARK} is not what `export` writes ({error}): export again") from None
            target = self._streams / f"tables-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
            if not target.exists():
                tables = Path(temporary) / "tables"
                tables.mkdir()
                for name, digest in sums.items():
                    content = get(self.url, name, tables).read_bytes()
                    if hashlib.sha256(content).hexdigest() != digest:
                        raise DataError(f"{self.url}/{name} is damaged, or of another export: export the store again")
                try:
                    os.replace(tables, target)
                except OSError:  # another process was faster, with the same result
                    shutil.rmtree(tables)
        return target
