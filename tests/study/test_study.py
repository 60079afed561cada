"""The guard against leaks, through the entry that the commands share: who may be scored, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import fresh_checkpoint
from toy import Toy

from ssl_ecg import probe
from ssl_ecg.checkpoint import load_encoder
from ssl_ecg.cluster import Cluster
from ssl_ecg.data.source import Recording, Split
from ssl_ecg.data.sources import MITBIH, Simulated
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.report.results import Results
from ssl_ecg.study import check_few_labels, open_study, open_whole
from ssl_ecg.study.study import seen_by, setting_of

P = Preprocessing(leads=("MLII",), window=1.0)
TRAIN, TEST = [f"p{i}" for i in range(5)], "p5"  # of Toy


class Planted(Toy):
    """Its last recording is of a patient who has others in training."""

    def read(self, number: int) -> Recording:
        recording = super().read(number)
        return replace(recording, patient="p0") if number == 2 * self.patients - 1 else recording


class Union(Toy):
    """Toy and others under other names, as CinC 2021 has PTB-XL: the patients of Toy are not told apart."""

    covers = ("Toy",)

    def read(self, number: int) -> Recording:
        return replace(super().read(number), patient="?toy" if number < 6 else f"u{number}")


class Unsplit(Simulated):
    """A data set without a test side."""

    split: Split = "train"

    def read(self, number: int) -> Recording:
        return replace(super().read(number), split=self.split)


class OnlyTest(Unsplit):
    """A data set that is nothing but a test side."""

    split: Split = "test"


def test_an_encoder_taught_by_a_test_patient_is_refused(tmp_path: Path) -> None:
    checkpoint = fresh_checkpoint(tmp_path, P, taught=(("Toy", TEST),))
    with pytest.raises(DataError, match=f"fine-tuned on the labels of 1 of the 1 patients .* {TEST}; use the check"):
        open_study(checkpoint, Toy(), str(tmp_path / "cache"))


def test_an_encoder_taught_by_a_collection_that_covers_the_data_is_refused(tmp_path: Path) -> None:
    checkpoint = fresh_checkpoint(tmp_path, P, taught=(("Union", "?toy"),), taught_covers=["Toy"])
    with pytest.raises(DataError, match=f"labels of 1 of the 1 patients .* {TEST}"):
        open_study(checkpoint, Toy(), str(tmp_path / "cache"))


def test_a_patient_planted_on_both_sides_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="both train and test, which would leak: p0"):
        open_study(fresh_checkpoint(tmp_path, P), Planted(), str(tmp_path / "cache"))


def test_a_test_patient_who_was_in_pretraining_is_said(tmp_path: Path) -> None:
    study = open_study(fresh_checkpoint(tmp_path, P, (("Toy", TEST),)), Toy(), str(tmp_path / "cache"))
    assert study.setting == "transductive: 1 test patient(s) were in pretraining"
    other = open_study(fresh_checkpoint(tmp_path, P, (("Other", TEST),)), Toy(), str(tmp_path / "cache"))
    assert other.setting == "inductive: no test patient was in pretraining"


@pytest.mark.parametrize("card", [{"cohort": "Toy"}, {"data": "Toy"}])
def test_in_a_collection_those_who_are_not_told_apart_count_as_seen(tmp_path: Path, card: dict[str, object]) -> None:
    checkpoint = fresh_checkpoint(tmp_path, P, (("Toy", "p0"),), **card)
    study = open_whole(checkpoint, Union(), str(tmp_path / "cache"))
    assert study.seen == ["?toy"]  # whoever has a name of their own is somebody else
    assert study.judged is not None
    assert set(study.train.patient[~study.judged]) == {"?toy"}
    of_others = fresh_checkpoint(tmp_path, P, (("Other", "p0"),), cohort="Other")
    assert open_whole(of_others, Union(), str(tmp_path / "cache")).seen == []


def test_labels_of_data_that_a_collection_covers_teach_too(tmp_path: Path) -> None:
    taught = fresh_checkpoint(tmp_path, P, taught=(("Toy", "p0"),), taught_cohorts=["Toy"])
    with pytest.raises(DataError, match=r"labels of 1 of the 7 patients .*: \?toy"):
        open_whole(taught, Union(), str(tmp_path / "cache"))
    study = open_study(taught, Union(), str(tmp_path / "cache"))  # its test patients have names of their own
    assert study.taught == seen_by(study.encoder, study.train) == ["?toy"]
    assert load_encoder(fresh_checkpoint(tmp_path, P, cohort="Toy")).taught_by("Union", ["?toy"], ["Toy"]) == []


def test_train_patients_whose_labels_taught_the_encoder_are_said(tmp_path: Path) -> None:
    taught = fresh_checkpoint(tmp_path, P, taught=tuple(("Toy", who) for who in TRAIN[:2]))
    study = open_study(taught, Toy(), str(tmp_path / "cache"))
    assert study.setting.endswith("; its encoder was fine-tuned on the labels of 2 train patients")
    with pytest.raises(DataError, match=r"labels of 2 train patients of Toy, .* the checkpoint that was fine-tuned"):
        check_few_labels(study)
    check_few_labels(open_study(fresh_checkpoint(tmp_path, P), Toy(), str(tmp_path / "cache")))


def by_folds(checkpoint: str, data: Simulated, **settings: Any) -> Results:
    return probe.Probe(checkpoint, data, folds=2, **settings).run()


def by_clusters(checkpoint: str, data: Simulated, **settings: Any) -> Results:
    return Cluster(checkpoint, data, **settings).run()


@pytest.mark.parametrize("command", [by_clusters, by_folds])
def test_labels_of_train_patients_leak_where_these_are_scored(tmp_path: Path, command) -> None:
    preprocessing = Preprocessing(leads=("I",), window=5.0)
    patient = next(r.patient for r in Simulated(patients=24).recordings() if r.split == "train")
    taught = fresh_checkpoint(tmp_path, preprocessing, taught=(("Simulated", patient),))
    ways = ({"side": "train"}, {"side": "all"}) if command is by_clusters else ({"validate": True}, {})

    for way in ways:
        with pytest.raises(DataError, match=f"labels of 1 of the .* {patient}"):
            command(str(taught), Simulated(patients=24), cache=str(tmp_path / "cache"), **way)


def test_the_subject_whom_a_protocol_has_on_both_sides_is_said_whoever_was_seen() -> None:
    both = "; the protocol has the subject of records 201, 202 on both sides"
    assert setting_of([], MITBIH()) == "inductive: no test patient was in pretraining" + both
    only = "inductive: no test patient was in pretraining, but for the subject of records 201, 202"
    assert setting_of(["201"], MITBIH()) == only + both
    assert setting_of(["100", "201"], MITBIH()) == "transductive: 2 test patient(s) were in pretraining" + both


@pytest.mark.parametrize("source", [Unsplit, OnlyTest])
def test_what_parts_the_patients_itself_needs_no_split(source: type[Unsplit], tmp_path: Path) -> None:
    checkpoint, cache = fresh_checkpoint(tmp_path, Preprocessing(leads=("I",), window=5.0)), str(tmp_path / "cache")
    data = source(patients=40)
    with pytest.raises(DataError, match=r"no labelled windows in its .* split"):
        open_study(checkpoint, data, cache)
    folded = by_folds(str(checkpoint), data, beside=["raw PCA"], resamples=20, cache=cache)
    assert list(folded.about["systems"]) == ["pretrained", "raw PCA"]
    given = {"side": "all", "methods": (), "k": (2,), "resamples": 20, "projection": "pca", "cache": cache}
    found = by_clusters(str(checkpoint), data, beside=["raw PCA"], **given)
    assert list(dict.fromkeys(row.system for row in found.rows)) == ["pretrained", "raw PCA"]


WEARABLE = Preprocessing(leads=("ECG",), window=4.0, normalise="record")


def test_an_encoder_of_one_lead_reads_another_where_the_data_lack_its_own(tmp_path: Path) -> None:
    checkpoint = fresh_checkpoint(tmp_path, WEARABLE)
    data = Simulated(patients=24, records_per_patient=1, duration=5)
    with pytest.raises(DataError, match=r"lead ECG is wanted[^\n]*\nAn encoder of one lead may read another one"):
        open_study(checkpoint, data, str(tmp_path / "cache"))
    study = open_study(checkpoint, data, str(tmp_path / "cache"), lead="MLII")
    assert study.store.leads == study.encoder.preprocessing.leads == ("II",)
    assert study.setting.endswith("an encoder of lead ECG reads lead II")
    own = fresh_checkpoint(tmp_path / "own", replace(WEARABLE, leads=("V1",)))
    study = open_whole(own, data, str(tmp_path / "cache"), lead="II")
    assert study.store.leads == ("V1",) and "reads" not in study.setting


def test_an_encoder_of_any_lead_reads_one_alone_if_it_is_told_so(tmp_path: Path) -> None:
    checkpoint, cache = fresh_checkpoint(tmp_path, replace(WEARABLE, leads=("any",))), str(tmp_path / "cache")
    data = Simulated(patients=24, records_per_patient=1, duration=5)
    every, alone = open_study(checkpoint, data, cache), open_study(checkpoint, data, cache, lead="MLII")
    assert every.store.leads == data.leads and "reads" not in every.setting
    assert alone.store.leads == ("II",) and alone.setting.endswith("an encoder of any lead reads lead II")
    z, of_all = (study.encoder.encoder(next(study.test.batches(4))) for study in (alone, every))
    assert z.shape == of_all.shape and not torch.allclose(z, of_all)


def test_an_encoder_of_several_leads_has_none_to_choose(tmp_path: Path) -> None:
    checkpoint = fresh_checkpoint(tmp_path, Preprocessing(leads=("I", "II"), window=4.0))
    with pytest.raises(UserError, match="lead is for encoders of one lead, and this one reads I, II: leave it out"):
        open_study(checkpoint, Simulated(patients=24), str(tmp_path / "cache"), lead="II")
