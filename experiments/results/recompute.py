"""Compute the tables of results again, from what every system predicted for every scored recording or beat.

    python experiments/results/recompute.py [FOLDER ...]

Each folder here that holds `predictions.parquet` (`python -m ssl_ecg.probe` writes it) is scored again, with intervals
and paired differences, and compared row by row with the `results.csv` beside it. Ends with 1 where one differs by more
than 1e-4, or a row is on one side alone.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd

from ssl_ecg import cli
from ssl_ecg.report.results import Results, Row
from ssl_ecg.report.tables import print_table
from ssl_ecg.study.predictions import rescored

HERE = Path(__file__).parent
COLUMNS = {"macro_auroc": "macro AUROC", "macro_auprc": "macro AUPRC", "macro_f1": "macro F1"}
NUMBERS = ["value", "low", "high", "p_value"]
SAME = 1e-4


def off(folder: Path) -> float:
    """Print the table of a folder; how far its rows are from those written, infinite where the rows are others."""
    rows = rescored(folder / "predictions.parquet")
    title = f"{folder.name}: {rows[0].data} {rows[0].task}".rstrip()
    print_table(Results("probe", rows).table(COLUMNS, set(COLUMNS)), title=title)
    names = [field.name for field in fields(Row)]
    found, written = pd.DataFrame(rows, columns=names), pd.read_csv(folder / "results.csv")
    keys = [name for name in ("system", "predictor", "subset", "reference", "score") if name in written]
    for each in (found, written):
        each[keys] = each[keys].astype(object).fillna("")
    found, written = found.set_index(keys)[NUMBERS], written.set_index(keys)[NUMBERS]
    if set(found.index) != set(written.index):
        return float("inf")
    apart = (found - written.loc[found.index]).abs().to_numpy()
    lost = found.isna().to_numpy() != written.loc[found.index].isna().to_numpy()
    return float("inf") if lost.any() else float(np.nanmax(apart))


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    given = [Path(each) for each in (sys.argv[1:] if argv is None else argv)]
    folders = given or sorted(path.parent for path in HERE.glob("*/**/predictions.parquet"))
    found = {folder: off(folder) for folder in folders}
    for folder, apart in found.items():
        print(f"{folder.name}: {'as written' if apart <= SAME else 'NOT as written'} (largest difference {apart:.1g})")
    if not found or max(found.values()) > SAME:
        raise SystemExit(1)


if __name__ == "__main__":
    with cli.reporting_errors():
        main()
