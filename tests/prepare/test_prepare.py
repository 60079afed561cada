"""`python -m ssl_ecg.prepare`: what it writes, what it says of bad input, and that a kill costs nothing."""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import wfdb
import yaml

from ssl_ecg import prepare
from ssl_ecg.cli.settings import settings_of
from ssl_ecg.data.journal import Journal
from ssl_ecg.data.store import Store
from ssl_ecg.prepare.command import DEFAULTS, RECIPE
from ssl_ecg.pretrain import Pretrain

TESTS = Path(__file__).parents[1]
SECONDS = 6


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSL_ECG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def rendered() -> None:
    """Ask for the picture itself, which takes a second."""


@pytest.fixture(autouse=True)
def _drawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "rendered" not in request.fixturenames:
        monkeypatch.setattr("ssl_ecg.prepare.report.save", lambda figure, path, dpi: path.write_bytes(b"\x89PNG"))


def write(root: Path, name: str, *, fs: float = 250, leads: tuple[str, ...] = ("I", "II"), x: Any = None) -> None:
    """A record of noise, of every channel alike in format."""
    c = len(leads)
    root.mkdir(parents=True, exist_ok=True)
    x = np.random.default_rng(len(name)).normal(0, 0.5, (round(SECONDS * fs), c)) if x is None else x
    wfdb.wrsamp(
        name, fs=fs, sig_name=list(leads), p_signal=x, write_dir=str(root), fmt=["16"] * c, units=["mV"] * c,
        adc_gain=[1000.0] * c, baseline=[0] * c,
    )  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "wards"
    for name in ("a", "b", "c", "d"):
        write(folder, name)
    return folder


def run(*words: object) -> None:
    prepare.main([str(word) for word in words])


def refused(capsys: pytest.CaptureFixture[str], *words: object, code: int = 1) -> str:
    """What is said where a command line is refused."""
    with pytest.raises(SystemExit) as stop:
        run(*words)
    assert stop.value.code == code
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def store_in(cache: Path) -> Store:
    (folder,) = cache.iterdir()  # nothing else is left behind
    return Store(folder)


def summary_in(cache: Path) -> dict[str, Any]:
    return json.loads((store_in(cache).path / "summary.json").read_text())


# --- what it makes


@pytest.mark.usefixtures("rendered")
def test_a_folder_of_records_becomes_a_store_with_summary_and_picture(root: Path, cache: Path, capsys: Any) -> None:
    write(root, "e", fs=500)
    run("WFDBFolder", "--root", root, "--fs", "125")
    said = capsys.readouterr().out
    store, summary = store_in(cache), summary_in(cache)
    assert store.records["record"].tolist() == ["a", "b", "c", "d", "e"]
    assert (store.leads, store.fs) == (("I", "II"), 125)
    assert store.length.tolist() == [SECONDS * 125] * 5
    assert summary["all"] == {"records": 5, "patients": 5, "hours": 5 * SECONDS / 3600}
    assert summary["source_fs"] == {"250": 4, "500": 1}
    assert (store.path / "summary.png").read_bytes()[:4] == b"\x89PNG"
    for part in ("5 records of 5 patients", "250 Hz (4), 500 Hz (1)", "all 6 s", "records/s", str(store.path)):
        assert part in said


def test_a_second_time_it_does_nothing_and_says_so(root: Path, cache: Path, capsys: Any) -> None:
    run("WFDBFolder", "--root", root)
    first = capsys.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in store_in(cache).path.iterdir()}
    shutil.copytree(root, root.with_name("elsewhere"))
    run("WFDBFolder", "--root", root.with_name("elsewhere"))
    again = capsys.readouterr()
    assert "prepared already: nothing to do" in again.err
    assert again.out.splitlines()[:10] == first.splitlines()[:10]
    assert "records/s" not in again.out
    assert {path: path.stat().st_mtime_ns for path in store_in(cache).path.iterdir()} == before


