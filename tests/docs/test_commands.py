"""Every command that README and docs show is one that its module takes: options, names of classes, recipes."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from ssl_ecg.cli.parsing import Parsed

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), ROOT / "experiments" / "slurm" / "README.md"]
OWN = re.compile(r"\bmy_\w+|\.\.\.")  # what the reader has to write first, or fill in


def shown() -> list[str]:
    """Each command once, without those that the tutorials' tests run."""
    blocks = [
        block for page in PAGES for block in re.findall(r"^ *```sh\n(.*?)```", page.read_text(), re.DOTALL | re.M)
    ]
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return sorted({line for line in lines if line.startswith("python -m ssl_ecg.") and not OWN.search(line)})


class Taken(Exception):
    """The command line is understood; nothing is done."""


@pytest.mark.parametrize("line", shown())
def test_it_is_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*_: object) -> None:
        raise Taken

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Parsed, "instantiate", taken)
    _, _, module, *arguments = shlex.split(line, comments=True)
    with pytest.raises((Taken, SystemExit)) as stopped:
        importlib.import_module(f"{module}.__main__").main(arguments)
    assert stopped.type is Taken or stopped.value.code in (None, 0)


def test_there_are_many() -> None:
    assert len(shown()) > 40
