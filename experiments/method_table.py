"""Compare pretraining methods: the same encoder, the same compute, frozen linear probes on the validation side.

    python experiments/method_table.py --cinc2017 ../shared/data/cinc2017 --ptbxl ../shared/data/ptb-xl-raw

Every recipe of `experiments/recipes/cinc2017` and `experiments/recipes/ptbxl` is pretrained on the train side (about
10 to 20 minutes of one core each), and all encoders of a data set are probed with 2, 10 and 100 % of the labels by
`ssl_ecg.sweep --validate`, which does not touch the test side, beside the untrained encoder, hand features, the raw
signal and, with aeon installed, MiniRocket. The table is printed, and written as CSV and as a figure into OUT. What is
finished is not done again: a stopped run goes on. `--jobs 2` trains two at a time, one thread each.

    python experiments/method_table.py --cinc2017 ../shared/data/cinc2017 --ptbxl ../shared/data/ptb-xl-raw --final 2

trains the best two of that table, by 10 % of the labels, with two more seeds of pretraining each, and only then scores
them on the test side, once: the mean over seeds, paired with the untrained encoder by bootstrap.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from ssl_ecg.metrics.bootstrap import Interval
from ssl_ecg.report.figures import colour, marker, new_figure, save
from ssl_ecg.report.results import Results, read_results
from ssl_ecg.report.tables import Value, print_table

RECIPES = Path(__file__).parent / "recipes"
SOURCES = {"cinc2017": ["--data", "CinC2017"], "ptbxl": ["--data", "PTBXL"]}
FRACTIONS = (0.02, 0.1, 1.0)
TRAINING_SEEDS = (0, 1, 2)
BESIDE = ["untrained", "raw PCA", "hand features", *(["MiniRocket"] if find_spec("aeon") else [])]
Rows = dict[str, dict[str, Value]]
LOGGED = ("effective_rank", "spread", "samples_per_s")


def run(*command: str, check: bool = False) -> None:
    """Run a command of the project with one thread; `check` ends with it if it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", *command], env=environment, check=check)


def pretrain(data: str, method: str, seed: int = 0, *, root: str, out: Path) -> None:
    """Train by a recipe, or go on; a finished run is left."""
    name = f"{data}-{method}-{seed}" if seed else f"{data}-{method}"
    given = ("--data.root", root, "--out", str(out), "--name", name, "--seed", str(seed))
    run("ssl_ecg.pretrain", "--config", str(RECIPES / data / f"{method}.yaml"), *given)


def probed(data: str, runs: list[Path], root: str, folder: Path, seeds: int, *more: str) -> None:
    """Score all runs, and what needs none, with shares of the labels."""
    run(
        *("ssl_ecg.sweep", ",".join(map(str, runs)), *SOURCES[data], "--data.0.root", root, *more),
        *("--fractions", ",".join(map(str, FRACTIONS)), "--seeds", str(seeds), "--out", str(folder)),
        *("--beside", ",".join(BESIDE)),
        check=True,  # or the table would be an older one
    )


def score_finally(data: str, methods: list[str], root: str, out: Path, seeds: int, jobs: int) -> None:
    """Train methods with two more seeds, and score all three on the test side."""
    todo = [(method, seed) for method in methods for seed in TRAINING_SEEDS if seed]
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda each: pretrain(data, *each, root=root, out=out), todo))
    for method in methods:
        kept = out / f"{data}-{method}-0" / "checkpoint"  # numbered as the other seeds: averaged by name
        shutil.copytree(out / f"{data}-{method}" / "checkpoint", kept, dirs_exist_ok=True)
    runs = [out / f"{data}-{method}-{seed}" for method in methods for seed in TRAINING_SEEDS]
    probed(data, runs, root, out / f"final-{data}", seeds, "--average")


def last_epoch(folder: Path) -> dict[str, float]:
    """What a run logged of its last epoch."""
    with (folder / "metrics.csv").open() as file:
        *_, last = csv.DictReader(file)
    return {name: float(last[name]) for name in LOGGED if last.get(name)}


