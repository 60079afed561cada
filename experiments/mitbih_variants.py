"""Compare variants of the SimCLR recipe on MIT-BIH by patients of DS1 outside the pretraining set.

    python experiments/mitbih_variants.py --root ../shared/data/mitdb

For every variant and seed, `ssl_ecg.pretrain` on half of the patients of DS1 (the seed draws which) and
`ssl_ecg.probe --validate`: DS2 is not touched. A stopped run goes on where it was; an hour and a half on one
core.
"""

import argparse
import csv
import subprocess
import sys
from pathlib import Path
from statistics import mean

from ssl_ecg.report.results import read_results
from ssl_ecg.report.tables import print_table

RECIPES = Path(__file__).parent / "recipes"
VARIANTS = {
    "one lead": ("simclr_mitbih", []),
    "one lead, negatives of the same patient": (
        "simclr_mitbih",
        ["--method.negatives", "patient", "--patients_per_batch", "4", "--trainer.max_epochs", "5"],
    ),
    "leads as views": ("simclr_leads_mitbih", ["--method.negatives", "batch", "--patients_per_batch", "0"]),
    "leads as views, negatives of the same patient": ("simclr_leads_mitbih", []),
}
SYSTEMS = ("pretrained + RR", "untrained + RR", "pretrained", "untrained")


def run(*command: str) -> None:
    """Run a command of the project."""
    subprocess.run([sys.executable, "-m", *command], check=True)


def judged(variant: str, seed: int, root: str, out: Path) -> dict[str, float]:
    """Macro AUROC of every system on the patients of DS1 outside the pretraining set."""
    name = f"{variant.replace(' ', '-').replace(',', '')}-{seed}"
    recipe, settings = VARIANTS[variant]
    data = ["--data", "MITBIH", "--data.root", root, *(["--data.chest", "V1"] if "leads" in recipe else [])]
    found = out / name / "judged" / "validation.json"
    if not found.exists():
        run(
            *("ssl_ecg.pretrain", "--config", str(RECIPES / f"{recipe}.yaml"), *data, *settings, "--seed", str(seed)),
            *("--hold_out", "0.5", "--probe_every", "100", "--out", str(out), "--name", name),
        )
        beside = ["--beside", "untrained,RR alone", "--validate", "--out", str(found.parent)]
        run("ssl_ecg.probe", str(out / name), *data, *beside)
    return {row.system: row.value for row in read_results(found).rows if row.score == "macro_auroc"}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data/mitdb", help="folder of MIT-BIH")
    parser.add_argument("--out", type=Path, default=Path("runs/mitbih-variants"), help="folder of the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    given = parser.parse_args()
    rows = [
        {"variant": variant, "seed": seed, **judged(variant, seed, given.root, given.out)}
        for seed in given.seeds
        for variant in given.variants
    ]
    with (given.out / "variants.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    means = {
        variant: {system: mean(float(row[system]) for row in rows if row["variant"] == variant) for system in SYSTEMS}
        for variant in given.variants
    }
    print_table(means, title=f"macro AUROC of patients outside the pretraining set (DS1), mean of seeds {given.seeds}")
    print(f"every seed  {given.out / 'variants.csv'}")


if __name__ == "__main__":
    main()
