"""Work in several processes, its results in order."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from types import ModuleType
from typing import Any, TypeVar

from ssl_ecg.errors import DataError

T = TypeVar("T")
R = TypeVar("R")

_shared: tuple[Any, ...] = ()


def in_order(
    function: Callable[..., R], shared: tuple[Any, ...], tasks: Iterable[T], workers: int, ahead: int = 2
) -> Iterator[R]:
    """Yield the results of `function(*shared, task)` of each task, in the tasks' order.

    `function` is one of a module, so that other processes find it; `shared` is sent to each process once; tasks are
    taken only as far as there is work to give out: `ahead` results for each worker may wait for their turn. DataError
    if a process dies; and whatever `function` raises.
    """
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    with ProcessPoolExecutor(workers, context, _start, (shared,)) as pool:
        running: deque[Future[R]] = deque()
        try:
            for task in tasks:
                with _without_main(shared):  # the first call starts the processes
                    running.append(pool.submit(_call, function, task))
                if len(running) >= ahead * workers:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        except BrokenProcessPool:
            raise DataError(
                "a worker process died, likely for want of memory: give fewer --workers; what is done is kept, and "
                "the same command goes on"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start(shared: tuple[Any, ...]) -> None:
    global _shared
    _shared = shared
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        """End with the parent, however it ends: nobody else would tell a waiting worker."""
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _call(function: Callable[..., R], task: object) -> R:
    return function(*_shared, task)


@contextmanager
def _without_main(shared: tuple[Any, ...]) -> Iterator[None]:
    """Keep processes that start from importing the command's module again, and with it all of torch.

    Not where what they need is a class of that very module, as in a user's own script.
    """
    if any(type(item).__module__ == "__main__" for item in shared):
        yield
        return
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
