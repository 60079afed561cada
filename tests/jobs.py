"""Jobs, one after the other in this process, in place of those that submitit starts."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ssl_ecg.launch import Launcher


class InTurn(Launcher):
    """Runs jobs here, as far as they can be sent elsewhere; `killed_after` so many, the command itself is killed."""

    killed_after = 99

    def run(self, function: Callable[[Sequence[Any]], Any], items: Sequence[Any], folder: Path) -> list[Any]:
        done = []
        for number in range(min(self.jobs, len(items))):
            if number == self.killed_after:
                raise KeyboardInterrupt
            sent, share = pickle.loads(pickle.dumps((function, items[number :: self.jobs])))
            done.append(sent(share))
        return done
