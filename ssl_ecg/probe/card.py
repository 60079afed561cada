"""The card of a head that knows classes: what it was fitted on, how well it does, and what it is not good at."""

from __future__ import annotations

from ssl_ecg.checkpoint.card import licence
from ssl_ecg.report.results import Results
from ssl_ecg.study.systems import has_rr

CARD = "README.md"
_CARD = """\
# {classes}: a head for {encoder}

One linear layer, fitted on {samples:,} {task}s of {patients} patients of {data} ({licence}), read from {leads}.
{note}

| {where} | {headings} |
|---|{rules}|
{scores}

{setting}. Of {data}'s devices and people: on others, look at what it calls. Not a medical device: for research.
"""
_SCORES = {"macro_auroc": "macro AUROC", "macro_f1": "macro F1"}


def head_card(results: Results, encoder: str, leads: tuple[str, ...], task: str, patients: int, note: str) -> str:
    """Write it as Markdown, from the results of the probe; `note` says how samples were embedded."""
    about, data = results.about, results.rows[0].data
    validated = about.get("test_samples") is None or not results.scores()
    subset = next((row.subset for row in results.rows if row.subset.startswith("train patients")), "")
    found = results.scores(subset=subset if validated else "")
    mine = next(iter(found))
    names = [name for name in found if has_rr(name) == has_rr(mine)]
    scores = {name: heading for name, heading in _SCORES.items() if name in found[mine]}
    return _CARD.format(
        classes=", ".join(about["classes"]),
        encoder=encoder,
        samples=about["train_samples"],
        task=task,
        patients=patients,
        data=data,
        licence=licence(data),
        leads=", ".join(leads),
        note=f"{note[:1].upper()}{note[1:]}." if note else "Windows are embedded each by itself.",
        where=subset if validated else "test patients",
        headings=" | ".join(scores.values()),
        rules="|".join("---" for _ in scores),
        scores="\n".join(f"| {name} | {' | '.join(str(found[name][score]) for score in scores)} |" for name in names),
        setting=str(about["setting"])[:1].upper() + str(about["setting"])[1:],
    )
