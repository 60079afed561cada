"""The store: a source read once, conditioned, and kept as one memory-mapped int16 file and two tables.

Layout of a store's folder:

- `signals.i16`: every recording lead after lead, so that a window of one lead is one run of bytes;
- `records.parquet`: record, patient, split, labels, offset and length in samples,
  scale (mV, or standard deviations, per count), source_fs;
- `beats.parquet`: record (row number), r_peak (samples at source_fs), label;
- `store.json`: format, source and its fingerprint, preprocessing; written last, so a folder without it is no store.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.data.source import Recording, Source
from ssl_ecg.errors import DataError
from ssl_ecg.preprocessing import Preprocessing

FORMAT = 1
_MAX = 32_000  # full scale in counts: a step is under 1/2,000 of a recording's largest deflection in 16 mV


def default_cache() -> Path:
    """Where stores are kept: `$SSL_ECG_CACHE`, or `~/.cache/ssl_ecg`."""
    return Path(os.environ.get("SSL_ECG_CACHE", "~/.cache/ssl_ecg")).expanduser()


class Store:
    """Conditioned recordings, ready to be cut into windows.

    Args:
        path: a folder written by `build`.

    Attributes:
        signals: shape (N,), int16, all samples of all leads of all recordings; memory-mapped.
        records: one row per recording (see the module's docstring).
        beats: one row per annotated beat, ordered by recording and time.
        meta: content of `store.json`.

    Raises:
        DataError: if the folder is no store, of another format, or its files do not belong together.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.meta: dict[str, Any] = json.loads((self.path / "store.json").read_text())
            self.records = pd.read_parquet(self.path / "records.parquet")
            self.beats = pd.read_parquet(self.path / "beats.parquet")
            signals = np.memmap(self.path / "signals.i16", dtype=np.int16, mode="c")
        except (OSError, ValueError) as error:
            raise DataError(f"{self.path} is not a readable store ({error}): delete it and run again") from None
        if self.meta.get("format") != FORMAT:
            raise DataError(f"{self.path} has format {self.meta.get('format')}, not {FORMAT}: delete it and run again")
        self.leads: tuple[str, ...] = tuple(self.meta["preprocessing"]["leads"])
        self.fs: float = self.meta["preprocessing"]["fs"]
        needed = int(self.records["length"].sum()) * len(self.leads)
        if len(signals) != needed:
            raise DataError(
                f"{self.path}/signals.i16 holds {len(signals)} samples, not {needed}: delete the folder and run again"
            )
        self.signals: Tensor = torch.from_numpy(signals)
        self._index_tensors()

    def _index_tensors(self) -> None:
        self.offset = torch.from_numpy(self.records["offset"].to_numpy(np.int64, copy=True))
        self.length = torch.from_numpy(self.records["length"].to_numpy(np.int64, copy=True))
        self.scale = torch.from_numpy(self.records["scale"].to_numpy(np.float32, copy=True))

    def to(self, device: torch.device | str) -> Store:
        """Move the signals to a device, if they fit in half of its free memory; returns self."""
        device = torch.device(device)
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if self.signals.nbytes > free // 2:
                return self
        self.signals = self.signals.to(device)
        return self

    def gather(self, record: Tensor, start: Tensor, samples: int) -> Tensor:
        """Cut windows, all in one indexed copy.

        Args:
            record: row of each window's recording, shape (B,), int64.
            start: first sample of each window in its recording, shape (B,), int64.
            samples: length of a window, T.

        Returns:
            Shape (B, C, T), float32, as conditioned, on the device of `signals`.
        """
        c = len(self.leads)
        first = self.offset[record] + start
        rows = first[:, None] + torch.arange(c) * self.length[record][:, None]
        # A view in which row i is the window starting at sample i: nothing is copied until index_select.
        windows = self.signals.as_strided((len(self.signals) - samples + 1, samples), (1, 1))
        device = self.signals.device
        x = windows.index_select(0, rows.flatten().to(device)).view(len(record), c, samples).float()
        return x * self.scale[record].to(device)[:, None, None]

    def signal(self, row: int) -> NDArray[np.float32]:
        """One whole conditioned recording: shape (C, T), float32."""
        length = int(self.length[row])
        x = self.gather(torch.tensor([row]), torch.tensor([0]), length)
        return x[0].cpu().numpy()


def build(
    source: Source,
    preprocessing: Preprocessing,
    cache: str | Path | None = None,
    progress: Callable[[Iterable[Recording], int], Iterable[Recording]] | None = None,
) -> Store:
    """Open the store of a source, reading the source only if that was not done before.

    Args:
        source: what to read.
        preprocessing: how; only what `condition` depends on decides whether a store can be used again.
        cache: folder of all stores; `default_cache()` if None.
        progress: wraps the recordings and their number, to show a progress bar.

    Returns:
        The store.

    Raises:
        DataError: if the source's files are missing or damaged, or the store cannot be written.
    """
    source.ensure()
    meta = {
        "format": FORMAT,
        "source": type(source).__name__,
        "fingerprint": source.fingerprint(),
        "preprocessing": preprocessing.conditioning(),
        "classes": list(source.classes),
        "task": source.task,
    }
    text = json.dumps(meta, sort_keys=True, indent=1)
    name = f"{type(source).__name__.lower()}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    folder = Path(cache) if cache is not None else default_cache()
    target = folder / name
    if (target / "store.json").exists():
        return Store(target)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder))
    except OSError as error:
        raise DataError(
            f"cannot write to the cache {folder} ({error.strerror}): set SSL_ECG_CACHE to a folder you may write to"
        ) from None
    try:
        recordings: Iterable[Recording] = source.recordings()
        if progress is not None:
            recordings = progress(recordings, len(source))
        _write(recordings, preprocessing, temporary)
        (temporary / "store.json").write_text(text)
        shutil.rmtree(target, ignore_errors=True)  # what a crash of an older version may have left
        os.replace(temporary, target)
    except OSError as error:
        if not (target / "store.json").exists():  # else another process was faster, with the same result
            raise DataError(f"cannot write the store {target}: {error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Store(target)


def _write(recordings: Iterable[Recording], preprocessing: Preprocessing, folder: Path) -> None:
    records, beat_tables, offset = [], [], 0
    seen: set[str] = set()
    with open(folder / "signals.i16", "wb") as file:
        for row, recording in enumerate(recordings):
            if recording.record in seen:
                raise DataError(f"two recordings are named {recording.record}")
            seen.add(recording.record)
            try:
                x = preprocessing.condition(recording.signal, recording.fs, recording.leads)
            except DataError as error:
                raise DataError(f"record {recording.record}: {error}") from None
            scale = max(float(np.abs(x).max()) / _MAX, 1e-6)
            np.rint(x / scale).astype(np.int16).tofile(file)
            records.append(
                {
                    "record": recording.record,
                    "patient": recording.patient,
                    "split": recording.split,
                    "labels": list(recording.labels),
                    "offset": offset,
                    "length": x.shape[-1],
                    "scale": np.float32(scale),
                    "source_fs": float(recording.fs),
                }
            )
            offset += x.size
            if recording.beats is not None:
                beat_tables.append(
                    pd.DataFrame(
                        {
                            "record": np.int32(row),
                            "r_peak": recording.beats.samples.astype(np.int64),
                            "label": recording.beats.labels.astype(object),
                        }
                    )
                )
    if not records:
        raise DataError("the source has no recordings")
    pd.DataFrame(records).to_parquet(folder / "records.parquet")
    empty = pd.DataFrame({"record": np.zeros(0, np.int32), "r_peak": np.zeros(0, np.int64), "label": []})
    (pd.concat(beat_tables, ignore_index=True) if beat_tables else empty).to_parquet(folder / "beats.parquet")
