"""`python -m ssl_ecg.embed REF --files FOLDER`: a row for every file of a folder, whatever is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.checkpoint import PretrainedEncoder, load_encoder
from ssl_ecg.checkpoint.references import results_folder
from ssl_ecg.data.progress import track
from ssl_ecg.data.recording import SUFFIXES, ReadRecording, read_recording
from ssl_ecg.data.wfdb_io import TO_MV
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.files import ensure_writable, replacing
from ssl_ecg.leads import pick
from ssl_ecg.training.embedding import pick_device

_FLAT = 1e-4  # mV
_RUN = 0.012  # s: so long a lead stays at its largest or smallest value where the amplifier is at its rail
_SHOWN = 20  # lines about files; the table has them all
_MUCH = 0.005  # of the samples of a lead at the rail are worth a note


@dataclass
class EmbedFiles:
    """Embed every recording of a folder, whatever its format, rate and leads.

    Reads WFDB, EDF, CSV, NumPy, HDF5, DICOM and ISHNE. Writes Parquet with a row a file: file, whether it was embedded,
    what is odd about it, rate, leads, seconds, and the embedding, the mean over its windows. What cannot be embedded is
    in the table too, with the reason: missing leads, a rate too low, too short, damaged. Stretches without samples
    (NaN) are left out, and named; so are flat and saturated leads.

    Examples:
        python -m ssl_ecg.embed runs/simclr-ptbxl --files my/folder
        python -m ssl_ecg.embed hf://ORG/NAME --files my/arrays --fs 500 --leads I,II,V1 --unit uV --out mine.parquet

    Args:
        checkpoint: a run's folder, or another reference to a checkpoint.
        files: the folder, or one file.
        fs: sampling rate of files that do not say it (NumPy, CSV), Hz.
        leads: names of the leads of files that do not say them; of EDF and CSV with names, the leads to take.
        unit: of files that do not say it.
        device: where to compute, such as cpu or cuda; auto takes a GPU if there is one.
        trust: whether the checkpoint may import an encoder of your own, from outside ssl_ecg.
        out: the file, .parquet; embed-FOLDER.parquet beside the checkpoint by default.
    """

    question: ClassVar[str] = "embed"

    checkpoint: str
    _: KW_ONLY
    files: str
    fs: float | None = None
    leads: tuple[str, ...] | None = None
    unit: str | None = None
    device: str = "auto"
    trust: bool = False
    out: str | None = None

    def run(self) -> Path:
        """Embed, write and show; UserError for a checkpoint, a folder or a file of results that cannot be used."""
        place = Path(self.files).expanduser()
        found = sorted(_recordings(place))
        if not found:
            raise UserError(f"{place} has no recordings: files that end with {', '.join(SUFFIXES)}")
        path = Path(self.out or results_folder(self.checkpoint) / f"embed-{place.resolve().stem}.parquet").expanduser()
        if path.suffix != ".parquet":
            raise UserError(f"embeddings of files are written to .parquet, not to {path.name!r}")
        encoder = load_encoder(self.checkpoint, self.trust)
        encoder.to(pick_device(self.device))
        ensure_writable(path.parent)
        root = place if place.is_dir() else place.parent
        rows = [self._row(encoder, file, root) for file in track(found, len(found), "embedding")]
        about = {
            "checkpoint": str(self.checkpoint),
            "weights": encoder.weights,
            "preprocessing": encoder.preprocessing.to_dict(),
        }
        _write(rows, encoder.dim, about, path)
        _show(rows, path)
        return path

    def _row(self, encoder: PretrainedEncoder, file: Path, root: Path) -> Row:
        name = file.relative_to(root).as_posix()
        read: ReadRecording | None = None
        try:
            read = read_recording(file, self.fs, self.leads, self.unit)
            notes = oddities(read)
            z, used = embed_recording(encoder, read)
        except Exception as error:  # noqa: BLE001  (one file must not end the batch, whatever is wrong with it)
            said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            notes = [] if read is None else oddities(read)
            return Row.of(name, read, [" ".join(said.split()), *notes], 0.0, None)
        seconds = read.signal.shape[1] / read.fs
        if used < seconds - 0.01:
            notes.append(f"embedded from {used:.1f} of its {seconds:.1f} s")
        return Row.of(name, read, notes, used, z)


class Row(NamedTuple):
    """What is known of one file; the embedding, shape (D,), is None where there is none."""

    file: str
    embedded: bool
    notes: str
    fs: float
    leads: str
    seconds: float
    seconds_used: float
    embedding: NDArray[np.float32] | None

    @classmethod
    def of(
        cls, file: str, read: ReadRecording | None, notes: Sequence[str], used: float, z: NDArray[np.float32] | None
    ) -> Row:
        """A file's row; `read` is None where it cannot be read."""
        fs, leads = (np.nan, "") if read is None else (read.fs, ", ".join(read.leads))
        seconds = 0.0 if read is None else read.signal.shape[1] / read.fs
        return cls(file, z is not None, "; ".join(notes), fs, leads, seconds, used, z)


