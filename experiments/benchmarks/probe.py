"""How long a linear probe of many labels takes, beside scikit-learn's one-vs-rest.

    python experiments/benchmarks/probe.py

Synthetic embeddings of the size of PTB-XL's: 17,000 train records, 2,000 for validation and as many for the test, 512
features of falling variance and 71 labels between 0.1 and 30 % of the records. The probe fits all labels at all eight
C, chooses C on the validation records and fits the chosen one again to a hundred times the precision. scikit-learn's
`LogisticRegression` (lbfgs, its default tolerance, on the same standardised features) fits one label at one C after
another; as the whole grid takes an hour, some labels, evenly over the frequencies, are timed at some C, and the mean
time of a fit at these is taken for every label, and for the C between them interpolated. Both use the threads they are
given. What is compared is the test AUROC of the labels and C that both have fitted.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch

sys.path.append(str(Path(__file__).parents[2]))  # also where the package is not installed

from ssl_ecg.estimators.probe import CS, fit_probe
from ssl_ecg.metrics.scores import auroc

SIDES = {"train": 17_000, "validation": 2_000, "test": 2_000}


def study(features: int, labels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings (n, d), targets (n, K), and which side each record is on (n,)."""
    rng = np.random.default_rng(seed)
    n = sum(SIDES.values())
    hidden = rng.normal(size=(n, 64))
    x = hidden @ rng.normal(size=(64, features)) * np.logspace(0, -1, features) + 0.3 * rng.normal(size=(n, features))
    scores = 0.35 * hidden @ rng.normal(size=(64, labels)) + 1.5 * rng.normal(size=(n, labels))
    share = np.logspace(-3, np.log10(0.3), labels)
    targets = np.stack([s > np.quantile(s, 1 - p) for s, p in zip(scores.T, share, strict=True)], axis=1)
    return np.maximum(x, 0).astype(np.float32), targets, np.repeat(list(SIDES), list(SIDES.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--labels", type=int, default=71)
    parser.add_argument("--timed_labels", type=int, default=6, help="of scikit-learn")
    parser.add_argument("--timed_cs", type=float, nargs="+", default=[1e-6, 1e-4, 1e-2, 1.0, 10.0])
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    x, targets, side = study(args.features, args.labels)
    train, test = side == "train", side == "test"
    known = ~test
    patients = np.arange(known.sum())

    began = time.perf_counter()
    probe = fit_probe({"x": x[known]}, targets[known], patients, validation=side[known] == "validation")
    ours = time.perf_counter() - began
    print(f"{args.labels} labels x {len(CS)} C, chosen and fitted again: {ours:.1f} s; C = {probe.chosen.c:g}")

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    warnings.simplefilter("ignore", ConvergenceWarning)
    z = (x - x[train].mean(axis=0)) / x[train].std(axis=0)
    some = np.linspace(0, args.labels - 1, args.timed_labels).round().astype(int)
    spent = []
    for c in args.timed_cs:
        # One C, so that nothing is chosen; the validation records stay out of the fit all the same.
        mine = fit_probe(
            {"x": x[known]}, targets[known], patients, cs=[c], validation=side[known] == "validation"
        ).logits({"x": x[test]})
        with threadpool_limits(args.threads):
            began = time.perf_counter()
            fits = [LogisticRegression(C=c).fit(z[train], targets[train, k]) for k in some]
            spent.append((time.perf_counter() - began) / len(some))
        gave_up = sum(int(fit.n_iter_[0] >= fit.max_iter) for fit in fits)
        theirs = [auroc(targets[test, k], fit.decision_function(z[test])) for k, fit in zip(some, fits, strict=True)]
        apart = np.array([auroc(targets[test, k], mine[:, k]) for k in some]) - theirs
        print(
            f"C = {c:g}: scikit-learn {spent[-1]:.2f} s a label, gave up on {gave_up} of {len(some)}; macro AUROC "
            f"{np.mean(theirs):.4f}, of the probe {np.mean(apart):+.4f} (largest of a label {np.abs(apart).max():.4f})"
        )
    grid = args.labels * np.interp(np.log10(CS), np.log10(args.timed_cs), spent).sum()
    print(f"scikit-learn, {args.labels} labels x {len(CS)} C: {grid:.0f} s; ratio {grid / ours:.0f}")


if __name__ == "__main__":
    main()
