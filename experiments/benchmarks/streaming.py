"""A stream beside the whole recording: state, latency, speed, and what causal filters change.

python experiments/benchmarks/streaming.py runs/cinc2017-joint --data CinC2017 --data.root data/challenge-2017
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg import StreamingEncoder, cli, load_encoder
from ssl_ecg.data.sources import Source
from ssl_ecg.report.tables import print_table


@dataclass
class Streaming:
    """Stream recordings of a data set second by second, and compare with what `load_encoder` gives of the whole.

    Args:
        checkpoint: a run's folder, or another reference to a checkpoint.
        data: the data set; its first recordings are taken.
        recordings: how many.
        hop: of the stream, s.
    """

    checkpoint: str
    data: Source
    _: KW_ONLY
    recordings: int = 50
    hop: float = 1.0

    def run(self) -> None:
        """Print the table."""
        torch.set_num_threads(1)
        encoder = load_encoder(self.checkpoint)
        self.data.ensure(self.recordings)
        error, cosine, factors, state, latency = [], [], [], 0, 0.0
        for number in range(self.recordings):
            r = self.data.read(number)
            stream = StreamingEncoder(encoder, r.fs, r.leads, hop=self.hop)
            chunks = np.array_split(r.signal, max(1, round(r.signal.shape[1] / r.fs)), axis=1)
            hops = [hop for chunk in chunks for hop in stream.push(chunk)] + list(stream.finish())
            tokens = np.concatenate([hop.tokens for hop in hops], axis=1)
            once = StreamingEncoder(encoder, r.fs, r.leads, hop=self.hop)
            x = np.concatenate([once.conditioning.push(r.signal.astype(np.float64)), once.conditioning.finish()], 1)
            x = x / stream.normaliser.scale if encoder.preprocessing.normalise == "record" else x
            normalised = torch.from_numpy(x.astype(np.float32))
            if encoder.preprocessing.normalise == "window":
                normalised = encoder.preprocessing.normalise_record(normalised)
            with torch.inference_mode():
                whole = encoder.encoder.tokens(normalised[None])[0].numpy()
            error.append(np.abs(tokens - whole).max() / np.abs(whole).max())
            cosine += _cosines(tokens, np.asarray(encoder.tokens(r.signal, r.fs, r.leads)[0]))
            factors.append(stream.real_time_factor)
            state, latency = max(state, stream.state_bytes), max(latency, stream.latency)
        row = {
            "off the whole signal": f"{max(error):.1e}",
            "latency, s": latency,
            "state, bytes": state,
            "times real time": float(np.median(factors)),
            "cosine to zero phase, median": float(np.median(cosine)),
            "5 %": float(np.quantile(cosine, 0.05)),
        }
        print_table({type(encoder.encoder).__name__: row}, title=f"{self.recordings} recordings, hop {self.hop:g} s")


def _cosines(a: NDArray[Any], b: NDArray[Any]) -> list[float]:
    """Cosine of each token (F, T) with its counterpart."""
    a, b = a[:, : b.shape[1]], b[:, : a.shape[1]]
    found: list[float] = ((a * b).sum(0) / (np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0))).tolist()
    return found


if __name__ == "__main__":
    cli.run(Streaming)
