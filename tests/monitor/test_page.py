"""The page of a day: one file, in words and tables too, that a keyboard and a screen reader can go through."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from tapes import drawn, regular, write

from ssl_ecg.monitor.command import Monitor


class Read(HTMLParser):
    """Sections, links, pictures and headings of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[str, list[dict[str, str]]] = {}
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.setdefault(tag, []).append({name: value or "" for name, value in attrs})

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


@pytest.fixture(scope="module")
def page(encoder: Path, head: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    times = regular(90)
    wide = np.zeros(len(times), dtype=bool)
    wide[[10, *range(60, 64)]] = True
    x = drawn(times, wide, 90)
    x[1, 250 * 20 : 250 * 50] = 0.1
    record = write(folder, "a_b", x)
    Monitor([str(record)], encoder=str(encoder), head=str(head), out=str(folder / "out")).run()
    return folder / "out" / "a_b" / "report.html"


def test_everything_drawn_is_also_said(page: Path) -> None:
    read = Read(page.read_text())
    sections = [each["id"] for each in read.found["section"]]
    assert sections == ["day", "episodes", "ventricular-run", "clusters", "quality"]
    links = {each["href"] for each in read.found["a"]}
    assert links == {f"#{name}" for name in sections}
    assert all(each["src"].startswith("data:image/png;base64,") for each in read.found["img"])
    assert "script" not in read.found and "link" not in read.found
    alts = [each["alt"] for each in read.found["img"]]
    assert all(len(alt) > 20 for alt in alts) and len(alts) == len(set(alts)) == 3
    assert re.search(r"ventricular run at 00:00:\d\d, 4 beats, \d+/min, confidence \d\.\d\d", alts[1])
    assert read.found["html"][0]["lang"] == "en" and len(read.found["h1"]) == 1 and len(read.found["main"]) == 1
    scrolled = [each for each in read.found["div"] if each.get("class") == "wide"]
    assert scrolled and all(each["tabindex"] == "0" and each["aria-label"] for each in scrolled)
    assert all(each["scope"] in ("row", "col") for each in read.found["th"])
    text = " ".join(filter(None, read.words))
    assert re.search(r"V1 \d+\.\d% 0\.0% 33\.3%", text)  # lead off for 30 of 90 s
    assert "no diagnosis" in text


@pytest.mark.slow
def test_a_browser_shows_it(page: Path, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    shot = tmp_path / "shot.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1100,1600", f"--screenshot={shot}"]
    subprocess.run([browser, *options, page.as_uri()], check=True, timeout=120, capture_output=True)
    assert shot.stat().st_size > 30_000
