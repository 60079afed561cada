"""The gallery: every augmentation is on the page, shown on the record that was asked for, or refused by name."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import wfdb
from forked import run_in_fork
from PIL import Image

import augmentations
from augmentations.base import Augmentation
from augmentations.compose import Compose
from augmentations.gallery import examples, main
from augmentations.gallery.canvas import MONO, TEXT, measure, wrap
from augmentations.gallery.record import LEADS, GalleryError, Record, neighbour, read
from augmentations.mixing import Mixing

FS = 250.0


def beats(seconds: float = 10, fs: float = FS, leads: int = 12, rr: float = 0.77) -> np.ndarray:
    """P, QRS and T as bumps, in each lead of another height; (C, T) in mV."""
    t = np.arange(round(seconds * fs)) / fs
    phase = (t + 0.3) % rr - 0.3
    bumps = [(0.12, -0.17, 0.03), (1.0, 0.0, 0.012), (-0.2, 0.03, 0.012), (0.3, 0.25, 0.05)]
    beat = sum(height * np.exp(-(((phase - at) / width) ** 2)) for height, at, width in bumps)
    return (np.linspace(0.4, 1.5, leads)[:, None] * beat).astype(np.float32)


@pytest.fixture
def array(tmp_path: Path) -> Path:
    path = tmp_path / "synthetic.npy"
    np.save(path, beats())
    return path


def wfdb_record(folder: Path, name: str, x: np.ndarray, leads: list[str], unit: str = "mV") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    gain = 1000.0 if unit == "mV" else 1.0
    n = len(leads)
    wfdb.wrsamp(
        name,
        fs=FS,
        units=[unit] * n,
        sig_name=leads,
        p_signal=x.T.astype(np.float64),
        fmt=["16"] * n,
        adc_gain=[gain] * n,
        baseline=[0] * n,
        write_dir=str(folder),
    )


def command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run_in_fork("-m", "augmentations.gallery", *arguments, cwd=cwd)


def exported() -> set[str]:
    every = {name: getattr(augmentations, name) for name in augmentations.__all__}
    kinds = {n for n, c in every.items() if inspect.isclass(c) and issubclass(c, (Augmentation, Mixing))}
    return kinds - {"Augmentation"} - {n for n in kinds if issubclass(every[n], Compose)}


def texts(svg: Path) -> set[str]:
    """What is written on a page: matplotlib's SVG has each text as a comment beside its outlines."""
    lines = (line.strip() for line in svg.read_text(encoding="utf-8").splitlines())
    return {line.removeprefix("<!-- ").removesuffix(" -->") for line in lines if line.startswith("<!-- ")}


