"""Read WFDB files, checked: whatever is truncated, corrupt or foreign is a `DataError` naming the file.

wfdb itself fails on such files with an index error from deep inside, or not at all. Headers
(https://wfdb.io/spec/header-files.html) are parsed here because a million records are: wfdb's parser takes 8 ms a
header, most of what reading a ten-second record costs.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.source import Beats, Spans, Waves
from ssl_ecg.errors import DataError

AGAIN = "Delete it and fetch it again."
"""The remedy for a damaged file of a data set."""

_RECORD = re.compile(r"(\S+?)(/\d+)?\s+(\d+)(?:\s+([\d.eE+-]+)(?:/\S*)?(?:\s+(\d+)(?:\s.*)?)?)?")
_FORMAT = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?")
_GAIN = re.compile(r"([+-]?\d*\.?\d*(?:[eE][+-]?\d+)?)(?:\((-?\d+)\))?(?:/(\S+))?")
_BITS = {"8": 8, "16": 16, "24": 24, "32": 32, "61": 16, "80": 8, "160": 16, "212": 12}  # others: compressed
_WAVES = {"p": "P", "N": "QRS", "t": "T"}
TO_MV = {"mV": 1.0, "mv": 1.0, "uV": 1e-3, "V": 1e3}


@dataclass(frozen=True, slots=True)
class Channel:
    """One signal line of a header.

    `offset` is the bytes before the channel's first sample in `file`, whose `format` is such as "16" or "212"; each
    frame of the record has `per_frame` samples of it, and it is `skew` frames late. `gain` is counts per unit,
    `baseline` the count that stands for zero, `checksum` that of the samples, from 0 to 65535.
    """

    file: str
    format: str
    per_frame: int
    skew: int
    offset: int
    gain: float
    baseline: int
    unit: str
    checksum: int
    lead: str


@dataclass(frozen=True, slots=True)
class Header:
    """What a `.hea` file says of its record: `n_samples` of each channel, `fs` in Hz, and the comment lines."""

    path: Path
    record: str
    fs: float
    n_samples: int
    channels: tuple[Channel, ...]
    comments: tuple[str, ...]

    @property
    def leads(self) -> tuple[str, ...]:
        """Names of the channels."""
        return tuple(channel.lead for channel in self.channels)


def parse(path: Path) -> Header:
    """Read a header of a single-segment record; DataError if it is none, or does not describe all of its signals."""
    try:
        lines = [line.strip() for line in path.read_text("ascii", errors="ignore").splitlines()]
        comments = tuple(line.strip(" \t#") for line in lines if line.startswith("#"))
        record, *signals = [line for line in lines if line and not line.startswith("#")] or [""]
        match = _RECORD.fullmatch(record)
        if match is None or match[2]:
            raise ValueError("not the first line of a single-segment record")
        count, fs, n_samples = int(match[3]), float(match[4] or 250), int(match[5] or 0)
        if not count or not 0 < fs < 1e9:
            raise ValueError("no signals")
        if len(signals) != count or not n_samples:
            raise DataError(f"{path} is incomplete: it does not describe all of its signals. {AGAIN}")
        return Header(path, match[1], fs, n_samples, tuple(map(_channel, signals)), comments)
    except DataError:
        raise
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable header of a single-segment WFDB record. {AGAIN}") from error


def _channel(line: str) -> Channel:
    # file, format, gain, resolution of the converter, its zero, first sample, checksum, block size, name of the lead
    fields = line.split(maxsplit=8)
    if len(fields) < 9:
        raise ValueError(f"{line!r} does not describe a signal")
    form, gain = _FORMAT.fullmatch(fields[1]), _GAIN.fullmatch(fields[2])
    if form is None or gain is None or "/" in fields[0]:
        raise ValueError(f"{line!r} does not describe a signal")
    return Channel(
        file=fields[0],
        format=form[1],
        per_frame=int(form[2] or 1),
        skew=int(form[3] or 0),
        offset=int(form[4] or 0),
        gain=float(gain[1] or 0) or 200.0,  # what the format says of a gain of 0
        baseline=int(gain[2] if gain[2] is not None else fields[4]),
        unit=gain[3] or "mV",
        checksum=int(fields[6]) % 65536,
        lead=fields[8],
    )


def read_header(path: Path) -> Header:
    """Read the `.hea` file of a single-segment record, and check that its signal files are there, and long enough.

    DataError if it cannot be read or is another record's, or a signal file is missing or truncated.
    """
    _require(path)
    header = parse(path)
    if header.record != path.stem:
        raise DataError(f"{path} is the header of record {header.record!r}, not of {path.stem!r}. {AGAIN}")

    bits: Counter[str] = Counter()
    for channel in header.channels:
        if not bits[channel.file]:
            bits[channel.file] += 8 * channel.offset
        bits[channel.file] += _BITS.get(channel.format, 0) * channel.per_frame * header.n_samples
    for file, count in bits.items():
        data = path.parent / file
        if not data.is_file():
            raise DataError(f"{data} is missing, and {path} says its samples lie there. Fetch both again.")
        size, least = data.stat().st_size, math.ceil(count / 8)
        if size < least:
            raise DataError(f"{data} is truncated: {size:,} bytes, {path.name} promises {least:,}. {AGAIN}")
    return header


def read_signal(
    header: Header, units: Mapping[str, float] = TO_MV, strict: bool = True, missing: bool = False
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Read the signals of a record in mV, shape (C, T), and notes of what is odd.

    `units` are those that are taken, and the mV that each is. With `strict` a checksum that does not match is an error,
    else it is noted. One of 0 is noted anyway: so wrote the challenge of 2017 all of its headers. With `missing`,
    samples that are marked invalid are NaN. DataError if the samples are not those the header was written for, or a
    channel is not a voltage or has samples marked invalid.
    """
    path, notes = header.path, []
    try:
        signal, sums = _plain_16_bit(header) if _is_plain_16_bit(header) else _any_format(header)
    except Exception as error:  # a third party's parser on damaged files: anything can come out of it
        raise DataError(f"The signals of {path} cannot be read. {AGAIN}") from error

    for channel, have, x in zip(header.channels, sums, signal, strict=True):
        where = f"{path.parent / channel.file}, lead {channel.lead}"
        if have != channel.checksum and strict and channel.checksum:
            raise DataError(f"{where}: the samples do not match the checksum in {path.name}. Fetch both again.")
        if have != channel.checksum:
            wrong = "is 0, so the samples cannot be checked" if not channel.checksum else "is not that of the samples"
            notes.append(f"{where}: the checksum in {path.name} {wrong}")
        if channel.unit not in units:
            raise DataError(f"{where}: the unit is {channel.unit!r}; expected {' or '.join(units)}.")
        if units[channel.unit] != 1:
            x *= units[channel.unit]
        bad = np.flatnonzero(~np.isfinite(x))
        if bad.size and not missing:
            raise DataError(
                f"{where}: {len(bad):,} of {len(x):,} samples are marked invalid (NaN), the first at "
                f"{bad[0] / header.fs:.2f} s. Repair the file or fetch it again."
            )
    return signal, tuple(notes)


