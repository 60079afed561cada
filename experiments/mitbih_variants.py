"""What changes of the SimCLR recipe are worth on MIT-BIH, judged by patients of DS1 whom the encoder has not seen.

    python experiments/mitbih_variants.py --root ../shared/data/mitdb

For every variant and seed, `ssl_ecg.pretrain` with half of the patients of DS1 (the seed draws which) and
`ssl_ecg.probe --validate`: DS2 is not touched. A stopped run goes on where it was; two hours on two cores.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean

from ssl_ecg.report.tables import print_table

RECIPE = Path(__file__).parent / "recipes" / "simclr_mitbih.yaml"
BATCH = ["--method.negatives", "batch", "--patients_per_batch", "0"]
ONE_LEAD = ["--data.chest", "none", "--preprocessing.leads", "II", "--method.views", "centred_beat"]
VARIANTS = {
    "the recipe": [],
    "negatives of the whole batch": BATCH,
    "views of both leads": ["--method.views", "centred_beat"],
    "one lead": ONE_LEAD,
    "one lead, negatives of the whole batch": [*ONE_LEAD, *BATCH],
}
SYSTEMS = ("pretrained + RR", "untrained + RR", "pretrained", "untrained")


def run(*command: str) -> None:
    """Run a command of the project."""
    subprocess.run([sys.executable, "-m", *command], check=True)


def judged(variant: str, seed: int, root: str, out: Path) -> dict[str, float]:
    """Macro AUROC of every system on the patients of DS1 held out of pretraining."""
    name = f"{variant.replace(' ', '-').replace(',', '')}-{seed}"
    chest = [] if "one lead" in variant else ["--data.chest", "V1"]
    data = ["--data", "MITBIH", "--data.root", root]
    found = out / name / "judged" / "validation.json"
    if not found.exists():
        settings = [*data, *chest, *VARIANTS[variant], "--seed", str(seed), "--hold_out", "0.5", "--probe_every", "100"]
        run("ssl_ecg.pretrain", "--config", str(RECIPE), *settings, "--out", str(out), "--name", name)
        beside = ["--beside", "untrained,RR alone", "--validate", "--out", str(found.parent)]
        run("ssl_ecg.probe", str(out / name), *data, *chest, *beside)
    return {system: scores["macro AUROC"] for system, scores in json.loads(found.read_text())["systems"].items()}


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
    print_table(means, title=f"macro AUROC of unseen patients of DS1, mean of seeds {given.seeds}")
    print(f"every seed  {given.out / 'variants.csv'}")


if __name__ == "__main__":
    main()
