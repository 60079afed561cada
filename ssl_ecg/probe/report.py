"""What `python -m ssl_ecg.probe` shows and leaves behind: a table, JSON, CSV and three figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.report.embedding_map import embedding_map, one_class
from ssl_ecg.report.score_figures import METRICS, class_dots, confusion_figure, probe_bars
from ssl_ecg.report.style import save
from ssl_ecg.report.tables import print_table, write_csv, write_json
from ssl_ecg.study.benchmark import Benchmark, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What the table shows of the many scores, where a data set has them.
_COLUMNS = {
    "macro_auroc": "macro AUROC",
    "macro_auroc_all": "also of rare classes",
    "macro_auprc": "macro AUPRC",
    "macro_f1": "macro F1",
    "macro_f1_NSV": "F1 of N S V",
    "prior_macro_f1": "F1 prior-corr.",
    "sensitivity_S": "S Se",
    "ppv_S": "S PPV",
    "sensitivity_V": "V Se",
    "ppv_V": "V PPV",
}
_WITH_INTERVAL = ("macro_auroc", "macro_auprc", "macro_f1")
_FEW_CLASSES = 6  # so many find room in the table
_COLOURS = 8  # so many are told apart in a figure


def write_report(
    folder: Path,
    results: Sequence[Result],
    benchmark: Benchmark,
    *,
    setting: str,
    simulated: bool,
    checkpoint: str,
    embeddings: NDArray[np.float32] | None,
    config: Mapping[str, Any] | None,
) -> None:
    """Print the results and write them down.

    Args:
        folder: of the files; what has their names there is replaced.
        results: of all systems; the first is the one the figures show.
        benchmark: what they were fitted and scored on.
        setting: whether the encoder had seen the test patients.
        simulated: whether no heart was involved.
        checkpoint: what was probed.
        embeddings: of the test windows, shape (n, D); None if the test set was not touched.
        config: all settings of the command.
    """
    kind = "simulated ECG (no heart was involved)" if simulated else "real ECG"
    if embeddings is None:
        judged = {r.system: {"macro AUROC": r.probe.chosen.macro_auroc, "C": r.probe.chosen.c} for r in results}
        how = "cross-validated inside the train patients" if benchmark.validation is None else "on the validation split"
        print_table(judged, title=f"{checkpoint}: {how}, {kind}")
        write_json({"setting": setting, "config": config, "systems": judged}, folder / "validation.json")
        print(f"{setting[0].upper()}{setting[1:]}.")
        print(f"The test set was not touched. Written to {folder / 'validation.json'}")
        return
    columns = dict(_COLUMNS)
    if benchmark.multilabel and len(benchmark.classes) <= _FEW_CLASSES:
        columns |= {f"auroc_{name}": f"AUROC {name}" for name in benchmark.classes}
    shown = {
        r.system: {
            title: (r.scores[name] if name in _WITH_INTERVAL else r.scores[name].value)
            for name, title in columns.items()
            if name in r.scores
        }
        for r in results
    }
    print_table(shown, title=f"{checkpoint}: linear probe, test patients, {kind}")
    print(f"95 % intervals by bootstrap over {len(set(benchmark.test.patients.tolist()))} test patients; {setting}.")
    if set(benchmark.too_few) == set(benchmark.classes):
        print("No class has five test patients who have it and five who lack it: what is scored says little.")
    elif benchmark.too_few:
        print(f"Not scored, because too few test patients have or lack them: {', '.join(benchmark.too_few)}.")
    for r in results:
        for other, scores in r.versus.items():
            print(f"{r.system} - {other}: macro AUROC {scores['macro_auroc']}")
    if benchmark.exclude:
        left_out = ", ".join(benchmark.exclude)
        for r in results:
            print(f"without {left_out}: {r.system}: macro AUROC {r.excluded['macro_auroc']}")
    validation = 0 if benchmark.validation is None else int(benchmark.validation.sum())
    document = {
        "checkpoint": checkpoint,
        "setting": setting,
        "simulated": simulated,
        "classes": list(benchmark.classes),
        "too_few": list(benchmark.too_few),
        "train_samples": len(benchmark.train.y) - validation,
        "validation_samples": validation,
        "test_samples": len(benchmark.test.y),
        "excluded": list(benchmark.exclude),
        "config": config,
        "systems": {r.system: _document(r, benchmark) for r in results},
    }
    write_json(document, folder / "results.json")
    rows = [
        {"system": r.system, "score": name, "value": i.value, "low": i.low, "high": i.high}
        for r in results
        for name, i in r.scores.items()
    ]
    write_csv(rows, folder / "results.csv")
    drawn = _multilabel_figures if benchmark.multilabel else _exclusive_figures
    figures = drawn(results, benchmark, embeddings)
    for name, figure in figures.items():
        save(figure, folder / name)
    print(f"Written to {folder}: results.json, results.csv, {', '.join(figures)}")


def _exclusive_figures(
    results: Sequence[Result], benchmark: Benchmark, embeddings: NDArray[np.float32]
) -> dict[str, Figure]:
    """By file name: the confusion of the system the table is about, the map and the scores."""
    y, classes = benchmark.test.y, benchmark.classes
    first = results[1] if len(results) > 1 and results[1].system.endswith("+ RR") else results[0]
    assert first.probabilities is not None
    predicted = first.probabilities.argmax(axis=1)
    return {
        "confusion.png": confusion_figure(y, predicted, classes, title=f"{first.system}, test patients"),
        "map.png": embedding_map(embeddings, y, classes, benchmark.test.patients),
        "scores.png": probe_bars({r.system: r.scores for r in results}),
    }


def _multilabel_figures(
    results: Sequence[Result], benchmark: Benchmark, embeddings: NDArray[np.float32]
) -> dict[str, Figure]:
    """By file name: the AUROC of every class, the map and the scores."""
    targets = benchmark.test.y
    systems = {r.system: r.scores for r in results}
    y, names = one_class(targets, benchmark.classes)
    counts = targets.sum(axis=0).tolist()
    scored = {name: n for name, n in zip(benchmark.classes, counts, strict=True) if name not in benchmark.too_few}
    return {
        **({"classes.png": class_dots(systems, scored)} if scored else {}),
        "map.png": embedding_map(embeddings, y, names, benchmark.test.patients, grey=names[-1:]),
        "scores.png": probe_bars(systems, {**METRICS, "macro_auprc": "macro AUPRC"}),
    }


def _document(result: Result, benchmark: Benchmark) -> dict[str, Any]:
    """What results.json says of a system."""
    probe = result.probe
    how = "cross_validated" if benchmark.validation is None else "validation"
    document: dict[str, Any] = {
        "chosen": {"C": probe.chosen.c, "weights": probe.chosen.weights},
        f"{how}_macro_auroc": probe.chosen.macro_auroc,
        "scores": result.scores,
        "versus": result.versus,
        "excluded": result.excluded,
    }
    if benchmark.multilabel:
        document["thresholds"] = dict(zip(benchmark.classes, probe.decision.tolist(), strict=True))
    return document
