"""Reading WFDB files, checked: whatever is truncated, corrupt or foreign is a `DataError` naming the file.

wfdb itself fails on such files with an index error from deep inside, or not at all.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import DataError

_BITS = {"8": 8, "16": 16, "24": 24, "32": 32, "61": 16, "80": 8, "160": 16, "212": 12}  # others: compressed
_TO_MV = {"mV": 1.0, "uV": 1e-3, "V": 1e3}
_AGAIN = "Delete it and fetch it again."


@dataclass(frozen=True, slots=True)
class Header:
    """What a `.hea` file says of its record.

    Attributes:
        path: the `.hea` file.
        record: name of the record.
        fs: sampling rate, Hz.
        leads: names of the channels, in the file's order.
        n_samples: samples of each channel.
        comments: the comment lines, without their "#".
    """

    path: Path
    record: str
    fs: float
    leads: tuple[str, ...]
    n_samples: int
    comments: tuple[str, ...]


def read_header(path: Path) -> Header:
    """Read a `.hea` file and check that the signal files it names are there, and long enough.

    Args:
        path: the `.hea` file of a single-segment record.

    Raises:
        DataError: if the header cannot be read or is another record's, or a signal file is missing or
            truncated.
    """
    import wfdb

    _require(path)
    try:
        raw = wfdb.rdheader(str(path.with_suffix("")))
        signals = list(zip(raw.file_name, raw.fmt, raw.sig_name, raw.samps_per_frame, strict=True))
        header = Header(
            path, raw.record_name, float(raw.fs), tuple(raw.sig_name), int(raw.sig_len), tuple(raw.comments)
        )
        complete = len(signals) == raw.n_sig and all(header.leads) and header.n_samples > 0
    except Exception as error:  # a third party's parser on damaged text: anything can come out of it
        raise DataError(f"{path} is not a readable header of a single-segment WFDB record. {_AGAIN}") from error
    if not complete:
        raise DataError(f"{path} is incomplete: it does not describe all of its signals. {_AGAIN}")
    if header.record != path.stem:
        raise DataError(f"{path} is the header of record {header.record!r}, not of {path.stem!r}. {_AGAIN}")

    bits: Counter[str] = Counter()
    for file, fmt, _, per_frame in signals:
        bits[file] += _BITS.get(fmt, 0) * per_frame * header.n_samples
    for file, count in bits.items():
        data = path.parent / file
        if not data.is_file():
            raise DataError(f"{data} is missing, and {path} says its samples lie there. Fetch both again.")
        size, least = data.stat().st_size, math.ceil(count / 8)
        if size < least:
            raise DataError(f"{data} is truncated: {size:,} bytes, {path.name} promises {least:,}. {_AGAIN}")
    return header


def read_signal(header: Header) -> NDArray[np.float32]:
    """Read the signals of a record, shape (C, T), in mV.

    Raises:
        DataError: if the samples are not those the header was written for (its checksums), or a channel has
            samples marked invalid or is not a voltage.
    """
    import wfdb

    path = header.path
    try:
        raw = wfdb.rdrecord(str(path.with_suffix("")), physical=False, return_res=32)
        digital = np.ascontiguousarray(raw.d_signal.T)
        sums = [int(s) % 65536 for s in digital.sum(axis=1, dtype=np.int32)]  # the header repeats their 16 bits
        expected = [None if c is None else int(c) % 65536 for c in raw.checksum]
        raw.d_signal = digital.T  # one channel after the other in memory: twice as fast
        signal = np.ascontiguousarray(raw.dac(return_res=32).T, dtype=np.float32)
    except Exception as error:  # as above
        raise DataError(f"The signals of {path} cannot be read. {_AGAIN}") from error

    for lead, unit, file, have, want, x in zip(
        header.leads, raw.units, raw.file_name, sums, expected, signal, strict=True
    ):
        where = f"{path.parent / file}, lead {lead}"
        if want is not None and have != want:
            raise DataError(f"{where}: the samples do not match the checksum in {path.name}. Fetch both again.")
        if unit not in _TO_MV:
            raise DataError(f"{where}: the unit is {unit!r}; an ECG is in mV, uV or V.")
        if unit != "mV":
            x *= _TO_MV[unit]
        bad = np.flatnonzero(~np.isfinite(x))
        if bad.size:
            raise DataError(
                f"{where}: {len(bad):,} of {len(x):,} samples are marked invalid (NaN), the first at "
                f"{bad[0] / header.fs:.2f} s. Repair the file or fetch it again."
            )
    return signal


def read_annotations(path: Path, n_samples: int) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Read an annotation file: positions in samples, ascending, and WFDB symbols, both of shape (n,).

    Args:
        path: the annotation file, such as `100.atr`.
        n_samples: length of the record; no annotation may lie beyond.

    Raises:
        DataError: if the file is missing, truncated, corrupt, or another record's.
    """
    import wfdb

    _require(path)
    content = path.read_bytes()
    if len(content) % 2 or content[-2:] != b"\0\0":  # the format is byte pairs up to a pair of zeros
        raise DataError(f"{path} is truncated: {len(content):,} bytes, without the end mark. {_AGAIN}")
    try:
        raw = wfdb.rdann(str(path.with_suffix("")), path.suffix[1:])
        samples, symbols = np.asarray(raw.sample, dtype=np.int64), np.asarray(raw.symbol, dtype=np.str_)
    except Exception as error:  # as above
        raise DataError(f"{path} is not a readable WFDB annotation file. {_AGAIN}") from error
    if samples.size and (samples[0] < 0 or samples[-1] >= n_samples or (np.diff(samples) < 0).any()):
        raise DataError(
            f"{path} does not fit its record of {n_samples:,} samples: its annotations lie between "
            f"{samples.min():,} and {samples.max():,}, or are out of order. {_AGAIN}"
        )
    return samples, symbols


def _require(path: Path) -> None:
    if not path.is_file():
        raise DataError(f"{path} is missing. Fetch it, or give another root.")