def _is_plain_16_bit(header: Header) -> bool:
    first = header.channels[0]
    return all(
        (channel.file, channel.format, channel.per_frame, channel.skew, channel.offset)
        == (first.file, "16", 1, 0, first.offset)
        for channel in header.channels
    )


def _plain_16_bit(header: Header) -> tuple[NDArray[np.float32], list[int]]:
    """Signals and checksums of the format that nearly all large data sets have, without a detour."""
    first, n = header.channels[0], len(header.channels)
    file = header.path.parent / first.file
    counts = np.fromfile(file, "<i2", count=n * header.n_samples, offset=first.offset).reshape(-1, n).T
    signal = counts.astype(np.float32, order="C")
    for channel, x in zip(header.channels, signal, strict=True):
        x[x == -32768] = np.nan  # what the format marks invalid samples with
        x -= channel.baseline
        x /= channel.gain
    return signal, [int(total) % 65536 for total in counts.sum(axis=1, dtype=np.int64)]


def _any_format(header: Header) -> tuple[NDArray[np.float32], list[int]]:
    import wfdb

    raw = wfdb.rdrecord(str(header.path.with_suffix("")), physical=False, return_res=32)
    digital = np.ascontiguousarray(raw.d_signal.T)
    sums = [
        int(total) % 65536 if channel.per_frame == 1 and not channel.skew else channel.checksum
        for channel, total in zip(header.channels, digital.sum(axis=1, dtype=np.int64), strict=True)
    ]  # wfdb has averaged the frames or shifted the channel: nothing is left to compare
    raw.d_signal = digital.T  # one channel after the other in memory: twice as fast
    return np.ascontiguousarray(raw.dac(return_res=32).T, dtype=np.float32), sums