def test_every_augmentation_and_policy_is_on_the_page(array: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.svg"
    assert main(["--data", str(array), "--fs", "250", "--out", str(page)]) == 0
    written = texts(page)
    assert len(exported()) > 30
    assert exported() <= written
    assert {"simclr_ecg", "byol_ecg", "three_kg", "physiological", "centred_beat"} <= written
    assert {"before", "after", "second view", "what it was mixed with", "1 mV"} <= written
    assert any("Record synthetic, 12 leads, 250 Hz" in text for text in written)
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize("name", sorted(exported()))
def test_a_panel_shows_the_effect_with_the_parameters(name: str) -> None:
    record = Record("r", torch.from_numpy(beats()), FS, LEADS, "mV", Path("r.npy"))
    panel = examples.augmentation_panel(examples.classes()[name], record, None, [], seed=0)
    (after,) = panel.after
    assert panel.refusal == ""
    rows = [LEADS.index(lead) for lead in panel.leads]
    stretches = record.x[rows].unfold(1, panel.before.shape[1], 1)
    assert (stretches == panel.before[:, None]).all(2).all(0).any(), "before is a stretch of the record"
    difference = (
        after - panel.before if after.shape == panel.before.shape else panel.before[:, : after.shape[1]] - after
    )
    assert difference.abs().max() > 0.02, "an effect of less than 0.02 mV is not seen"
    parameters = [p for p in inspect.signature(examples.classes()[name]).parameters if p != "p"]
    assert [part for part in parameters if f"{part}=" not in panel.settings] == []
    assert " p=" not in f" {panel.settings}"
    assert panel.sentence.endswith(".")


def test_the_same_seed_shows_the_same() -> None:
    record = Record("r", torch.from_numpy(beats()), FS, LEADS, "mV", Path("r.npy"))
    one, same, other = (
        examples.augmentation_panel(augmentations.GaussianNoise, record, None, [], seed).after[0] for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_mixture_is_of_the_record_and_its_partner_by_the_share_that_is_printed() -> None:
    x = torch.from_numpy(beats())
    record = Record("r", x, FS, LEADS, "mV", Path("r.npy"))
    other = Record("other", -x, FS, LEADS, "mV", Path("o.npy"))
    mixup = examples.augmentation_panel(augmentations.Mixup, record, other, [], seed=0)
    share = float(mixup.note.split()[2].rstrip(","))
    assert 0.3 < share < 0.9
    assert mixup.partner is not None
    assert torch.equal(mixup.partner, -mixup.before)
    torch.testing.assert_close(mixup.after[0], (2 * share - 1) * mixup.before, atol=0.03, rtol=0)
    assert mixup.note.endswith("mixed with other")
    alone = examples.augmentation_panel(augmentations.CutMix, record, None, [], seed=0)
    assert alone.note.endswith("a shifted copy")


def test_the_command_line_makes_a_picture_and_says_where(array: Path, tmp_path: Path) -> None:
    done = command("--data", array, "--fs", 100, "--only", "Powerline,Clip,simclr_ecg", "--out", "p.png", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "p.png\n"), done.stderr
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.size[0] == 1600
    assert done.stderr == f"{array}: 12 leads, 100 Hz, mV\n"


def test_a_refused_rate_is_said_in_the_panel(array: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.svg"
    assert main(["--data", str(array), "--fs", "100", "--only", "Powerline,physiological", "--out", str(page)]) == 0
    assert any("needs a sampling rate" in text for text in texts(page))
    page_at_20 = ["--data", str(array), "--fs", "20", "--only", "physiological", "--out", str(page)]
    assert main(page_at_20) == 0
    assert any("MuscleNoise from 20 Hz needs" in text for text in texts(page))


def test_a_policy_by_name_and_from_a_file(array: Path, tmp_path: Path) -> None:
    data = ["--data", str(array), "--fs", "250", "--leads", "v1"]
    page = tmp_path / "page.svg"
    assert main([*data, "--policy", "physiological", "--out", str(page)]) == 0
    assert {"draw 1, view 1", "draw 4, view 2", "V1"} <= texts(page)
    file = tmp_path / "mine.yaml"
    augmentations.save(augmentations.Compose([augmentations.Clip(level=(0.25, 0.5))]), file)
    assert main([*data, "--policy", str(file), "--out", str(page)]) == 0
    assert {"mine.yaml, before and after", "Clip(level=(0.25, 0.5), p=0.5),", "draw 8"} <= {
        text.strip() for text in texts(page)
    }
    assert "second view" not in texts(page)


def test_fewer_leads_leave_out_what_needs_twelve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "two.npy", beats(leads=2))
    page = tmp_path / "page.svg"
    data = ["--data", str(tmp_path / "two.npy"), "--fs", "250", "--out", str(page)]
    assert main([*data, "--only", "VCGScale,LeadDropout,three_kg"]) == 0
    errors = capsys.readouterr().err
    assert "VCGScale is left out" in errors
    assert "three_kg is left out" in errors
    assert "LeadDropout" in texts(page)
    assert "VCGScale" not in texts(page)
    assert main([*data, "--only", "VCGScale"]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give a record to show them on: --data"),
        (["--data", "{array}"], "--fs"),
        (["--data", "{array}", "--fs", "0"], "positive"),
        (["--data", "{folder}/none"], "there is no"),
        (["--data", "{folder}/none.npy", "--fs", "100"], "there is no"),
        (["--data", "{folder}"], "no record below"),
        (["--data", "{array}", "--fs", "250", "--only", "Timewarp"], "did you mean TimeWarp?"),
        (["--data", "{array}", "--fs", "250", "--only", "qwxyz"], "there are GaussianNoise"),
        (["--data", "{array}", "--fs", "250", "--leads", "V7"], "no lead V7: it has I, II"),
        (["--data", "{array}", "--fs", "250", "--policy", "simclr_egc"], "did you mean simclr_ecg?"),
        (["--data", "{array}", "--fs", "250", "--policy", "{array}"], "synthetic.npy"),
        (["--data", "{array}", "--fs", "250", "--policy", "three_kg", "--only", "Clip"], "one of them"),
        (["--data", "{array}", "--fs", "250", "--out", "page.txt"], ".png, .svg, .pdf"),
        (["--data", "{array}", "--fs", "250", "--out", "{folder}/no/page.png"], "there is no folder"),
        (["--data", "{array}", "--fs", "5000"], "a second is needed"),
    ],
)
def test_bad_input_is_named(
    arguments: list[str], said: str, array: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [argument.format(array=array, folder=tmp_path) for argument in arguments]
    assert main(filled if "--out" in filled else [*filled, "--out", str(tmp_path / "page.png")]) == 2
    assert said in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["synthetic.npy"]


def test_gaps_are_named(tmp_path: Path) -> None:
    x = beats()
    x[7, 500:503] = np.nan
    np.save(tmp_path / "gaps.npy", x)
    with pytest.raises(GalleryError, match=r"gaps.npy: lead V2 has 3 values that are not finite .* at 2.00 s"):
        read(tmp_path / "gaps.npy", FS)


@pytest.mark.parametrize("missing", ["wfdb", "matplotlib"])
def test_what_is_not_installed_is_named(
    missing: str, array: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wfdb_record(tmp_path, "r", beats(), list(LEADS))
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["--data", str(tmp_path / "r"), "--out", str(tmp_path / "page.png")]) == 2
    assert "pip install wfdb matplotlib" in capsys.readouterr().err


def test_wfdb_leads_are_put_in_order_and_into_millivolts(tmp_path: Path) -> None:
    x = beats()
    shuffled = [5, 0, 11, 3, 2, 8, 1, 9, 4, 10, 7, 6]
    wfdb_record(tmp_path / "b", "r2", 1000 * x[shuffled], [LEADS[i].upper() for i in shuffled], "uV")
    wfdb_record(tmp_path / "a", "r0", x[:2], ["MLII", "V1"])
    wfdb_record(tmp_path / "b", "r3", x, list(LEADS))
    first = read(tmp_path)
    assert (first.name, first.leads, first.fs, first.unit) == ("r2", LEADS, FS, "mV")
    torch.testing.assert_close(first.x, torch.from_numpy(x), atol=1e-3, rtol=0)
    for path in ("b/r3", "b/r3.hea", "b/r3.dat"):
        assert read(tmp_path / path).name == "r3"
    other = neighbour(first)
    assert other is not None
    assert other.name == "r3"
    two = read(tmp_path / "a" / "r0")
    assert two.leads == ("MLII", "V1")
    assert neighbour(two) is None
    assert examples.rows_of(two, ["I", "II", "V2", "V5"]) == [0, 1]
    assert examples.rows_of(first, ["V2", "II"]) == [1, 7]


def test_an_excerpt_begins_before_a_beat_and_a_beat_has_its_peak_in_the_centre() -> None:
    record = Record("r", torch.from_numpy(beats()), FS, LEADS, "mV", Path("r.npy"))
    assert record.excerpt(4).shape == (12, 1000)
    assert abs(int(record.excerpt(4)[1, :150].argmax()) / FS - 0.35) < 0.05
    assert record.excerpt(60).shape == (12, 2500)
    assert record.beat()[1].argmax() == 125


def test_wrapped_lines_fit_and_lose_nothing() -> None:
    text = repr(augmentations.Compose([augmentations.Powerline(), augmentations.ElectrodeMotion()]))
    lines = wrap(text, 400, MONO)
    assert max(measure(line, MONO) for line in lines) <= 400
    assert " ".join(" ".join(lines).split()) == " ".join(text.split())
    assert all(measure(line, TEXT) <= 200 for line in wrap("one two three " * 20, 200, TEXT))


def test_a_real_record(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "ludb"
    if not folder.is_dir():
        pytest.skip(f"no LUDB in {shared_data}")
    record = read(folder)
    assert (record.leads, record.fs, record.unit) == (LEADS, 500, "mV")
    assert main(["--data", str(folder), "--only", "VCGRotation,Mixup", "--out", str(tmp_path / "p.svg")]) == 0
    assert any(text.startswith("own share") and "shifted" not in text for text in texts(tmp_path / "p.svg"))