def tabulate(data: str, results: Results, runs: dict[str, Path]) -> Rows:
    """A row for each method and baseline, the best with a tenth of the labels first."""
    rows: Rows = {}
    for fraction in FRACTIONS:
        for system, scores in results.scores(fraction=fraction).items():
            rows.setdefault(system.removeprefix(f"{data}-"), {})[f"AUROC, {fraction:.0%}"] = scores["macro_auroc"]
        for difference in results.select(fraction=fraction, reference="untrained", score="macro_auroc", draw=None):
            rows[difference.system.removeprefix(f"{data}-")][f"- untrained, {fraction:.0%}"] = difference.interval
    for method, folder in runs.items():
        rows[method] |= last_epoch(folder)
    order = sorted(rows, key=lambda system: -point(rows[system], FRACTIONS[1]).value)
    return {system: rows[system] for system in order}


def point(row: dict[str, Value], fraction: float) -> Interval:
    """The AUROC of a row with a share of the labels."""
    found = row[f"AUROC, {fraction:.0%}"]
    assert isinstance(found, Interval)
    return found


def write(rows: Rows, path: Path) -> None:
    """Write the table as CSV, the ends of intervals in columns of their own."""
    flat = []
    for system, row in rows.items():
        found = {"system": system}
        for name, value in row.items():
            if isinstance(value, Interval):
                found |= {
                    name: f"{value.value:.4f}",
                    f"{name} low": f"{value.low:.4f}",
                    f"{name} high": f"{value.high:.4f}",
                }
            else:
                found[name] = f"{value:.5g}"
        flat.append(found)
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(dict.fromkeys(name for row in flat for name in row)))
        table.writeheader()
        table.writerows(flat)


def draw(data: str, rows: Rows, path: Path) -> None:
    """Draw macro AUROC by method, a mark for each share of the labels."""
    figure = new_figure(7, 0.32 * len(rows) + 1.2)
    axes = figure.subplots()
    for i, fraction in enumerate(FRACTIONS):
        found = [point(row, fraction) for row in rows.values()]
        x = [each.value for each in found]
        y = [0.18 * (1 - i) - place for place in range(len(rows))]
        ends = [[each.value - each.low for each in found], [each.high - each.value for each in found]]
        label = f"{fraction:.0%} of the labels"
        axes.errorbar(x, y, xerr=ends, fmt=marker(i), color=colour(i), ms=5, lw=1, label=label)
    axes.set_yticks([-place for place in range(len(rows))], list(rows))
    axes.set_xlabel(f"macro AUROC on the validation side of {SOURCES[data][1]}, 95 % intervals")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=len(FRACTIONS), fontsize=8, frameon=False)
    save(figure, path)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for data in SOURCES:
        parser.add_argument(f"--{data}", help="folder of the data set; its recipes are left out without it")
    parser.add_argument("--methods", nargs="+", help="names of recipes; all by default")
    parser.add_argument("--out", type=Path, default=Path("runs/methods"), help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=4, help="draws of the labels")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--finished", action="store_true", help="train nothing, tabulate the runs that are finished")
    parser.add_argument("--final", type=int, default=0, help="how many of the best to score on the test side")
    given = parser.parse_args()
    for data in (data for data in SOURCES if getattr(given, data)):
        root = getattr(given, data)
        methods = given.methods or sorted(path.stem for path in (RECIPES / data).glob("*.yaml"))
        if not given.finished:
            with ThreadPoolExecutor(given.jobs) as pool:
                list(pool.map(partial(pretrain, data, root=root, out=given.out), methods))
        folders = {method: given.out / f"{data}-{method}" for method in methods}
        runs = {method: path for method, path in folders.items() if (path / "checkpoint" / "config.json").exists()}
        if not runs:
            raise SystemExit(f"no run of {data} is finished in {given.out}")
        folder = given.out / f"sweep-{data}"
        probed(data, list(runs.values()), root, folder, given.seeds, "--validate")
        rows = tabulate(data, read_results(folder / "validation.json"), runs)
        print_table(rows, title=f"{SOURCES[data][1]}, validation side: frozen linear probe by share of the labels")
        write(rows, given.out / f"{data}.csv")
        draw(data, rows, given.out / f"{data}.png")
        print(f"written {given.out / data}.csv, .png; not finished: {', '.join(set(methods) - set(runs)) or 'none'}")
        if best := [system for system in rows if system in runs][: given.final]:
            score_finally(data, best, root, given.out, given.seeds, given.jobs)


if __name__ == "__main__":
    main()
