"""The text header of a WFDB record, https://wfdb.io/spec/header-files.html.

Parsed here because a million records are: wfdb's own parser takes 8 ms a header, most of what reading a ten-second
record costs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ssl_ecg.errors import DataError

AGAIN = "Delete it and fetch it again."
"""The remedy for a damaged file of a data set."""

_RECORD = re.compile(r"(\S+?)(/\d+)?\s+(\d+)(?:\s+([\d.eE+-]+)(?:/\S*)?(?:\s+(\d+)(?:\s.*)?)?)?")
_FORMAT = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?")
_GAIN = re.compile(r"([+-]?\d*\.?\d*(?:[eE][+-]?\d+)?)(?:\((-?\d+)\))?(?:/(\S+))?")


@dataclass(frozen=True, slots=True)
class Channel:
    """One signal line.

    Attributes:
        file: where its samples lie, beside the header.
        format: of the samples, such as "16" or "212".
        per_frame: samples in each of the record's frames.
        skew: frames by which it is late.
        offset: bytes before its first sample.
        gain: counts per unit.
        baseline: count that stands for zero.
        unit: such as "mV".
        checksum: of its samples, from 0 to 65535; None if the line has none.
        lead: its name.
    """

    file: str
    format: str
    per_frame: int
    skew: int
    offset: int
    gain: float
    baseline: int
    unit: str
    checksum: int | None
    lead: str


@dataclass(frozen=True, slots=True)
class Header:
    """What a `.hea` file says of its record.

    Attributes:
        path: the `.hea` file.
        record: name of the record.
        fs: sampling rate, Hz.
        n_samples: samples of each channel.
        channels: in the file's order.
        comments: the comment lines, without their "#".
    """

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
    """Read a header of a single-segment record.

    Raises:
        DataError: if it is none, or does not describe all of its signals.
    """
    try:
        return _parse(path)
    except (OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is not a readable header of a single-segment WFDB record. {AGAIN}") from error


def _parse(path: Path) -> Header:
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
