"""How many windows a second each pretraining recipe trains on, augmentation included, on one thread.

    python experiments/benchmarks/methods.py [RECIPE.yaml ...] [--out FILE]

All recipes of `experiments/recipes/cinc2017` and `ptbxl` by default. A step is what training does without its loop:
views, loss, backward, optimiser, momentum copies. Times are the processor's, so that a busy machine hardly counts, and
medians of rounds over all methods in turn; signals are simulated.
"""

import argparse
import csv
import sys
import time
from pathlib import Path
from statistics import median

import torch

sys.path.append(str(Path(__file__).parents[2]))  # also where the package is not installed

from augment_timing import signals

from ssl_ecg import cli
from ssl_ecg.data.batches import Batch
from ssl_ecg.methods.base import Method
from ssl_ecg.pretrain import DEFAULTS, Pretrain
from ssl_ecg.report.tables import Value, print_table

RECIPES = Path(__file__).parents[1] / "recipes"
ROUNDS = 5


class Recipe:
    """The method of a recipe, its optimiser and a batch of its size."""

    def __init__(self, path: Path) -> None:
        parsed = cli.parse(
            Pretrain, ["--config", str(path)], defaults=DEFAULTS, filled={"method.encoder.in_channels": 1}
        )
        parsed.set("method.encoder.in_channels", len(parsed.config["preprocessing"]["leads"]))
        given = parsed.instantiate()
        self.name = f"{path.parent.name}/{path.stem}"
        self.method: Method = given["method"].train()
        self.size, preprocessing = given["batch_size"], given["preprocessing"]
        self.method.prepare(preprocessing.fs, steps=1000)
        x = signals(self.size, self.method.encoder.in_channels, preprocessing.samples, preprocessing.fs)
        self.batch = Batch(x, torch.arange(self.size), row=torch.arange(self.size))
        self.optimiser, _ = self.method.optimiser.configure(self.method, 1000)
        self.done = 0

    def step(self) -> float:
        """Train on the batch once; the windows a second of processor time."""
        start = time.process_time()
        self.method.before_step(self.done)
        self.optimiser.zero_grad()
        self.method.step(self.batch, self.done).backward()
        self.optimiser.step()
        self.done += 1
        return self.size / (time.process_time() - start)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, help="CSV file")
    given = parser.parse_args()
    torch.set_num_threads(1)
    paths = given.recipes or sorted([*RECIPES.glob("cinc2017/*.yaml"), *RECIPES.glob("ptbxl/*.yaml")])
    recipes = [Recipe(path) for path in paths]
    for recipe in recipes:
        recipe.step()
    found: dict[str, list[float]] = {recipe.name: [] for recipe in recipes}
    for i in range(ROUNDS):
        print(f"round {i + 1} of {ROUNDS}", file=sys.stderr)
        for recipe in recipes:
            found[recipe.name].append(recipe.step())
    rows: dict[str, dict[str, Value]] = {
        name: {"windows/s": round(median(values)), "slowest": round(min(values)), "fastest": round(max(values))}
        for name, values in found.items()
    }
    print_table(rows, title="Training, one thread, processor time")
    if given.out:
        with given.out.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["recipe", "windows_per_s"])
            table.writerows([name, row["windows/s"]] for name, row in rows.items())


if __name__ == "__main__":
    with cli.reporting_errors():
        main()
