"""`python -m ssl_ecg.embed`: embed a data set with a checkpoint, and keep the embeddings as one file."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssl_ecg import cli
from ssl_ecg.checkpoint import PretrainedEncoder, load_encoder
from ssl_ecg.checkpoint.references import results_folder
from ssl_ecg.data.build import all_leads, build
from ssl_ecg.data.progress import bar
from ssl_ecg.data.sources import Source
from ssl_ecg.data.windows import Windows, WindowSet, labelled, report_left_out
from ssl_ecg.embed.embeddings import SEPARATOR, Embeddings, check_format, write_embeddings
from ssl_ecg.embed.files import EmbedFiles
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.files import ensure_writable, replacing, write_text
from ssl_ecg.report.figures import embedding_map, one_class, save
from ssl_ecg.report.tables import origin, print_table
from ssl_ecg.study.study import seen_by
from ssl_ecg.training.embedding import Crops, embed, pick_device

_BLOCK = 4096  # windows that a stop may cost


@dataclass
class Embed:
    """Embed every window of a data set with a frozen encoder, with or without labels.

    Writes one file with a row a window: record, patient, sample, split, labels, whether the patient was in
    pretraining, and the embedding. `ssl_ecg.embed.read_embeddings` reads it, and so do pandas and polars. A stopped run
    goes on with the same command. Ends with a table and, where there are classes, a map. With `--files FOLDER` in place
    of a data set: a row for each file of a folder, whatever its format (`--files --help` says more).

    Examples:
        python -m ssl_ecg.embed runs/simclr-mitbih --data MITBIH --data.root data/mitdb --out mitbih.parquet
        python -m ssl_ecg.embed runs/simclr-ptbxl --data PTBXL --data.root data/ptb-xl --crop 2.5 --crops 7
        python -m ssl_ecg.embed runs/simclr-mitbih --data WFDBFolder --data.root my --windows Sliding --average true
        python -m ssl_ecg.embed runs/simclr-mitbih --files my/folder

    Args:
        checkpoint: a run's folder, or another reference to a checkpoint.
        data: the data set.
        windows: how recordings are cut; by default as the data set's classes want it: around every labelled beat, by
            rhythm, or one window a recording.
        crop: average over crops of each window that last so long, s; such as those the encoder was pretrained on.
        crops: how many, evenly spaced from the window's start to its end.
        average: one row a recording: the mean over its windows.
        side_by_side: the embeddings of the leads side by side, in place of their mean; for encoders of any lead.
        device: where to compute, such as cpu or cuda; auto takes a GPU if there is one.
        batch_size: windows at a time.
        cache: folder of prepared data; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.
        trust: whether the checkpoint may import an encoder of your own, from outside ssl_ecg.
        out: the file, .parquet or .npz; embed-DATA.parquet beside the checkpoint by default.
        config: all settings as plain values, kept with the embeddings; the command line gives it.
    """

    question: ClassVar[str] = "embed"

    checkpoint: str
    data: Source
    _: KW_ONLY
    windows: Windows | None = None
    crop: float | None = None
    crops: int = 1
    average: bool = False
    side_by_side: bool = False
    device: str = "auto"
    batch_size: int = 256
    cache: str | None = None
    trust: bool = False
    out: str | None = None
    config: dict[str, Any] | None = None

    def run(self) -> Embeddings:
        """Embed, write and show; UserError for a checkpoint, data, settings or a file that cannot be used."""
        name = type(self.data).__name__
        path = Path(self.out) if self.out else results_folder(self.checkpoint) / f"embed-{name.lower()}.parquet"
        check_format(path)
        encoder = load_encoder(self.checkpoint, self.trust)
        cut = self._cut(encoder)
        if self.batch_size < 1:
            raise UserError(f"batch_size must be at least 1, not {self.batch_size}")
        encoder.to(pick_device(self.device))
        ensure_writable(path.parent)
        windows = self.cut_windows(encoder)
        store = windows.store
        about = {
            "checkpoint": str(self.checkpoint),
            "weights": encoder.weights,
            "source": name,
            "fingerprint": store.meta["fingerprint"],
            "simulated": store.simulated,
            "cohort": store.cohort,
            "classes": list(store.classes),
            "multilabel": store.multilabel,
            "preprocessing": encoder.preprocessing.to_dict(),
            "crop": self.crop,
            "crops": self.crops,
            "average": self.average,
            "side_by_side": self.side_by_side,
            "settings": self.config,
        }
        start = time.perf_counter()
        parts = path.with_name(f".{path.name}.parts")
        apart, size = self.side_by_side, self.batch_size
        found = embed_windows(encoder, windows, parts, about, crops=cut, batch_size=size, side_by_side=apart)
        print(f"{len(windows) / (time.perf_counter() - start):,.0f} windows/s", file=sys.stderr)
        if self.average:
            found = averaged(found)
        write_embeddings(found, path)
        forget(parts)
        _show(found, path)
        return found

    def cut_windows(self, encoder: PretrainedEncoder) -> WindowSet:
        """Prepare the data set as the encoder wants it, and cut its recordings."""
        preprocessing = all_leads(self.data, encoder.preprocessing)
        store = build(self.data, preprocessing, self.cache, workers=0, progress=f"preparing {type(self.data).__name__}")
        report_left_out(store, preprocessing.samples)
        return WindowSet(store, preprocessing, (self.windows or labelled(store)).index(store, preprocessing.samples))

    def _cut(self, encoder: PretrainedEncoder) -> Crops | None:
        """The crops to average over."""
        window = encoder.preprocessing.window
        if self.crop is None:
            if self.crops != 1:
                raise UserError(f"crops of the whole window are all the same: set --crop to less than {window:g} s")
            return None
        if not 0 < self.crop <= window:
            raise UserError(f"--crop must be above 0 and at most the window of {window:g} s, not {self.crop:g} s")
        return Crops(self.crops, round(self.crop * encoder.preprocessing.fs))


def _show(found: Embeddings, path: Path) -> None:
    """Print the table; draw the map where there are classes."""
    rows = {}
    for split in ("train", "val", "test"):
        mine = found.split == split
        if mine.any():
            rows[split] = {
                "rows": int(mine.sum()),
                "records": len(np.unique(found.record[mine])),
                "patients": len(np.unique(found.patient[mine])),
                "pretrained on": len(np.unique(found.patient[mine & found.pretrained_on])),
                **{name: int(n) for name, n in zip(found.classes, found.targets[mine].sum(axis=0), strict=True)},
            }
    what = f"{len(found):,} embeddings of {found.embedding.shape[1]} numbers, {origin(found.about['simulated'])}"
    title = f"{found.about['checkpoint']}: {what}"
    print_table(rows, title=title)
    print(f"Written to {path}")
    has = found.targets.any(axis=1)
    if has.any():
        y, names = one_class(found.targets, found.classes)
        picture = path.with_suffix(".png")
        figure = embedding_map(found.embedding[has], y[has], names, found.patient[has], grey=names[-1:])
        save(figure, picture)
        print(f"Its map: {picture}")


def embed_windows(
    encoder: PretrainedEncoder,
    windows: WindowSet,
    parts: Path,
    about: dict[str, Any],
    *,
    crops: Crops | None = None,
    batch_size: int = 256,
    side_by_side: bool = False,
) -> Embeddings:
    """Embed windows, keeping every finished block; the same call goes on where it was stopped.

    Finished blocks lie in the folder `parts` until `forget` removes it, once the embeddings are safe elsewhere; blocks
    of other windows, settings or weights that lie there are made anew. `about` is kept with the embeddings and tells
    one call from another. `crops`: average over these crops of each window; `side_by_side`: the embeddings of its leads
    one after the other, not their mean. UserError if the folder cannot be written, embeddings are not finite, or the
    encoder takes leads together.
    """
    module = _SideBySide(encoder.encoder) if side_by_side else encoder.encoder
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
                made = embed(module, batches(rows), crops).numpy()
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


class _SideBySide(nn.Module):
    """An encoder whose embeddings of each lead stand one after the other: (B, C, T) -> (B, C D)."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        """Embed windows."""
        return self.encoder.each_lead(x).flatten(1)


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


def main(argv: list[str] | None = None) -> None:
    """The command line: of a data set, or of a folder's files where there are `--files`."""
    given = sys.argv[1:] if argv is None else argv
    cli.run(EmbedFiles if any(token.split("=")[0] == "--files" for token in given) else Embed, given)
