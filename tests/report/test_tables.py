import csv
import json
import math

import numpy as np
import pytest
from rich.console import Console

from ssl_ecg.errors import UserError
from ssl_ecg.metrics.bootstrap import Difference, Interval
from ssl_ecg.report.tables import print_table, table, text, write_csv, write_json

ROWS = {
    "pretrained + RR [ours]": {"macro AUROC": Interval(0.9012, 0.85, 0.951), "S PPV": 0.25, "n": 49705},
    "untrained": {"macro AUROC": Interval(math.nan, math.nan, math.nan, 1000), "data": "MITBIH", "C": 1e-5},
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Interval(0.9, 0.85, 0.95), "0.900 [0.850, 0.950]"),
        (Difference(0.04, -0.01, 0.08, p_value=0.012), "+0.040 [-0.010, +0.080] p=0.012"),
        (Interval(math.nan, math.nan, math.nan), "-"),
        (Interval(0.9, math.nan, math.nan, 700), "0.900"),
        (Difference(0.04, math.nan, math.nan, 700), "+0.040"),
        (math.nan, "-"),
        (None, "-"),
        (0.0, "0.000"),
        (1e-5, "1e-05"),
        (7, "7"),
        ("SimCLR", "SimCLR"),
    ],
)
def test_values_as_text(value, expected):
    assert text(value) == expected


def printed(width, **options):
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table(ROWS, **options))
    return capture.get()


def test_a_table_has_all_systems_and_columns():
    shown = printed(150)
    for part in ("pretrained + RR [ours]", "0.901 [0.850, 0.951]", "49705", "MITBIH", "1e-05"):
        assert part in shown


def test_a_narrow_one_puts_intervals_below():
    shown = printed(90, narrow=True)
    assert "[0.850, 0.951]" in shown
    assert "0.901 [" not in shown


def test_nothing_is_cut_off_in_a_file(capsys):
    print_table(ROWS, title="[not markup]" + " a title" * 20)
    out = capsys.readouterr().out
    assert "0.901 [0.850, 0.951]" in out
    assert "MITBIH" in out
    assert "[not markup]" in out
    assert "…" not in out


def test_nothing_is_cut_off_in_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    print_table(ROWS)
    out = capsys.readouterr().out
    assert "…" not in out
    assert "[0.850, 0.951]" in out


def test_csv_leaves_empty_what_is_undefined_or_lacking(tmp_path):
    rows = [
        {"system": "pretrained", "value": np.float64(0.9012), "low": 0.85},
        {"system": "raw", "value": math.nan, "n": 3},
    ]
    write_csv(rows, tmp_path / "t.csv")
    with open(tmp_path / "t.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert first == {"system": "pretrained", "value": "0.9012", "low": "0.85", "n": ""}
    assert second == {"system": "raw", "value": "", "low": "", "n": "3"}


def test_json_is_plain(tmp_path):
    document = {
        "rows": ROWS,
        "d": Difference(1, 0, 2, p_value=0.5),
        "matrix": np.eye(2),
        "x": [np.float32(0.5), np.nan],
    }
    write_json(document, tmp_path / "t.json")
    found = json.loads((tmp_path / "t.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    ours = found["rows"]["pretrained + RR [ours]"]["macro AUROC"]
    assert ours == {"value": 0.9012, "low": 0.85, "high": 0.951, "undefined": 0}
    assert found["rows"]["untrained"]["macro AUROC"]["value"] is None
    assert found["d"]["p_value"] == 0.5
    assert found["matrix"] == [[1, 0], [0, 1]]
    assert found["x"] == [0.5, None]


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "t.json"
    write_json({"a": 1}, path)
    with pytest.raises(TypeError):
        write_json({"a": object()}, path)
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["t.json"]
    with pytest.raises(UserError, match="cannot write"):
        write_csv([{"a": 1}], tmp_path / "nowhere" / "t.csv")
