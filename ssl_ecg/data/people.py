"""Age and sex as tables give them: what makes no sense is unknown and noted, and never stops anything."""

from __future__ import annotations

import math
from typing import Literal

_OLDEST = 130.0
_SEXES: dict[str, Literal["F", "M"]] = {"f": "F", "female": "F", "m": "M", "male": "M"}


def age_of(value: object) -> tuple[float | None, tuple[str, ...]]:
    """An age in years, None where it is unknown, and a note where it was given and makes no sense.

    Args:
        value: what the table has: a number, text, None or NaN.
    """
    text = _text(value)
    if not text:
        return None, ()
    try:
        age = float(text)
    except ValueError:
        return None, (f"age {text!r} is no number: taken as unknown",)
    if not 0 <= age <= _OLDEST:
        return None, (f"age {text} is no age: taken as unknown",)
    return age, ()


def sex_of(value: object) -> tuple[Literal["F", "M"] | None, tuple[str, ...]]:
    """A sex, None where it is unknown, and a note where it was given and is neither.

    Args:
        value: what the table has: F, M, female or male in any case, None or NaN.
    """
    text = _text(value)
    if not text or text.lower() in _SEXES:
        return _SEXES.get(text.lower()), ()
    return None, (f"sex {text!r} is neither F nor M: taken as unknown",)


def _text(value: object) -> str:
    """What a cell of a table says, "" for nothing."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    text = "" if missing else str(value).strip()
    return "" if text.lower() == "nan" else text
