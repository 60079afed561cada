"""Blocks in memory: the last ones used, and those that will be needed next, fetched in the background."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Condition, Lock, Thread

from torch import Tensor

from ssl_ecg.errors import DataError


class Buffer:
    """The blocks used last, and a thread that fetches the next.

    Args:
        read: fetches a block; called by one thread at a time.
        keep: number of blocks in memory.
        ahead: number of blocks fetched before they are used, at most; less than `keep`.
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
        """A block, at once if it is in memory.

        Raises:
            DataError: if it cannot be read.
        """
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
