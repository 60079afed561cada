"""The monitor on MIT-BIH's DS2 from end to end: beats are found by it, not given.

    python experiments/monitor_ds2.py --root ../shared/data/mitdb

Beat-by-beat matching within 150 ms after ANSI/AAMI EC57, by wfdb's comparator: a missed V is a missed V, and a V where
no beat is is a false one; V that is called so at a fusion or unclassifiable beat counts as neither, nor does S at an
unclassifiable one. Whole records. Beside the head stands one of RR intervals alone, fitted on DS1 with annotated beats
and read at the same detected ones. DS2 chooses nothing.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import wfdb.processing
from numpy.typing import NDArray

from ssl_ecg.data.sources.holter import AAMI
from ssl_ecg.data.sources.mitbih import DS1, DS2
from ssl_ecg.data.wfdb_io import read_beats
from ssl_ecg.estimators.probe import LinearProbe, fit_probe
from ssl_ecg.estimators.tempering import temper
from ssl_ecg.monitor import Monitor
from ssl_ecg.report.tables import print_table
from ssl_ecg.study.rhythm import rr_features

FS, SAMPLES, WINDOW = 360.0, 650_000, 0.15
CLASSES = ("N", "S", "V", "F")
FORGIVEN = {"V": ("F", ""), "S": ("",)}  # what may be called so without being right or wrong


def rr_probe(root: Path, future: bool) -> LinearProbe:
    """A probe of RR features alone, fitted on the annotated beats of DS1."""
    blocks, labels, records = [], [], []
    for record in DS1:
        beats, _ = read_beats(root / f"{record}.atr", SAMPLES, AAMI)
        mine = np.isin(beats.labels, CLASSES)
        blocks.append(rr_features(beats.samples, FS, future=future)[mine])
        labels.append([CLASSES.index(label) for label in beats.labels[mine]])
        records.append(np.full(int(mine.sum()), record))
    fitted_on = {"RR": np.concatenate(blocks)}, np.concatenate(labels), np.concatenate(records)
    probe = fit_probe(*fitted_on, len(CLASSES))
    return replace(probe, decision=temper(probe, *fitted_on)[0])


def counted(
    truth: NDArray[np.int64], labels: NDArray[np.str_], peaks: NDArray[np.int64], called: NDArray[np.str_]
) -> dict[str, NDArray[np.int64]]:
    """Found, missed and false beats of each of V and S and, as QRS, of all."""
    of = wfdb.processing.compare_annotations(truth, peaks, int(WINDOW * FS))
    match = np.asarray(of.matching_sample_nums)
    at = np.array([-1 if each is None or each == -1 else int(each) for each in match])
    counts = {"QRS": np.array([of.tp, of.fn, of.fp])}
    extra = np.ones(len(peaks), dtype=bool)
    extra[at[at >= 0]] = False
    for name, forgiven in FORGIVEN.items():
        said = np.zeros(len(truth), dtype=bool)
        said[at >= 0] = called[at[at >= 0]] == name
        is_it = labels == name
        false = (said & ~is_it & ~np.isin(labels, forgiven)).sum() + (extra & (called == name)).sum()
        counts[name] = np.array([(said & is_it).sum(), (~said & is_it).sum(), false])
    return counts


def words(counts: Mapping[str, NDArray[np.int64]]) -> dict[str, str]:
    """Se / PPV of each."""
    return {
        name: "-"
        if hit + missed + false == 0
        else f"{hit / max(1, hit + missed):.3f} / {hit / max(1, hit + false):.3f}"
        for name, (hit, missed, false) in counts.items()
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="ecg1-v1")
    parser.add_argument("--head", help="by default that which ships with the encoder")
    parser.add_argument("--root", type=Path, default=Path("data/mitdb"))
    parser.add_argument("--out", default="runs/monitor-ds2")
    parser.add_argument("--records", nargs="+", default=list(DS2))
    chosen = parser.parse_args()
    tapes = [str(chosen.root / f"{record}.hea") for record in chosen.records]
    Monitor(tapes, encoder=chosen.encoder, head=chosen.head, out=chosen.out).run()
    rhythm = rr_probe(chosen.root, future=True)
    rows: dict[str, dict[str, str]] = {}
    gross: dict[str, dict[str, NDArray[np.int64]]] = {}
    for record in chosen.records:
        beats, _ = read_beats(chosen.root / f"{record}.atr", SAMPLES, AAMI)
        mine = pd.read_parquet(Path(chosen.out) / record / "beats.parquet")
        peaks = mine["sample"].to_numpy()
        p = rhythm.predict_proba({"RR": rr_features(peaks, FS, future=True)}) * rhythm.decision
        called = {"head": mine["class"].to_numpy(dtype=str), "RR alone": np.array(CLASSES)[p.argmax(axis=1)]}
        for system, labels in called.items():
            counts = counted(beats.samples, beats.labels, peaks, labels)
            if system == "head":
                rows[record] = {"beats": f"{len(beats.samples):,}", **words(counts)}
            for subset in ("all", "without 232", "without 202"):
                if subset == f"without {record}":
                    continue
                total = gross.setdefault(f"{system}, {subset}", {name: np.zeros(3, int) for name in counts})
                for name, each in counts.items():
                    total[name] += each
    print_table(rows, title="DS2 by record: Se / PPV")
    print_table({name: words(counts) for name, counts in gross.items()}, title="DS2, gross: Se / PPV")


if __name__ == "__main__":
    main()
