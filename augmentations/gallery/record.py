"""The record that the gallery shows: read from a WFDB record, a folder of them, or an array."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from augmentations.peaks import r_peaks
from augmentations.recorded import load_recording

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""The order that the vectorcardiogram needs."""

_STANDARD = {name.lower(): name for name in LEADS}
_LONGEST = 60.0  # s: more is not read
_BEFORE_BEAT = 0.35  # s: what an excerpt shows before its first R peak, for the P wave to be seen
_MILLIVOLTS = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "v": 1e3}
_UNREADABLE = (OSError, ValueError, IndexError, KeyError, AttributeError, TypeError)  # what wfdb raises


class GalleryError(Exception):
    """What was asked for cannot be shown; the message says what to do."""


@dataclass(frozen=True)
class Record:
    """A recording: its name, signal (C, T) in float32, sampling rate in Hz, leads, unit, and the file it is from."""

    name: str
    x: Tensor
    fs: float
    leads: tuple[str, ...]
    unit: str
    path: Path

    def excerpt(self, seconds: float) -> Tensor:
        """The first stretch that begins shortly before a beat, (C, n); less than asked for if there is no more."""
        total = self.x.shape[-1]
        length = min(max(1, round(seconds * self.fs)), total)
        before = round(_BEFORE_BEAT * self.fs)
        starts = [peak - before for peak in self._peaks() if peak >= before]
        start = min(starts[0] if starts else 0, total - length)
        return self.x[:, start : start + length]

    def beat(self, seconds: float = 1.0) -> Tensor:
        """A window with an R peak in its centre, (C, n)."""
        half = min(round(seconds * self.fs / 2), self.x.shape[-1] // 2)
        inside = [peak for peak in self._peaks() if half <= peak <= self.x.shape[-1] - half]
        centre = inside[len(inside) // 2] if inside else self.x.shape[-1] // 2
        near = round(0.05 * self.fs)  # the peaks found are the middle of the steep part
        first = max(half, centre - near)
        energy = self.x[:, first : min(self.x.shape[-1] - half, centre + near) + 1].square().sum(0)
        centre = first + int(energy.argmax())
        return self.x[:, centre - half : centre + half]

    def _peaks(self) -> list[int]:
        found: list[int] = r_peaks(self.x[None], self.fs)[0].tolist()
        return [peak for peak in found if peak >= 0]


def read(path: Path, fs: float | None = None) -> Record:
    """Reads the first minute of a WFDB record, of a folder's first with 12 leads, or of a .npy file, (C, T) in mV.

    GalleryError if there is none, it cannot be read, is shorter than a second, or has values that are not finite.
    """
    if path.suffix == ".npy":
        record = _from_array(path, fs)
    elif fs is not None:
        raise GalleryError(f"--fs is for .npy files; a WFDB record such as {path} says its own sampling rate")
    else:
        record = _from_wfdb(_first(path) if path.is_dir() else _header(path))
    if record.x.shape[-1] < record.fs:
        raise GalleryError(f"{record.path} has {record.x.shape[-1]} samples at {record.fs:g} Hz: a second is needed")
    bad = ~record.x.isfinite()
    if bad.any():
        lead = int(bad.any(1).int().argmax())
        first = int(bad[lead].int().argmax()) / record.fs
        raise GalleryError(
            f"{record.path}: lead {record.leads[lead]} has {int(bad[lead].sum())} values that are not finite (NaN), the"
            f" first at {first:.2f} s: augmentations need whole signals; choose another record or fill the gaps"
        )
    return record


def neighbour(record: Record) -> Record | None:
    """The next readable record of the folder with the same leads, rate and unit, if there is one."""
    headers = [] if record.path.suffix == ".npy" else sorted(record.path.parent.glob("*.hea"))
    place = headers.index(record.path) if headers else 0
    for header in (headers[place + 1 :] + headers[:place])[:10]:
        try:
            other = read(header)
        except GalleryError:
            continue
        if (other.leads, other.fs, other.unit) == (record.leads, record.fs, record.unit):
            return other
    return None


def _from_array(path: Path, fs: float | None) -> Record:
    if fs is None:
        raise GalleryError(f"{path.name} does not say its sampling rate: give it as --fs, in Hz")
    if not 0 < fs < float("inf"):
        raise GalleryError(f"--fs is a positive number of Hz, not {fs:g}")
    try:
        x = load_recording(str(path))
    except FileNotFoundError:
        raise GalleryError(f"there is no {path}") from None
    except (OSError, ValueError, SyntaxError, RuntimeError) as error:
        raise GalleryError(f"{path} cannot be read: {error}") from None
    if x.ndim != 2 or not 0 < x.shape[0] <= x.shape[1]:
        raise GalleryError(f"{path} is not (leads, time) but {tuple(x.shape)}: save the array as (C, T), in mV")
    names = LEADS if len(x) == len(LEADS) else tuple(str(i + 1) for i in range(len(x)))
    return Record(path.stem, x[:, : round(_LONGEST * fs)].float().contiguous(), fs, names, "mV", path)


def _header(path: Path) -> Path:
    """The header file of a record that is named with or without a suffix."""
    for header in (path, path.with_name(f"{path.name}.hea"), path.with_suffix(".hea")):
        if header.suffix == ".hea" and header.is_file():
            return header
    if path.exists():
        raise GalleryError(f"{path} has no header {path.with_suffix('.hea').name} beside it: is it a WFDB record?")
    raise GalleryError(f"there is no {path}: give a WFDB record, a folder of records, or a .npy file with --fs")


def _first(folder: Path) -> Path:
    """The first record below a folder that has the 12 leads."""
    wfdb = _wfdb()
    headers = sorted(folder.rglob("*.hea"))
    for header in headers:
        try:
            names = wfdb.rdheader(str(header.with_suffix(""))).sig_name or []
        except _UNREADABLE:
            continue
        if {name.lower() for name in names} >= set(_STANDARD):
            return header
    raise GalleryError(
        f"no record below {folder} has the 12 standard leads ({len(headers)} WFDB headers looked at): name the record"
    )


def _from_wfdb(header: Path) -> Record:
    wfdb = _wfdb()
    name = str(header.with_suffix(""))
    try:
        head = wfdb.rdheader(name)
        raw = wfdb.rdrecord(name, sampto=min(head.sig_len, round(_LONGEST * head.fs)))
        x = torch.from_numpy(raw.p_signal.T.copy())
    except _UNREADABLE as error:
        raise GalleryError(f"{header} cannot be read as a WFDB record: {error}") from None
    names = [_STANDARD.get(lead.lower(), lead) for lead in raw.sig_name]
    rows = [names.index(lead) for lead in LEADS] if set(names) >= set(LEADS) else list(range(len(names)))
    units = [raw.units[row].lower() for row in rows]
    known = set(units) <= set(_MILLIVOLTS)
    scale = torch.tensor([_MILLIVOLTS[unit] if known else 1.0 for unit in units])
    x = (x[rows] * scale[:, None]).float()
    leads = tuple(names[row] for row in rows)
    return Record(header.stem, x, float(raw.fs), leads, "mV" if known else raw.units[rows[0]], header)


def _wfdb() -> ModuleType:
    try:
        import wfdb
    except ModuleNotFoundError:
        raise GalleryError("reading WFDB records needs wfdb: pip install wfdb matplotlib") from None
    module: ModuleType = wfdb
    return module