def embed_recording(encoder: PretrainedEncoder, read: ReadRecording) -> tuple[NDArray[np.float32], float]:
    """Embed what there is of a recording: its embedding (D,), and how many seconds it is of.

    Stretches in which a lead that the encoder sees has no samples are left out; the embeddings of the others are
    averaged by their length. DataError if none is long enough, or as the encoder itself.
    """
    p, signal, leads = encoder.preprocessing, read.signal, read.leads
    if not p.any_leads:
        try:
            signal, leads = pick(signal, leads, p.leads), p.leads
        except ValueError as error:
            raise DataError(str(error)) from None
    whole = np.isfinite(signal).all(axis=0)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], whole.view(np.int8), [0]])))
    least = 0 if whole.all() else (p.samples - 1) / p.fs * read.fs
    parts = [signal[:, a:b] for a, b in edges.reshape(-1, 2) if b - a >= least]
    if not parts:
        raise DataError(f"no stretch of {p.window:g} s has all its samples")
    z = [encoder(part, read.fs, leads, unit=_unit(read)) for part in parts]
    lengths = [part.shape[1] for part in parts]
    return np.average(np.stack(z), axis=0, weights=lengths).astype(np.float32), sum(lengths) / read.fs


def oddities(read: ReadRecording) -> list[str]:
    """What is odd about a recording, a line each: missing samples, flat leads, leads at the amplifier's rail."""
    found = []
    scale = TO_MV[read.unit]
    for name, x in zip(read.leads, read.signal, strict=True):
        bad = ~np.isfinite(x)
        if bad.any():
            seconds, first = bad.sum() / read.fs, bad.argmax() / read.fs
            found.append(f"{name}: {seconds:.2f} s without samples (NaN), first at {first:.2f} s")
        good = x[~bad] * scale
        if not good.size:
            continue
        if np.ptp(good) < _FLAT:
            found.append(f"{name}: flat")
            continue
        for rail in (good.min(), good.max()):
            share = _at(good == rail, max(3, round(_RUN * read.fs)))
            if share >= _MUCH:
                found.append(f"{name}: saturated, {share:.1%} of its samples stay at {rail:.2f} mV")
    return found


def _at(there: NDArray[np.bool_], least: int) -> float:
    """The share of samples in runs of at least so many."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], there.view(np.int8), [0]]))).reshape(-1, 2)
    lengths = edges[:, 1] - edges[:, 0]
    return float(lengths[lengths >= least].sum() / len(there))


def _unit(read: ReadRecording) -> Any:  # noqa: ANN401  (one of three words, as `read_recording` has checked)
    return read.unit


def _recordings(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    yield from (path for path in place.rglob("*") if path.suffix in SUFFIXES and path.is_file())


def _write(rows: Sequence[Row], dim: int, about: dict[str, Any], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [name for name in Row._fields if name != "embedding"]
    columns = {name: pa.array([getattr(row, name) for row in rows]) for name in names}
    z = [None if row.embedding is None else row.embedding.tolist() for row in rows]
    columns["embedding"] = pa.array(z, type=pa.list_(pa.float32(), dim))
    table = pa.table(columns).replace_schema_metadata({b"ssl_ecg": json.dumps(about)})
    with replacing(path) as temporary:
        pq.write_table(table, temporary)


def _show(rows: Sequence[Row], path: Path) -> None:
    odd = [f"{'odd' if row.embedded else 'left out':8}  {row.file}: {row.notes}" for row in rows if row.notes]
    print("\n".join([*odd[:_SHOWN], *([f"... and {len(odd) - _SHOWN} more"] if len(odd) > _SHOWN else [])]))
    print(f"{sum(row.embedded for row in rows)} of {len(rows)} files embedded. Written to {path}")
