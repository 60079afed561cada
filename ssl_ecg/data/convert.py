"""Convert recordings to what a store holds of them. Runs in worker processes, so it imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.source import Recording, Source, Spans
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.leads import canonical
from ssl_ecg.preprocessing import Preprocessing

_LEAST = 0.2  # s: no heart holds its highest or lowest value so long
_NOTED = 0.01  # share of a lead that is worth a note
_MAX = 32_000  # full scale in counts: a step is under 1/2,000 of a recording's largest deflection in 16 mV

SEPARATOR = ";"
"""Between the labels of a recording, in a store's table."""

RECORDS = ("record", "patient", "split", "labels", "length", "scale", "source_fs", "age", "sex")
BEATS = ("r_peak", "label")
SPANS = ("start", "end", "label", "lead")


@dataclass
class Chunk:
    """Some neighbouring recordings, converted; `count` of them, unusable ones included.

    `signals` are of all leads of all recordings, one after the other. The tables have a column per name in `RECORDS`,
    `BEATS` and `SPANS`, the last two also "of", the number of the recording within the chunk. Where any lead is taken,
    each is a row of its own, as if it were a recording, and `records` has a column "lead" too. `dropped` has the names
    of the recordings that cannot be used, and why; `noted` of those kept although something is odd, and what.
    """

    count: int = 0
    signals: list[NDArray[np.int16]] = field(default_factory=list)
    records: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in RECORDS})
    beats: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in ("of", *BEATS)})
    spans: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in ("of", *SPANS)})
    dropped: list[tuple[str, str]] = field(default_factory=list)
    noted: list[tuple[str, str]] = field(default_factory=list)


def convert(source: Source, preprocessing: Preprocessing, strict: bool, numbers: range) -> Chunk:
    """Read and condition recordings, given by their numbers in `source.records`.

    One that cannot be used is a DataError if strict, naming it, what is wrong and the remedy; else it is left out and
    named in `dropped`. UserError if reading fails for a reason that is none of the recording's.
    """
    chunk = Chunk(count=len(numbers))
    if preprocessing.any_leads:
        chunk.records["lead"] = []
    names = source.records
    for number in numbers:
        name = names[number]
        try:
            recording = source.read(number)
            x = preprocessing.condition(recording.signal, recording.fs, recording.leads)
            note, heard = _silence(recording, preprocessing)
            if preprocessing.any_leads:
                for lead in heard:
                    _add(chunk, _of_lead(recording, lead), x[[lead]])
                    chunk.records["lead"].append(canonical(recording.leads[lead]))
            else:
                _add(chunk, recording, x)
        except MemoryError:
            raise
        except OSError as error:  # a disk or a network that fails now is no fault of the recording
            raise UserError(
                f"record {name} cannot be read ({error}); what is done is kept, and the same command goes on"
            ) from None
        except Exception as error:  # one foreign file in a million may do anything to a parser
            if isinstance(error, UserError) and not isinstance(error, DataError):
                raise  # such as a package that is not installed
            reason = str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {error}"
            if strict:
                raise DataError(f"record {name}: {reason}") from None
            chunk.dropped.append((name, reason))
            continue
        chunk.noted += [(name, text) for text in (*recording.notes, note) if text]
    return chunk


def _silence(recording: Recording, preprocessing: Preprocessing) -> tuple[str, list[int]]:
    """Describe what is flat or saturated in the wanted leads; and which of these have a signal for half of the time.

    DataError if none has.
    """
    share, every = silent_share(recording.signal, recording.fs), preprocessing.any_leads
    wanted = [i for i, lead in enumerate(recording.leads) if every or canonical(lead) in preprocessing.leads]
    heard = [i for i in wanted if share[i] <= 0.5]
    if wanted and not heard:
        raise DataError(
            f"no wanted lead has a signal for half of the time ({describe(share, recording.leads)}): "
            "an electrode was off, or the file is empty"
        )
    note = describe(share[wanted], tuple(recording.leads[i] for i in wanted))
    return note + (": left out" if every and len(heard) < len(wanted) else ""), heard


def _of_lead(recording: Recording, lead: int) -> Recording:
    """A recording as one of its leads has it: with the spans marked in this one or in all."""
    spans = recording.spans
    if spans is not None:
        mine = np.isin(spans.leads, ["", recording.leads[lead]])
        spans = Spans(spans.start[mine], spans.end[mine], spans.labels[mine], spans.leads[mine])
    return replace(recording, spans=spans)


def _add(chunk: Chunk, recording: Recording, x: NDArray[np.float32]) -> None:
    if broken := [label for label in recording.labels if SEPARATOR in label]:
        raise DataError(f"label {broken[0]!r} has a {SEPARATOR!r} in it, which separates labels")
    marked = []
    for name, columns, marks in (("beats", BEATS, recording.beats), ("spans", SPANS, recording.spans)):
        if marks is not None:
            values = [getattr(marks, field) for field in marks.__slots__]
            if len({len(column) for column in values}) > 1:
                raise DataError(f"the columns of its {name} differ in length")
            marked.append((getattr(chunk, name), columns, values))
    scale = max(float(np.abs(x).max()) / _MAX, 1e-6)
    row = (
        recording.record,
        recording.patient,
        recording.split,
        SEPARATOR.join(recording.labels),
        x.shape[-1],
        float(np.float32(scale)),
        float(recording.fs),
        None if recording.age is None else float(recording.age),
        recording.sex,
    )
    counts = np.rint(x / scale).astype(np.int16)
    of = len(chunk.signals)
    # Nothing fails from here on: a recording is added as a whole.
    chunk.signals.append(counts)
    for column, value in zip(RECORDS, row, strict=True):
        chunk.records[column].append(value)
    for table, columns, values in marked:
        table["of"] += [of] * len(values[0])
        for name, value in zip(columns, values, strict=True):
            table[name] += value.tolist()


def silent_share(signal: NDArray[np.floating], fs: float) -> NDArray[np.float64]:
    """Measure the share of each lead at its highest or lowest value for 0.2 s or more: flat or saturated.

    Of a signal of shape (C, T), in any unit, before any filter: shape (C,), from 0 to 1; 1 for a lead that never
    changes.
    """
    least = max(2, round(_LEAST * fs))
    low, high = signal.min(axis=-1, keepdims=True), signal.max(axis=-1, keepdims=True)
    share = np.zeros(len(signal))
    for lead, x in enumerate(signal):
        for rail in (low[lead], high[lead]):
            at = np.flatnonzero(x == rail)
            if len(at) < least:
                continue
            runs = np.split(at, np.flatnonzero(np.diff(at) > 1) + 1)
            share[lead] += sum(len(run) for run in runs if len(run) >= least) / len(x)
    return np.minimum(share, 1)


def describe(share: NDArray[np.float64], leads: tuple[str, ...]) -> str:
    """Describe what `silent_share` found, such as "lead V2 is flat", or ""."""
    return ", ".join(
        f"lead {lead} is flat" + ("" if part > 0.999 else f" or saturated for {100 * part:.0f} % of the time")
        for lead, part in zip(leads, share, strict=True)
        if part > _NOTED
    )
