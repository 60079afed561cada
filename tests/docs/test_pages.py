"""Every page says what is there: links lead somewhere, and no public name is missing from the reference."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import augmentations
import ssl_ecg
from ssl_ecg import checkpoint, embed, encoders, methods, optimisers
from ssl_ecg.data import sources

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("experiments/**/*.md"), ROOT / "docker" / "README.md"]
)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    for target in targets:
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), target
        if anchor and "reference" not in there.parts:  # where headings are made of docstrings
            assert anchor in headings(there), target


def headings(page: Path) -> list[str]:
    """The anchors of a page's headings."""
    found = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in found]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_public_names_are_in_the_reference() -> None:
    text = "\n".join(page.read_text() for page in ROOT.glob("docs/reference/*.md"))
    there = {name.rpartition(".")[2] for name in re.findall(r"^::: (\S+)$", text, re.MULTILINE)}
    public = (ssl_ecg, augmentations, checkpoint, encoders, methods, optimisers, sources, embed)
    names = {name for module in public for name in module.__all__}
    assert names - there == {"__version__", "main"}


def test_questions_have_a_page() -> None:
    commands = {path.parent.name for path in ROOT.glob("ssl_ecg/*/__main__.py")}
    assert commands == {path.stem for path in ROOT.glob("docs/questions/*.md")} - {"index"}
