"""A store that is prepared can lie on read-only media: a mounted image, or a folder of another user."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import Toy

from ssl_ecg import prepare, pretrain
from ssl_ecg.data.build import build
from ssl_ecg.data.positives import SamePatient
from ssl_ecg.data.sources import Prepared
from ssl_ecg.data.windows import PeakCentred, Sliding, WindowSet
from ssl_ecg.errors import DataError
from ssl_ecg.preprocessing import Preprocessing

P = Preprocessing(leads=("II", "V1"), window=1.0)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nobody writes to a folder, root neither: mounted so where root may mount, else without leave to write."""
    if os.geteuid() == 0:
        mounts = [["mount", "--bind", folder, folder], ["mount", "-o", "remount,ro,bind", folder]]
        if any(subprocess.run(mount, capture_output=True).returncode for mount in mounts):
            pytest.skip("root may not mount here, and may write anywhere")
    every = [folder, *folder.rglob("*")]
    for path in every if os.geteuid() else ():
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        with pytest.raises(OSError, match=r"Read-only|Permission"):
            (folder / "written").touch()
        yield
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", "--lazy", folder], check=True)  # memory maps hold it
        for path in every if os.geteuid() else ():
            path.chmod(path.stat().st_mode | 0o200)


def test_windows_peaks_and_pairs_are_read_from_a_store_that_nobody_may_write_to(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    writable = build(Toy(), P, cache)
    index = Sliding(1.0).index(writable, P.samples)
    windows = WindowSet(writable, P, index).load(torch.arange(len(index)))
    before = {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()}
    with read_only(cache):
        store = build(Toy(), P, cache)
        assert torch.equal(WindowSet(store, P, index).load(torch.arange(len(index))), windows)
        peaks = store.r_peaks
        assert len(PeakCentred().index(store, P.samples)) and len(peaks)
        assert SamePatient().partners(WindowSet(store, P, index))
        there = Prepared(str(store.path)).open(P)
        np.testing.assert_array_equal(there.r_peaks, peaks)
        with pytest.raises(DataError, match="cannot write to the cache"):
            build(Toy(), P, cache, limit=2)
    assert {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()} == before


def test_a_run_is_trained_and_a_summary_shown_from_such_a_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    data = ["--data.patients=24", "--data.duration=5", "--preprocessing.window=5", "--preprocessing.leads=[II]"]
    tiny = ["--method.encoder.width=4", "--method.encoder.stages=1", "--batch_size=8", "--trainer.max_epochs=1"]
    how = ["--fs=100", "--leads=II", "--window=5", "--data.patients=24", "--data.duration=5", f"--cache={cache}"]
    prepare.main(["Simulated", *how])
    for path in cache.glob("*/summary.*"):
        path.unlink()
    with read_only(cache):
        prepare.main(["Simulated", *how])
        pretrain.main([*data, *tiny, f"--cache={cache}", f"--out={tmp_path}/runs", "--name=tiny"])
    assert (tmp_path / "runs" / "tiny" / "checkpoint" / "config.json").exists()
    assert "24 patients" in capsys.readouterr().out
