"""What every test may ask for, and what makes a run of the tests repeatable."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from slurm_cluster import cluster  # noqa: F401  (a fixture of two modules)

# No time limits: how busy the machine is decides no test. New examples with every run, in CI too; a failure says
# how to get them again, and the header says the seed of all of them.
settings.register_profile(
    "ssl_ecg", deadline=None, derandomize=False, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ssl_ecg")

# Before anyone imports pyplot: there is no screen. And help and tables are as wide here as where output is no terminal.
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["COLUMNS"] = "100"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose threads and seed for this process, its workers and every process that a test starts."""
    workers = getattr(config.option, "numprocesses", None)
    # Two workers with one thread each fill two cores; alone, a process takes both.
    threads = os.environ.setdefault("SSL_ECG_THREADS", "1" if workers else "2")
    os.environ["OMP_NUM_THREADS"] = threads  # read when torch and scikit-learn are imported
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = os.environ.setdefault("HYPOTHESIS_SEED", str(secrets.randbelow(2**32)))


# Files that take longest: first, or one worker would end with one of them while the other has nothing left to do.
_LONG = (
    "test_finetune.py",
    "test_prepare.py",
    "test_pretrain.py",
    "test_streaming.py",
    "test_augmentation_invariants.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _LONG.index(item.path.name) if item.path.name in _LONG else len(_LONG))


def pytest_report_header(config: pytest.Config) -> str:
    seed, threads = config.option.hypothesis_seed, os.environ["SSL_ECG_THREADS"]
    return f"HYPOTHESIS_SEED={seed} SSL_ECG_THREADS={threads} (set both to repeat this run)"


@pytest.fixture(scope="session", autouse=True)
def _threads() -> None:
    """Use as many threads as SSL_ECG_THREADS says, whatever the machine."""
    import torch

    torch.set_num_threads(int(os.environ["SSL_ECG_THREADS"]))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real recordings: `shared/data` beside the checkout, or $SSL_ECG_DATA."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SSL_ECG_DATA", beside)).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder}; set SSL_ECG_DATA to a folder with mitdb, ludb, ...")
    return folder


@pytest.fixture(scope="session")
def mitdb(shared_data: Path) -> Path:
    """The MIT-BIH Arrhythmia Database, all 48 records."""
    folder = shared_data / "mitdb"
    if not (folder / "100.dat").exists():
        pytest.skip(f"no MIT-BIH records in {folder}; set SSL_ECG_DATA to the folder that holds mitdb")
    return folder
