"""What jobs convert of a store, each its shards, becomes the store that one process makes, byte for byte."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from jobs import InTurn
from slow_source import Slow
from toy import Toy

from ssl_ecg.data import shards as sharding
from ssl_ecg.data.build import build
from ssl_ecg.data.journal import Journal
from ssl_ecg.data.shards import shards
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.launch import Launcher
from ssl_ecg.preprocessing import Preprocessing

P = Preprocessing(leads=("II", "V1"), window=3.0)
SLOW = Preprocessing(fs=100, leads=("I", "II"), window=2.0)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def undisturbed(tmp_path: Path) -> dict[str, bytes]:
    return content(build(Toy(broken=4), P, tmp_path / "undisturbed").path)


@pytest.mark.parametrize(("jobs", "largest"), [(1, 2000), (2, 2000), (3, 2), (40, 2000)])
def test_shards_become_the_store_of_one_process(
    jobs: int, largest: int, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharding, "LARGEST", largest)
    store = build(Toy(broken=4), P, tmp_path, launcher=InTurn("local", jobs=jobs))
    assert content(store.path) == undisturbed


def test_any_lead_and_marks_survive_shards(tmp_path: Path) -> None:
    every = Preprocessing(leads=("any",), window=3.0)
    one = build(Toy(broken=4), every, tmp_path / "one")
    assert content(build(Toy(broken=4), every, tmp_path / "two", launcher=InTurn("local")).path) == content(one.path)


@pytest.mark.parametrize("jobs_later", [2, 3])
def test_a_killed_command_goes_on_with_the_shards_that_are_done(
    jobs_later: int, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    original = Toy.read
    monkeypatch.setattr(sharding, "LARGEST", 3)
    monkeypatch.setattr(Toy, "read", lambda self, number: (read.append(number), original(self, number))[1])
    monkeypatch.setattr(InTurn, "killed_after", 1)
    with pytest.raises(KeyboardInterrupt):
        build(Toy(broken=4), P, tmp_path, launcher=InTurn("local", jobs=2))
    before = len(read)
    monkeypatch.setattr(InTurn, "killed_after", 99)
    store = build(Toy(broken=4), P, tmp_path, launcher=InTurn("local", jobs=jobs_later))
    assert content(store.path) == undisturbed
    assert before and len(read) == len(Toy().records)  # none twice


@pytest.mark.parametrize("damage", ["half a line", "a bit", "merging"])
def test_what_a_kill_left_is_made_up_for(
    damage: str, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a shard that was being written, or in the store while shards were put together."""
    monkeypatch.setattr(sharding, "LARGEST", 4)
    launcher, added = InTurn("local"), Journal.add

    def struck(self: Journal, chunk: Any) -> None:
        if not self.folder.parent.name == "shards" and self.done >= 5:
            raise KeyboardInterrupt
        added(self, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", struck)
        with pytest.raises(KeyboardInterrupt):
            build(Toy(broken=4), P, tmp_path, launcher=launcher)
    (part,) = tmp_path.glob(".toy*.part")
    shard = sorted(path for path in (part / "shards").iterdir() if path.is_dir())[-1]
    if damage == "half a line":
        with (shard / "journal.jsonl").open("a") as file:
            file.write('{"count": 1, "kep')
    elif damage == "a bit":
        signals = bytearray((shard / "signals.i16").read_bytes())
        signals[3] ^= 1
        (shard / "signals.i16").write_bytes(signals)
    assert content(build(Toy(broken=4), P, tmp_path, launcher=launcher).path) == undisturbed


def test_a_recording_that_cannot_be_used_is_said_by_the_command(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="record"):
        build(Toy(broken=4), P, tmp_path, strict=True, launcher=InTurn("local"))


def test_many_shards_are_the_same_whatever_the_number_of_jobs(tmp_path: Path) -> None:
    assert shards(10**6, 16, tmp_path) == shards(10**6, 100, tmp_path)
    assert sum(len(shard.numbers) for shard in shards(999, 16, tmp_path)) == 999


def test_no_jobs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"launcher\.jobs must be at least 1, not 0"):
        Launcher("local", jobs=0).run(len, [1], tmp_path)


@pytest.mark.slow
def test_two_jobs_one_of_which_is_killed_make_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{root}:{root / 'tests'}:{os.environ.get('PYTHONPATH', '')}")
    one = build(Slow(60), SLOW, tmp_path / "one")
    deadly = tmp_path / "died"
    two = build(Slow(60, deadly=str(deadly)), SLOW, tmp_path / "two", launcher=Launcher("local", jobs=2, minutes=5))
    assert deadly.exists()
    assert content(two.path) == content(one.path)
