"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples every time: of one state of the code CI says one thing. Elsewhere, new ones with every run.
settings.register_profile("ci", derandomize=True)
if "CI" in os.environ:
    settings.load_profile("ci")

# Before anyone imports pyplot: there is no screen.
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="session", autouse=True)
def _two_threads() -> None:
    """Two threads whatever the machine: sums over threads, and so golden numbers, depend on their number."""
    import torch

    torch.set_num_threads(2)


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