def read_annotations(path: Path, n_samples: int) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Read an annotation file, such as `100.atr`: positions in samples, ascending, and WFDB symbols, both (n,).

    DataError if it is missing, truncated, corrupt, or another record's: no annotation may lie beyond `n_samples`.
    """
    samples, symbols, _ = _annotations(path, n_samples)
    return samples, symbols


def read_beats(path: Path, n_samples: int, classes: Mapping[str, str] | None) -> tuple[Beats, tuple[str, ...]]:
    """Read the beats of an annotation file, and notes of what is odd. Of several at one sample the first is kept.

    `classes` maps a WFDB symbol to the class of the beats; other symbols are no beats. None if all are, without a
    class. DataError as `read_annotations`.
    """
    samples, symbols = read_annotations(path, n_samples)
    if classes is None:
        classes = dict.fromkeys(symbols.tolist(), "")
    beat = np.isin(symbols, list(classes))
    samples, symbols = samples[beat], symbols[beat]
    labels = np.array([classes[symbol] for symbol in symbols], dtype=np.str_)
    first = np.diff(samples, prepend=-1) > 0
    notes: tuple[str, ...] = ()
    if twice := len(samples) - int(first.sum()):
        at = samples[~first][0]
        notes = (f"{path}: {twice} beat(s) at the sample of another, the first at {at}: left out",)
    return Beats(samples[first], labels[first]), notes


def read_rhythms(path: Path, n_samples: int) -> Spans:
    """Read the rhythms of an annotation file: each lasts until the next, and the last until the record ends.

    Spans named as in the file without its bracket ("AFIB" for "(AFIB"), none where no rhythm is annotated. DataError as
    `read_annotations`.
    """
    samples, symbols, notes = _annotations(path, n_samples)
    changes = (symbols == "+") & np.char.startswith(notes, "(")
    start = samples[changes]
    end = np.append(start, n_samples)[1:]
    some = end > start  # of two changes at one sample, the second holds
    names = np.char.lstrip(notes[changes], "(")[some]
    return Spans(start[some], end[some], names, np.full(names.shape, "", dtype=np.str_))


def read_waves(path: Path, n_samples: int, lead: str = "") -> tuple[Spans, int]:
    """Read the delineated waves P, QRS and T of an annotation file, and count those without an onset or an offset.

    The spans have the lead's name, and none of the waves that are not delineated on both sides. DataError as
    `read_annotations`.
    """
    samples, symbols = read_annotations(path, n_samples)
    is_peak = np.isin(symbols, list(_WAVES))
    peaks = 1 + np.flatnonzero((symbols[:-2] == "(") & is_peak[1:-1] & (symbols[2:] == ")"))
    labels = np.array([_WAVES[symbol] for symbol in symbols[peaks]], dtype=np.str_)
    end = samples[peaks + 1] + 1  # the offset is the last sample of the wave
    return Spans(samples[peaks - 1], end, labels, np.full(labels.shape, lead)), int(is_peak.sum()) - len(peaks)


def read_marks(path: Path, n_samples: int, lead: str = "", apart: float = math.inf) -> Waves:
    """Read the P, QRS and T waves of an annotation file with what is marked of each: onset, peak and offset.

    A stretch in which every wave is marked ends where the next mark is more than `apart` samples away. DataError as
    `read_annotations`.
    """
    samples, symbols = read_annotations(path, n_samples)
    peaks = np.flatnonzero(np.isin(symbols, list(_WAVES)))
    before, after = np.maximum(peaks - 1, 0), np.minimum(peaks + 1, len(samples) - 1)
    onset = np.where((symbols[before] == "(") & (before < peaks), samples[before], -1)
    offset = np.where((symbols[after] == ")") & (after > peaks), samples[after], -1)
    labels = np.array([_WAVES[symbol] for symbol in symbols[peaks]], dtype=np.str_)
    marks = samples[np.isin(symbols, [*_WAVES, "(", ")"])]
    last = np.flatnonzero(np.diff(marks) > apart)
    starts, ends = marks[np.append(0, last + 1)[: len(marks)]], marks[np.append(last, len(marks) - 1)[: len(marks)]] + 1
    return Waves(lead, labels, onset, samples[peaks], offset, np.stack([starts, ends], axis=1))


def _annotations(path: Path, n_samples: int) -> tuple[NDArray[np.int64], NDArray[np.str_], NDArray[np.str_]]:
    """Positions, symbols and the text beside them, each of shape (n,)."""
    import wfdb

    _require(path)
    content = path.read_bytes()
    if len(content) % 2 or content[-2:] != b"\0\0":  # the format is byte pairs up to a pair of zeros
        raise DataError(f"{path} is truncated: {len(content):,} bytes, without the end mark. {AGAIN}")
    try:
        with TemporaryDirectory() as alone:  # beside its header, wfdb spends nine tenths of the time on a rate in there
            (Path(alone) / path.name).write_bytes(content)
            raw = wfdb.rdann(str(Path(alone) / path.stem), path.suffix[1:])
        samples, symbols = np.asarray(raw.sample, dtype=np.int64), np.asarray(raw.symbol, dtype=np.str_)
        notes = np.array([note.strip("\0 ") for note in raw.aux_note], dtype=np.str_)
    except Exception as error:  # as above
        raise DataError(f"{path} is not a readable WFDB annotation file. {AGAIN}") from error
    if samples.size and (samples[0] < 0 or samples[-1] >= n_samples or (np.diff(samples) < 0).any()):
        raise DataError(
            f"{path} does not fit its record of {n_samples:,} samples: its annotations lie between "
            f"{samples.min():,} and {samples.max():,}, or are out of order. {AGAIN}"
        )
    return samples, symbols, notes


def _require(path: Path) -> None:
    if not path.is_file():
        raise DataError(f"{path} is missing. Fetch it, or give another root.")
