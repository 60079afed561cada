"""Read the tables of data sets: rows as text, and age and sex, where what makes no sense is unknown and noted."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ssl_ecg.errors import DataError

_OLDEST = 130.0
_SEXES: dict[str, Literal["F", "M"]] = {"f": "F", "female": "F", "m": "M", "male": "M"}


def csv_rows(path: Path, columns: Sequence[str], table: str) -> list[dict[str, str]]:
    """Read some columns of a CSV file: column -> text of the cell, without blanks around it, for each row.

    Cells may hold line breaks, where they are quoted. `table` says what it should be, such as "the table of PTB-XL".
    DataError if the file cannot be read, lacks a column or has no rows.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or ()
            rows = [{name: (row.get(name) or "").strip() for name in columns} for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} is not {table} ({error}). Fetch it again.") from error
    if lacking := [name or "(the first)" for name in columns if name not in names]:
        raise DataError(f"{path} is not {table}: it lacks the column {', '.join(lacking)}. Fetch it again.")
    if not rows:
        raise DataError(f"{path} is not {table}: it has no rows. Fetch it again.")
    return rows


def age_of(value: object) -> tuple[float | None, tuple[str, ...]]:
    """Read an age in years, a number, text, None or NaN: None where unknown, and a note where it makes no sense."""
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
    """Read a sex (F, M, female or male in any case, None or NaN): None where unknown, a note where it is neither."""
    text = _text(value)
    if not text or text.lower() in _SEXES:
        return _SEXES.get(text.lower()), ()
    return None, (f"sex {text!r} is neither F nor M: taken as unknown",)


def _text(value: object) -> str:
    """What a cell of a table says, "" for nothing."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    text = "" if missing else str(value).strip()
    return "" if text.lower() == "nan" else text
