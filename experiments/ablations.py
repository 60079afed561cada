"""Ablate the joint recipe: one thing changed at a time, the same number of windows, judged on validation sides alone.

    python experiments/ablations.py --cinc2017 ../shared/data/cinc2017 --mitdb ../shared/data/mitdb

The base is `experiments/recipes/cinc2017/joint.yaml` with both crops from anywhere in a recording, three epochs. Two
tasks judge: CinC 2017's validation side with 2, 10 and 100 % of the labels, and MIT-BIH's DS1, which no encoder here
saw, beats in context without RR, by `beat_reading.py`. What is finished is not done again: a stopped run goes on.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from beat_reading import judge, read, reduced, some_beats
from method_table import RECIPES, Rows, draw, probed, run, tabulate, write

from ssl_ecg.data.sources.mitbih import MITBIH
from ssl_ecg.report.results import read_results
from ssl_ecg.report.tables import print_table
from ssl_ecg.study.study import open_study
from ssl_ecg.study.systems import untrained

EPOCHS = 3
LEFT_OUT = object()
SIMCLR = "method.init_args.objectives.0.init_args"
VIEWS = f"{SIMCLR}.views"
ENCODER = "method.init_args.encoder.init_args"
AUGMENTATIONS = ("crop", "scale", "polarity", "wander", "noise", "mask")  # in the order of the recipe
BASE = {
    "positives": {"class_path": "SameRecord", "init_args": {"within": 60}},
    "trainer.max_epochs": EPOCHS,
}


def alone(recipe: dict[str, Any], number: int) -> dict[str, Any]:
    """One of the joint objectives as the method, with the same encoder and optimiser."""
    joint = recipe["method"]["init_args"]
    objective = deepcopy(joint["objectives"][number])
    objective["init_args"] |= {"encoder": joint["encoder"], "optimiser": joint["optimiser"]}
    return objective


def mixed(ptbxl: int) -> dict[str, Any]:
    """Changes that draw this percentage of a batch from single leads of PTB-XL, one epoch of both data sets."""
    mixture = {"sources": ["CinC2017", "PTBXL"], "weights": [100 - ptbxl, ptbxl]}
    return {
        "data": {"class_path": "Mixture", "init_args": mixture},
        "preprocessing.leads": "any",
        "trainer.max_epochs": 1,
    }


VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "base, another seed": {"seed": 1},
    "crops of one window": {"positives": LEFT_OUT},
    "three crops": {f"{VIEWS}.n": 3},
    "crops of 3 s": {f"{VIEWS}.augmentations.0.init_args.duration": 3},
    "without JEPA": {"method": partial(alone, number=0)},
    "without SimCLR": {"method": partial(alone, number=1)},
    "JEPA x 5": {"method.init_args.weights": [1, 5]},
    "temperature .1": {f"{SIMCLR}.temperature": 0.1},
    "temperature .5": {f"{SIMCLR}.temperature": 0.5},
    **{
        f"without {name}": {f"{VIEWS}.augmentations.{place}": LEFT_OUT}
        for place, name in enumerate(AUGMENTATIONS)
        if place  # crops are what is compared
    },
    "without SD of tokens": {f"{ENCODER}.statistics": ["mean", "max"]},
    "SD of tokens replaced by attention": {f"{ENCODER}.statistics": ["mean", "max", "attentive"]},
    "dropout .1": {f"{ENCODER}.dropout": 0.1},
    "half the parameters": {f"{ENCODER}.width": 40, f"{ENCODER}.context": 112},
    "twice the parameters": {f"{ENCODER}.width": 80, f"{ENCODER}.context": 228},
    "no context network": {  # it reads both ways; its stages differ in rate, so that JEPA predicts the last
        "method.init_args.encoder": "MobileNet1d",
        "method.init_args.objectives.1.init_args.target": -1,
    },
    "a quarter from PTB-XL": mixed(25),
    "three quarters from PTB-XL": mixed(75),
    "one epoch": {"trainer.max_epochs": 1},
    "12 epochs": {"trainer.max_epochs": 12},
    "24 epochs": {"trainer.max_epochs": 24},
}


def changed(recipe: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A recipe with values of dotted paths replaced, those that are functions by what they make of it, or left out."""
    recipe = deepcopy(recipe)
    for path, value in changes.items():
        *way, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
        inner: Any = recipe
        for part in way:
            inner = inner[part]
        if value is not LEFT_OUT:
            inner[last] = value(recipe) if callable(value) else value
        elif isinstance(inner, list):
            inner.pop(last)
        else:
            inner.pop(last, None)
    return recipe


