"""Whoever starts from a store hears which recordings are not in it, or are of no use to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from checkpoints import fresh_checkpoint
from toy import Toy

from ssl_ecg import pretrain
from ssl_ecg.data.build import build
from ssl_ecg.data.sources import Arrays
from ssl_ecg.data.windows import report_left_out
from ssl_ecg.embed import Embed
from ssl_ecg.prepare import prepare
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.study import open_study, open_whole

P = Preprocessing(leads=("II", "V1"), window=3.0)


def study(here: Path, broken: int) -> None:
    open_study(fresh_checkpoint(here, P), Toy(broken=broken), str(here / "cache"))


def whole(here: Path, broken: int) -> None:
    open_whole(fresh_checkpoint(here, P), Toy(broken=broken), str(here / "cache"))


def embedded(here: Path, broken: int) -> None:
    Embed(str(fresh_checkpoint(here, P)), Toy(broken=broken), cache=str(here / "cache")).run()


def pretrained(here: Path, broken: int) -> None:
    given = ["--data=toy.Toy", f"--data.broken={broken}", "--preprocessing.leads=II,V1", "--preprocessing.window=3"]
    small = ["--method.encoder.width=4", "--method.encoder.stages=2", "--batch_size=10000"]
    with pytest.raises(SystemExit):  # so many windows there are not, and it is said after
        pretrain.main([*given, *small, f"--out={here}/runs", f"--cache={here}/cache"])


@pytest.mark.parametrize("start", [study, whole, embedded, pretrained])
def test_every_way_to_start_says_it_once(
    start: Callable[[Path, int], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):  # prepared first, and opened then
        start(tmp_path, 3)
        (line,) = (line for line in capsys.readouterr().err.splitlines() if "left out" in line)
        said, _, file = line.partition("; all in ")
        assert said == "1 of 12 recordings are left out (first: r3: file 3 is damaged)"
        assert json.loads(Path(file).read_text())["dropped"] == [{"record": "r3", "reason": "file 3 is damaged"}]


@pytest.mark.parametrize("start", [study, pretrained])
def test_where_all_are_there_nothing_is_said(
    start: Callable[[Path, int], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start(tmp_path, -1)
    assert "left out" not in capsys.readouterr().err


def test_prepare_has_a_list_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(Toy(broken=3), P, cache=str(tmp_path))
    said = capsys.readouterr()
    assert said.out.count("left out") == 1
    assert "left out" not in said.err


def test_bad_files_and_short_ones_are_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng, files = np.random.default_rng(0), tmp_path / "files"
    files.mkdir()
    for i in range(12):
        np.save(files / f"r{i:02}.npy", rng.normal(size=(2, 150 if i == 7 else 500)))
    np.save(files / "r05.npy", np.full((2, 500), np.nan))
    np.save(files / "r06.npy", rng.normal(size=(3, 500)))
    (files / "r09.npy").write_text("word " * 200)
    source = Arrays(str(files), fs=100, leads=("II", "V1"))
    source.ensure()
    store = build(source, P, tmp_path / "cache")
    report_left_out(store, P.samples)
    bad, short = capsys.readouterr().err.splitlines()
    assert bad.startswith("3 of 12 recordings are left out (first: r05: the signal is NaN or infinite in 1000 of 1000")
    assert bad.endswith(f"; all in {store.path / 'report.json'}")
    assert short == "1 of 9 recordings are shorter than a window of 3 s and are left out"
