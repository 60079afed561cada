"""A run's page, and the page that compares runs: read by a parser and, where there is one, opened in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ssl_ecg.report import command
from ssl_ecg.report.comparison import comparison
from ssl_ecg.report.run_page import EMBEDDINGS, VIEWS, run_page
from ssl_ecg.report.windows import windows_figure

METRICS = "epoch,step,loss,spread,effective_rank,alignment,uniformity,probe_auroc,samples_per_s,data_wait"
SCORES = {"pretrained": {"probe_auroc": 0.8}, "untrained": {"probe_auroc": 0.7}}
_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6360000000020001"
    "48afa4710000000049454e44ae426082"
)


def a_run(folder: Path, lr: float = 0.001, spread: float = 0.9, **results: Any) -> Path:
    """The files that a run leaves, once killed and once failed on the way."""
    folder.mkdir(parents=True)
    optimiser = {"class_path": "ssl_ecg.optimisers.adamw.AdamW", "init_args": {"lr": lr}}
    config = {
        "data": {"class_path": "ssl_ecg.data.sources.Simulated", "init_args": {"patients": 40}},
        "method": {"class_path": "ssl_ecg.methods.SimCLR", "init_args": {"optimiser": optimiser}},
        "name": "<script>alert(1)</script>",
        "seed": 0,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "metrics.csv").write_text(
        f"{METRICS}\n0,5,3.0,0.5,8,0.2,-1,,100,0.01\n1,10,2.0,{spread},9,0.1,-2,0.8,100,0.01\n"
    )
    found = {"scores": SCORES, "held_out": ["a", "b"], "patients_known": True, "simulated": True}
    (folder / "results.json").write_text(json.dumps(found | results))
    starts = [
        {"state": "running", "host": "n1", "job": "7", "started": 1e9, "heartbeat": 1e9 + 60, "step": 3},
        {"state": "failed", "host": "n2", "job": "7", "started": 2e9, "heartbeat": 2e9, "step": 4, "error": "<disk>"},
    ]
    last = {"state": "finished", "host": "n3", "started": 2.1e9, "heartbeat": 2.1e9, "step": 10, "earlier": starts}
    (folder / "sidecar.json").write_text(json.dumps(last))
    for name in (VIEWS, EMBEDDINGS):
        (folder / name).write_bytes(_PNG)
    return folder


class Read(HTMLParser):
    """What a page holds: sections, text, pictures, and whatever it would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.links += [found[name] or "" for name in ("src", "href") if name in found]
        self.sections += [found["id"] or ""] if tag == "section" else []
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(filter(None, self.words))


def test_a_page_needs_no_other_file_and_has_every_section(tmp_path: Path) -> None:
    html = run_page(a_run(tmp_path / "run")).html()
    page = Read(html)
    assert page.sections == ["scores", "training", "collapse", "views", "embeddings", "starts", "settings"]
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in page.links)
    assert {link[1:] for link in page.links if link[0] == "#"} == set(page.sections)
    assert page.tags.count("img") == 3
    assert "script" not in page.tags  # what a setting holds is text
    assert "<script>alert(1)</script>" in page.text
    assert re.search(r"pretrained 0.800 untrained 0.700", page.text)
    assert "2 held-out patients" in page.text
    assert "simulated ECG" in page.text
    assert "No sign of a collapse" in page.text


def test_a_page_says_what_was_killed_and_gone_on_with(tmp_path: Path) -> None:
    text = Read(run_page(a_run(tmp_path / "run")).html()).text
    assert re.search(r"\b3 killed n1 7\b", text)
    assert "4 failed: <disk> n2 7" in text


def test_what_nobody_shall_miss_stands_on_top(tmp_path: Path) -> None:
    scores = {"pretrained": SCORES["untrained"], "untrained": SCORES["pretrained"]}
    page = run_page(a_run(tmp_path / "run", spread=0.0001, scores=scores))
    assert len(page.warnings) == 2
    assert "collapsed" in page.warnings[0]
    assert "No better than the same network untrained: linear probe, macro AUROC" in page.warnings[1]


def test_a_run_that_has_only_begun_has_a_page(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run")
    for path in folder.iterdir():
        if path.name != "config.yaml":
            path.unlink()
    assert Read(run_page(folder).html()).sections == ["settings"]


def test_a_comparison_has_scores_curves_and_the_settings_that_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = a_run(tmp_path / "a"), a_run(tmp_path / "b", lr=0.01)
    command.main([str(a), str(b)])
    assert str(tmp_path / "report.html") in capsys.readouterr().out
    page = Read((tmp_path / "report.html").read_text())
    assert page.sections == ["scores", "curves", "settings"]
    assert "method.optimiser.lr 0.001 0.01" in page.text
    assert "b, untrained 0.700" in page.text
    assert "seed" not in page.text  # alike


def test_runs_that_are_alike_differ_in_nothing(tmp_path: Path) -> None:
    page = comparison([a_run(tmp_path / "a"), a_run(tmp_path / "x" / "a")])
    assert Read(page.html()).sections == ["scores", "curves"]


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main([str(tmp_path)])
    assert "is no run: it has no config.yaml" in capsys.readouterr().err


def test_windows_and_views_of_other_lengths_are_drawn() -> None:
    windows = [np.zeros((12, 50)), np.ones((12, 50))]
    figure = windows_figure(
        windows, {"view 1": [w[:, :20] for w in windows], "lead": [w[:1] for w in windows]}, "", 100
    )
    assert [axes.get_title() for axes in figure.axes] == ["window", "view 1", "lead", "", "", ""]


@pytest.mark.slow
def test_a_browser_shows_the_page(tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    path = run_page(a_run(tmp_path / "run")).write(tmp_path / "report.html")
    view = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/browser"]
    picture = tmp_path / "page.png"
    subprocess.run(
        [*view, "--window-size=1200,2000", f"--screenshot={picture}", path.as_uri()], check=True, capture_output=True
    )
    from matplotlib.image import imread

    pixels = imread(picture)[..., :3]
    assert pixels.shape[:2] == (2000, 1200)
    assert ((pixels < 0.5).any(axis=(1, 2))).mean() > 0.1  # not blank
    seen = subprocess.run([*view, "--dump-dom", path.as_uri()], check=True, capture_output=True, text=True).stdout
    assert Read(seen).sections == Read(path.read_text()).sections
