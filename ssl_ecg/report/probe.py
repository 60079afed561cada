"""What `python -m ssl_ecg.probe` shows and leaves behind: a table, JSON, CSV and three figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.evaluation.benchmark import Benchmark, Result
from ssl_ecg.report.figures import confusion_figure, embedding_map, probe_bars, save
from ssl_ecg.report.tables import print_table, write_csv, write_json

# What the table shows of the many scores, where a data set has them.
_COLUMNS = {
    "macro_auroc": "macro AUROC",
    "macro_f1": "macro F1",
    "macro_f1_NSV": "F1 of N S V",
    "prior_macro_f1": "F1 prior-corr.",
    "sensitivity_S": "S Se",
    "ppv_S": "S PPV",
    "sensitivity_V": "V Se",
    "ppv_V": "V PPV",
}
_WITH_INTERVAL = ("macro_auroc", "macro_f1")


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
    cross_validated = {r.system: {"macro AUROC": r.probe.chosen.macro_auroc, "C": r.probe.chosen.c} for r in results}
    if embeddings is None:
        print_table(cross_validated, title=f"{checkpoint}: cross-validated inside the train patients, {kind}")
        write_json({"setting": setting, "config": config, "systems": cross_validated}, folder / "validation.json")
        print(f"{setting[0].upper()}{setting[1:]}.")
        print(f"The test set was not touched. Written to {folder / 'validation.json'}")
        return
    shown = {
        r.system: {
            title: (r.scores[name] if name in _WITH_INTERVAL else r.scores[name].value)
            for name, title in _COLUMNS.items()
            if name in r.scores
        }
        for r in results
    }
    print_table(shown, title=f"{checkpoint}: linear probe, test patients, {kind}")
    print(f"95 % intervals by bootstrap over {len(set(benchmark.test.patients.tolist()))} test patients; {setting}.")
    for r in results:
        for other, scores in r.versus.items():
            d = scores["macro_auroc"]
            print(
                f"{r.system} - {other}: macro AUROC {d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}], p = {d.p_value:.3f}"
            )
    if benchmark.exclude:
        left_out = ", ".join(benchmark.exclude)
        for r in results:
            print(f"without {left_out}: {r.system}: macro AUROC {r.excluded['macro_auroc']}")
    document = {
        "checkpoint": checkpoint,
        "setting": setting,
        "simulated": simulated,
        "classes": list(benchmark.classes),
        "train_samples": len(benchmark.train.y),
        "test_samples": len(benchmark.test.y),
        "excluded": list(benchmark.exclude),
        "config": config,
        "systems": {r.system: _document(r) for r in results},
    }
    write_json(document, folder / "results.json")
    rows = [
        {"system": r.system, "score": name, "value": i.value, "low": i.low, "high": i.high}
        for r in results
        for name, i in r.scores.items()
    ]
    write_csv(rows, folder / "results.csv")
    first = results[1] if len(results) > 1 and results[1].system.endswith("+ RR") else results[0]
    assert first.probabilities is not None
    predicted = first.probabilities.argmax(axis=1)
    save(
        confusion_figure(benchmark.test.y, predicted, benchmark.classes, title=f"{first.system}, test patients"),
        folder / "confusion.png",
    )
    save(
        embedding_map(embeddings, benchmark.test.y, benchmark.classes, benchmark.test.patients),
        folder / "map.png",
    )
    save(probe_bars({r.system: r.scores for r in results}), folder / "scores.png")
    print(f"Written to {folder}: results.json, results.csv, confusion.png, map.png, scores.png")


def _document(result: Result) -> dict[str, Any]:
    """What results.json says of a system."""
    return {
        "chosen": {"C": result.probe.chosen.c, "weights": result.probe.chosen.weights},
        "cross_validated_macro_auroc": result.probe.chosen.macro_auroc,
        "scores": result.scores,
        "versus": result.versus,
        "excluded": result.excluded,
    }
