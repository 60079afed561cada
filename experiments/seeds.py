"""Lay results of several seeds of pretraining side by side: the mean of each score, and the seeds furthest from it.

    python experiments/seeds.py RESULTS.json RESULTS.json RESULTS.json --scores f1 macro_auroc --out seeds.csv

Each file is what a question wrote about one seed. The mean is over seeds; "lowest" and "highest" are those of a single
seed, and "outer low" to "outer high" is from the lowest end of a seed's 95 % interval to the highest of another's: what
is above 0 there is above 0 for every seed.
"""

import argparse
import csv
from pathlib import Path

from ssl_ecg.report.results import Row, read_results
from ssl_ecg.report.tables import Value, print_table

WHERE = ("data", "task", "system", "predictor", "fraction", "subset", "reference", "score")


def together(files: list[Path], scores: list[str]) -> list[dict[str, Value | str]]:
    """A row for each score that all files have, in the order of the first."""
    found: dict[tuple[object, ...], list[Row]] = {}
    for file in files:
        for row in read_results(file).rows:
            if row.draw is None and row.fold is None and (row.score in scores or not scores):
                found.setdefault(tuple(getattr(row, name) for name in WHERE), []).append(row)
    return [
        {
            **{name: value if isinstance(value, float) else str(value) for name, value in zip(WHERE, key, strict=True)},
            "mean": sum(row.value for row in rows) / len(rows),
            "lowest": min(row.value for row in rows),
            "highest": max(row.value for row in rows),
            "outer low": min(row.low for row in rows),
            "outer high": max(row.high for row in rows),
        }
        for key, rows in found.items()
        if len(rows) == len(files)
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path, help="results.json of a question, one for each seed")
    parser.add_argument("--scores", nargs="*", default=[], help="which to show; all by default")
    parser.add_argument("--out", type=Path, help="also write them as CSV")
    given = parser.parse_args()
    rows = together(given.results, given.scores)
    if not rows:
        raise SystemExit("the files share no such score: are they of one question, with one setting?")
    shown: dict[str, dict[str, Value]] = {}
    for row in rows:
        against = f" - {row['reference']}" if row["reference"] else ""
        of = ", ".join(str(row[name]) for name in ("predictor", "subset") if row[name])
        label = f"{row['system']}{against}, {of}, {row['fraction']:.3g}, {row['score']}"
        numbers = ("mean", "lowest", "highest", "outer low", "outer high")
        shown[label] = {name: value for name in numbers if isinstance(value := row[name], float)}
    print_table(shown, title=f"{len(given.results)} seeds")
    if given.out is not None:
        with given.out.open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(
                {name: f"{value:.5g}" if isinstance(value, float) else value for name, value in row.items()}
                for row in rows
            )


if __name__ == "__main__":
    main()
