"""Whether predictions that a probe left give its results again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ssl_ecg.report.results import read_results
from ssl_ecg.study.predictions import rescored


def assert_rescored(folder: Path) -> None:
    """The rows made of `predictions.parquet` are those of `results.json`."""
    found, written = rescored(folder / "predictions.parquet"), read_results(folder).rows
    key = [(r.system, r.predictor, r.subset, r.reference, r.score) for r in written]
    assert [(r.system, r.predictor, r.subset, r.reference, r.score) for r in found] == key
    for a, b in zip(found, written, strict=True):
        np.testing.assert_allclose([a.value, a.low, a.high], [b.value, b.low, b.high], atol=1e-4, err_msg=str(a))
