"""Compare ways of reading beats from an encoder's maps, on patients of MIT-BIH's DS1 held out in turn.

    python experiments/beat_reading.py runs/sibling-0 --mitdb ../shared/data/mitdb

DS2 is not read. Every beat of S, V and F takes part and one N in four, lead II; macro AUROC and those of N, S, V and F,
over five folds of patients, without and with four causal RR features: means of six random deals of the 22 patients,
since one deal decides who learns from whom (one patient has nine in ten of the F beats). The encoder should not have
seen MIT-BIH.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ssl_ecg.data.sources.mitbih import MITBIH
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.encoders import Encoder
from ssl_ecg.estimators.design import Design, held_out_auroc, random_folds, weightings
from ssl_ecg.estimators.pca import PrincipalComponents, fit_pca
from ssl_ecg.estimators.probe import search_softmax
from ssl_ecg.report.tables import print_table
from ssl_ecg.study.context import COMPONENTS, EDGES, Context, turned
from ssl_ecg.study.rhythm import rhythm_of
from ssl_ecg.study.study import Study, open_study
from ssl_ecg.study.systems import untrained

Array = NDArray[np.float32]
CS = [1e-4, 1e-3, 1e-2, 1e-1]
FOLDS, DEALS = 5, 6
SIGNAL = (-0.3, 0.5)  # s of the signal itself
READINGS: dict[str, tuple[int | None, int, bool]] = {
    "all maps, 256 components": (None, 256, True),
    "all maps, 256 components, standardised": (None, 256, False),
    "all maps, 128 components, standardised": (None, 128, False),
    "two finest maps": (2, 0, False),
}
"""How many maps, principal components (0 for the features), and whether those are turned so that all have one variance;
the probe standardises them if not."""


def some_beats(study: Study) -> WindowSet:
    """All beats of S, V and F of the train side, and one N in four."""
    return study.train.where((study.train.label != 0) | (np.arange(len(study.train)) % 4 == 0))


def read(encoder: Encoder, beats: WindowSet) -> Array:
    """Embed beats in stretches of all maps, the finest first: shape (n, D)."""
    return Context("stretches").embed(encoder, beats, "DS1")


def reduced(z: Array, components: int = COMPONENTS, *, turn: bool = True) -> Array:
    """Principal components of features (n, D) of unit variance, of these beats, whosever: shape (n, k)."""
    z = z / (z.std(axis=0) + 1e-6)
    found = fit_pca(z, components)
    return PrincipalComponents(found.mean, turned(found.axes) if turn else found.axes)(z)


def signal_itself(beats: WindowSet) -> Array:
    """The samples around each beat, shape (n, 80) at 100 Hz."""
    p = beats.preprocessing
    middle, (first, last) = p.samples // 2, (round(edge * p.fs) for edge in SIGNAL)
    x: Array = beats.load(torch.arange(len(beats))).numpy()[:, 0, middle + first : middle + last]
    return x


def judge(blocks: Mapping[str, Array], beats: WindowSet, classes: int = 4) -> dict[str, float]:
    """AUROC over held-out patients, macro and by class, at the setting that is best there: means of the deals."""
    targets = beats.label[:, None] == np.arange(classes)
    y, everybody = torch.from_numpy(targets), np.ones(len(targets), dtype=np.bool_)
    design = Design(blocks, torch.full((len(y), 1), 1 / len(y)), everybody)
    options = weightings(list(blocks), {"RR": (10.0, 100.0)} if "RR" in blocks else None)
    found = []
    for seed in range(DEALS):
        fold = random_folds(beats.patient, FOLDS, seed)
        train = torch.from_numpy(np.stack([fold != f for f in range(FOLDS)], axis=1))
        predicted, _ = search_softmax(design, y, train, fold, options, CS)
        found.append([held_out_auroc(targets, p, fold) for p in predicted])
    by_class = np.nanmean(found, axis=0)
    best = by_class[by_class.mean(axis=1).argmax()]
    return {"macro": float(best.mean()), **dict(zip("NSVF", best.tolist(), strict=True))}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoders", nargs="+", help="checkpoints of one lead")
    parser.add_argument("--mitdb", required=True, help="folder of MIT-BIH")
    parser.add_argument("--out", type=Path, default=Path("runs/beat-reading"), help="folder of the table")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    rows: dict[str, dict[str, Any]] = {}
    for number, ref in enumerate(given.encoders):
        study = open_study(ref, MITBIH(root=given.mitdb), lead="II")
        beats = some_beats(study)
        rhythm, classes = rhythm_of(study.store)[beats.index.beat.numpy()], len(study.data.classes)
        encoder, name = study.encoder.encoder, Path(ref).name
        kinds = [(name, encoder)] + ([("untrained", untrained(encoder, 0))] if number == 0 else [])
        features: dict[str, Array] = {"signal, .8 s": signal_itself(beats)} if number == 0 else {}
        for kind, network in kinds:
            widths = [each.shape[1] for each in network.details(torch.zeros(1, network.inputs, 512))]
            everything = read(network, beats)
            for reading, (maps, components, turn) in READINGS.items():
                z = everything[:, : (len(EDGES) - 1) * sum(widths[:maps])]
                features[f"{kind}: {reading}"] = reduced(z, components, turn=turn) if components else z
        for title, z in features.items():
            rows[title] = judge({"z": z}, beats, classes)
            rows[f"{title} + RR"] = judge({"z": z, "RR": rhythm}, beats, classes)
            pd.DataFrame(rows).T.to_csv(given.out / "beat_reading.csv", index_label="reading")
    shown = {title: {name: f"{value:.3f}" for name, value in row.items()} for title, row in rows.items()}
    print_table(shown, title="MIT-BIH DS1, AUROC over held-out patients")
    print(f"written {given.out}/beat_reading.csv")


if __name__ == "__main__":
    main()
