"""Work for other processes, which import this module and so no torch."""

from __future__ import annotations

import os


def die(number: int) -> int:
    if number == 2:
        os._exit(9)
    return number


def double(factor: int, number: int) -> int:
    return factor * number
