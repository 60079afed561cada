"""The sweep command: few labels and many, beside baselines, resumed, and without a leak."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import fresh_checkpoint
from jobs import InTurn
from wandb_file import wandb_records

from ssl_ecg import pretrain, sweep
from ssl_ecg.fingerprint import code_fingerprint
from ssl_ecg.launch import Launcher
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.report.results import Results, Row, read_results
from ssl_ecg.study import open_study
from ssl_ecg.study.systems import Frozen, RawPCA
from ssl_ecg.sweep.cells import Cell, SharedFeatures

TINY = ["--method.encoder.width=4", "--method.encoder.stages=2", "--batch_size=16", "--trainer.max_epochs=1"]
DATA = ["--data=Simulated", "--data.0.patients=400", "--data.0.records_per_patient=1"]


def of(results: Results, **where: Any) -> dict[str, Row]:
    """Rows by the name of their score, of those that agree with `where`."""
    return {row.score: row for row in results.select(**where)}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep")


@pytest.fixture(scope="module")
def checkpoint(here: Path) -> Path:
    pretrain.main(["--data.patients=60", *TINY, f"--out={here}/runs", f"--cache={here}/cache", "--name=tiny"])
    return here / "runs" / "tiny"


def run(checkpoint: Path, here: Path, *more: str) -> None:
    sweep.main(
        [
            str(checkpoint),
            *DATA,
            "--fractions=0.2,1",
            "--seeds=2",
            "--cs=1e-3,1e-1",
            "--resamples=50",
            f"--cache={here}/cache",
            *more,
        ]
    )


@pytest.fixture(scope="module")
def done(checkpoint: Path, here: Path) -> Path:
    run(checkpoint, here, f"--out={here}/out", "--wandb=offline")
    shutil.copy(here / "out" / "results.json", here / "first.json")  # later sweeps of the folder replace it
    return here / "out"


def test_each_draw_has_its_scores_and_what_chose_c(done: Path) -> None:
    results = read_results(done)
    assert {row.system for row in results.rows} == {"tiny", "untrained", "raw PCA"}
    assert {(row.data, row.task, row.predictor) for row in results.rows} == {("Simulated", "Simulated", "linear")}
    for system in ("tiny", "untrained", "raw PCA"):
        for fraction, draws in ((0.2, 2), (1.0, 1)):
            for draw in range(draws):
                found = {n: r.value for n, r in of(results, system=system, fraction=fraction, draw=draw).items()}
                assert {"macro_auroc", "macro_auprc", "macro_f1"} < set(found)
                curve = {c: found[f"validation_macro_auroc[C={c:g}]"] for c in (1e-3, 1e-1)}
                assert found["chosen_C"] == max(curve, key=lambda c: curve[c])


def test_the_results_hold_intervals_spread_pairs_and_the_setting(done: Path) -> None:
    results = read_results(done)
    assert results.about["simulated"] is True
    task = results.about["tasks"]["Simulated"]
    assert list(task["systems"]) == ["tiny", "untrained", "raw PCA"]
    assert task["systems"]["tiny"]["setting"].startswith(("inductive", "transductive"))
    few, everything = (of(results, system="tiny", fraction=f, draw=None, reference="") for f in (0.2, 1.0))
    assert few["patients"].value < everything["patients"].value == task["sides"]["train"]["patients"]
    assert few["sd_macro_auroc"].value > 0
    assert math.isnan(everything["sd_macro_auroc"].value)
    for fraction, mine in ((0.2, few), (1.0, everything)):
        score = mine["macro_auroc"]
        assert score.low <= score.value <= score.high
        for other in ("untrained", "raw PCA"):
            apart = of(results, system="tiny", fraction=fraction, draw=None, reference=other)["macro_auroc"]
            theirs = of(results, system=other, fraction=fraction, draw=None, reference="")["macro_auroc"]
            assert apart.value == pytest.approx(score.value - theirs.value)
    for figure in ("label_efficiency.png", "validation.png"):
        assert (done / figure).stat().st_size > 10_000


def test_a_stopped_sweep_goes_on_with_what_is_missing(
    done: Path, checkpoint: Path, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (done / "results.json").read_text()
    (lost,) = (done / "cells").glob("*untrained*")
    lost.unlink()
    monkeypatch.setattr(Frozen, "features", lambda *_: pytest.fail("embedded again"))
    monkeypatch.setattr(RawPCA, "features", lambda *_: pytest.fail("projected again"))
    run(checkpoint, here, f"--out={here}/out")
    err = capsys.readouterr().err
    assert "Simulated: untrained, linear (tiny) ..." in err
    assert "Simulated: pretrained, linear (tiny) ..." not in err
    assert "not made again: Simulated: pretrained, linear (tiny), Simulated: raw PCA, linear (tiny)" in err
    assert lost.exists()
    again, first = json.loads((done / "results.json").read_text()), json.loads(before)
    assert (
        again["tasks"]["Simulated"]["systems"]["untrained"]["draws"]
        == (first["tasks"]["Simulated"]["systems"]["untrained"]["draws"])
    )


def test_jobs_make_the_parts_that_one_process_makes(
    done: Path, checkpoint: Path, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    save = Cell.save
    monkeypatch.setattr(Launcher, "run", InTurn.run)
    monkeypatch.setattr(Launcher, "killed_after", 99, raising=False)
    monkeypatch.setattr(Cell, "save", lambda cell, path: (made.append(path.name), save(cell, path))[1])
    shutil.copytree(done / "features", tmp_path / "features")
    run(checkpoint, here, f"--out={tmp_path}", "--launcher.where=local")
    assert sorted(made) == sorted(path.name for path in (tmp_path / "cells").iterdir())  # each once
    first, again = (read_results(file) for file in (here / "first.json", tmp_path / "results.json"))
    assert [repr(row) for row in again.rows] == [repr(row) for row in first.rows]
    assert again.about["identity"] == first.about["identity"]


@pytest.mark.parametrize("setting", ["--seeds=1", "--cs=1e-3,1", "--fractions=0.3,1", "--resamples=40"])
def test_other_settings_reuse_embeddings_but_no_results(
    done: Path, checkpoint: Path, here: Path, setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    embedded = sorted((done / "features").iterdir())
    run(checkpoint, here, f"--out={here}/out", setting)
    err = capsys.readouterr().err
    assert "finished before" not in err
    assert "Simulated: pretrained, linear (tiny) ..." in err
    assert sorted((done / "features").iterdir()) == embedded


def test_two_checkpoints_of_one_architecture_share_their_baselines(
    done: Path, checkpoint: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pretrain.main(
        ["--data.patients=60", *TINY, "--seed=1", f"--out={here}/runs", f"--cache={here}/cache", "--name=other"]
    )
    run(Path(f"{checkpoint},{here}/runs/other"), here, f"--out={here}/out")
    results = read_results(done)
    systems = results.about["tasks"]["Simulated"]["systems"]
    assert list(systems) == ["tiny", "untrained", "raw PCA", "other"]
    assert systems["untrained"]["checkpoints"] == ["tiny", "other"]
    assert {row.reference for row in results.rows if row.system == "other"} == {"", "untrained", "raw PCA"}
    assert "other - untrained" in capsys.readouterr().out


def test_the_mean_over_seeds_of_a_recipe_stands_beside_them(
    checkpoint: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(checkpoint, here / "seeds" / "recipe-0")
    second = here / "seeds" / "recipe-1"
    pretrain.main(
        ["--data.patients=60", *TINY, "--seed=1", f"--out={second.parent}", f"--cache={here}/cache", "--name=recipe-1"]
    )
    run(Path(f"{second.parent}/recipe-0,{second}"), here, "--average", f"--out={here}/averaged")
    assert "recipe, mean of 2 - untrained" in capsys.readouterr().out
    results = read_results(here / "averaged")
    mean, *each = (
        [results.select(system=name, score="macro_auroc", reference=reference) for reference in ("", "untrained")]
        for name in ("recipe, mean of 2", "recipe-0", "recipe-1")
    )
    for place in (0, 1):  # the scores, and the differences from the untrained encoder
        for fraction in (0.2, 1.0):
            found, *both = (
                next(row for row in rows[place] if row.fraction == fraction and row.draw is None)
                for rows in (mean, *each)
            )
            assert found.value == pytest.approx(np.mean([row.value for row in both]))
            assert found.low <= found.value <= found.high
    assert sorted(row.draw for row in mean[0] if row.fraction == 0.2 and row.draw is not None) == [0, 1, 2, 3]


def test_a_cell_is_read_as_it_was_written(done: Path, tmp_path: Path) -> None:
    cell = Cell.load(next((done / "cells").glob("*pretrained*")))
    # Or ties between systems would not be those of a sweep that was not stopped.
    thirds = [replace(r, replicates={name: b / 3 for name, b in r.replicates.items()}) for r in cell.resampled]
    cell = replace(cell, resampled=tuple(thirds))
    cell.save(tmp_path / "cell.npz")
    again = Cell.load(tmp_path / "cell.npz")
    assert replace(again, resampled=()) == replace(cell, resampled=())
    for a, b in zip(again.resampled, cell.resampled, strict=True):
        assert (a.key, a.values) == (b.key, b.values)
        np.testing.assert_array_equal(a.replicates["macro_auroc"], b.replicates["macro_auroc"])


def test_embeddings_from_disk_are_those_of_the_windows(checkpoint: Path, here: Path, tmp_path: Path) -> None:
    from ssl_ecg.data.sources import Simulated

    study = open_study(checkpoint, Simulated(patients=400, records_per_patient=1), f"{here}/cache")
    shared = SharedFeatures(study, tmp_path)
    system = Frozen("pretrained", study.encoder.encoder)
    for _ in range(2):  # made, then read
        train, test = shared.of(system, shared.key(system))
        torch.testing.assert_close(torch.from_numpy(train), torch.from_numpy(system.features(study.train)))
        torch.testing.assert_close(torch.from_numpy(test), torch.from_numpy(system.features(study.test)))


def test_the_offline_wandb_run_holds_the_table_both_curves_and_the_figures(done: Path) -> None:
    (file,) = (done / "wandb").glob("offline-run-*/run-*.wandb")
    seen: dict[str, list[Any]] = {}
    for record in wandb_records(file):
        for item in record.history.item:
            seen.setdefault(item.key or "/".join(item.nested_key), []).append(json.loads(item.value_json))
    assert seen["label_fraction"] == [0.2, 1.0] * 3
    assert len(seen["test_macro_auroc/Simulated/tiny"]) == 2
    assert len(seen["validation_macro_auroc/Simulated/raw PCA/20 %"]) == 2  # C
    assert {"sweep", "label_efficiency", "validation"} <= {name.partition("/")[0] for name in seen}
    (table,) = file.parent.glob("files/media/table/sweep*.json")
    assert len(json.loads(table.read_text())["data"]) == len(read_results(done.parent / "first.json").rows)


def test_other_code_makes_results_and_features_anew(
    checkpoint: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--fractions=1", "--beside=raw PCA", f"--out={here}/code"]
    run(checkpoint, here, *small)
    for changed in ("ssl_ecg.estimators", "ssl_ecg.encoders"):
        before = [len(list((here / "code" / part).iterdir())) for part in ("cells", "features")]
        monkeypatch.setattr(
            "ssl_ecg.sweep.cells.code_fingerprint",
            lambda *names, c=changed: code_fingerprint(*names) + (c if c in names else ""),
        )
        capsys.readouterr()
        run(checkpoint, here, *small)
        assert "finished before" not in capsys.readouterr().err
        after = [len(list((here / "code" / part).iterdir())) for part in ("cells", "features")]
        assert after == [before[0] + 2, before[1] + (2 if changed == "ssl_ecg.encoders" else 0)]


def test_the_source_of_modules_has_a_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_package").mkdir()
    (tmp_path / "some_package" / "__init__.py").touch()
    inner = tmp_path / "some_package" / "inner.py"
    inner.write_text("x = 1")
    monkeypatch.syspath_prepend(tmp_path)
    first = code_fingerprint("some_package"), code_fingerprint("some_package.inner")
    inner.write_text("x = 2")
    code_fingerprint.cache_clear()
    second = code_fingerprint("some_package"), code_fingerprint("some_package.inner")
    assert len({*first, *second}) == 4


def test_every_predictor_reads_every_system(checkpoint: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictors = ["linear", "knn", "spreading", "self_training"]
    run(checkpoint, here, f"--predictors={','.join(predictors)}", "--beside=raw PCA", f"--out={here}/predictors")
    assert "tiny, knn - raw PCA, knn" in capsys.readouterr().out
    results = read_results(here / "predictors")
    for name in predictors:
        for system in ("tiny", "raw PCA"):
            for fraction, draws in ((0.2, 2), (1.0, 1)):
                found = of(results, system=system, predictor=name, fraction=fraction, draw=None, reference="")
                each = [of(results, system=system, predictor=name, fraction=fraction, draw=d) for d in range(draws)]
                assert found["macro_auroc"].value == pytest.approx(np.mean([d["macro_auroc"].value for d in each]))
    assert {f"validation_{name}.png" for name in predictors} < {path.name for path in (here / "predictors").iterdir()}


def test_validation_never_looks_at_the_test_set(
    checkpoint: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_test(*given: Any) -> Any:
        study = open_study(*given)
        object.__setattr__(study, "test", None)
        return study

    monkeypatch.setattr("ssl_ecg.sweep.command.open_study", without_test)
    run(checkpoint, here, "--validate", "--fractions=1", "--beside=raw PCA", f"--out={here}/validated")
    assert "The test set was not touched" in capsys.readouterr().out
    assert (here / "validated" / "validation.json").exists()
    assert not (here / "validated" / "results.json").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--fractions=0,1"], 1, "above 0 and at most 1"),
        (["--seeds=0"], 1, "seeds must be at least 1"),
        (["--cs=0"], 1, "positive values of C"),
        (["--components=0"], 1, "components must be at least 1, not 0"),
        (["--resamples=0"], 1, "resamples must be at least 1, not 0"),
        (["--device=nowhere"], 1, "there is no device 'nowhere' here"),
        (["--beside=untraind"], 1, "unknown baseline untraind: there is untrained, raw PCA"),
        (["--fraction=1"], 2, "fractions"),
        (["--predictors=magic"], 1, "predictors must be some of linear, knn, spreading, self_training, not magic"),
        (["--out=/proc/nowhere"], 1, "/proc/nowhere"),
    ],
)
def test_bad_settings_are_said_before_any_work(
    checkpoint: Path, here: Path, arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run(checkpoint, here, f"--out={here}/bad", *arguments)
    err = capsys.readouterr().err
    assert stop.value.code == code, err
    assert says in err
    assert "pretrained, linear (tiny)" not in err


def test_what_is_refused_leaves_no_wandb_run(here: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        run(here / "nowhere", here, f"--out={tmp_path}", "--wandb=offline")
    assert not (tmp_path / "wandb").exists()


def test_an_encoder_that_knows_the_labels_is_not_asked_what_few_are_worth(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preprocessing = Preprocessing(leads=("I", "II"), window=5.0)
    taught = fresh_checkpoint(tmp_path, preprocessing, taught=(("Simulated", "p00001"), ("Simulated", "p00002")))
    everything = ["--beside=raw PCA", f"--out={tmp_path}/out", "--fractions=1"]
    with pytest.raises(SystemExit):
        run(taught, here, *everything[:2], "--fractions=0.5,1")
    assert "was fine-tuned on the labels of" in capsys.readouterr().err
    run(taught, here, *everything)
    everybody = tuple(("Simulated", f"p{number:05d}") for number in range(400))
    by_all = fresh_checkpoint(tmp_path / "all", preprocessing, taught=everybody)
    with pytest.raises(SystemExit):  # its validation patients are among those who taught it
        run(by_all, here, *everything, "--validate")
    assert "was fine-tuned on the labels of" in capsys.readouterr().err


def test_a_patient_on_both_sides_is_refused(
    checkpoint: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ssl_ecg.study import study

    honest = study.build

    def planted(*args: Any, **kwargs: Any) -> Any:
        store = honest(*args, **kwargs)
        store.patient[torch.from_numpy((store.records["split"] == "test").to_numpy())] = 0
        return store

    monkeypatch.setattr(study, "build", planted)
    with pytest.raises(SystemExit):
        run(checkpoint, here, f"--out={here}/leak")
    assert "in both train and test, which would leak: p00000" in capsys.readouterr().err


def test_pretraining_on_the_test_patients_is_labelled_transductive(
    checkpoint: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "ssl_ecg.checkpoint.PretrainedEncoder.saw", lambda self, cohort, patients, covers: list(patients)[:3]
    )
    run(checkpoint, here, f"--out={here}/transductive")
    assert "tiny: transductive: 3 test patient(s) were in pretraining" in capsys.readouterr().out
    results = json.loads((here / "transductive" / "results.json").read_text())
    systems = results["tasks"]["Simulated"]["systems"]
    assert systems["tiny"]["setting"].startswith("transductive")
    assert systems["untrained"]["setting"] == "inductive: not pretrained"


@pytest.fixture(scope="module")
def ptbxl(shared_data: Path, here: Path) -> Path:
    recipe = Path(__file__).parents[2] / "experiments" / "recipes" / "simclr_ptbxl.yaml"
    small = ["--method.encoder.width=4", "--method.encoder.stages=2", "--trainer.max_epochs=1", "--name=ptbxl"]
    given = [f"--config={recipe}", f"--data.root={shared_data}/ptb-xl", *small]
    pretrain.main([*given, f"--out={here}/runs", f"--cache={here}/cache"])
    return here / "runs" / "ptbxl"


@pytest.mark.slow
def test_the_recipe_of_ptb_xl_sweeps_two_tasks_on_one_embedding(
    ptbxl: Path, shared_data: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Path(__file__).parents[2] / "experiments" / "sweeps" / "ptbxl.yaml"
    roots = [f"--data.{i}.root={shared_data}/ptb-xl" for i in range(2)]
    out = f"--out={here}/ptbxl"
    sweep.main([str(ptbxl), f"--config={config}", *roots, "--resamples=50", f"--cache={here}/cache", out])
    assert len(list((here / "ptbxl" / "features").iterdir())) == 3
    results = read_results(here / "ptbxl")
    tasks = results.about["tasks"]
    assert list(tasks) == ["PTBXL super", "PTBXL all"]
    for name, task in tasks.items():
        shares = [of(results, task=name, system="untrained", fraction=f, draw=None) for f in (0.01, 0.1, 1)]
        by_share = [found["macro_auroc"].value for found in shares]
        assert by_share[0] < by_share[1] < by_share[2]
        how = [draw["how"] for draw in task["systems"]["untrained"]["draws"]]
        assert how == ["default"] * 5 + ["validation split"] * 6
    assert len(tasks["PTBXL all"]["too_few"]) > 40
    assert "Too few patients to choose C by, so that it is the default: 1 %" in capsys.readouterr().out
