"""Blocks: which samples lie in each, their order in an epoch, and how they come here: litdata, cache and buffer."""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import itertools
import logging
import os
import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Lock, Thread
from types import ModuleType
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.data.randomness import Purpose, generator
from ssl_ecg.errors import DataError, UserError


@dataclass(frozen=True)
class Layout:
    """Recordings cut into pieces in time, and consecutive pieces packed into blocks.

    A recording that fits into a block is one piece, a longer one several of equal length. A piece holds all leads,
    lead after lead, so that a window needs one block, or two where it crosses from one piece to the next. All numbers
    are int64: (R,) of the recordings, (P,) of the pieces, (B,) of the blocks.
    """

    first: Tensor  # (R,): number of the first piece
    step: Tensor  # (R,): length of the pieces in samples; the last may be shorter
    record: Tensor  # (P,): row of the recording
    start: Tensor  # (P,): first sample in the recording
    length: Tensor  # (P,): in samples
    block: Tensor  # (P,): where it lies
    offset: Tensor  # (P,): first sample in the block
    sizes: Tensor  # (B,): int16 samples, over all leads

    @staticmethod
    def of(length: Tensor, leads: int, size: int) -> Layout:
        """The layout of recordings of `length` samples, shape (R,), in blocks of `size` int16 at most."""
        most = max(1, size // leads)
        count = (length + most - 1) // most
        step = (length + count - 1) // count
        first = count.cumsum(0) - count
        record = torch.repeat_interleave(torch.arange(len(length)), count)
        start = (torch.arange(len(record)) - first[record]) * step[record]
        piece = torch.minimum(step[record], length[record] - start)
        end = (piece * leads).cumsum(0).numpy()
        bounds = [0]  # the first piece of each block, and one past the last
        while bounds[-1] < len(end):
            filled = end[bounds[-1] - 1] if bounds[-1] else 0
            bounds.append(max(bounds[-1] + 1, int(np.searchsorted(end, filled + size, "right"))))
        pieces = torch.tensor(bounds).diff()
        begin = torch.from_numpy(end) - piece * leads
        block = torch.repeat_interleave(torch.arange(len(pieces)), pieces)
        sizes = torch.zeros(len(pieces), dtype=torch.int64).index_add_(0, block, piece * leads)
        return Layout(first, step, record, start, piece, block, begin - begin[torch.tensor(bounds[:-1])][block], sizes)

    def piece(self, record: Tensor, sample: Tensor) -> Tensor:
        """The piece that holds a sample of a recording: numbers, of the shape of both."""
        return self.first[record] + sample // self.step[record]


def block_order(block: Tensor, seed: int, epoch: int, rank: int, ranks: int, group: int) -> Tensor:
    """One rank's windows in the order of an epoch: numbers of windows, shape (n // ranks,), of `block`, shape (n,).

    Blocks are put in a random order, and the row of their windows is cut into equal shares. Windows are so disjoint,
    and a rank shares a block with another only where its share begins or ends. Shares stay the same over the epochs,
    so that a rank's cache holds its share; within it the blocks are shuffled anew for every epoch, and the windows
    of `group` consecutive blocks, which are in memory together, among each other.
    """
    share = len(block) // ranks
    place = torch.randperm(int(block.max()) + 1, generator=generator(seed, Purpose.STREAM_BLOCKS))
    mine = torch.argsort(place[block], stable=True)[rank * share :][:share]
    g = generator(seed, Purpose.ORDER, epoch, rank)
    mine = mine[torch.randperm(share, generator=g)]
    present, which = block[mine].unique(return_inverse=True)
    in_group = torch.randperm(len(present), generator=g)[which] // group
    return mine[torch.argsort(in_group, stable=True)]


def litdata() -> ModuleType:
    """The module, quiet about what it would recommend. UserError where it is not installed."""
    try:
        module = importlib.import_module("litdata")
    except ModuleNotFoundError as error:
        raise UserError(f"streaming needs litdata ({error}): pip install 'ssl-ecg[stream]'") from None
    logging.getLogger("litdata").setLevel(logging.ERROR)
    address = os.environ.get("AWS_ENDPOINT_URL_S3", os.environ.get("AWS_ENDPOINT_URL", ""))
    if address.startswith("http:"):  # of a cluster's own object store, which litdata would refuse
        importlib.import_module("litdata.streaming.downloader")._OBSTORE_CLIENT_OPTIONS["allow_http"] = True
    return module


def local_folder(url: str) -> Path | None:
    """The folder of a URL, or None if it is in an object store. "local:" before it makes litdata copy from it."""
    return None if "://" in url else Path(url.removeprefix("local:")).expanduser()


@contextmanager
def _naming(url: str) -> Iterator[None]:
    """Errors of any client say which URL it was."""
    try:
        yield
    except (DataError, UserError):
        raise
    except Exception as error:
        raise DataError(
            f"{url}: {str(error) or type(error).__name__}. Check the address and the credentials."
        ) from error


def put(path: Path, url: str) -> None:
    """Move a file to `url`, a folder or s3://, gs:// or r2://, under its own name. DataError where that fails."""
    folder = local_folder(url)
    with _naming(url):
        if folder is not None:
            shutil.move(path, folder / path.name)
            return
        litdata()
        from litdata.streaming.fs_provider import _get_fs_provider

        _get_fs_provider(url).upload_file(str(path), f"{url}/{path.name}")
        path.unlink()


def get(url: str, name: str, into: Path) -> Path:
    """Copy a file of `url` into a folder and return its path there. DataError where it cannot be read."""
    folder = local_folder(url)
    with _naming(f"{url}/{name}"):
        if folder is not None:
            return Path(shutil.copy(folder / name, into))
        litdata()
        from litdata.streaming.downloader import get_downloader

        get_downloader(url, str(into), []).download_file(f"{url}/{name}", str(into / name))
    if not (into / name).is_file():
        raise DataError(f"{url}/{name} is not there, or cannot be fetched now: check the address, or try again")
    return into / name


def exists(url: str, name: str) -> bool:
    """Whether `url` has a file. DataError where that cannot be found out."""
    folder = local_folder(url)
    if folder is not None:
        return (folder / name).exists()
    with _naming(url):
        litdata()
        from litdata.streaming.fs_provider import _get_fs_provider

        return bool(_get_fs_provider(url).exists(f"{url}/{name}"))


class Blocks:
    """Blocks of a streamed store, fetched one at a time; `sizes` has the int16 samples of each, shape (B,).

    A plain local folder is read in place. From anywhere else blocks are copied to a folder in `cache`, `budget` bytes
    at most. Each process has one of its own: litdata would delete what another process is about to read.
    """

    def __init__(self, url: str, cache: Path, sizes: Tensor, budget: int) -> None:
        self.url, self.sizes, self.budget = url, sizes.tolist(), budget
        self._in_place = local_folder(url) is not None and not url.startswith("local:")
        if not self._in_place:
            parent = cache / hashlib.sha256(url.encode()).hexdigest()[:16]
            self._folder, self._lock = _own_folder(parent)
        self._open()

    def read(self, block: int) -> Tensor:
        """One block: shape (its size,), int16. DataError where it cannot be fetched or is not what the index says."""
        try:
            samples = torch.from_numpy(self._fetch(block))
        except (OSError, RuntimeError, IndexError) as error:
            raise DataError(f"block {block} of {self.url} cannot be read ({error}): export the store again") from None
        if len(samples) != self.sizes[block]:
            raise DataError(
                f"block {block} of {self.url} has {len(samples)} samples, not {self.sizes[block]}: "
                "export the store again, to an empty place"
            )
        return samples

    def _fetch(self, block: int) -> NDArray[np.int16]:
        samples: NDArray[np.int16]
        try:
            samples = self._dataset[block]
        except (OSError, RuntimeError):
            self._open()  # it may have passed; but litdata's thread ends for good with a download that fails
            samples = self._dataset[block]
        return samples

    def _open(self) -> None:
        where = {}
        if not self._in_place:
            self._tidy()
            where = {"cache_dir": str(self._folder), "max_cache_size": self.budget}
        with _naming(self.url):
            self._dataset = litdata().StreamingDataset(self.url, **where)
            self._dataset._on_demand_bytes = False  # else every epoch downloads everything again, two requests a block

    def _tidy(self) -> None:
        """Remove what a process that was killed has left: litdata counts it as used and waits for it to go."""
        if 2 * sum(self.sizes) > self.budget:
            shutil.rmtree(self._folder, ignore_errors=True)
        for file in self._folder.rglob("*"):
            if file.is_file() and not (file.suffix == ".bin" or file.name == "index.json"):
                file.unlink()


def _own_folder(parent: Path) -> tuple[Path, IO[str]]:
    """A folder that no other process uses while the returned file is open; the same again after a restart."""
    parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(int(os.environ.get("LOCAL_RANK", "0"))):
        lock = open(parent / f"{number}.lock", "w")  # noqa: SIM115  it is open as long as the folder is used
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return parent / str(number), lock
    raise AssertionError("there is always a next number")


class Buffer:
    """The `keep` blocks used last, and a thread that fetches up to `ahead` more before they are used.

    `ahead` is less than `keep`; `read` fetches a block, and is called by one thread at a time.
    """

    def __init__(self, read: Callable[[int], Tensor], keep: int, ahead: int) -> None:
        self._read, self._keep, self._ahead = read, keep, ahead
        self._blocks: OrderedDict[int, Tensor] = OrderedDict()
        self._reading = Lock()
        self._changed = Condition()  # guards what follows, and `_blocks`
        self._plan: Sequence[int] = ()
        self._used: set[int] = set()
        self._waiting: set[int] = set()  # fetched by the thread, not used yet

    def __getitem__(self, block: int) -> Tensor:
        """A block, at once if it is in memory. DataError where it cannot be read."""
        with self._changed:
            self._used.add(block)
            self._waiting.discard(block)
            self._changed.notify_all()
        return self._fetch(block)

    def expect(self, blocks: Sequence[int]) -> None:
        """Fetch these in the background, in this order, instead of what was expected before."""
        with self._changed:
            self._plan = blocks
            self._used.clear()
            self._waiting.clear()
            self._changed.notify_all()
        Thread(target=self._work, args=(blocks,), daemon=True, name="blocks").start()

    def _work(self, plan: Sequence[int]) -> None:
        for block in plan:
            with self._changed:
                self._changed.wait_for(lambda: self._plan is not plan or len(self._waiting) < self._ahead)
                if self._plan is not plan:
                    return
                if block in self._used:
                    continue
                self._waiting.add(block)
            try:
                self._fetch(block)
            except DataError:
                return  # whoever needs the block meets the same error

    def _fetch(self, block: int) -> Tensor:
        if (found := self._find(block)) is not None:
            return found
        with self._reading:
            if (found := self._find(block)) is not None:  # the other thread has just read it
                return found
            samples = self._read(block)
            with self._changed:
                self._blocks[block] = samples
                while len(self._blocks) > self._keep:
                    self._blocks.popitem(last=False)
            return samples

    def _find(self, block: int) -> Tensor | None:
        with self._changed:
            if block in self._blocks:
                self._blocks.move_to_end(block)
            return self._blocks.get(block)
