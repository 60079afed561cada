"""An environment that has the wheel and what its requirements name, and nothing else.

It is what `pip install ssl-ecg` or `pip install 'ssl-ecg[train]'` would make: the wheel, and the distributions that its
requirements name, theirs too. They are linked from the environment the tests run in rather than downloaded: torch alone
is some GB.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def environment(folder: Path, *extras: str) -> Path:
    """Build the wheel and make the environment in a folder; gives its interpreter."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    (wheel,) = folder.glob("ssl_ecg-*.whl")
    venv.create(folder / "env", with_pip=False)
    (site,) = (folder / "env" / "lib").glob("python3*/site-packages")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True, stdin=subprocess.DEVNULL)
    (mine,) = metadata.distributions(name="ssl-ecg", path=[str(site)])
    for distribution in required(list(mine.requires or []), extras):
        for top in {file.parts[0] for file in distribution.files or [] if file.parts[0] != ".."}:
            source, link = Path(str(distribution.locate_file(top))), site / top
            if source.exists() and not link.exists() and top != "__pycache__":
                link.symlink_to(source)
    return folder / "env" / "bin" / "python"


def required(names: list[str], extras: tuple[str, ...] = ()) -> Iterator[metadata.Distribution]:
    """The distributions of requirements, those of extras with them, and of theirs."""
    todo, seen = [(Requirement(name), ("", *extras)) for name in names], set()
    while todo:
        requirement, given = todo.pop()
        if requirement.marker is not None and not any(requirement.marker.evaluate({"extra": e}) for e in given):
            continue
        for wanted in ("", *sorted(requirement.extras)):
            if (key := (canonicalize_name(requirement.name), wanted)) in seen:
                continue
            seen.add(key)
            found = metadata.distribution(requirement.name)
            todo += [(Requirement(each), (wanted,)) for each in found.requires or []]
            yield found


def ask(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the interpreter of an environment, which sees nothing of the one the tests run in."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run([python, *arguments], capture_output=True, text=True, cwd=cwd, env=env, check=False)
