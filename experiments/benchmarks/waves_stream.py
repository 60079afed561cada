"""What streaming costs in waves: mean F1 on LUDB with whole recordings, with causal filters, and chunk by chunk.

    python experiments/benchmarks/waves_stream.py runs/sibling/sibling-0 --ludb data/ludb

Folds over people, a head for each, fitted on the others' leads: filtered both ways, and forwards alone. The second
finds the waves of whole leads, and those of `StreamingWaves`, which is handed the raw lead in chunks of a quarter of a
second, takes its amplitude from the first seconds, and gives each wave once and for all.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from ssl_ecg.checkpoint import PretrainedEncoder, load_encoder
from ssl_ecg.data.progress import track
from ssl_ecg.data.sources import LUDB
from ssl_ecg.delineate import Delineate
from ssl_ecg.delineate.corpus import Lead, deal, read_leads
from ssl_ecg.delineate.evaluate import Outcome, fit_head, maps_of, training_people
from ssl_ecg.metrics.bootstrap import Bootstrap, Resampled, difference
from ssl_ecg.report.tables import Value, print_table
from ssl_ecg.waves.features import Frozen
from ssl_ecg.waves.head import Head
from ssl_ecg.waves.matching import BOUNDARIES, Found, scores_of
from ssl_ecg.waves.stream import StreamingWaves

FOLDS, PENALTY, SEED = Delineate.folds, Delineate.penalty, Delineate.seed
CHUNK = 0.25  # s


def streamed(encoder: PretrainedEncoder, head: Head, lead: Lead, enrol: float) -> tuple[Found, float]:
    """The waves of a lead that comes chunk by chunk, and how long after its end each is given at most, s."""
    stream = StreamingWaves(encoder, head, lead.fs, enrol=enrol)
    chunks = np.array_split(lead.signal, max(1, round(len(lead.signal) / (CHUNK * lead.fs))))
    parts = [*chain.from_iterable(stream.push(chunk) for chunk in chunks), *stream.finish()]
    joined = [np.concatenate([getattr(part, name) for part in parts] or [[]]) for name in Found.__annotations__]
    return Found(*joined), stream.latency


def outcomes(
    encoder: PretrainedEncoder, leads: Mapping[bool, Sequence[Lead]], enrol: float
) -> tuple[list[Outcome], float]:
    """What is found in everybody's leads by heads of the other folds, in three ways."""
    rate, fold = encoder.preprocessing.fs, deal([lead.patient for lead in leads[False]], FOLDS, SEED)
    frozen, latency = Frozen("", encoder.encoder, rate), 0.0
    maps = {causal: maps_of(frozen, some) for causal, some in leads.items()}
    names = ("whole, filtered both ways", "whole, filtered forwards", "as a stream")
    found = [Outcome(name, 0, len(leads[False])) for name in names]
    for held in track(range(FOLDS), FOLDS, "folds"):
        chosen = training_people(fold, held, len(fold), SEED)
        heads = {}
        for causal, some in leads.items():
            mine = [i for i, lead in enumerate(some) if lead.patient in chosen]
            heads[causal] = fit_head([maps[causal][i] for i in mine], [some[i] for i in mine], rate, PENALTY, SEED)
        for i, lead in enumerate(leads[False]):
            if fold[lead.patient] == held:
                for causal, outcome in zip((False, True), found, strict=False):
                    scores = heads[causal].scores(maps[causal][i], len(leads[causal][i].x))
                    outcome.add(i, lead, heads[causal].find([scores], rate)[0])
                waves, latency = streamed(encoder, heads[True], lead, enrol)
                found[2].add(i, lead, waves)
    return found, latency


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="an encoder of one lead, or any, that has not seen LUDB")
    parser.add_argument("--ludb", required=True)
    parser.add_argument("--leads", nargs="+", default=["II"])
    parser.add_argument("--enrol", type=float, default=5.0, help="s from which a stream takes its amplitude")
    given = parser.parse_args()
    encoder, data = load_encoder(given.checkpoint), LUDB(given.ludb, download=False)
    leads = {causal: read_leads(data, encoder.preprocessing, given.leads, causal) for causal in (False, True)}
    found, latency = outcomes(encoder, leads, given.enrol)
    patients = [lead.patient for lead in leads[False]]
    bootstrap, rows, resampled = Bootstrap(patients, len(patients), Delineate.resamples, SEED), {}, []
    for outcome in found:
        scores = scores_of(outcome.counts[:, 0].sum(axis=0))
        totals = scores_of(bootstrap.totals(outcome.counts)[..., 0, :, :])
        resampled.append(Resampled({"f1": float(scores["f1"])}, {"f1": totals["f1"]}, SEED))
        row: dict[str, Value] = {"mean F1": resampled[-1].intervals()["f1"]}
        rows[outcome.system] = row | {f"{w} {e}": float(scores[f"f1_{w}_{e}"]) for w, e in BOUNDARIES}
    print_table(rows, title=f"{given.checkpoint}: waves of LUDB, lead {', '.join(given.leads)}, {len(patients)} leads")
    print(f"as a stream - whole, filtered forwards: {difference(resampled[2], resampled[1])['f1']}")
    print(f"each wave {latency:.2f} s after its end at most, and {given.enrol:g} s more at the start")


if __name__ == "__main__":
    main()
