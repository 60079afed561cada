"""Make ecg12 of ecg1: the same network on each of the twelve leads, whose embeddings stand side by side.

    python experiments/ecg12.py --out ecg12

No weight is trained again; `experiments/results/ecg12.md` compares it with encoders that were pretrained
on twelve leads at once. Each lead is divided by its own standard deviation, and its amplitudes stand beside: those of
eight stretches in mV, or, as in ecg12-v1, the logarithms of the window's; with "none" leads are normalised as ecg1's.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from ssl_ecg import load_encoder
from ssl_ecg.checkpoint import find_checkpoint, golden_signal, save_encoder
from ssl_ecg.checkpoint.card import describe, model_card
from ssl_ecg.data.sources import Simulated
from ssl_ecg.encoders.amplitudes import Amplitudes
from ssl_ecg.leads import STANDARD_12

AMPLITUDES: dict[str, Amplitudes] = {"stretches": "stretches", "logarithms": True, "none": False}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ecg1", default="ecg1-v1", help="a reference to the encoder of one lead")
    parser.add_argument("--out", type=Path, default=Path("ecg12"))
    parser.add_argument("--amplitudes", default="stretches", choices=AMPLITUDES, help="what stands beside the shapes")
    given = parser.parse_args()
    ecg1 = load_encoder(given.ecg1)
    amplitudes = AMPLITUDES[given.amplitudes]
    arguments = {**ecg1.encoder.arguments, "in_channels": 12, "leads": "beside", "amplitudes": amplitudes}
    encoder = type(ecg1.encoder)(**arguments).eval()
    encoder.load_state_dict(ecg1.encoder.state_dict())
    normalise = "none" if amplitudes else ecg1.preprocessing.normalise
    p = replace(ecg1.preprocessing, leads=STANDARD_12, window=10.0, normalise=normalise)
    window = next(iter(Simulated(patients=24, records_per_patient=1).recordings()))
    golden = golden_signal(p.condition(window.signal, window.fs, window.leads)[:, : p.samples])
    pretraining = json.loads((find_checkpoint(given.ecg1) / "config.json").read_text())["pretraining"]
    card = model_card(pretraining, p.to_dict(), describe(encoder), {})
    print(save_encoder(given.out, encoder, p, pretraining, golden, card))


if __name__ == "__main__":
    main()
