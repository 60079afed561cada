"""What all evaluation commands share: settings checked first, and a folder for each question, task and setting."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from checkpoints import fresh_checkpoint
from toy import Toy

from ssl_ecg.data.sources import MITBIH, PTBXL, Simulated
from ssl_ecg.errors import CheckpointError, UserError
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.report.results import Row, read_results
from ssl_ecg.study.evaluation import Evaluation, result_folder, task_of
from ssl_ecg.study.systems import Frozen, Rhythm, has_rr, systems

P = Preprocessing(leads=("MLII",), window=1.0)


@dataclass(kw_only=True)
class Asked(Evaluation):
    """A question."""

    question: ClassVar[str] = "asked"
    detectors: tuple[str, ...] = ("knn",)


def test_the_folder_is_named_by_question_data_and_labels_and_by_other_settings(tmp_path: Path) -> None:
    def name(data: Toy | MITBIH | PTBXL, **settings: object) -> str:
        asked = Asked("", data, **settings)  # type: ignore[arg-type]
        return result_folder(tmp_path, None, asked.identity).relative_to(tmp_path).as_posix()

    assert name(MITBIH("here")) == name(MITBIH("there"), cache="c", device="cpu", wandb="offline") == "asked-mitbih"
    assert name(PTBXL("here", labels="super")) == "asked-ptbxl-super"
    assert name(PTBXL("here", labels="all")) == "asked-ptbxl-all"
    others = [
        name(Toy(), **settings)
        for settings in ({}, {"seed": 1}, {"resamples": 10}, {"beside": ["raw PCA"]}, {"detectors": ("forest",)})
    ]
    others += [name(Toy(patients=5)), name(Toy(patients=5), seed=1)]
    assert len(set(others)) == len(others)
    assert all(other.startswith("asked-toy") for other in others)
    assert name(Toy(), seed=1) == others[1]  # the same again


def test_what_a_source_is_does_not_say_where_it_lies() -> None:
    assert task_of(MITBIH("somewhere")) == {"name": "MITBIH"}
    assert task_of(Toy(patients=5)) == {"name": "Toy", "patients": 5}


def test_out_takes_the_same_results_again_and_refuses_others(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    asked = Asked(str(fresh_checkpoint(tmp_path, P)), Toy(), out=str(folder), cache=str(tmp_path / "cache"))
    found, study = asked.open()
    assert found == folder
    assert study.name == "Toy"
    results = asked.publish(folder, [Row(score="macro_auroc", value=0.5)], {}, {"setting": "inductive"})
    about = read_results(folder).about
    assert about["identity"] == json.loads(json.dumps(asked.identity))
    assert about["setting"] == results.about["setting"] == "inductive"
    asked.open()
    asked.seed = 1
    with pytest.raises(UserError, match=r"holds other results \(seed: there None, now 1\): give another --out"):
        asked.open()
    asked.open("validation")  # a file of another name replaces nothing
    other = fresh_checkpoint(tmp_path / "other", Preprocessing(leads=("MLII", "V1"), window=1.0))
    asked = Asked(str(other), Toy(), out=str(folder), cache=str(tmp_path / "cache"))
    with pytest.raises(UserError, match=r"holds other results \(weights: there [0-9a-f]{12}, now [0-9a-f]{12}\)"):
        asked.open()


@pytest.mark.parametrize("text", ["{", "[1]", '{"systems": {}}', ""])
def test_a_file_that_is_no_results_is_not_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(UserError, match="is no file of results that could be replaced: give another --out"):
        result_folder(tmp_path, str(tmp_path), Asked("", Toy()).identity)


def test_a_mistyped_checkpoint_leaves_nothing_behind(tmp_path: Path) -> None:
    for out in (None, str(tmp_path / "out")):
        with pytest.raises(CheckpointError, match="typo does not exist"):
            Asked(str(tmp_path / "typo"), Toy(), out=out).open()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"beside": ["untraind"]}, "unknown baseline untraind: there is untrained, raw PCA, RR alone, hand features"),
        ({"components": 0}, "components must be at least 1"),
        ({"resamples": 0}, "resamples must be at least 1"),
        ({"device": "nowhere"}, "no device 'nowhere'"),
    ],
)
def test_bad_settings_are_refused_first(tmp_path: Path, setting: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        Asked(str(tmp_path / "typo"), Toy(), **setting).open()  # type: ignore[arg-type]


def test_a_baseline_of_beats_is_refused_where_recordings_are_labelled(tmp_path: Path) -> None:
    checkpoint = fresh_checkpoint(tmp_path, Preprocessing(leads=("I",), window=5.0))
    asked = Asked(str(checkpoint), Simulated(patients=24), beside=["RR alone"], cache=str(tmp_path / "cache"))
    with pytest.raises(UserError, match="no baseline RR alone here: Simulated has no classes of beats"):
        asked.systems(asked.open_study())


def test_an_evaluation_brings_along_neither_lightning_nor_wandb() -> None:
    code = "import sys, ssl_ecg.study.evaluation; print({'wandb', 'matplotlib', 'pytorch_lightning'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_device_that_is_asked_for_embeds(tmp_path: Path) -> None:
    asked = Asked(str(fresh_checkpoint(tmp_path, P)), Toy(), device="cpu", beside=["untrained"])
    asked.cache = str(tmp_path / "cache")
    study = asked.open_study()
    frozen = asked.systems(study)
    before = [system.features(study.test) for system in systems(study, beside=["untrained"])]
    for system, wanted in zip(frozen, before, strict=True):
        np.testing.assert_array_equal(system.features(study.test), wanted)
    assert isinstance(frozen[1], Frozen)
    meta = Frozen("elsewhere", frozen[1].encoder, torch.device("meta"))
    with pytest.raises(NotImplementedError):  # there are no values to fetch from there
        meta.features(study.test)


def test_the_next_interval_is_said_in_the_names_and_the_folder(tmp_path: Path) -> None:
    asked = Asked(str(fresh_checkpoint(tmp_path, P)), Toy(), beside=["RR alone"], cache=str(tmp_path / "cache"))
    study = asked.open_study()
    causal = asked.systems(study)[1]
    folder = result_folder(tmp_path, None, asked.identity)
    asked.future = True
    later = asked.systems(study)[1]
    assert (causal.name, later.name) == ("RR alone", "RR alone, next RR too")
    assert isinstance(causal, Rhythm)
    assert isinstance(later, Rhythm)
    assert (causal.joined, later.joined) == (" + RR", " + RR, next RR too")
    assert all(map(has_rr, [causal.name, later.name, f"raw PCA{later.joined}", f"raw PCA{causal.joined}"]))
    assert not has_rr("raw PCA")
    assert later.features(study.test).shape == (len(study.test), 5)
    np.testing.assert_array_equal(later.features(study.test)[:, :4], causal.features(study.test))
    assert result_folder(tmp_path, None, asked.identity) != folder
