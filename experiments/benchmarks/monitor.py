"""What a day, or a week, takes the monitor: time by the clock and of the processor, times real time, and peak memory.

    python experiments/benchmarks/monitor.py --record ../shared/data/mitdb/200 --hours 24 --encoder REF --head HEAD

The tape is simulated in length alone: a MIT-BIH record, again and again, so that its beats mean nothing. Memory is
what is resident at most, with what is mapped of the libraries' files, and what the process has for itself (Linux).
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ssl_ecg.data.wfdb_io import read_header


def tile(record: Path, hours: float, folder: Path) -> Path:
    """Write a WFDB record of so many hours that is another one again and again, in constant memory."""
    header = read_header(record.with_suffix(".hea"))
    text = header.path.read_text().splitlines()
    first, *signals = [line for line in text if line and not line.startswith("#")]
    fields = first.split()
    one, total = header.n_samples, round(hours * 3600 * header.fs)
    data = header.path.with_suffix(".dat").read_bytes()
    if len(data) != one * 3 or signals[0].split()[1] != "212":
        raise SystemExit(f"{record}: this benchmark reads records of two signals in format 212")
    path = folder / "tape.dat"
    with path.open("wb") as file:
        for start in range(0, total, one):
            file.write(data[: 3 * min(one, total - start)])
    rows = [" ".join(["tape.dat", *line.split()[1:6], "0", "0", *line.split()[8:]]) for line in signals]
    (folder / "tape.hea").write_text("\n".join([f"tape {fields[1]} {fields[2]} {total}", *rows]) + "\n")
    return folder / "tape.hea"


def private_memory(pid: int) -> float:
    """What a process has resident that is of no file, MB; 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024


def main() -> None:
    """The command line; all that it does not know goes to the monitor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, default=Path("../shared/data/mitdb/200"))
    parser.add_argument("--hours", type=float, default=24.0)
    chosen, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        tape = tile(chosen.record, chosen.hours, Path(folder))
        begun = time.perf_counter()
        command = [sys.executable, "-m", "ssl_ecg.monitor", str(tape), *more, "--out", f"{folder}/out"]
        private = [0.0]
        with (Path(folder) / "said").open("w+") as said:
            done = subprocess.Popen(command, stdout=said, stderr=said, text=True)
            while done.poll() is None:
                private.append(private_memory(done.pid))
                time.sleep(0.05)
            said.seek(0)
            told = said.read()
        took, used = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(told)
    print(told)
    seconds, spent, peak = 3600 * chosen.hours, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    print(f"{chosen.hours:g} h, with start and page: {took:.0f} s by the clock, {seconds / took:,.0f} times real time;")
    print(f"{spent:.0f} s of processor time, {seconds / spent:,.0f} times a core;")
    print(
        f"{peak:,.0f} MB resident at most, {max(private):,.0f} MB of them the process's own, not of files of libraries"
    )


if __name__ == "__main__":
    main()
