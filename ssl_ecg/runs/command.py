"""`python -m ssl_ecg.runs`: which runs are running, stalled, stopped, finished or failed, and their scores."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ssl_ecg import cli
from ssl_ecg.errors import UserError
from ssl_ecg.report.state import NAME, read_sidecar, state_of
from ssl_ecg.report.tables import Value, print_table
from ssl_ecg.training.run import has_trained

_SCORES = ("macro_auroc", "auroc", "probe_auroc", "val_auroc", "loss")  # the first that a run has is shown


@dataclass
class Runs:
    """List all runs below a folder: running, stalled, stopped, finished or failed, with their scores.

    A run is stalled where it says that it is running, but gave no sign of life for a minute: it was killed, or its
    machine is gone. The same command goes on with it, as with one that is stopped.

    Examples:
        python -m ssl_ecg.runs
        python -m ssl_ecg.runs /scratch/me/runs

    Args:
        folder: of the runs; `runs` where nothing is given.
    """

    folder: str

    def run(self) -> dict[str, dict[str, Value]]:
        """Print a line for each, by name, and give them."""
        root = Path(self.folder).expanduser()
        if not root.is_dir():
            raise UserError(f"there is no folder {root}")
        rows = {str(run.relative_to(root)): describe(run) for run in runs_below(root)}
        if rows:
            print_table(rows)
            for name, row in rows.items():
                if row["state"] == "failed":
                    print(f"{name}: {(read_sidecar(root / name) or {}).get('error')}")
        else:
            print(f"No runs below {root}.")
        return rows


def runs_below(root: Path) -> Iterator[Path]:
    """Find the folders of runs, by name; what lies inside one is its own."""
    if (root / NAME).exists() or ((root / "config.yaml").exists() and has_trained(root)):
        yield root
        return
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink()):
        yield from runs_below(folder)


def describe(run: Path) -> dict[str, Value]:
    """Say how a run fares: state, step, minutes since that, last metrics, where."""
    said = read_sidecar(run) or {}
    row: dict[str, Value] = {"state": state_of(run)}
    metrics = _metrics(run)
    step = said.get("step") or metrics.get("step")
    if step is not None:
        row["step"] = int(step)
    if said.get("stepped"):
        row["minutes ago"] = int((time.time() - said["stepped"]) / 60)
    if (score := next((name for name in _SCORES if name in metrics), None)) is not None:
        row[score] = metrics[score]
    if said:
        row["host"] = str(said.get("host"))
        row["job"] = "_".join(str(said[key]) for key in ("job", "array_task") if said.get(key)) or None
    return row


def _metrics(run: Path) -> dict[str, float]:
    """Read the metrics of the last epoch, and the scores of the pretrained encoder where a run has come so far."""
    found: dict[str, float] = {}
    with suppress(OSError, ValueError, AttributeError):  # not there yet, or of another version
        with (run / "metrics.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                found |= {name: float(value) for name, value in row.items() if value}
        results = json.loads((run / "results.json").read_text())
        found |= results.get("scores", {}).get("pretrained", {})
    return found


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    cli.run(Runs, (sys.argv[1:] if argv is None else argv) or ["runs"])
