"""What the tests of invariants need to know of one kind of augmentation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from augmentations import Augmentation


@dataclass(frozen=True)
class Kind:
    """One kind.

    Attributes:
        build: From a strategy for `p` to a strategy for the augmentation, over all its settings.
        example: From `p` to one with wide settings.
        half: Means the same in half precision; not where the type decides which random numbers are drawn.
        varies: Every sample is changed differently; not where there is nothing, or only a few things, to draw.
        keeps_length: Changes no length, and has a coin to toss.
        leads: How many leads it takes, where it does not take any number.
    """

    build: Callable[[Any], Any]
    example: Callable[[float], Augmentation]
    half: bool = True
    varies: bool = True
    keeps_length: bool = True
    leads: int | None = None


def ranges(low, high):
    """A strategy for a range (low, high) within bounds."""
    return st.tuples(st.floats(low, high), st.floats(low, high)).map(lambda pair: tuple(sorted(pair)))
