"""How well R peaks are found: MIT-BIH and LUDB, clean and with recorded noise.

    python experiments/benchmarks/peaks.py --data ../shared/data
    python experiments/benchmarks/peaks.py --data ../shared/data --on ludb

Sensitivity and positive predictivity, gross over all beats, matched within 150 ms (ANSI/AAMI EC57) by wfdb's
comparator; whole records, no learning period. Noise of the MIT-BIH Noise Stress Test Database, its second half, at the
signal-to-noise ratios of its program `nst`, added to both leads; to LUDB's lead II as `delineate --noise` does.
"""

import argparse
from pathlib import Path

import numpy as np
import wfdb.processing
from numpy.typing import NDArray

from ssl_ecg.data.sources import LUDB
from ssl_ecg.data.sources.holter import AAMI
from ssl_ecg.data.sources.mitbih import DS1, DS2
from ssl_ecg.data.wfdb_io import read_beats, read_header, read_signal
from ssl_ecg.delineate.corpus import Lead, read_leads
from ssl_ecg.delineate.noise import DECIBELS as delineated
from ssl_ecg.delineate.noise import KINDS, read_noise, with_noise
from ssl_ecg.leads import canonical
from ssl_ecg.monitor.listen import find_peaks
from ssl_ecg.monitor.quality import judge, usable
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.report.tables import print_table

WINDOW = 0.15  # s
DECIBELS = (24, 18, 12, 6, 0)
_PREPARED = Preprocessing(fs=100, leads=("ECG",), window=9)  # what an encoder would read is not looked at


def found(x: NDArray[np.float32], fs: float) -> NDArray[np.int64]:
    """R peaks as the monitor finds them: in the leads that can be read."""
    return find_peaks(x, usable(judge(x, fs).codes, fs, x.shape[1]), fs)


def compared(truth: NDArray[np.int64], peaks: NDArray[np.int64], fs: float) -> NDArray[np.int64]:
    """Beats that were found, missed, and found where none is."""
    if not len(peaks):
        return np.array([0, len(truth), 0])
    of = wfdb.processing.compare_annotations(truth, peaks, int(WINDOW * fs))
    return np.array([of.tp, of.fn, of.fp])


def row(counts: NDArray[np.int64]) -> dict[str, str]:
    """Sensitivity and positive predictivity in words."""
    hit, missed, extra = counts
    return {
        "beats": f"{hit + missed:,}",
        "Se": f"{hit / (hit + missed):.2%}",
        "PPV": f"{hit / max(1, hit + extra):.2%}",
    }


def noisy(
    x: NDArray[np.float32], truth: NDArray[np.int64], noise: NDArray[np.float64], decibels: int, fs: float
) -> NDArray[np.float32]:
    """Add noise to all leads (C, T); power of a lead is an eighth of its QRS complexes' squared mean height."""
    reach = round(0.05 * fs)
    tiled = np.tile(noise - noise.mean(), -(-x.shape[1] // len(noise)))[: x.shape[1]]
    at = np.clip(truth[:, None] + np.arange(-reach, reach + 1), 0, x.shape[1] - 1)
    height = np.ptp(x[:, at], axis=2).mean(axis=1, keepdims=True)
    power = height**2 / 8 / 10 ** (decibels / 10)
    return (x + tiled * np.sqrt(power / tiled.var())).astype(np.float32)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with mitdb, nstdb, ludb")
    parser.add_argument("--on", nargs="+", default=["mitdb", "ludb"], choices=["mitdb", "ludb"], help="databases")
    parser.add_argument("--records", nargs="+", default=[*DS1, *DS2], help="of MIT-BIH")
    parser.add_argument("--noisy", nargs="+", default=[*DS1, *DS2][::4], help="records that noise is added to")
    chosen = parser.parse_args()
    table: dict[str, dict[str, str]] = {}
    if "mitdb" in chosen.on:
        table |= _mitbih(chosen.data, chosen.records, chosen.noisy)
    if "ludb" in chosen.on:
        table |= {f"LUDB, lead II{name}": row(counts) for name, counts in _ludb(chosen.data).items()}
    print_table(table, title=f"R peaks, within {1000 * WINDOW:.0f} ms")


def _mitbih(data: Path, records: list[str], noisy_records: list[str]) -> dict[str, dict[str, str]]:
    sums = {"both leads": np.zeros(3, int), "lead II": np.zeros(3, int)}
    worst: dict[str, NDArray[np.int64]] = {}
    mixed: dict[str, NDArray[np.int64]] = {}
    for record in records:
        header = read_header(data / "mitdb" / f"{record}.hea")
        x, _ = read_signal(header)
        truth, fs = read_beats(header.path.with_suffix(".atr"), header.n_samples, AAMI)[0].samples, header.fs
        second = [canonical(lead) for lead in header.leads].index("II")
        worst[record] = compared(truth, found(x, fs), fs)
        sums["both leads"] += worst[record]
        sums["lead II"] += compared(truth, found(x[second : second + 1], fs), fs)
        if record not in noisy_records:
            continue
        mixed["clean"] = mixed.get("clean", np.zeros(3, int)) + worst[record]
        for kind, name in KINDS.items():
            noise = read_noise(data / "nstdb", kind, fs)
            for decibels in DECIBELS:
                what = f"{name}, {decibels} dB"
                peaks = found(noisy(x, truth, noise, decibels, fs), fs)
                mixed[what] = mixed.get(what, np.zeros(3, int)) + compared(truth, peaks, fs)
    order = sorted(worst, key=lambda record: worst[record][1:].sum(), reverse=True)[:5]
    print("Most errors (missed + extra):", ", ".join(f"{r} ({worst[r][1]} + {worst[r][2]})" for r in order))
    return {
        **{f"MIT-BIH, {len(records)} records, {name}": row(counts) for name, counts in sums.items()},
        **{f"MIT-BIH, {len(noisy_records)} records, {name}": row(counts) for name, counts in mixed.items()},
        "118e00 (electrode motion, 0 dB, half of the time)": row(_stress(data)),
    }


def _stress(data: Path) -> NDArray[np.int64]:
    header = read_header(data / "nstdb" / "118e00.hea")
    x, _ = read_signal(header)
    truth = read_beats(data / "mitdb" / "118.atr", header.n_samples, AAMI)[0].samples
    return compared(truth, found(x, header.fs), header.fs)


def _ludb(data: Path) -> dict[str, NDArray[np.int64]]:
    leads = read_leads(LUDB(str(data / "ludb"), download=False), _PREPARED, ("II",))
    heard = {"": leads}
    for kind, name in KINDS.items():
        noise = read_noise(data / "nstdb", kind, leads[0].fs)
        for decibels in delineated:
            heard[f", {name}, {decibels} dB"] = with_noise(leads, noise, decibels, _PREPARED, seed=0)
    return {name: sum(map(_of_lead, some), np.zeros(3, int)) for name, some in heard.items()}


def _of_lead(lead: Lead) -> NDArray[np.int64]:
    truth = lead.marked.peak[lead.marked.labels == "QRS"]
    peaks = found(lead.signal[None], lead.fs)
    reach = WINDOW * lead.fs  # beats near the ends are not marked
    inside = (peaks >= truth[0] - reach) & (peaks <= truth[-1] + reach)
    return compared(truth, peaks[inside], lead.fs)


if __name__ == "__main__":
    main()
