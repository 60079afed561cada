"""How long a sweep over label fractions takes, beside scikit-learn's one-vs-rest loop, and whether both say the same.

    python experiments/benchmarks/probe_sweep.py

Synthetic embeddings of the size of PTB-XL's: 17,000 train records, 2,000 for validation and as many for the test, 512
correlated features whose variance falls by a power law, and 71 labels that 0.1 to 30 % of the records have. The
sweep fits 8 C x 71 labels on 1, 10 and 100 % of the records, five draws each (100 % is one draw), and chooses C by the
drawn validation records. scikit-learn's `LogisticRegression` (lbfgs) fits one label at one C on one draw after another,
on features that are standardised outside its clock, on the same cores: either as threads of its matrix products or as
processes with a label each, whichever a trial finds faster.

Its whole grid would take too long. It fits every C and fraction, but only some labels, evenly over the frequencies,
and some draws of a fraction; the mean time of a fit is taken for the labels and draws that are left out. It is timed
with its default tolerance, and 100 % is counted once. Its AUROC is that of a second fit to a tight tolerance, in
64 bits, because the default one stops short where the penalty is weak. Seconds are those of the clock and, for machines
that are shared, those of the processors.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

sys.path.append(str(Path(__file__).parents[2]))  # also where the package is not installed

from ssl_ecg.estimators.probe import CS, LinearProbe, fit_probe
from ssl_ecg.metrics.scores import auroc
from ssl_ecg.study.label_draws import Draw, label_draws

FRACTIONS = (0.01, 0.1, 1.0)
TIGHT: dict[str, Any] = {"tol": 1e-6, "max_iter": 5000}


def study(train: int, features: int, labels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings (n, d), targets (n, K), and which side each record is on (n,)."""
    rng = np.random.default_rng(seed)
    sizes = {"train": train, "validation": 2_000, "test": 2_000}
    n = sum(sizes.values())
    hidden = rng.normal(size=(n, features))
    x = hidden * np.arange(1, features + 1) ** -1.0 @ rng.normal(size=(features, features))
    x = np.logaddexp(0, x + rng.normal(size=features))  # as an encoder ends: not negative, hardly correlated with zero
    told = hidden[:, :64] @ rng.normal(size=(64, labels)) * rng.uniform(0.05, 0.3, labels)
    scores = told + rng.normal(size=(n, labels))
    share = np.logspace(-3, np.log10(0.3), labels)
    targets = np.stack([s > np.quantile(s, 1 - p) for s, p in zip(scores.T, share, strict=True)], axis=1)
    return x.astype(np.float32), targets, np.repeat(list(sizes), list(sizes.values()))


class Looped(NamedTuple):
    """What scikit-learn found: coefficients (d, K), intercepts (K,); seconds a label: the clock's, the processors'."""

    coefficients: np.ndarray
    intercepts: np.ndarray
    seconds: np.ndarray


def fit_one(z: np.ndarray, yes: np.ndarray, c: float, **settings: Any) -> tuple[np.ndarray, float, float]:  # noqa: ANN401
    """scikit-learn's coefficients and intercept of one label, and the processor's seconds."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = LogisticRegression(C=c, **settings).fit(z, yes)
    return fit.coef_[0], float(fit.intercept_[0]), time.process_time() - began


def loop(z: np.ndarray, targets: np.ndarray, c: float, processes: int, threads: int, **settings: Any) -> Looped:  # noqa: ANN401
    """scikit-learn's loop over the columns of the targets."""
    from joblib import Parallel, delayed
    from threadpoolctl import threadpool_limits

    began = time.perf_counter()
    if processes > 1:
        fits = Parallel(processes)(delayed(fit_one)(z, yes, c, **settings) for yes in targets.T)
    else:
        with threadpool_limits(threads):
            fits = [fit_one(z, yes, c, **settings) for yes in targets.T]
    seconds = np.array([time.perf_counter() - began, sum(fit[2] for fit in fits)]) / targets.shape[1]
    return Looped(np.stack([fit[0] for fit in fits], axis=1), np.array([fit[1] for fit in fits]), seconds)


def fit_draw(
    x: np.ndarray, targets: np.ndarray, side: np.ndarray, draw: Draw, cs: tuple[float, ...] = CS
) -> LinearProbe:
    """The probe of one draw, as a sweep fits it."""
    rows, patients = draw.rows, np.arange(len(x))
    return fit_probe(
        {"x": x[rows]}, targets[rows], patients[rows], cs=cs, validation=side[rows] == "validation", few=True
    )


