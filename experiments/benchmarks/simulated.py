"""How many ten-second twelve-lead records `Simulated` draws a second.

By the clock is what a caller gets of this machine, as busy as it is; by processor time, what a free core
gives.

    python experiments/benchmarks/simulated.py
"""

from __future__ import annotations

import argparse
import os
import time

from ssl_ecg.data.sources.simulated import Simulated


def main() -> None:
    """Measure and print, once for each sampling rate asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=800)
    parser.add_argument("--records_per_patient", type=int, default=4)
    parser.add_argument("--fs", type=float, nargs="+", default=[100.0, 500.0], help="sampling rates, Hz")
    parser.add_argument("--repeats", type=int, default=3, help="the best counts")
    args = parser.parse_args()

    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for fs in args.fs:
        source = Simulated(args.patients, args.records_per_patient, fs=fs)
        wall, core = 0.0, 0.0
        for _ in range(args.repeats):
            began, began_core = time.perf_counter(), time.process_time()
            for _recording in source.recordings():
                pass
            wall = max(wall, len(source) / (time.perf_counter() - began))
            core = max(core, len(source) / (time.process_time() - began_core))
        print(f"{fs:g} Hz: {wall:,.0f} records/s by the clock, {core:,.0f} by processor time (one core)")


if __name__ == "__main__":
    main()
