"""Embeddings with all that is known of their windows, as one file: Parquet, or NPZ.

    e = read_embeddings("embeddings.parquet")
    train = e.split != "test"
    LogisticRegression().fit(e.embedding[train], e.targets[train, 0])

One row a window, with the columns of `Embeddings`. What holds for all rows (`about`) is in Parquet's metadata under
"ssl_ecg", or in the NPZ's entry "about", as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.errors import DataError, UserError
from ssl_ecg.files import replacing

SEPARATOR = ";"
FORMATS = (".parquet", ".npz")
_ROWS = 8192  # of a Parquet row group
_KEY = b"ssl_ecg"


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of n windows.

    Attributes:
        embedding: shape (n, D), float32.
        record: which recording each window is from, shape (n,).
        patient: whose it is, shape (n,).
        sample: its first sample, at the encoder's rate, shape (n,), int64.
        split: of the data set, shape (n,).
        labels: its classes, joined by ";", shape (n,).
        pretrained_on: whether its patient was in pretraining, shape (n,), bool.
        about: plain values: "checkpoint", "weights" (SHA-256), "source", "classes", "fs" in Hz, "window" in s, ...

    UserError if the columns differ in length.
    """

    embedding: NDArray[np.float32]
    record: NDArray[np.str_]
    patient: NDArray[np.str_]
    sample: NDArray[np.int64]
    split: NDArray[np.str_]
    labels: NDArray[np.str_]
    pretrained_on: NDArray[np.bool_]
    about: Mapping[str, Any]

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in _COLUMNS}
        if len(set(lengths.values())) > 1 or self.embedding.ndim != 2:
            raise UserError(f"expected embeddings (n, D) and columns of n rows, got {self.embedding.shape}, {lengths}")

    def __len__(self) -> int:
        return len(self.embedding)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the task's K classes."""
        return tuple(self.about["classes"])

    @cached_property
    def targets(self) -> NDArray[np.bool_]:
        """To which classes each window belongs, shape (n, K)."""
        number = {name: i for i, name in enumerate(self.classes)}
        kinds, kind = np.unique(self.labels, return_inverse=True)
        of_kind = np.zeros((len(kinds), len(number)), dtype=np.bool_)
        for row, joined in enumerate(kinds.tolist()):
            of_kind[row, [number[name] for name in joined.split(SEPARATOR) if name]] = True
        targets: NDArray[np.bool_] = of_kind[kind]
        return targets


_COLUMNS = tuple(f.name for f in fields(Embeddings) if f.name != "about")


def write_embeddings(embeddings: Embeddings, path: str | Path) -> None:
    """Write a .parquet or .npz, whole or not at all; UserError for another ending, or if it cannot be written."""
    path = Path(path)
    with replacing(path) as temporary:
        if check_format(path) == ".npz":
            columns = {name: getattr(embeddings, name) for name in _COLUMNS}
            with open(temporary, "wb") as file:
                np.savez(file, about=np.array(json.dumps(dict(embeddings.about))), **columns)
        else:
            _write_parquet(embeddings, temporary)


def read_embeddings(path: str | Path) -> Embeddings:
    """Read what `write_embeddings` wrote; DataError if the file is missing, damaged or something else."""
    path = Path(path)
    try:
        if check_format(path) == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return Embeddings(**{name: file[name] for name in _COLUMNS}, about=json.loads(str(file["about"])))
        return _read_parquet(path)
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  (pyarrow and numpy each raise several kinds of their own)
        raise DataError(
            f"{path} cannot be read as embeddings ({error}): write it with python -m ssl_ecg.embed"
        ) from None


def check_format(path: Path) -> str:
    """The ending of a file of embeddings; UserError if it is none of `FORMATS`."""
    if path.suffix not in FORMATS:
        raise UserError(f"embeddings are written to {' or '.join(FORMATS)}, not to {path.name!r}")
    return path.suffix


def _write_parquet(embeddings: Embeddings, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def some(rows: slice) -> Any:  # noqa: ANN401  (pyarrow has no types)
        z = np.ascontiguousarray(embeddings.embedding[rows], dtype=np.float32)
        columns = {name: pa.array(getattr(embeddings, name)[rows]) for name in _COLUMNS if name != "embedding"}
        columns["embedding"] = pa.FixedSizeListArray.from_arrays(pa.array(z.ravel()), z.shape[1])
        return pa.table(columns)

    schema = some(slice(0, 1)).schema.with_metadata({_KEY: json.dumps(dict(embeddings.about))})
    # Embeddings do not get smaller, but looking for repetitions in them takes as long as computing them.
    words = ["record", "patient", "split", "labels"]
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=words) as writer:
        for start in range(0, len(embeddings), _ROWS):  # a block at a time: what is embedded may not fit in memory
            writer.write_table(some(slice(start, start + _ROWS)).replace_schema_metadata(schema.metadata))


def _read_parquet(path: Path) -> Embeddings:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    about = json.loads((table.schema.metadata or {})[_KEY])
    z = table.column("embedding").combine_chunks()
    dim = z.type.list_size
    columns = {name: table.column(name).to_numpy() for name in _COLUMNS if name != "embedding"}
    for name in ("record", "patient", "split", "labels"):
        columns[name] = columns[name].astype(str)
    return Embeddings(embedding=z.flatten().to_numpy().reshape(-1, dim), **columns, about=about)
