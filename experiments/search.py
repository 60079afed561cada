"""Search hyper-parameters by a file in the format of W&B's sweeps, without its server.

Optuna chooses the values, keeps the trials in one journal that workers on any machine share, prunes by the online probe
and draws the figures. Workers are processes of this machine (`--jobs`) or tasks of a SLURM array that give the same
`--out`. Each trial is a run with a folder of its own, named by its values: one that was killed goes on when it comes up
again. Needs `pip install 'ssl-ecg[search]'`.

    python experiments/search.py experiments/search/pretrain.yaml --trials 12 --jobs 2
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

from ssl_ecg.errors import UserError
from ssl_ecg.files import alone_in
from ssl_ecg.report.results import read_results
from ssl_ecg.report.state import NAME, STALE, read_sidecar
from ssl_ecg.report.wandb import main_scores


def suggest(trial: optuna.Trial, parameters: dict[str, Any]) -> dict[str, Any]:
    """Values of one trial: W&B's words in, Optuna's choice out."""
    values = {}
    for name, how in parameters.items():
        if "value" in how:
            values[name] = how["value"]
        elif "values" in how:
            values[name] = trial.suggest_categorical(name, how["values"])
        else:
            kind, bounds = how.get("distribution", ""), (how["min"], how["max"])
            if kind.startswith("int_") or (not kind and all(isinstance(bound, int) for bound in bounds)):
                values[name] = trial.suggest_int(name, *bounds)
            elif kind in ("", "uniform", "log_uniform_values"):
                values[name] = trial.suggest_float(name, *bounds, log=kind.startswith("log"))
            else:
                raise SystemExit(f"{name}: {kind} is not understood here: give values, uniform or log_uniform_values")
    return values


def sampler(sweep: dict[str, Any], seed: int) -> optuna.samplers.BaseSampler:
    """W&B's method as Optuna's sampler."""
    if sweep["method"] == "grid":
        grid = {name: how["values"] for name, how in sweep["parameters"].items() if "values" in how}
        return optuna.samplers.GridSampler(grid, seed=seed)
    if sweep["method"] == "random":
        return optuna.samplers.RandomSampler(seed=seed + os.getpid())  # workers draw apart
    return optuna.samplers.TPESampler(seed=seed + os.getpid(), constant_liar=True)


def command_line(sweep: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """The command that W&B's agent would run for these values."""
    args = [f"--{name}={value}" for name, value in values.items()]
    macros = {"${env}": ["/usr/bin/env"], "${interpreter}": ["python"], "${program}": [sweep.get("program", "")]}
    given = sweep.get("command", ["${env}", "${interpreter}", "${program}", "${args}"])
    return [word for part in given for word in (macros | {"${args}": args}).get(part, [part])]


def metric_of(folder: Path, name: str) -> dict[int, float]:
    """A metric of each epoch that a run has finished; of a question about a checkpoint what W&B's summary would say."""
    try:
        with (folder / "metrics.csv").open(newline="") as file:
            return {int(row["epoch"]): float(row[name]) for row in csv.DictReader(file) if row.get(name)}
    except OSError:
        pass
    try:
        return {0: main_scores(read_results(folder / "results.json"))[name]}
    except (OSError, UserError, KeyError):
        return {}


def run(trial: optuna.Trial, sweep: dict[str, Any], out: Path) -> float:
    """Run a trial to its end, or until the pruner ends it; its last metric."""
    values = suggest(trial, sweep["parameters"])
    name = "trial-" + hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
    folder, metric = out / name, sweep["metric"]["name"]
    trial.set_user_attr("run", name)
    # What W&B's agent sets, too; the command finds `python` where this one is.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "WANDB_RUN_ID": name, "SEARCH_OUT": str(out), "SEARCH_WANDB": "off", "PATH": path}
    out.mkdir(parents=True, exist_ok=True)
    with (out / f"{name}.log").open("a") as log:
        process = subprocess.Popen(command_line(sweep, values), env=environment, stdout=log, stderr=log)
        reported: set[int] = set()
        while process.poll() is None:
            time.sleep(1)
            os.utime(log.name)  # a sign of life
            for epoch, value in metric_of(folder, metric).items():
                if epoch not in reported:
                    trial.report(value, epoch)
                    reported.add(epoch)
            if reported and trial.should_prune():
                process.send_signal(signal.SIGTERM)  # saved: it can be gone on with by hand
                process.wait()
                raise optuna.TrialPruned
    found = metric_of(folder, metric)
    if process.returncode in (130, 138, 140, 143):  # stopped by a signal, and saved
        trial.study.enqueue_trial(trial.params)
    if process.returncode or not found:
        raise RuntimeError(f"{name} ended with {process.returncode}: see {out / name}.log")
    return found[max(found)]


