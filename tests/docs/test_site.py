"""The documentation becomes a site without a warning."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_it_is_built_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        check=False,
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    home = (tmp_path / "index.html").read_text()
    assert "Self-supervised representation learning" in home
    assert 'src="results/waves/people.png"' in home
    assert "temperature" in (tmp_path / "reference" / "methods.html").read_text()
    fetched = re.compile(
        r"""<(?:script|img|iframe)[^>]*src="(?:https?:)?//|<link[^>]*stylesheet[^>]*href="(?:https?:)?//"""
    )
    assert not [page for page in tmp_path.rglob("*.html") if fetched.search(page.read_text())], "needs a network"
