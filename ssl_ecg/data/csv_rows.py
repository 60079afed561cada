"""Tables of data sets, read as text: what a cell means is for its source to say."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from ssl_ecg.errors import DataError


def csv_rows(path: Path, columns: Sequence[str], table: str) -> list[dict[str, str]]:
    """Read some columns of a CSV file. Cells may hold line breaks, where they are quoted.

    Args:
        path: the file.
        columns: those that are needed.
        table: what it should be, for messages, such as "the table of PTB-XL".

    Returns:
        Column -> text of the cell, without blanks around it, for each row.

    Raises:
        DataError: if it cannot be read, lacks a column or has no rows.
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
