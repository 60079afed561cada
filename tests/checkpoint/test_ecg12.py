"""ecg12 is ecg1 on each of twelve leads, side by side."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ssl_ecg import load_encoder
from ssl_ecg.data.sources import Simulated
from ssl_ecg.errors import UserError
from ssl_ecg.monitor.command import Monitor
from ssl_ecg.waves.features import check_one_lead

SCRIPT = Path(__file__).parents[2] / "experiments" / "ecg12.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ecg12") / "ecg12"
    subprocess.run([sys.executable, SCRIPT, f"--out={folder}"], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(("name", "amplitudes"), [("ecg12-v1", "logarithms"), ("ecg12-v2", "stretches")])
def test_what_ships_is_what_the_script_makes(name: str, amplitudes: str, tmp_path: Path) -> None:
    command = [sys.executable, SCRIPT, f"--out={tmp_path / 'made'}", f"--amplitudes={amplitudes}"]
    subprocess.run(command, check=True, capture_output=True)
    shipped, again = load_encoder(name), load_encoder(tmp_path / "made")
    assert shipped.weights == again.weights and shipped.preprocessing == again.preprocessing
    assert shipped.encoder.arguments == again.encoder.arguments


def test_each_lead_is_what_ecg1_makes_of_it(made: Path) -> None:
    record = next(iter(Simulated(patients=24, records_per_patient=1).recordings()))
    x = record.signal[:, : 10 * int(record.fs)]
    ecg12, ecg1 = load_encoder(made), load_encoder("ecg1-v1")
    z = np.asarray(ecg12(x, record.fs, record.leads))
    clean = torch.from_numpy(ecg12.preprocessing.condition(x, record.fs, record.leads))
    shapes = clean / clean.std(dim=1, correction=0, keepdim=True)
    with torch.inference_mode():
        np.testing.assert_allclose(z[:-288].reshape(12, 480), ecg1.encoder.each_lead(shapes[None])[0], atol=1e-4)
    largest = clean.unflatten(1, (8, 125)).amax(-1).sort(-1).values
    np.testing.assert_allclose(z[-288:].reshape(12, 3, 8)[:, 1], largest, atol=1e-5)
    assert ecg12.saw("PTBXL", ["nobody"]) == ecg1.saw("PTBXL", ["nobody"])


def test_a_head_of_one_lead_is_not_for_twelve(made: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"reads II, and .*ecg12 I, II, III"):
        Monitor([str(tmp_path / "x.hea")], encoder=str(made), out=str(tmp_path / "out")).run()


def test_waves_are_not_for_an_encoder_of_twelve_leads(made: Path) -> None:
    with pytest.raises(UserError, match="reads 12 leads together"):
        check_one_lead(load_encoder(made))
