"""Other libraries beside ours: one file each, with the operations it shares with us on one batch.

A file has `operations(x, fs)`: a dictionary from an operation's name, as in `ours.py`, to a function of nothing that
changes the whole batch, every record, as that library's users would write it. Libraries of NumPy that take one record
run in a loop whose results are stacked, as a data set and its collation would; the array they start from lies in the
order they want it, and making it is not timed. Settings are as near to ours as the library has them. `COMPOSITION`
says what its composition of five does otherwise or lacks; what it lacks is left out, in its favour, and then it is not
`COMPLETE`.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import warnings
from collections.abc import Callable
from statistics import median
from types import ModuleType

from augment_timing import Row, measure, table
from torch import Tensor

from rivals import ours

LIBRARIES = {  # the module, and the distribution that has it
    "ecg_augmentations": "ecg-augmentations",
    "ecgmentations": "ecgmentations",
    "torch_ecg": "torch_ecg",
    "tsaug": "tsaug",
    "braindecode": "braindecode",
    "audiomentations": "audiomentations",
}
FIVE = "composition of five"


def load() -> tuple[dict[str, ModuleType], dict[str, str]]:
    """Imports the libraries that are installed.

    Returns:
        The adapters, by the distribution's name and version, and for each absent library the reason.
    """
    found, absent = {}, {}
    for name, distribution in LIBRARIES.items():
        try:
            with (
                warnings.catch_warnings(),
                open(os.devnull, "w") as quiet,
                contextlib.redirect_stdout(quiet),
                contextlib.redirect_stderr(quiet),
            ):
                adapter = importlib.import_module(f"rivals.{name}")
            found[f"{distribution} {importlib.metadata.version(distribution)}"] = adapter
        except (ImportError, RuntimeError, AttributeError, OSError) as error:  # some check their neighbours' versions
            absent[distribution] = f"{type(error).__name__}: {error}"
    return found, absent


def summarise(name: str, own: float, times: dict[str, float], batch: int) -> Row:
    """Compares our time for an operation with those of the others."""
    which = min(times, key=lambda library: times[library])
    row: Row = {"name": name, "ours": batch / own, "fastest": batch / times[which], "which": which}
    row |= {"ours / fastest": times[which] / own, "won": "" if times[which] > own else "no"}
    return row | {"ours / median": median(times.values()) / own} if len(times) > 2 else row


def compare(x: Tensor, fs: float, threads: int, repeats: int, budget: float) -> tuple[list[Row], dict[str, str]]:
    """Measures every shared operation in every library, and prints what came out.

    Args:
        x: The batch, (B, C, T).
        fs: Its sampling rate, Hz.
        threads: Of torch; NumPy's loops have one.
        repeats: Rounds; the median counts.
        budget: Seconds for one operation of one library, about.

    Returns:
        One row for each operation of each library, and which libraries are absent, with the reason.
    """
    adapters, absent = load()
    own = ours.operations(x, fs)
    cases: dict[str, dict[str, Callable[[], object]]] = {name: {"ours": call} for name, call in own.items()}
    for library, adapter in adapters.items():
        for name, call in adapter.operations(x, fs).items():
            cases[name][library] = call
    cases = {name: calls for name, calls in cases.items() if len(calls) > 1}
    flat = {f"{name}\n{library}": call for name, calls in cases.items() for library, call in calls.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spent = measure(flat, threads, repeats, budget)

    rows: list[Row] = []
    summary: list[Row] = []
    for name, calls in cases.items():
        times = {library: spent[f"{name}\n{library}"] for library in calls}
        for library, seconds in sorted(times.items(), key=lambda item: (item[0] != "ours", item[1])):
            row: Row = {"name": name, "library": library, "threads": threads}
            rows.append(
                row | {"records/s": round(len(x) / seconds), "ms": 1e3 * seconds, "times": seconds / times["ours"]}
            )
        del times["ours"]
        summary.append(summarise(name, spent[f"{name}\nours"], times, len(x)))
        if name == FIVE:
            times = {library: seconds for library, seconds in times.items() if adapters[library].COMPLETE}
            if times:
                summary.append(summarise("the same, complete ones", spent[f"{name}\nours"], times, len(x)))

    print(f"\n{threads} thread(s), records/s; the last column is how many times as fast ours is")
    form = {"name": "{}", "library": "{}", "records/s": "{:,.0f}", "ms": "{:,.2f}", "times": "{:,.2f}"}
    print(table(rows, form))
    for library, adapter in adapters.items():
        if adapter.COMPOSITION:
            print(f"{FIVE}, {library}: {adapter.COMPOSITION}")
    form = {"name": "{}", "ours": "{:,.0f}", "fastest": "{:,.0f}", "which": "{}", "ours / fastest": "{:,.2f}"}
    print(f"\n{table(summary, {**form, 'ours / median': '{:,.1f}', 'won': '{}'})}")
    for library, reason in absent.items():
        print(f"absent: {library} ({reason})")
    return rows, absent
