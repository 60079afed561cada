"""A progress bar for long reading, on stderr; silent where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def track(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield the items, showing how far it has come.

    Args:
        items: anything iterable.
        total: how many there are.
        what: shown beside the bar.
    """
    from rich.console import Console
    from rich.progress import track as rich_track

    console = Console(stderr=True)
    yield from rich_track(items, what, total, console=console, transient=True, disable=not sys.stderr.isatty())
