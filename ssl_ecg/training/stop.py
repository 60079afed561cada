"""SIGTERM and Ctrl-C while training: the step at hand ends and is saved, so that the same command goes on from there.

Lightning's own ways are not used: its SIGTERM is a broadcast in the midst of others, which hangs several processes, and
its Ctrl-C ends a step halfway.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

from ssl_ecg.training.processes import first_process


class Stopped(Exception):  # noqa: N818  (nothing is wrong)
    """Training was stopped after it was saved, by the signal `by`."""

    def __init__(self, by: signal.Signals) -> None:
        self.by = by


class Stop:
    """Notes in `by` the first signal to stop, from `listen` to the block's end; a second Ctrl-C stops at once.

    Where Ctrl-C has another handler, or in another thread than the main one, it is left alone.
    """

    def __init__(self) -> None:
        self.by: signal.Signals | None = None
        self._before: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}

    def listen(self) -> None:
        """Begin to note signals."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._before[signal.SIGTERM] = signal.signal(signal.SIGTERM, self._ask)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._ask)

    def __enter__(self) -> Stop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.by = self.by or signal.Signals(number)
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if first_process():  # by the system: print may itself be what was interrupted
                os.write(2, b"\nstopping after this step; Ctrl-C again stops at once\n")
