"""Scripts of `experiments/` that put other commands' results together."""

from __future__ import annotations

import csv
import importlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from ssl_ecg import cli
from ssl_ecg.metrics.bootstrap import Interval
from ssl_ecg.pretrain.command import DEFAULTS, Pretrain
from ssl_ecg.report.results import Results, rows_of

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXPERIMENTS / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def seeds(tmp_path: Path) -> list[Path]:
    files = []
    for seed, f1 in enumerate((0.9, 0.8, 0.7)):
        rows = rows_of({"f1": Interval(f1, f1 - 0.1, f1 + 0.05), "ppv": 0.5}, system="pretrained")
        rows += rows_of({"f1": f1}, system="only here") if seed == 1 else []
        (tmp_path / str(seed)).mkdir()
        Results("delineate", rows).write(tmp_path / str(seed), {})
        files.append(tmp_path / str(seed) / "results.json")
    return files


def test_seeds_are_averaged(seeds: list[Path], tmp_path: Path) -> None:
    done = run("seeds.py", *seeds, "--scores", "f1", "--out", tmp_path / "seeds.csv")
    assert done.returncode == 0, done.stderr
    (row,) = csv.DictReader((tmp_path / "seeds.csv").open())
    numbers = [float(row[name]) for name in ("mean", "lowest", "highest", "outer low", "outer high")]
    assert numbers == pytest.approx([0.8, 0.7, 0.9, 0.6, 0.95]) and row["system"] == "pretrained"


def test_seeds_that_share_nothing_are_refused(seeds: list[Path]) -> None:
    done = run("seeds.py", *seeds, "--scores", "auroc")
    assert done.returncode and "share no such score" in done.stderr


def test_ablations_change_one_thing_of_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXPERIMENTS))
    ablations = importlib.import_module("ablations")
    recipe = yaml.safe_load((ablations.RECIPES / "cinc2017" / "joint.yaml").read_text())
    base = ablations.changed(recipe, ablations.BASE)
    assert base != recipe
    for name, changes in ablations.VARIANTS.items():
        variant = ablations.changed(base, changes)
        assert (variant == base) == (name == "base")
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(variant))
        roots = ["--data.CinC2017.root=x", "--data.PTBXL.root=x"] if "data" in changes else ["--data.root=x"]
        argv, filled = [f"--config={tmp_path / 'recipe.yaml'}", *roots], {"method.encoder.in_channels": 1}
        made = cli.parse(Pretrain, argv, defaults=DEFAULTS, filled=filled).instantiate()
        epochs = {"12 epochs": 12, "24 epochs": 24}
        epochs |= dict.fromkeys(("one epoch", "a quarter from PTB-XL", "three quarters from PTB-XL"), 1)
        assert made["trainer"].max_epochs == epochs.get(name, 3)


def test_readings_of_beats_are_judged_on_held_out_patients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXPERIMENTS))
    reading = importlib.import_module("beat_reading")
    rng = np.random.default_rng(0)
    label, patient = rng.integers(0, 4, 800), np.arange(800) % 10
    beats = SimpleNamespace(label=label, patient=np.array([f"p{who}" for who in patient]))
    told = np.eye(4, dtype=np.float32)[label] + 0.3 * rng.normal(size=(800, 4)).astype(np.float32)
    learned_by_heart = np.eye(10, dtype=np.float32)[patient]  # tells patients, and so nothing of others'
    assert reading.judge({"z": told}, beats)["macro"] > 0.98
    assert reading.judge({"z": learned_by_heart}, beats)["macro"] < 0.6
