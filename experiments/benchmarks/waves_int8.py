"""What 8 bits cost in waves: mean F1 on LUDB's lead II by an ONNX file in fp32 and quantised, the head inside.

    python experiments/benchmarks/waves_int8.py ecg1-tiny-v1 --ludb data/ludb [--recipes 0,2,3]

A quarter of the people calibrate, the others are scored. The head that ships was fitted on all of them, so the
difference counts, not F1 itself.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

from ssl_ecg.checkpoint import load_encoder, shipped_head
from ssl_ecg.data.sources import LUDB
from ssl_ecg.delineate.corpus import Lead, read_leads
from ssl_ecg.export.graph import write_graph
from ssl_ecg.export.quantise import RECIPES, quantise
from ssl_ecg.waves import Head, load_head
from ssl_ecg.waves.matching import count, scores_of


def f1(path: Path, leads: list[Lead], head: Head) -> float:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    scores = [session.run(["phases"], {"signal": lead.x[None, None].numpy()})[0][0].astype(float) for lead in leads]
    found = zip(leads, head.find(scores, 100.0), strict=True)
    counts = sum(count(lead.marked, lead.fs, each)[0] for lead, each in found)
    return float(scores_of(np.asarray(counts)[0])["f1"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--ludb", required=True)
    parser.add_argument("--recipes", default="0,2,3")
    given = parser.parse_args()
    encoder = load_encoder(given.checkpoint)
    head, _ = load_head(str(shipped_head(encoder.weights, "waves")), encoder.weights)
    leads = read_leads(LUDB(given.ludb, download=False), encoder.preprocessing, ("II",))
    calibrate = set(sorted({lead.patient for lead in leads})[::4])
    windows = [lead.x[None, :900].numpy() for lead in leads if lead.patient in calibrate][:48]
    scored = [lead for lead in leads if lead.patient not in calibrate]
    with tempfile.TemporaryDirectory() as folder:
        fp32, int8 = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        write_graph(encoder, fp32, waves=head)
        whole = f1(fp32, scored, head)
        print(f"fp32, {len(scored)} people: F1 {whole:.4f}")
        for recipe in (RECIPES[int(number)] for number in given.recipes.split(",")):
            share = quantise(fp32, int8, windows, recipe)
            print(f"int8, {recipe}, {share:.0%} of the weights: F1 lower by {whole - f1(int8, scored, head):.4f}")


if __name__ == "__main__":
    main()
