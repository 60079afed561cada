"""What the model card says can be done: its example runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from checkpoints import fresh_checkpoint

from ssl_ecg.checkpoint import PretrainedEncoder, load_encoder, save_encoder
from ssl_ecg.checkpoint.card import describe, model_card, shareable
from ssl_ecg.checkpoint.lineage import with_teachers
from ssl_ecg.encoders import ResNet1d
from ssl_ecg.preprocessing import Preprocessing

PRETRAINING = {"method": "SimCLR", "data": "Toy", "simulated": False, "epochs": 3, "seed": 0, "patients": ["a", "b"]}


def card_of(p: Preprocessing, encoder: ResNet1d) -> str:
    return model_card(PRETRAINING, p.to_dict(), describe(encoder), {"pretrained": {"auroc": 0.9}})


@pytest.mark.parametrize(
    "p",
    [
        Preprocessing(),
        Preprocessing(leads=("V2", "ECG1", 'le "ad')),
        Preprocessing(leads=("aVF",), fs=1000, lowpass=400, window=1),
        Preprocessing(fs=62.5, lowpass=0),
    ],
)
def test_its_example_runs(p: Preprocessing, tmp_path: Path) -> None:
    encoder = ResNet1d(len(p.leads), width=4, stages=2)
    golden = np.random.default_rng(0).normal(size=(len(p.leads), p.samples)).astype(np.float32)
    checkpoint = save_encoder(tmp_path / "checkpoint", encoder, p, {}, golden, card_of(p, encoder))
    (code,) = re.findall(r"```python\n(.*?)```", (checkpoint / "README.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {"signal": golden}
    exec(code.replace("PATH", str(checkpoint)), names)
    assert names["z"].shape == (encoder.dim,)


@pytest.mark.parametrize(("p", "least"), [(Preprocessing(), "80 Hz"), (Preprocessing(fs=250, lowpass=0), "250 Hz")])
def test_it_says_which_rates_it_takes(p: Preprocessing, least: str) -> None:
    assert f"any rate from {least} is resampled" in card_of(p, ResNet1d(1, width=4, stages=2))


def test_it_gives_no_licence_that_is_not_ours_to_give() -> None:
    card = card_of(Preprocessing(), ResNet1d(1, width=4, stages=2))
    _, front, text = card.split("---\n", 2)
    assert "license" not in yaml.safe_load(front)
    assert "the licence of the data" in " ".join(text.split())


def test_it_says_the_licences_of_the_data_and_what_the_encoder_cannot() -> None:
    p, encoder = Preprocessing(normalise="record"), ResNet1d(1, width=4, stages=2)
    scores = {"pretrained": {"auroc": 0.7, "f1": 0.5}, "untrained": {"auroc": 0.8, "f1": 0.4}}
    card = model_card({**PRETRAINING, "data": "MITBIH, Mine"}, p.to_dict(), describe(encoder), scores)
    text = " ".join(card.split())
    assert "MITBIH (ODC-By 1.0); Mine (ask its owner)" in text
    assert "**No better than the same network untrained** in auroc." in text
    assert "It sees 0.5 to 40 Hz, and recordings of 3 s or more." in text
    assert "normalised by record" in text


def test_its_recipe_has_no_place_on_the_machine_it_was_trained_on() -> None:
    data = {"class_path": "ssl_ecg.data.sources.PTBXL", "init_args": {"root": "/home/me/ptbxl", "rate": 100}}
    settings = {"data": data, "seed": 3, "out": "/home/me/runs", "cache": None, "name": "mine"}
    recipe = shareable(settings)
    assert recipe == {"data": {**data, "init_args": {"rate": 100}}, "seed": 3}
    p, encoder = Preprocessing(), ResNet1d(1, width=4, stages=2)
    card = model_card({**PRETRAINING, "recipe": recipe}, p.to_dict(), describe(encoder), {})
    (shown,) = re.findall(r"```yaml\n(.*?)```", card, re.DOTALL)
    assert yaml.safe_load(shown) == recipe
    assert "--config recipe.yaml --data.root FOLDER`" in card


def test_a_student_has_seen_whom_its_teacher_saw(tmp_path: Path) -> None:
    p, who = Preprocessing(), ("Toy", "ann")
    teacher = load_encoder(fresh_checkpoint(tmp_path, p, seen=(who,), taught=(who,), cohort="Toy", data="PTBXL"))
    own = PRETRAINING | {"cohort": "CinC2017", "data": "CinC2017"}
    card = with_teachers(own, [teacher])
    student = PretrainedEncoder(ResNet1d(1, width=4, stages=2), p, card)
    assert student.saw("Toy", ["ann", "ben"]) == ["ann"] == teacher.saw("Toy", ["ann", "ben"])
    assert not student.saw("CinC2017", ["ann"]) and card["patients"][:2] == own["patients"]
    text = model_card(card, p.to_dict(), describe(student.encoder), {})
    assert "Distilled from an encoder pretrained on PTBXL" in text
    assert "CinC2017 (ODC-By 1.0); PTBXL (CC BY 4.0)" in text
    assert with_teachers(own, []) == own


def test_two_parts_of_one_data_set_are_named_once_and_placed_by_number() -> None:
    p, mixed = Preprocessing(), PRETRAINING | {"data": "PTBXL, PTBXL, LUDB", "recipe": {"seed": 0}}
    text = model_card(mixed, p.to_dict(), {"class": "ResNet1d", "parameters": 1, "dim": 1}, {})
    assert "pretrained on PTBXL, LUDB" in text and text.count("PTBXL (CC BY 4.0)") == 1
    assert "--data.0.root FOLDER --data.1.root FOLDER --data.LUDB.root FOLDER" in text
