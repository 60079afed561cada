"""Compare pretraining methods: the same encoder, the same compute, frozen linear probes on the validation side.

    python experiments/method_table.py --cinc2017 ../shared/data/cinc2017 --ptbxl ../shared/data/ptb-xl-raw

Every recipe of `experiments/recipes/cinc2017` and `experiments/recipes/ptbxl` is pretrained on the train side (about
ten minutes of one core each), and all encoders of a data set are probed with 2, 10 and 100 % of the labels by
`ssl_ecg.sweep --validate`, which does not touch the test side, beside the untrained encoder, hand features and the raw
signal. What is finished is not done again: a stopped run goes on. `--jobs 2` trains two at a time, one thread each.
"""

import argparse
import csv
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from ssl_ecg.report.results import read_results
from ssl_ecg.report.tables import print_table

RECIPES = Path(__file__).parent / "recipes"
SOURCES = {"cinc2017": ["--data", "CinC2017"], "ptbxl": ["--data", "PTBXL"]}
FRACTIONS = (0.02, 0.1, 1.0)
LOGGED = ("loss", "effective_rank", "spread", "samples_per_s")


def run(*command: str) -> int:
    """Run a command of the project with one thread, and say how it ended."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-m", *command], env=environment).returncode


def pretrained(data: str, method: str, *, root: str, out: Path) -> Path | None:
    """The run of a recipe, trained if it is not; None if it cannot be."""
    recipe = RECIPES / data / f"{method}.yaml"
    name = f"{data}-{method}"
    given = ("--config", str(recipe), "--data.root", root, "--out", str(out), "--name", name)
    return out / name if run("ssl_ecg.pretrain", *given) == 0 else None


def probed(data: str, runs: list[Path], root: str, out: Path, seeds: int) -> dict[tuple[str, float], float]:
    """Macro AUROC on the validation side by system and share of the labels: of all runs, and of what needs none."""
    folder = out / f"sweep-{data}"
    run(
        *("ssl_ecg.sweep", ",".join(map(str, runs)), *SOURCES[data], "--data.0.root", root, "--validate"),
        *("--fractions", ",".join(map(str, FRACTIONS)), "--seeds", str(seeds), "--out", str(folder)),
        *("--beside", "untrained,raw PCA,hand features", "--resamples", "200"),
    )
    rows = [row for row in read_results(folder / "validation.json").rows if row.score == "macro_auroc"]
    return {(row.system, float(row.fraction)): row.value for row in rows if row.draw in (None, "mean")}


def last_epoch(folder: Path) -> dict[str, float]:
    """What the run logged of its last epoch."""
    with (folder / "metrics.csv").open() as file:
        *_, last = csv.DictReader(file)
    return {name: float(last[name]) for name in LOGGED if last.get(name)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for data in SOURCES:
        parser.add_argument(f"--{data}", help="folder of the data set; its recipes are left out without it")
    parser.add_argument("--methods", nargs="+", help="names of recipes; all by default")
    parser.add_argument("--out", type=Path, default=Path("runs/methods"), help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=4, help="draws of the labels")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    given = parser.parse_args()
    for data in SOURCES:
        root = getattr(given, data)
        if root is None:
            continue
        methods = given.methods or sorted(path.stem for path in (RECIPES / data).glob("*.yaml"))
        with ThreadPoolExecutor(given.jobs) as pool:
            found = list(pool.map(partial(pretrained, data, root=root, out=given.out), methods))
        runs = {method: folder for method, folder in zip(methods, found, strict=True) if folder is not None}
        print(probed(data, list(runs.values()), root, given.out, given.seeds), last_epoch, print_table, csv)


if __name__ == "__main__":
    main()
