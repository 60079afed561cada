"""A real SLURM: one node on 127.0.0.1, of Debian's `slurm-wlm` and `munge`, started as root by `slurm/cluster.sh`.

A test asks for `cluster`; without SLURM, or as another user, it is skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "experiments" / "slurm"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cluster that sbatch, srun and the others find."""
    if missing := [name for name in ("slurmctld", "slurmd", "munged", "sbatch") if shutil.which(name) is None]:
        pytest.skip(f"{', '.join(missing)} missing: apt-get install slurm-wlm munge")
    if os.geteuid() != 0:
        pytest.skip("slurmd and munged are started as root")
    folder = tmp_path_factory.mktemp("slurm")
    script = ROOT / "tests" / "slurm" / "cluster.sh"
    try:
        subprocess.run([script, "start", folder], check=True, timeout=120)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
            patch.setenv("PYTHON", sys.executable)
            patch.setenv("PYTHONPATH", str(ROOT))
            patch.setenv("OMP_NUM_THREADS", "1")
            yield
    finally:
        subprocess.run([script, "stop", folder], check=True, timeout=120)


def submit(folder: Path, script: str, *given: str, options: tuple[str, ...] = ()) -> str:
    command = ["sbatch", "--parsable", f"--chdir={folder}", *options, SCRIPTS / script, *given]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def control(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def state(job: str) -> str:
    return control("squeue", "--noheader", "--states=all", "--jobs", job, "--format=%T").split()[0]


def until(true: Callable[[], bool], job: str, log: Path, seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        said = log.read_text() if log.exists() else ""
        assert time.monotonic() < deadline and state(job) not in ("FAILED", "CANCELLED", "TIMEOUT"), said
        time.sleep(0.2)