def folder_of(name: str, out: Path) -> Path:
    """Where a variant's run is."""
    return out / name.replace(",", "").replace(" ", "-")


def pretrain(name: str, root: str, out: Path, ptbxl: str | None = None) -> None:
    """Train a variant, or go on; a finished one is left, and one of PTB-XL without its folder."""
    recipe = yaml.safe_load((RECIPES / "cinc2017" / "joint.yaml").read_text())
    folder = folder_of(name, out)
    config = out / f"{folder.name}.yaml"
    config.write_text(yaml.safe_dump(changed(changed(recipe, BASE), VARIANTS[name])))
    roots = ["--data.root", root]
    if "data" in VARIANTS[name]:
        if ptbxl is None:
            print(f"{name}: left out, --ptbxl was not given")
            return
        roots = ["--data.CinC2017.root", root, "--data.PTBXL.root", ptbxl]
    run("ssl_ecg.pretrain", "--config", str(config), *roots, "--out", str(out), "--name", folder.name)


def probe_beats(ref: Path, root: str, *, fresh: bool = False) -> float:
    """Macro AUROC of DS1's beats over deals of patients, without RR, by an encoder or its untrained self."""
    study = open_study(ref, MITBIH(root=root), lead="II")
    encoder, beats = study.encoder.encoder, some_beats(study)
    return judge({"z": reduced(read(untrained(encoder, 0) if fresh else encoder, beats))}, beats)["macro"]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cinc2017", required=True, help="folder of CinC 2017: pretraining, and a task")
    parser.add_argument("--mitdb", help="folder of MIT-BIH, for the second task; left out without it")
    parser.add_argument("--ptbxl", help="folder of PTB-XL, for variants that pretrain on it too; left out without it")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), metavar="NAME")
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"), help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=4, help="draws of the labels")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--finished", action="store_true", help="train nothing, tabulate the runs that are finished")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if not given.finished:
        with ThreadPoolExecutor(given.jobs) as pool:
            list(pool.map(partial(pretrain, root=given.cinc2017, out=given.out, ptbxl=given.ptbxl), given.variants))
    folders = [folder_of(name, given.out) for name in VARIANTS]
    runs = {path.name: path for path in folders if (path / "checkpoint" / "config.json").exists()}
    if not runs:
        raise SystemExit(f"no run is finished in {given.out}")
    probed("cinc2017", list(runs.values()), given.cinc2017, given.out / "sweep", given.seeds, "--validate")
    rows: Rows = tabulate("cinc2017", read_results(given.out / "sweep" / "validation.json"), runs)
    if given.mitdb:
        for name, folder in runs.items():
            rows[name]["DS1 beats"] = probe_beats(folder, given.mitdb)
        rows["untrained"]["DS1 beats"] = probe_beats(next(iter(runs.values())), given.mitdb, fresh=True)
    print_table(rows, title="validation sides: CinC 2017 by share of the labels, MIT-BIH DS1 by folds of patients")
    write(rows, given.out / "ablations.csv")
    draw("cinc2017", rows, given.out / "ablations.png")
    print(f"written {given.out}/ablations.csv, .png; not finished: {len(folders) - len(runs)} of {len(folders)}")


if __name__ == "__main__":
    main()
