"""The one result schema: what a question writes is what is read back, by people, by programs and by W&B."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from wandb_file import wandb_records

from ssl_ecg.errors import UserError
from ssl_ecg.metrics.bootstrap import Difference, Interval
from ssl_ecg.report import wandb as publishing
from ssl_ecg.report.figures import new_figure
from ssl_ecg.report.results import Results, Row, differences, read_results, rows_of, unique

WHERE: dict[str, Any] = {"data": "MITBIH", "predictor": "linear probe"}


def found() -> Results:
    rows = [
        *rows_of({"macro_auroc": Interval(0.9, 0.85, 0.95), "auroc_S": 0.7}, system="pretrained", **WHERE),
        *rows_of({"macro_auroc": Interval(0.8, math.nan, math.nan, 9)}, system="untrained", **WHERE),
        *rows_of({"macro_auroc": 0.85}, system="pretrained", subset="without 232", **WHERE),
        *rows_of({"macro_auroc": 0.7}, system="pretrained", draw=1, **WHERE),
        *differences({"untrained": {"macro_auroc": Difference(0.1, 0.0, 0.2, p_value=0.04)}}, system="pretrained"),
        Row(score="macro_f1", value=math.nan, system="pretrained", **WHERE),
    ]
    return Results("probe", rows, {"config": {"seed": 0, "data": {"root": "data/mitdb"}}, "classes": ["N", "S"]})


def test_scores_intervals_and_differences_become_rows() -> None:
    whole, plain, *_, apart, _ = found().rows
    assert (whole.value, whole.low, whole.high) == (0.9, 0.85, 0.95)
    assert math.isnan(plain.low)
    assert math.isnan(whole.p_value)
    assert (apart.reference, apart.value, apart.p_value) == ("untrained", 0.1, 0.04)


def test_rows_are_found_by_where_they_belong() -> None:
    mine = found().select(system="pretrained", reference="", subset="", draw=None)
    assert [row.score for row in mine] == ["macro_auroc", "auroc_S", "macro_f1"]
    assert mine[0].value == 0.9
    assert found().scores(draw=1)["pretrained"]["macro_auroc"].value == 0.7


def test_scores_become_a_table_and_lines_of_differences() -> None:
    results = found()
    columns = {"macro_auroc": "macro AUROC", "auroc_S": "AUROC S", "macro_auprc": "macro AUPRC"}
    assert results.table(columns, ["macro_auroc"]) == {
        "pretrained": {"macro AUROC": Interval(0.9, 0.85, 0.95), "AUROC S": 0.7},
        "untrained": {"macro AUROC": results.scores()["untrained"]["macro_auroc"]},
    }
    assert results.table(columns, subset="without 232") == {"pretrained": {"macro AUROC": 0.85}}
    lines = results.compared("macro_auroc", "macro AUROC")
    assert lines == ["pretrained - untrained: macro AUROC +0.100 [+0.000, +0.200] p=0.040"]


def test_what_is_written_is_read_back_and_nan_is_null(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = found()
    paths = results.write(tmp_path, {"scores.png": new_figure(1, 1)})
    assert paths == {"scores.png": tmp_path / "scores.png"}
    assert capsys.readouterr().out == f"Written to {tmp_path}: results.json, results.csv, scores.png\n"
    document = json.loads((tmp_path / "results.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert document["rows"][-1]["value"] is None
    for where in (tmp_path, tmp_path / "results.json"):
        again = read_results(where)
        assert repr(again.rows) == repr(results.rows)  # NaN is not equal to itself
        assert again.about["classes"] == ["N", "S"]
        assert again.question == "probe"
    with (tmp_path / "results.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == list(document["rows"][0])
    assert [lines[0]["value"], lines[0]["draw"], lines[-1]["value"]] == ["0.9", "", ""]


@pytest.mark.parametrize("text", [None, "{", "[]", '{"schema": 0}', '{"schema": 1, "rows": [{"scor": "x"}]}'])
def test_what_is_no_file_of_results_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "results.json").write_text(text)
    with pytest.raises(UserError, match=r"results\.json holds no results of schema 1"):
        read_results(tmp_path)


def test_names_that_occur_again_are_numbered() -> None:
    assert unique(["a", "b", "a", "a"]) == ["a", "b", "a (2)", "a (3)"]


def test_the_offline_wandb_run_holds_table_summary_figures_curves_and_configuration(tmp_path: Path) -> None:
    results, folder = found(), tmp_path / "simclr" / "probe-mitbih"
    folder.mkdir(parents=True)
    figures = results.write(folder, {"scores.png": new_figure(1, 1)})
    curves = [{"C": c, "validation/pretrained": c / 2} for c in (0.1, 1.0)]
    publishing.log_results(results, figures, folder, "offline", curves)
    (file,) = (folder / "wandb").glob("offline-run-*/run-*.wandb")
    seen: dict[str, list[Any]] = {}
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    for record in wandb_records(file):
        for item in record.history.item:
            seen.setdefault(item.key or "/".join(item.nested_key), []).append(json.loads(item.value_json))
        for item in record.summary.update:
            summary[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
        for item in record.run.config.update:
            config[item.key] = json.loads(item.value_json)
        if record.run.run_id:
            run = record.run
    assert (run.run_id, run.display_name, run.job_type) == (
        (folder / "wandb_id").read_text(), "simclr/probe-mitbih", "probe"
    )  # fmt: skip
    assert config["data"] == {"root": "data/mitdb"}
    assert seen["C"] == [0.1, 1.0]
    assert seen["validation/pretrained"] == [0.05, 0.5]
    assert {"probe", "scores"} <= {name.partition("/")[0] for name in seen}
    assert summary["macro_auroc/pretrained"] == 0.9
    assert summary["macro_auroc/untrained"] == 0.8
    (table,) = file.parent.glob("files/media/table/probe*.json")
    content = json.loads(table.read_text())
    document = json.loads((folder / "results.json").read_text())
    assert [dict(zip(content["columns"], line, strict=True)) for line in content["data"]] == document["rows"]
    assert len(list(file.parent.glob("files/media/images/scores*.png"))) == 1


def test_a_folder_has_one_wandb_id_whoever_asks_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = publishing.wandb_id(tmp_path)
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path.name != "wandb_id" and exists(path))  # both saw none
    assert publishing.wandb_id(tmp_path) == first
    assert [path.name for path in tmp_path.iterdir()] == ["wandb_id"]


def test_wandb_without_its_package_or_an_account_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    def refused() -> None:
        raise wandb.errors.UsageError("No API key configured")

    monkeypatch.setattr(wandb, "login", refused)
    publishing.check_wandb("offline")
    with pytest.raises(UserError, match=r"No API key configured.*use --wandb offline"):
        publishing.check_wandb("online")
    monkeypatch.setitem(sys.modules, "wandb", None)
    publishing.check_wandb("off")
    with pytest.raises(UserError, match=r"pip install 'ssl-ecg\[wandb\]'"):
        publishing.check_wandb("offline")


def test_results_bring_along_neither_wandb_nor_matplotlib_nor_lightning() -> None:
    heavy = {"wandb", "matplotlib", "torch", "pytorch_lightning"}
    code = f"import sys, ssl_ecg.report.wandb; print({heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
