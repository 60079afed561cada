"""The page of one run: what was done, how training went, what the embeddings look like and are good for."""

from __future__ import annotations

import math
from pathlib import Path

import yaml

from ssl_ecg.metrics.diagnostics import Diagnostics, collapsed
from ssl_ecg.report.page import Details, Page, Part, Section, Table, Text, picture, table
from ssl_ecg.report.results import WHOLE, Results
from ssl_ecg.report.run_files import RunFiles, moment
from ssl_ecg.report.settings import flat, spelt
from ssl_ecg.report.tables import Value, origin
from ssl_ecg.report.training_curves import training_curves

PAGE = "report.html"
VIEWS, EMBEDDINGS = "views.png", "embeddings.png"
"""Pictures that pretraining leaves in the run's folder, for its page."""

_MAIN = (
    *("method", "method.encoder", "data", "preprocessing.leads", "preprocessing.fs", "preprocessing.window"),
    *("positives", "method.optimiser", "method.optimiser.lr", "batch_size", "trainer.max_epochs", "seed"),
)
_HEADINGS = {
    "probe_auroc": "linear probe, macro AUROC",
    "probe_f1": "linear probe, macro F1",
    "knn_auroc": "kNN, macro AUROC",
    "macro_auroc": "macro AUROC",
    "macro_auprc": "macro AUPRC",
    "macro_f1": "macro F1",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "f1": "F1",
    "ami": "AMI",
}
_WHERE = ("data", "task", "system", "predictor", "fraction", "seed")


def run_page(folder: Path) -> Page:
    """Make the page of the run in a folder from its files alone; UserError if there is no run."""
    run = RunFiles(folder)
    method = str(run.config.get("method", {}).get("class_path", "")).rpartition(".")[2]
    trained = run.card.get("pretraining", {})
    of = [part for part in (method, f"on {trained['data']}" if trained else "", run.state) if part]
    simulated = run.results.get("simulated")
    return Page(
        title=run.name,
        lead=", ".join(of) + (f"; {origin(simulated)}" if simulated is not None else ""),
        warnings=warnings(run),
        sections=[
            Section("scores", "Scores", _scores(run)),
            Section("training", "Training", _training(run)),
            Section("collapse", "Collapse", _collapse(run)),
            Section("views", "Augmentations", _drawn(run, VIEWS, "Windows as they are, and as the method sees them.")),
            Section("embeddings", "Embeddings", _drawn(run, EMBEDDINGS, "Frozen embeddings of held-out patients.")),
            Section("starts", "Starts and stops", _starts(run)),
            Section("settings", "Settings", _settings(run)),
        ],
    )


def warnings(run: RunFiles) -> list[str]:
    """Say what nobody shall miss about a run: a collapse, an encoder no better than an untrained one, a failure."""
    found = []
    if problem := _problem(run):
        found.append(problem)
    trained, fresh = (run.results.get("scores", {}).get(name, {}) for name in ("pretrained", "untrained"))
    if worse := [_HEADINGS.get(name, name) for name in trained if trained[name] <= fresh.get(name, float("-inf"))]:
        found.append(f"No better than the same network untrained: {'; '.join(worse)}.")
    if run.said.get("state") == "failed" and not run.card:
        found.append(f"Failed: {run.said.get('error')}")
    return found


def scores(run: RunFiles) -> dict[str, dict[str, Value]]:
    """Give the scores that the run itself found, by encoder, under readable headings."""
    found = run.results.get("scores", {})
    return {system: {_HEADINGS.get(n, n): value for n, value in row.items()} for system, row in found.items()}


def main_rows(results: Results) -> dict[str, dict[str, Value]]:
    """Arrange the main scores of all samples and draws, with intervals; rows are named by what differs between them."""
    rows = [row for row in results.select(**WHOLE) if row.score in _HEADINGS]
    varying = [name for name in _WHERE if len({getattr(row, name) for row in rows}) > 1] or ["system"]
    found: dict[str, dict[str, Value]] = {}
    for row in rows:
        name = ", ".join(
            f"{getattr(row, name):g}" if name == "fraction" else str(getattr(row, name)) for name in varying
        )
        found.setdefault(name, {})[_HEADINGS[row.score]] = row.interval
    return found


