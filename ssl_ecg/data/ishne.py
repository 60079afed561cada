"""Holter recordings in ISHNE files: one block of 16-bit samples after a header of fixed layout.

Badilini, The ISHNE Holter Standard Output File Format, Ann Noninvasive Electrocardiol 3, 1998.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import DataError

MAGIC = b"ISHNE1.0"
HEADER = struct.Struct("<8sH iiii h 40s40s20s hh 3h3h3h3h h 12h12h12h h 40s h 80s80s88s")
"""All fields to the end of the header, 522 bytes; those that are used here have their places in `_FIELD`."""
LEADS = [
    "unknown",
    "bipolar",
    "X",
    "Y",
    "Z",
    "I",
    "II",
    "III",
    "aVR",
    "aVL",
    "aVF",
    "V1",
    "V2",
    "V3",
    "V4",
    "V5",
    "V6",
    "ES",
    "AS",
    "AI",
]
"""Names of the lead codes."""
_FIELD = {"samples": 3, "ecg": 5, "leads": 24, "codes": 25, "resolution": 49, "fs": 63}
_NANOVOLT = 1e-6  # mV


class Ishne(NamedTuple):
    """What the header of an ISHNE file says: where its samples begin, how many each lead has, and what a count is.

    `scale` is mV a count, shape (C, 1); `fs` is in Hz.
    """

    path: Path
    offset: int
    samples: int
    leads: tuple[str, ...]
    scale: NDArray[np.float32]
    fs: float


def open_ishne(path: Path) -> Ishne:
    """Read the header of an ISHNE file.

    The header's own checksum is not looked at: recorders disagree about it. DataError if the file is another one, is
    truncated, or its header makes no sense.
    """
    with open(path, "rb") as file:
        head = file.read(HEADER.size)
    size = path.stat().st_size
    if len(head) < HEADER.size or not head.startswith(MAGIC):
        raise DataError(f"{path} is no ISHNE file: it does not begin with {MAGIC.decode()} and a whole header.")
    fields = HEADER.unpack(head)
    samples, offset, count, fs = (fields[_FIELD[name]] for name in ("samples", "ecg", "leads", "fs"))
    codes, resolution = (fields[_FIELD[name] : _FIELD[name] + 12][:count] for name in ("codes", "resolution"))
    if not (1 <= count <= 12 and fs > 0 and HEADER.size <= offset <= size and min(resolution) > 0):
        raise DataError(f"{path}: its header makes no sense ({count} leads, {fs} Hz, samples from byte {offset}).")
    there = (size - offset) // 2 // count
    if samples > there and samples != there * count:  # some recorders count the samples of all leads
        raise DataError(f"{path} is truncated: it holds {there:,} samples a lead, its header says {samples:,}.")
    scale = np.array(resolution, dtype=np.float32)[:, None] * np.float32(_NANOVOLT)
    names = tuple(LEADS[code] if 0 < code < len(LEADS) else f"lead {i + 1}" for i, code in enumerate(codes))
    return Ishne(path, offset, there, names, scale, float(fs))


def read_samples(of: Ishne, start: int, stop: int) -> NDArray[np.float32]:
    """Read a stretch of all leads, in mV, shape (C, stop - start)."""
    count = len(of.leads)
    counts = np.fromfile(of.path, "<i2", count=(stop - start) * count, offset=of.offset + 2 * start * count)
    return np.ascontiguousarray(counts.reshape(-1, count).T * of.scale, dtype=np.float32)


def read_ishne(path: Path) -> tuple[NDArray[np.float32], float, tuple[str, ...]]:
    """Read one recording from an ISHNE file: its signals in mV, shape (C, T), their sampling rate in Hz, their leads.

    DataError as `open_ishne`.
    """
    of = open_ishne(path)
    return read_samples(of, 0, of.samples), of.fs, of.leads