def test_again_makes_it_anew(root: Path, cache: Path, capsys: Any) -> None:
    run("WFDBFolder", "--root", root)
    before = (store_in(cache).path / "store.json").stat().st_ino
    run("WFDBFolder", "--root", root, "--again")
    assert "nothing to do" not in capsys.readouterr().err
    assert (store_in(cache).path / "store.json").stat().st_ino != before


def test_a_summary_that_a_kill_prevented_is_made_up_for(root: Path, cache: Path) -> None:
    run("WFDBFolder", "--root", root)
    folder = store_in(cache).path
    before = contents(folder)
    (folder / "summary.png").unlink()
    (folder / "summary.json").unlink()
    run("WFDBFolder", "--root", root)
    assert contents(folder) == before


def test_limit_makes_a_store_of_its_own_and_says_how_to_use_it(root: Path, cache: Path, capsys: Any) -> None:
    run("WFDBFolder", "--root", root, "--limit", 2)
    assert store_in(cache).records["record"].tolist() == ["a", "b"]
    assert f"--data Prepared --data.path {store_in(cache).path}" in capsys.readouterr().out
    run("WFDBFolder", "--root", root)
    assert len(list(cache.iterdir())) == 2


def test_streams_what_it_prepared(root: Path, tmp_path: Path, capsys: Any) -> None:
    pytest.importorskip("litdata")
    run("WFDBFolder", "--root", root, "--stream", tmp_path / "there")
    assert (tmp_path / "there" / "stream.json").is_file()
    assert f"--data Prepared --data.path {tmp_path / 'there'}" in capsys.readouterr().out


def test_the_next_command_would_read_this_very_store(root: Path, cache: Path, capsys: Any) -> None:
    run("WFDBFolder", "--root", root, "--fs", 62.5, "--lowpass", 30, "--normalise", "record")
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("next"))
    words = shlex.split(line)
    assert words[1:5] == ["python", "-m", "ssl_ecg.pretrain", "--data"]
    run(*words[4:])
    assert "nothing to do" in capsys.readouterr().err
    assert store_in(cache).fs == 62.5


# --- how it is called


def resolved(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    with pytest.raises(SystemExit) as stop:
        run(*words, "--print_config")
    assert not stop.value.code
    return yaml.safe_load(capsys.readouterr().out)


def test_short_and_full_names_mean_the_same(capsys: Any) -> None:
    short = resolved(capsys, "PTBXL", "--root", "x", "--rate", 500, "--fs", 250, "--leads", "I,II", "--limit", 3)
    full = ["--data", "PTBXL", "--data.root", "x", "--data.rate", 500, "--preprocessing.fs", 250]
    assert resolved(capsys, *full, "--preprocessing.leads", "I,II", "--limit", 3) == short
    assert short["data"]["init_args"]["rate"] == 500
    assert short["preprocessing"]["leads"] == ["I", "II"]
    assert resolved(capsys, "PTBXL", "--root=x", "--rate=500", "--fs=250", "--leads=I,II", "--limit=3") == short


def test_an_option_that_data_set_and_preprocessing_have_is_the_data_sets(capsys: Any) -> None:
    config = resolved(capsys, "Simulated", "--fs", 250)
    assert (config["data"]["init_args"]["fs"], config["preprocessing"]["fs"]) == (250, 100)


def test_a_recipe_of_pretrain_prepares_what_it_will_read(tmp_path: Path, capsys: Any) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data: PTBXL\npreprocessing: {fs: 50, normalise: record}\nmethod: BYOL\nbatch_size: 3\n")
    config = resolved(capsys, "--config", recipe, "--root", "x", "--rate", "500")
    defaults = yaml.safe_load(DEFAULTS.read_text())
    assert config["data"]["init_args"] | {"root": "x", "rate": 500} == config["data"]["init_args"]
    assert config["preprocessing"]["leads"] == defaults["preprocessing"]["leads"]
    assert (config["preprocessing"]["fs"], config["preprocessing"]["normalise"]) == (50, "record")
    assert "batch_size" not in config


def test_a_setting_that_a_file_misspells_is_refused(tmp_path: Path, capsys: Any) -> None:
    recipe = tmp_path / "recipe.yaml"
    for line, near in (("preprocesing: {fs: 50}", "preprocessing"), ("bach_size: 3", "batch_size")):
        recipe.write_text(f"data: PTBXL\n{line}\n")
        assert f"did you mean {near}?" in refused(capsys, "--config", recipe, code=2)
    recipe.write_text("data: PTBXL\nfurther: 1\n")
    assert "recipe.yaml sets further, which is no setting of prepare or pretrain" in refused(
        capsys, "--config", recipe, code=2
    )
    assert set(settings_of(Pretrain)) <= {*settings_of(prepare.prepare), *RECIPE}  # no recipe of pretrain is refused


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "name the data set: one of AFDB"),
        ("PTBX --root x", "did you mean PTBXL?"),
        ("PTBXL --rot x", "no option --rot for PTBXL; did you mean --root?"),
        ("PTBXL --strct", "did you mean --strict?"),
        ("PTBXL --rate 250", "rate must be 100|500, not '250'"),
        ("PTBXL --fs fast", "--preprocessing.fs must be float, not 'fast'"),
        ("PTBXL x", "'x' stands alone"),
        ("--config nowhere.yaml", "cannot read nowhere.yaml"),
        ("--config", "--config needs a file"),
    ],
)
def test_what_is_misspelt_is_named_as_it_was_typed(words: str, said: str, capsys: Any) -> None:
    assert said in refused(capsys, *words.split(), code=2)


