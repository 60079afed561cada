"""The wheel: built, installed elsewhere, and run from there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Without isolation: nothing is downloaded, what builds it is part of the dev extra.
    out = tmp_path_factory.mktemp("dist")
    run("build", "--wheel", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    (built,) = out.glob("ssl_ecg-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content alone; its dependencies come from the environment."""
    target = tmp_path_factory.mktemp("site")
    run("pip", "install", "--no-deps", "--no-index", "--target", target, wheel, cwd=target)
    return target


def test_everything_is_in_it(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    expected = {
        str(path.relative_to(ROOT))
        for package in ("ssl_ecg", "augmentations")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"ssl_ecg/py.typed", "augmentations/py.typed"} <= expected
    assert expected <= set(names)
    # and nothing else: no tests, no runs
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"ssl_ecg", "augmentations"}


def test_the_main_job_starts_from_it(installed: Path, tmp_path: Path) -> None:
    where = "import ssl_ecg, augmentations; print(ssl_ecg.__file__, augmentations.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", where],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        check=True,
    )
    assert all(path.startswith(str(installed)) for path in done.stdout.split())
    shown = run("ssl_ecg.pretrain", "--help", cwd=tmp_path, PYTHONPATH=str(installed))
    assert shown.startswith("usage: python -m ssl_ecg.pretrain")
    assert all(name in shown for name in ("SimCLR", "BYOL", "ResNet1d", "MITBIH", "Simulated"))
