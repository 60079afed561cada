"""How well a person is known again by frozen embeddings of ECG-ID: a warning, not a use.

    python experiments/identity.py ecg1-v1 --root data/ecg-id

Each recording is asked for the most similar other one, by cosine of embeddings whose dimensions are standardised over
all recordings: how often is it the same person's? Once among all others, and once where the person's other recordings
of that day are left out, for those who came back on another day. No label is used and nothing is fitted. Intervals are
by bootstrap over people. An encoder that saw ECG-ID is told so: take one that did not.
"""

import argparse
from pathlib import Path

import numpy as np

from ssl_ecg import cli
from ssl_ecg.data.sources import ECGID
from ssl_ecg.metrics.bootstrap import Interval
from ssl_ecg.report.tables import Value, print_table
from ssl_ecg.study.study import open_whole, seen_by
from ssl_ecg.study.systems import systems

RESAMPLES = 1000


def known_again(z: np.ndarray, person: np.ndarray, day: np.ndarray, other_day: bool) -> tuple[np.ndarray, np.ndarray]:
    """Whether each recording's neighbour is the same person's, for those that could be, and whose they are."""
    z = (z - z.mean(axis=0)) / (z.std(axis=0) + 1e-6)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    same = person[:, None] == person
    left_out = same & (day[:, None] == day) if other_day else np.eye(len(z), dtype=bool)
    could = (same & ~left_out).any(axis=1)
    neighbour = np.where(left_out, -np.inf, z @ z.T).argmax(axis=1)
    return (person[neighbour] == person)[could], person[could]


def over_people(hit: np.ndarray, person: np.ndarray) -> Interval:
    """The share of hits, with a 95 % interval by bootstrap over people."""
    _, whose = np.unique(person, return_inverse=True)
    hits, counts = np.bincount(whose, hit), np.bincount(whose)
    drawn = np.random.default_rng(0).integers(len(counts), size=(RESAMPLES, len(counts)))
    low, high = np.quantile(hits[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [0.025, 0.975])
    return Interval(float(hit.mean()), float(low), float(high))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", help="a run's folder, or another reference to a checkpoint")
    parser.add_argument("--root", type=Path, help="folder of ECG-ID")
    given = parser.parse_args()
    study = open_whole(given.encoder, ECGID(root=given.root), lead="I")
    windows = study.test
    day = np.array([labels.split(";")[-1] for labels in study.store.records["labels"]])[windows.index.record.numpy()]
    rows: dict[str, dict[str, Value]] = {}
    for system in systems(study, beside=("untrained", "hand features")):
        z = system.features(windows)
        found = {name: known_again(z, windows.patient, day, other) for name, other in (("any", False), ("other", True))}
        rows[system.name] = {
            "nearest of all others": over_people(*found["any"]),
            "of those of other days": over_people(*found["other"]),
        }
    people = len(set(windows.patient.tolist()))
    print_table(rows, title=f"{given.encoder}: the same person's, ECG-ID, {len(windows)} recordings of {people} people")
    again, whose = found["other"]
    print(f"Came back on another day: {len(again)} recordings of {len(set(whose.tolist()))} people.")
    print(f"{len(seen_by(study.encoder, windows))} of the people were in pretraining.")


if __name__ == "__main__":
    with cli.reporting_errors():
        main()