def test_help_lists_the_settings_of_every_data_set(capsys: Any) -> None:
    with pytest.raises(SystemExit) as stop:
        run("--help")
    shown = capsys.readouterr().out
    assert stop.value.code == 0
    for part in ("--limit", "--data.rate 100|500", "--preprocessing.highpass", "all that the data set has"):
        assert part in shown


# --- bad input


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[500] ^= 4
    path.write_bytes(content)


def with_nan(path: Path) -> None:
    x = np.random.default_rng(0).normal(0, 0.5, (SECONDS * 250, 2))
    x[300:310, 1] = np.nan
    write(path.parent, path.stem, x=x)


DAMAGES = {
    "truncated": (cut, "b.dat is truncated", "fetch it again"),
    "missing": (Path.unlink, "b.dat is missing", "Fetch both again"),
    "NaN": (with_nan, "lead II: 10 of 1,500 samples are marked invalid", "Repair the file"),
    "a lead missing": (lambda path: write(path.parent, "b", leads=("I", "V1")), "lead II is wanted", "I, V1"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_record_is_left_out_and_named_with_its_remedy(damage: str, root: Path, cache: Path, capsys: Any) -> None:
    harm, problem, remedy = DAMAGES[damage]
    harm(root / "b.dat")
    run("WFDBFolder", "--root", root)
    said = " ".join(capsys.readouterr().out.split())
    assert store_in(cache).records["record"].tolist() == ["a", "c", "d"]
    ((kind,)) = summary_in(cache)["dropped"]
    assert kind["records"] == ["b"]
    for part in (problem, remedy):
        assert part in kind["example"]
        assert part in said
    assert "1 record left out" in said


@pytest.mark.parametrize("damage", DAMAGES)
def test_strict_refuses_a_bad_record(damage: str, root: Path, cache: Path, capsys: Any) -> None:
    harm, problem, _ = DAMAGES[damage]
    harm(root / "b.dat")
    said = refused(capsys, "WFDBFolder", "--root", root, "--strict")
    assert problem in said
    assert not list(cache.glob("wfdb*/store.json"))


def test_strict_refuses_a_store_that_lacks_a_record_already(root: Path, capsys: Any) -> None:
    cut(root / "b.dat")
    run("WFDBFolder", "--root", root)
    capsys.readouterr()
    assert "b.dat is truncated" in refused(capsys, "WFDBFolder", "--root", root, "--strict")


def test_many_of_a_kind_are_one_line(root: Path, cache: Path, capsys: Any) -> None:
    for name in ("a", "b", "c"):
        cut(root / f"{name}.dat")
    run("WFDBFolder", "--root", root)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("dropped"))
    assert "3 records left out" in line and "[a, b, c]" in line
    (kind,) = summary_in(cache)["dropped"]
    assert kind["records"] == ["a", "b", "c"]


def test_what_is_odd_is_noted_and_kept(root: Path, cache: Path, capsys: Any) -> None:
    flip(root / "c.dat")
    x = np.random.default_rng(0).normal(0, 0.5, (SECONDS * 250, 2))
    x[400:700, 1] = 2.5
    write(root, "b", x=x)
    (root / "labels.csv").write_text("record,label,age,sex\na,AF,abc,F\nb,AF,70,M\nc,SR,71,M\nd,SR,300,F\n")
    run("WFDBFolder", "--root", root, "--labels", root / "labels.csv")
    said = capsys.readouterr().out
    assert len(store_in(cache).records) == 4
    noted = {kind["example"]: kind["records"] for kind in summary_in(cache)["noted"]}
    assert noted.pop("age 'abc' is no number: taken as unknown") == ["a"]
    assert noted.pop("age 300 is no age: taken as unknown") == ["d"]
    (wrong,) = (example for example in noted if "c.dat, lead I: the checksum in c.hea is not that" in example)
    assert noted.pop(wrong) == ["c"]
    ((saturated, records),) = noted.items()
    assert records == ["b"] and "lead II" in saturated and "20 %" in saturated
    assert summary_in(cache)["age"] == {"known": 2, "median": 70.5}
    for example in ("'abc'", "300", "20 %"):
        assert example in said


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("record,label\na,AF\na,SR\n", "has the record a twice"),
        ("record,patient,split\na,p,train\nb,p,test\n", "a patient on both sides would leak"),
        ("name,label\na,AF\n", "no column record"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(
    table: str, said: str, root: Path, cache: Path, capsys: Any
) -> None:
    (root / "labels.csv").write_text(table)
    assert said in refused(capsys, "WFDBFolder", "--root", root, "--labels", root / "labels.csv")
    assert not cache.exists()


def test_an_empty_folder_is_refused(tmp_path: Path, cache: Path, capsys: Any) -> None:
    said = refused(capsys, "WFDBFolder", "--root", tmp_path / "empty")
    assert "has no WFDB records" in said and "Give the folder they are in" in said
    assert not cache.exists()


def test_nothing_usable_is_refused_with_the_first_reason(root: Path, cache: Path, capsys: Any) -> None:
    for path in root.glob("*.dat"):
        path.unlink()
    assert "a.dat is missing" in refused(
        capsys, "WFDBFolder", "--root", root, "--leads", "I", "--preprocessing.leads", "I"
    )
    assert not list(cache.glob("wfdb*"))


def test_a_disk_too_small_is_refused_before_it_is_full(root: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=10, used=10, free=0))
    monkeypatch.setattr("ssl_ecg.data.build.time", SimpleNamespace(perf_counter=iter(range(10**6)).__next__))
    said = refused(capsys, "WFDBFolder", "--root", root)
    assert "free some, or set SSL_ECG_CACHE (--cache) to a larger disk" in said


def test_a_disk_that_fills_up_is_named_and_the_same_command_goes_on(
    root: Path, cache: Path, monkeypatch: Any, capsys: Any
) -> None:
    add = Journal.add

    def full(journal: Journal, chunk: Any) -> None:
        if journal.done == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        add(journal, chunk)

    monkeypatch.setattr(Journal, "add", full)
    assert "no space is left" in refused(capsys, "WFDBFolder", "--root", root)
    monkeypatch.setattr(Journal, "add", add)
    run("WFDBFolder", "--root", root)
    assert "going on after 2 of 4" in capsys.readouterr().err
    assert store_in(cache).records["record"].tolist() == ["a", "b", "c", "d"]


def test_a_cache_that_is_a_file_is_refused(root: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").touch()
    said = refused(capsys, "WFDBFolder", "--root", root, "--cache", tmp_path / "file" / "cache")
    assert "cannot write to the cache" in said and "SSL_ECG_CACHE" in said


# --- real recordings


def test_mitbih_is_prepared_whole(mitdb: Path, cache: Path, capsys: Any) -> None:
    run("MITBIH", "--root", mitdb, "--leads", "II")
    said = capsys.readouterr().out
    summary = summary_in(cache)
    assert summary["classes"]["S"] == {"train": 944, "test": 1837}
    assert summary["on_two_sides"] == [] and summary["on_two_sides_by_protocol"] == ["201"]
    assert "44 records of 43 patients" in said and "LEAK" not in said


def test_the_command_runs_by_itself(shared_data: Path, tmp_path: Path) -> None:
    sample = shared_data / "cinc2021-sample"
    if not sample.is_dir():
        pytest.skip(f"no recordings in {sample}")
    words = ["CinC2021", "--root", str(sample), "--limit", "12", "--leads", "II,V5"]
    done = subprocess.run(
        [sys.executable, "-m", "ssl_ecg.prepare", *words], capture_output=True, text=True, check=True, cwd=TESTS.parent
    )
    assert "CinC2021: 12 records of " in done.stdout
    assert store_in(tmp_path / "cache").leads == ("II", "V5")


# --- kills


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def start(cache: Path, *words: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ssl_ecg.prepare", "slow_source.Slow", "--cache", cache, *words]
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([*map(str, command)], env=os.environ | {"PYTHONPATH": paths}, **quiet)


def converted(cache: Path) -> int:
    """How far a store in the making has come, in bytes of its journal."""
    return sum(path.stat().st_size for path in cache.glob(".*.part/journal.jsonl"))


def children(pid: int) -> set[int]:
    """Processes that a process has started, and they in turn."""
    parent = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue
    found = {child for child, its in parent.items() if its == pid}
    return found.union(*map(children, found))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.usefixtures("rendered")
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(("workers", "kills"), [(1, 3), (2, 2)])
def test_killed_again_and_again_it_ends_with_the_same_bytes(workers: int, kills: int, tmp_path: Path) -> None:
    cache, rng = tmp_path / "killed", np.random.default_rng(workers)
    words = ["--count", 1000, "--workers", workers]
    orphans = set[int]()
    for wait in rng.uniform(0, 0.5, kills):
        before, mine = converted(cache), set[int]()
        process = start(cache, *words, "--pause", 0.05)  # nearly a minute: none of them gets to its end
        while converted(cache) <= before or (workers > 1 and not mine):  # it has yet to begin
            assert process.poll() is None
            time.sleep(0.02)
            mine = children(process.pid)
        time.sleep(wait)
        orphans |= mine | children(process.pid)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    until = time.monotonic() + 60
    while any(map(alive, orphans)) and time.monotonic() < until:
        time.sleep(0.1)
    left = [pid for pid in orphans if alive(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
    assert bool(orphans) == (workers > 1)

    assert start(cache, *words).wait() == 0
    undisturbed = tmp_path / "undisturbed"
    run("slow_source.Slow", "--count", 1000, "--workers", 1, "--cache", undisturbed)
    (one,), (other,) = cache.iterdir(), undisturbed.iterdir()
    assert one.name == other.name
    assert contents(one) == contents(other)


def test_all_data_sets_of_a_recipe_are_prepared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data: [Simulated, toy.Toy]\npreprocessing: {leads: any, window: 4}\n")
    prepare.main(
        [f"--config={recipe}", "--data.Simulated.patients=24", "--data.1.patients=2", f"--cache={tmp_path}/cache"]
    )
    said = capsys.readouterr().out
    assert said.count("store  ") == 2
    assert "--data Simulated --data.patients 24" in said
    prepare.main(["Simulated,toy.Toy", "--data.Toy.patients=2", "--leads=any", f"--cache={tmp_path}/cache"])
    assert "toy-" in capsys.readouterr().out