def _scores(run: RunFiles) -> list[Part]:
    found: list[Part] = []
    if own := scores(run):
        people = "patients" if run.results.get("patients_known", True) else "recordings (whose is not known)"
        found.append(table(own, f"Online probe on {len(run.results.get('held_out', [])):,} held-out {people}"))
    elif run.results:
        found.append(Text("Too few labelled patients were held out to probe the embeddings."))
    for name, results in run.evaluations.items():
        if rows := main_rows(results):
            found.append(table(rows, f"{results.question}: {name}"))
    return found


def _training(run: RunFiles) -> list[Part]:
    if not run.history:
        return []
    first, last = run.history[0], run.history[-1]
    text = f"{len(run.history)} epochs, {int(last.get('step', 0)):,} steps"
    if "loss" in first and "loss" in last:
        text += f"; loss {first['loss']:.3f} after the first epoch, {last['loss']:.3f} after the last"
    if "samples_per_s" in last:
        waited = last.get("data_wait", 0)
        text += f"; {last['samples_per_s']:,.0f} windows a second, {waited:.1%} of the time waiting for data"
    return [Text(f"{text}."), picture(training_curves(run.history), "Metrics of each epoch.")]


def _problem(run: RunFiles) -> str | None:
    """Say that the embeddings had collapsed after the last epoch, if they had."""
    last = run.history[-1] if run.history else {}
    if "spread" not in last:
        return None
    known = {name: last.get(name, math.nan) for name in ("spread", "effective_rank", "uniformity", "alignment")}
    if collapsed(Diagnostics(**known, dimensions=0, samples=0)) is None:
        return None
    return (
        f"The representation has collapsed: spread {known['spread']:.3f} (1 is isotropic), effective rank "
        f"{known['effective_rank']:.1f}."
    )


def _collapse(run: RunFiles) -> list[Part]:
    names = {
        "spread": "spread: 1 isotropic, 0 collapsed",
        "effective_rank": "effective rank: dimensions in use",
        "alignment": "alignment: distance of two views, 0 alike",
        "uniformity": "uniformity: 0 collapsed, -4 uniform",
    }
    if not run.history or "spread" not in run.history[-1]:
        return []
    first, last = run.history[0], run.history[-1]
    rows: dict[str, dict[str, Value]] = {
        heading: {"first epoch": first.get(name), "last epoch": last.get(name)}
        for name, heading in names.items()
        if name in last
    }
    return [Text(_problem(run) or "No sign of a collapse."), table(rows)]


def _drawn(run: RunFiles, name: str, caption: str) -> list[Part]:
    path = run.folder / name
    return [picture(path, caption)] if path.exists() else []


def _starts(run: RunFiles) -> list[Part]:
    """Every start, where it was, and how it ended: what was killed and gone on with."""
    rows = []
    for number, start in enumerate(run.starts, start=1):
        last = number == len(run.starts)
        state = str(start.get("state"))
        ended = run.state if last else "killed" if state == "running" else state
        until = start.get("heartbeat")
        rows.append(
            (
                f"{number}",
                [
                    moment(start["started"]) if start.get("started") else "-",
                    moment(until) if until else "-",
                    "-" if start.get("step") is None else f"{start['step']:,}",
                    ended if ended != "failed" else f"failed: {start.get('error')}",
                    str(start.get("host")),
                    "_".join(str(start[key]) for key in ("job", "array_task") if start.get(key)) or "-",
                ],
            )
        )
    return (
        [Table(["started", "last sign of life", "step", "ended", "host", "SLURM job"], rows, words=True)]
        if rows
        else []
    )


def _settings(run: RunFiles) -> list[Part]:
    settings = {spelt(name): value for name, value in flat(run.config).items()}
    main = [(name, [shown(settings[name])]) for name in _MAIN if name in settings]
    main += [(name, [f"{count:,}"]) for name, count in _counts(run).items()]
    text = yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True)
    return [Table(["value"], main, words=True), Details("All settings (config.yaml)", text)]


def _counts(run: RunFiles) -> dict[str, int]:
    """What is counted rather than set."""
    patients = run.card.get("pretraining", {}).get("patients")
    found = {"patients pretrained on": len(patients)} if patients is not None else {}
    return found | {
        f"encoder's {name}": run.results["encoder"][name] for name in ("parameters", "dim") if "encoder" in run.results
    }


def shown(value: object) -> str:
    """Write the value of a setting."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