def sweep(
    x: np.ndarray, targets: np.ndarray, side: np.ndarray, draws: list[Draw]
) -> tuple[list[LinearProbe], np.ndarray]:
    """Every draw's probes, and the seconds they took: the clock's, the processors'."""
    began = np.array([time.perf_counter(), time.process_time()])
    probes = [fit_draw(x, targets, side, draw) for draw in draws]
    return probes, np.array([time.perf_counter(), time.process_time()]) - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=17_000)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--labels", type=int, default=71)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--timed_labels", type=int, default=6, help="of scikit-learn")
    parser.add_argument("--timed_seeds", type=int, default=2, help="of scikit-learn, for 1 and 10 %%")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    x, targets, side = study(args.train, args.features, args.labels)
    known, test = side != "test", side == "test"
    draws = label_draws(np.arange(known.sum()), targets[known], FRACTIONS, args.seeds, side[known] == "validation")
    given = x[known], targets[known], side[known], draws

    probes, first = sweep(*given)
    shown = "{0[0]:.4g} s (of the processors {0[1]:.4g} s)".format
    print(f"ours: {len(draws)} draws x {len(CS)} C x {args.labels} labels: {shown(first)}", flush=True)
    some = np.linspace(0, args.labels - 1, args.timed_labels).round().astype(int)
    learned = known & (side == "train")
    whole = (x[learned] - x[learned].mean(axis=0)) / x[learned].std(axis=0)
    loop(whole[:100], targets[learned][:100, -2:], 0.01, args.threads, 1)  # starts the processes
    ways = [(1, args.threads), (args.threads, 1)]
    tried = [loop(whole, targets[learned][:, some], 0.01, *way).seconds for way in ways]
    way = ways[int(tried[1][0] < tried[0][0])]
    print(
        f"scikit-learn at 100 %, C = 0.01, a label: {shown(tried[0])} with {args.threads} threads, "
        f"{shown(tried[1])} with {args.threads} processes; the faster is used",
        flush=True,
    )

    total = {"default": np.zeros(2), "tight": np.zeros(2)}
    most = {"default": 0.0, "ours": 0.0}
    for fraction in FRACTIONS:
        mine = [(draw, probe) for draw, probe in zip(draws, probes, strict=True) if draw.fraction == fraction]
        for draw, probe in mine[: args.timed_seeds]:
            rows = np.flatnonzero(known)[draw.rows & (side[known] == "train")]
            z = (x - probe.mean) / probe.scale
            present = some[targets[rows][:, some].any(axis=0)]  # it refuses a label that nobody has
            y = targets[rows][:, present]
            for c in CS:
                loops = {
                    "default": loop(z[rows], y, c, *way),
                    "tight": loop(z[rows].astype(np.float64), y, c, *way, **TIGHT),
                }
                logits = {name: z[test] @ fit.coefficients + fit.intercepts for name, fit in loops.items()}
                logits["ours"] = fit_draw(*given[:3], draw, (c,)).logits({"x": x[test]})[:, present]
                areas = {
                    name: np.array([auroc(targets[test, k], column) for k, column in zip(present, of.T, strict=True)])
                    for name, of in logits.items()
                }
                apart = {name: np.nanmean(areas[name] - areas["tight"]) for name in most}
                most = {name: max(most[name], abs(apart[name])) for name in most}
                # A mean over the draws that are timed, for all there are; every label, for those that are timed.
                times = args.labels * len(mine) / len(mine[: args.timed_seeds])
                total = {name: total[name] + times * loops[name].seconds for name in total}
                print(
                    f"{fraction:.0%}, draw {draw.seed}, C = {c:g}: a label {shown(loops['default'].seconds)}; "
                    f"tight {shown(loops['tight'].seconds)}, macro AUROC {np.nanmean(areas['tight']):.4f}; default "
                    f"{apart['default']:+.5f}, ours {apart['ours']:+.5f} (largest of a label "
                    f"{np.nanmax(np.abs(areas['ours'] - areas['tight'])):.4f})",
                    flush=True,
                )
    again = (first + sweep(*given)[1]) / 2
    print(f"ours, mean of two: {shown(again)}")
    for name, seconds in total.items():
        ratio = seconds / again
        print(
            f"scikit-learn, {name} tolerance, from {args.timed_labels} labels and {args.timed_seeds} draws: "
            f"{shown(seconds)}; ratio {ratio[0]:.0f} (of the processors {ratio[1]:.0f})"
        )
    print(
        f"largest difference of a macro AUROC from the tight fit, over all C, fractions and timed draws: ours "
        f"{most['ours']:.5f}, scikit-learn's default tolerance {most['default']:.5f}"
    )


if __name__ == "__main__":
    main()
