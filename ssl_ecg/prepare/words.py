"""What the summary of a store and its picture say in the same words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SIMULATED = "SIMULATED: no heart was involved"
"""What stands beside everything that is shown of simulated recordings."""


def heading(summary: Mapping[str, Any]) -> str:
    """What it is of, in a line: the source, how much of it there is, and the leads."""
    size, leads = summary["all"], summary["leads"]
    of = f"{size['records']:,} records of {size['patients']:,} patients, {_time(3600 * size['hours'])}"
    each = f" ({durations(summary)})" if alike(summary) else ""
    return f"{summary['source']}: {of}{each}, {f'{len(leads)} leads' if len(leads) > 1 else f'lead {leads[0]}'}"


def present(summary: Mapping[str, Any]) -> list[str]:
    """The classes of which there are any."""
    return [name for name, counts in summary["classes"].items() if any(counts.values())]


def alike(summary: Mapping[str, Any]) -> bool:
    """Whether all records are equally long."""
    return bool(summary["seconds"]["most"] - summary["seconds"]["least"] < 0.01)


def durations(summary: Mapping[str, Any]) -> str:
    """How long the records are."""
    least, median, most = (summary["seconds"][name] for name in ("least", "median", "most"))
    if alike(summary):
        return f"all {_time(least)}"
    return f"{_time(least)} to {_time(most)}, half of them up to {_time(median)}"


def counted_in(summary: Mapping[str, Any]) -> str:
    """What its classes are counted in: what carries them."""
    return {"record": "records", "beat": "beats", "rhythm": "hours"}[summary["task"]]


def as_hours(hours: float) -> str:
    """A number of hours, to three digits."""
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"


def _time(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.4g} s"
    return f"{seconds / 60:.4g} min" if seconds < 36_000 else f"{as_hours(seconds / 3600)} h"
