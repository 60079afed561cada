"""All windows of a data set embedded, block by block, so that what was stopped goes on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.data.progress import bar
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.embed.embeddings import SEPARATOR, Embeddings
from ssl_ecg.errors import UserError
from ssl_ecg.files import ensure_writable, replacing, write_text
from ssl_ecg.study.study import seen_by
from ssl_ecg.training.embedding import Crops, embed

_BLOCK = 4096  # windows that a stop may cost


def embed_windows(
    encoder: PretrainedEncoder,
    windows: WindowSet,
    parts: Path,
    about: dict[str, Any],
    *,
    crops: Crops | None = None,
    batch_size: int = 256,
) -> Embeddings:
    """Embed windows, keeping every finished block; the same call goes on where it was stopped.

    Finished blocks lie in the folder `parts` until `forget` removes it, once the embeddings are safe elsewhere; blocks
    of other windows, settings or weights that lie there are made anew. `about` is kept with the embeddings and tells
    one call from another. `crops`: average over these crops of each window. UserError if the folder cannot be written,
    or embeddings are not finite.
    """
    ensure_writable(parts)
    plan = _plan(windows, about, crops)
    if not (parts / "plan.json").exists() or (parts / "plan.json").read_text() != plan:
        forget(parts)
        ensure_writable(parts)
        write_text(parts / "plan.json", plan)
    n = len(windows)
    blocks = {parts / f"{i:06d}.npy": rows for i, rows in enumerate(torch.arange(n).split(_BLOCK))}
    done = sum(len(rows) for file, rows in blocks.items() if file.exists())
    with bar("embedding", n, done) as advance:

        def batches(rows: Tensor) -> Iterator[Tensor]:
            for some in rows.split(batch_size):
                yield windows.load(some)
                advance(len(some))

        for file, rows in blocks.items():
            if not file.exists():
                made = embed(encoder.encoder, batches(rows), crops).numpy()
                with replacing(file) as temporary, open(temporary, "wb") as handle:
                    np.save(handle, made)
    z = np.concatenate([np.load(file) for file in blocks])
    if bad := int((~np.isfinite(z).all(axis=1)).sum()):
        raise UserError(f"{bad} of {n} embeddings are not finite: do not use them")
    return Embeddings(
        embedding=z,
        record=windows.record,
        patient=windows.patient,
        sample=windows.index.start.numpy(),
        split=windows.split,
        labels=_joined(windows.targets, windows.store.classes),
        pretrained_on=np.isin(windows.patient, seen_by(encoder, windows)),
        about=about,
    )


def forget(parts: Path) -> None:
    """Remove finished blocks."""
    shutil.rmtree(parts, ignore_errors=True)


def averaged(embeddings: Embeddings) -> Embeddings:
    """One row a recording: the mean over its windows, and every class that one of them has."""
    _, first, row = np.unique(embeddings.record, return_index=True, return_inverse=True)
    row, first = (np.argsort(np.argsort(first))[row], np.sort(first))  # recordings stay in the order they came in
    total = np.zeros((len(first), embeddings.embedding.shape[1]))
    np.add.at(total, row, embeddings.embedding)
    any_of = np.zeros((len(first), len(embeddings.classes)), dtype=np.bool_)
    np.logical_or.at(any_of, row, embeddings.targets)
    of_first = {f.name: getattr(embeddings, f.name)[first] for f in fields(embeddings) if f.name != "about"}
    mean = (total / np.bincount(row)[:, None]).astype(np.float32)
    return replace(embeddings, **of_first | {"embedding": mean, "labels": _joined(any_of, embeddings.classes)})


def _joined(targets: NDArray[np.bool_], classes: tuple[str, ...]) -> NDArray[np.str_]:
    """Names of the classes of each row, joined."""
    kinds, kind = np.unique(targets, axis=0, return_inverse=True)
    names = [SEPARATOR.join(name for name, has in zip(classes, row, strict=True) if has) for row in kinds]
    joined: NDArray[np.str_] = np.array(names, dtype=np.str_)[kind.ravel()]
    return joined


def _plan(windows: WindowSet, about: dict[str, Any], crops: Crops | None) -> str:
    """What a finished block depends on."""
    where = hashlib.sha256(windows.index.record.numpy().tobytes() + windows.index.start.numpy().tobytes()).hexdigest()
    cut = None if crops is None else [crops.number, crops.samples]
    return json.dumps({"windows": where, "crops": cut, "block": _BLOCK, **about}, sort_keys=True)
