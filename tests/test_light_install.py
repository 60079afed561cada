"""The wheel without its extras, in an empty environment: it embeds recordings, and holds nothing else.

The environment is what `pip install ssl-ecg` would make: the wheel, and the distributions that its requirements name,
theirs too, without extras. They are linked from the environment the tests run in rather than downloaded: torch alone
is some GB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from checkpoints import fresh_checkpoint
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ssl_ecg import load_encoder
from ssl_ecg.leads import STANDARD_12
from ssl_ecg.preprocessing import Preprocessing

ROOT = Path(__file__).parents[1]

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


def required(names: list[str]) -> Iterator[metadata.Distribution]:
    """The distributions of requirements, and of theirs."""
    todo, seen = [(Requirement(name), "") for name in names], set()
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        for wanted in ("", *sorted(requirement.extras)):
            if (key := (canonicalize_name(requirement.name), wanted)) in seen:
                continue
            seen.add(key)
            found = metadata.distribution(requirement.name)
            todo += [(Requirement(each), wanted) for each in found.requires or []]
            yield found


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and its requirements, and nothing else."""
    folder = tmp_path_factory.mktemp("light")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    (wheel,) = folder.glob("ssl_ecg-*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    (site,) = (folder / "env" / "lib").glob("python3*/site-packages")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    (mine,) = metadata.distributions(name="ssl-ecg", path=[str(site)])
    for distribution in required(list(mine.requires or [])):
        for top in {file.parts[0] for file in distribution.files or [] if file.parts[0] != ".."}:
            source, link = Path(str(distribution.locate_file(top))), site / top
            if source.exists() and not link.exists() and top != "__pycache__":
                link.symlink_to(source)
    return python


def ask(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run([python, *arguments], capture_output=True, text=True, cwd=cwd, env=env, check=False)


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