def requeue_dead(study: optuna.Study, out: Path) -> None:
    """Put trials whose worker is gone in the queue again: their runs go on where they were."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        run = out / trial.user_attrs.get("run", "none")
        signs = [path.stat().st_mtime for path in (run / NAME, run.with_name(f"{run.name}.log")) if path.exists()]
        silent = time.time() - max([trial.datetime_start.timestamp(), *signs])
        if silent > STALE or (read_sidecar(run) or {}).get("state") in ("stopped", "failed"):
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params)


def report(study: optuna.Study, out: Path) -> None:
    """Write the table of trials and the figures, and print the best."""
    import matplotlib as mpl

    mpl.use("Agg")
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # its figures in matplotlib
    from optuna.visualization import matplotlib as figures

    rows = [
        {"run": t.user_attrs.get("run"), "state": t.state.name.lower(), "value": t.value, **t.params}
        for t in study.get_trials()
    ]
    names = list(dict.fromkeys(name for row in rows for name in row))
    with (out / "trials.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    done = study.get_trials(states=(TrialState.COMPLETE,))
    if len({t.value for t in done}) > 1:
        for draw in (figures.plot_parallel_coordinate, figures.plot_param_importances):
            figure = draw(study).figure
            figure.savefig(out / f"{draw.__name__.removeprefix('plot_')}.png", bbox_inches="tight", dpi=150)
    best_first = sorted(done, key=lambda t: t.value, reverse=study.direction == optuna.study.StudyDirection.MAXIMIZE)
    for trial in best_first[:10]:
        values = ", ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in trial.params.items()
        )
        print(f"{trial.value:.4f}  {trial.user_attrs['run']}  {values}")
    print(f"{len(done)} of {len(rows)} trials complete; {out / 'trials.csv'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sweep", type=Path, help="file in the format of W&B's sweeps")
    parser.add_argument("--trials", type=int, default=1, help="of this worker, all jobs together")
    parser.add_argument("--jobs", type=int, default=1, help="trials at once on this machine")
    parser.add_argument("--out", type=Path, default=Path("runs/search"), help="folder of the runs and the journal")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    sweep = yaml.safe_load(given.sweep.read_text())
    given.out.mkdir(parents=True, exist_ok=True)
    journal = str(given.out / "trials.journal")
    early = sweep.get("early_terminate")
    study = optuna.create_study(
        study_name=given.sweep.stem,
        storage=JournalStorage(JournalFileBackend(journal, lock_obj=JournalFileOpenLock(journal))),
        sampler=sampler(sweep, given.seed),
        pruner=optuna.pruners.HyperbandPruner(early.get("min_iter", 1)) if early else optuna.pruners.NopPruner(),
        direction=sweep["metric"].get("goal", "minimize"),
        load_if_exists=True,
    )
    requeue_dead(study, given.out)
    shares = [math.ceil((given.trials - job) / given.jobs) for job in range(given.jobs)]
    with ThreadPoolExecutor(given.jobs) as pool:
        objective = lambda trial: run(trial, sweep, given.out)  # noqa: E731
        list(pool.map(lambda n: study.optimize(objective, n_trials=n, catch=(RuntimeError,)), [n for n in shares if n]))
    with alone_in(given.out):  # the last worker's table is the whole one
        report(study, given.out)


if __name__ == "__main__":
    main()
