"""`python -m ssl_ecg.embed`: embed a data set with a checkpoint, and keep the embeddings as one file."""

from __future__ import annotations

import sys
import time
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ssl_ecg import cli
from ssl_ecg.checkpoint import PretrainedEncoder, load_encoder
from ssl_ecg.data.build import build
from ssl_ecg.data.sources import Source
from ssl_ecg.data.windows import Windows, WindowSet, labelled, report_left_out
from ssl_ecg.embed.blocks import averaged, embed_windows, forget
from ssl_ecg.embed.embeddings import Embeddings, check_format, write_embeddings
from ssl_ecg.errors import UserError
from ssl_ecg.files import ensure_writable
from ssl_ecg.report.figures import embedding_map, one_class, save
from ssl_ecg.report.tables import origin, print_table
from ssl_ecg.training.embedding import Crops
from ssl_ecg.training.settings import pick_device


@dataclass
class Embed:
    """Embed every window of a data set with a frozen encoder, with or without labels.

    Writes one file with a row a window: record, patient, sample, split, labels, whether the patient was in
    pretraining, and the embedding. `ssl_ecg.embed.read_embeddings` reads it, and so do pandas and polars. A stopped run
    goes on with the same command. Ends with a table and, where there are classes, a map.

    Examples:
        python -m ssl_ecg.embed runs/simclr-mitbih --data MITBIH --data.root data/mitdb --out mitbih.parquet
        python -m ssl_ecg.embed runs/simclr-ptbxl --data PTBXL --data.root data/ptb-xl --crop 2.5 --crops 7
        python -m ssl_ecg.embed runs/simclr-mitbih --data WFDBFolder --data.root my --windows Sliding --average true

    Args:
        checkpoint: a run's folder or a checkpoint's.
        data: the data set.
        windows: how recordings are cut; by default as the data set's classes want it: around every labelled beat, by
            rhythm, or one window a recording.
        crop: average over crops of each window that last so long, s; such as those the encoder was pretrained on.
        crops: how many, evenly spaced from the window's start to its end.
        average: one row a recording: the mean over its windows.
        device: where to compute, such as cpu or cuda; auto takes a GPU if there is one.
        batch_size: windows at a time.
        cache: folder of prepared data; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.
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
    device: str = "auto"
    batch_size: int = 256
    cache: str | None = None
    out: str | None = None
    config: dict[str, Any] | None = None

    def run(self) -> Embeddings:
        """Embed, write and show; UserError for a checkpoint, data, settings or a file that cannot be used."""
        name = type(self.data).__name__
        path = Path(self.out) if self.out else Path(self.checkpoint) / f"embed-{name.lower()}.parquet"
        check_format(path)
        encoder = load_encoder(self.checkpoint)
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
            "settings": self.config,
        }
        start = time.perf_counter()
        parts = path.with_name(f".{path.name}.parts")
        found = embed_windows(encoder, windows, parts, about, crops=cut, batch_size=self.batch_size)
        print(f"{len(windows) / (time.perf_counter() - start):,.0f} windows/s", file=sys.stderr)
        if self.average:
            found = averaged(found)
        write_embeddings(found, path)
        forget(parts)
        _show(found, path)
        return found

    def cut_windows(self, encoder: PretrainedEncoder) -> WindowSet:
        """Prepare the data set as the encoder wants it, and cut its recordings."""
        preprocessing = encoder.preprocessing
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


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    cli.run(Embed, argv)
