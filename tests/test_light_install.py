"""The wheel without its extras, in an empty environment: it embeds recordings, and holds nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from checkpoints import fresh_checkpoint
from empty_environment import ask, environment

from ssl_ecg import load_encoder
from ssl_ecg.leads import STANDARD_12
from ssl_ecg.preprocessing import Preprocessing

pytestmark = pytest.mark.slow

USE = """
import json, sys, time
start = time.perf_counter()
from ssl_ecg import load_encoder
imported = time.perf_counter() - start
from ssl_ecg.data.recording import read_recording
shapes = {}
for checkpoint, path in json.loads(sys.argv[1]).items():
    signal, fs, leads, unit = read_recording(path)
    shapes[path] = [*load_encoder(checkpoint)(signal, fs, leads, unit=unit).shape]
loaded = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps({"seconds": time.perf_counter() - start, "imported": imported, "shapes": shapes, "loaded": loaded}))
"""


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and its requirements, and nothing else."""
    return environment(tmp_path_factory.mktemp("light"))


def test_it_embeds_a_recording_of_one_lead_and_one_of_twelve(light: Path, shared_data: Path, tmp_path: Path) -> None:
    one = fresh_checkpoint(tmp_path / "one", Preprocessing(leads=("I",)))
    twelve = fresh_checkpoint(tmp_path / "twelve", Preprocessing(leads=STANDARD_12))
    files = {
        str(one): str(shared_data / "ecg-id" / "Person_01" / "rec_1.hea"),
        str(twelve): str(shared_data / "cinc2021-sample" / "E07500.hea"),
    }
    done = ask(light, "-c", USE, json.dumps(files), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert [*said["shapes"].values()] == [[load_encoder(one).dim], [load_encoder(twelve).dim]]
    extras = {"pandas", "sklearn", "matplotlib", "lightly", "pytorch_lightning", "wfdb", "jsonargparse", "wandb"}
    assert not extras & {*said["loaded"]}
    print(f"imported in {said['imported']:.1f} s, both embedded after {said['seconds']:.1f} s")


def test_the_extras_are_not_there(light: Path, tmp_path: Path) -> None:
    names = ("pandas", "sklearn", "matplotlib", "lightly", "pytorch_lightning", "torchvision", "jsonargparse", "wandb")
    code = f"from importlib.util import find_spec; print(*(n for n in {names!r} if find_spec(n)))"
    assert ask(light, "-c", code, cwd=tmp_path).stdout.split() == []


@pytest.mark.parametrize("question", ["pretrain", "probe", "embed", "checkpoints"])
def test_a_command_says_what_to_install(light: Path, tmp_path: Path, question: str) -> None:
    said = ask(light, "-m", f"ssl_ecg.{question}", "--help", cwd=tmp_path).stderr
    assert "pip install 'ssl-ecg[train]'" in said.splitlines()[-1]
