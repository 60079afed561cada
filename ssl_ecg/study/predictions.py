"""What every system predicted for every scored sample: enough to compute each score, interval and difference again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.special import expit

from ssl_ecg.errors import DataError
from ssl_ecg.files import replacing
from ssl_ecg.report.results import Row
from ssl_ecg.study.benchmark import Benchmark, Folds, Labels, Result
from ssl_ecg.study.odds import log_odds

_KEY = b"ssl_ecg"


def write_predictions(
    path: Path, protocol: Benchmark | Folds, results: Sequence[Result], where: Sequence[Mapping[str, Any]]
) -> None:
    """Write what was predicted for the scored samples, whole or not at all.

    A row a sample: record, patient, its class (or which of the classes it has), and for each system and class the
    log-odds of its probability (`log_odds`). The file's metadata say how they are scored; `where` gives columns of each
    system's rows.
    """
    test = protocol.labels if isinstance(protocol, Folds) else protocol.test
    columns: dict[str, NDArray[Any]] = {"record": test.records, "patient": test.patients}
    if test.y.ndim == 1:
        columns["class"] = test.y.astype(np.int16)
    else:
        columns |= {f"is {name}": test.y[:, k] for k, name in enumerate(protocol.classes)}
    systems = []
    for r, more in zip(results, where, strict=True):
        assert r.probabilities is not None and r.decision is not None
        odds = log_odds(r.probabilities)
        columns |= {f"{r.system}: {name}": odds[:, k] for k, name in enumerate(protocol.classes)}
        how = {"decision": r.decision.tolist(), "versus": list(r.versus), "where": more}
        systems.append({"system": r.system, **how})
    head = {"classes": protocol.classes, "options": protocol.options, "systems": systems}
    table = pa.table(columns).replace_schema_metadata({_KEY: json.dumps(head).encode()})
    split = {field.name: "BYTE_STREAM_SPLIT" for field in table.schema if pa.types.is_floating(field.type)}
    small: dict[str, Any] = {"compression": "zstd", "compression_level": 19, "use_dictionary": False}
    with replacing(path) as temporary:
        pq.write_table(table, temporary, column_encoding=split, **small)


def rescored(path: Path) -> list[Row]:
    """Score predictions again: the rows that were made when they were written, in the same order.

    DataError for a file that is none of `write_predictions`.
    """
    try:
        table = pq.read_table(path)
        head = json.loads(table.schema.metadata[_KEY])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} holds no predictions ({type(error).__name__}: {error})") from None
    column = {name: table[name].to_numpy() for name in table.column_names}
    classes = head["classes"]
    y = column["class"] if "class" in column else np.stack([column[f"is {name}"] for name in classes], axis=1)
    test = Labels(y, column["patient"].astype(str), column["record"].astype(str))
    protocol: Benchmark | Folds = (
        Folds(test, classes, **head["options"])
        if "n_folds" in head["options"]
        else Benchmark(test, test, classes, **head["options"])
    )
    before: dict[str, Result] = {}
    rows: list[Row] = []
    for how in reversed(head["systems"]):  # the last first, since others are compared with it
        odds = np.stack([column[f"{how['system']}: {name}"] for name in classes], axis=1)
        found = protocol.scored(how["system"], expit(odds.astype(np.float64)), _numbers(how["decision"]))
        found = found.beside([before[other] for other in how["versus"]])
        before[how["system"]] = found
        rows = found.rows(**how["where"]) + rows
    return rows


def _numbers(decision: list[Any]) -> NDArray[np.float64]:
    return np.array(decision, dtype=np.float64)
