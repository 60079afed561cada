"""`python -m ssl_ecg.report`: a run as one page, or several beside each other."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from ssl_ecg import cli
from ssl_ecg.report.comparison import comparison
from ssl_ecg.report.run_page import PAGE, run_page


@dataclass
class Report:
    """Write the page of a run, or the page that compares several, as one file that needs no other.

    A run's page has its scores, curves, signs of a collapse, augmentations, embeddings, starts and stops, and settings.
    A comparison has scores, curves over each other and the settings that differ. Both read the runs' folders alone:
    results of probe and others that lie below a run are shown too. Runs may still be going on.

    Examples:
        python -m ssl_ecg.report runs/simclr-mitbih
        python -m ssl_ecg.report runs/simclr-mitbih runs/byol-mitbih --out comparison.html

    Args:
        runs: folders of runs.
        out: the file; report.html in the folder of the run or, of several, in the folder that they have in common.
    """

    runs: list[str]
    out: str | None = None

    def run(self) -> Path:
        """Write the page, and say where."""
        folders = [Path(run).expanduser() for run in self.runs]
        page = run_page(folders[0]) if len(folders) == 1 else comparison(folders)
        common = Path(os.path.commonpath([folder.resolve() for folder in folders]))
        written = page.write(Path(self.out) if self.out else common / PAGE)
        print(f"Written to {written}")
        return written


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    given = sys.argv[1:] if argv is None else argv
    runs = list(takewhile(lambda word: not word.startswith("-"), given))
    cli.run(Report, [",".join(runs), *given[len(runs) :]] if runs else given)
