"""A streamed store gives the windows of the store it was exported from, to every rank its own, and exactly again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import ClassVar, Literal

import numpy as np
import pytest
import s3
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssl_ecg.data.batches import Batches
from ssl_ecg.data.build import build
from ssl_ecg.data.randomness import generator
from ssl_ecg.data.source import Beats, Recording, Source
from ssl_ecg.data.sources.prepared import Prepared
from ssl_ecg.data.store import Store
from ssl_ecg.data.streaming import StreamedStore, export
from ssl_ecg.data.streaming.blocks import Buffer, Layout, block_order
from ssl_ecg.data.windows import Sliding, WindowSet
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.preprocessing import Preprocessing

P = Preprocessing(leads=("II", "V1"), window=3.0)
BLOCK = 32_768  # bytes: 82 s of both leads
LONG = 400  # s: the first recording, which needs five blocks


class Ward(Source):
    """A recording over several blocks, then short ones of different lengths."""

    classes: ClassVar[tuple[str, ...]] = ("N", "V")
    task: ClassVar[Literal["record"]] = "record"

    def ensure(self, limit: int | None = None) -> None:
        pass

    def fingerprint(self) -> dict[str, object]:
        return {"name": "ward"}

    @property
    def records(self) -> Sequence[str]:
        return [f"r{i}" for i in range(30)]

    def read(self, number: int) -> Recording:
        seconds = LONG if number == 0 else 10 + number % 7
        signal = np.random.default_rng(number).normal(size=(2, seconds * 200)).astype(np.float32)
        peaks = np.arange(100, seconds * 200, 200)
        return Recording(
            record=f"r{number}",
            patient=f"p{number // 2}",
            signal=signal,
            fs=200,
            leads=("MLII", "V1"),
            labels=("V" if number % 3 else "N",),
            beats=Beats(peaks, np.full(len(peaks), "N")),
        )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return build(Ward(), P, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def bucket(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that stands in for object storage: litdata copies from it to its cache."""
    pytest.importorskip("litdata")
    folder = tmp_path_factory.mktemp("bucket")
    export(store, str(folder), block=BLOCK)
    return folder


@pytest.fixture
def object_store(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[s3.Bucket]:
    """A server of S3 that has the store as `s3://bucket/store`."""
    with s3.serving() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        server.objects |= {f"bucket/store/{path.name}": path.read_bytes() for path in bucket.iterdir()}
        yield server


def test_a_store_is_written_to_an_object_store_as_to_a_folder(
    store: Store, bucket: Path, object_store: s3.Bucket
) -> None:
    before = {name.rpartition("/")[2]: content for name, content in object_store.objects.items()}
    export(store, "s3://bucket/again", block=BLOCK)
    found = {
        n.removeprefix("bucket/again/"): c for n, c in object_store.objects.items() if n.startswith("bucket/again/")
    }
    assert found.keys() == before.keys()
    assert all(found[name] == before[name] for name in before if name != "index.json")


def streamed(bucket: Path, cache: Path, **settings: int) -> StreamedStore:
    return StreamedStore(f"local:{bucket}", cache, **settings)


def some_windows(store: Store, samples: int, count: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """Half of them of the long recording."""
    g = torch.Generator().manual_seed(samples)
    fits = torch.nonzero(store.length >= samples).flatten()
    record = torch.cat([fits[torch.randint(len(fits), (count // 2,), generator=g)], torch.zeros(count // 2).long()])
    start = (torch.rand(count, generator=g) * (store.length[record] - samples + 1)).long()
    return record, start


@given(length=st.lists(st.integers(1, 200), min_size=1, max_size=30), leads=st.integers(1, 4), size=st.integers(4, 300))
def test_every_sample_lies_in_exactly_one_place_of_a_block(length: list[int], leads: int, size: int) -> None:
    layout = Layout.of(torch.tensor(length), leads, size)
    assert int(layout.sizes.max()) <= size
    row = torch.repeat_interleave(torch.arange(len(length)), torch.tensor(length))
    sample = torch.cat([torch.arange(n) for n in length])
    p = layout.piece(row, sample)
    inside = sample - layout.start[p]
    assert torch.equal(layout.record[p], row) and bool(((inside >= 0) & (inside < layout.length[p])).all())
    place = layout.offset[p] + torch.arange(leads)[:, None] * layout.length[p] + inside
    block = layout.block[p].expand_as(place)
    assert bool(((place >= 0) & (place < layout.sizes[block])).all())
    places = torch.stack([block, place]).flatten(1).unique(dim=1)
    assert places.shape[1] == leads * sum(length) == int(layout.sizes.sum())


@given(
    block=st.lists(st.integers(0, 20), min_size=1, max_size=200),
    ranks=st.integers(1, 5),
    epoch=st.integers(0, 3),
    group=st.integers(1, 6),
)
def test_ranks_get_equal_disjoint_shares_of_whole_blocks(block: list[int], ranks: int, epoch: int, group: int) -> None:
    of = torch.tensor(block)
    shares = [block_order(of, 3, epoch, rank, ranks, group) for rank in range(ranks)]
    assert {len(share) for share in shares} == {len(block) // ranks}
    every = torch.cat(shares)
    assert len(every.unique()) == len(every)
    blocks = [set(of[share].tolist()) for share in shares]
    assert sum(map(len, blocks)) - len(set.union(*blocks)) <= ranks - 1  # shared only where a share begins
    for rank, share in enumerate(shares):
        assert set(share.tolist()) == set(block_order(of, 3, epoch + 1, rank, ranks, group).tolist())
        seen = list(dict.fromkeys(of[share].tolist()))
        for place in range(0, len(seen), group):  # a group of blocks is done before the next begins
            here = torch.isin(of[share], torch.tensor(seen[place : place + group])).nonzero()
            assert int(here.max() - here.min()) + 1 == len(here)


def test_epochs_and_seeds_differ_in_their_order() -> None:
    block = torch.arange(400) // 10
    first = block_order(block, 0, 0, 0, 2, 4)
    assert torch.equal(first, block_order(block, 0, 0, 0, 2, 4))
    assert not torch.equal(first, block_order(block, 0, 1, 0, 2, 4))
    assert set(first.tolist()) != set(block_order(block, 1, 0, 0, 2, 4).tolist())


def test_the_order_of_a_plain_store_is_what_it_was(store: Store) -> None:
    index = Sliding(1.0).index(store, P.samples)
    everything = torch.randperm(len(index), generator=generator(5, 1, 2))
    for rank in range(3):
        batches = Batches(WindowSet(store, P, index), 8, seed=5, rank=rank, ranks=3, first=0)
        batches.first = 2 * batches.steps + 4  # of the third epoch
        wanted = everything[4 * 24 :][:24][rank::3]
        assert torch.equal(next(iter(batches)).x, WindowSet(store, P, index).load(wanted))


@pytest.mark.parametrize("samples", [1, 300, 999, 20_000])
def test_windows_are_those_of_the_store_also_across_blocks(
    store: Store, bucket: Path, tmp_path: Path, samples: int
) -> None:
    record, start = some_windows(store, samples)
    there = streamed(bucket, tmp_path)
    assert torch.equal(there.gather(record, start, samples), store.gather(record, start, samples))
    in_place = StreamedStore(str(bucket), tmp_path)
    assert torch.equal(in_place.gather(record, start, samples), store.gather(record, start, samples))


def test_tables_and_whole_recordings_are_those_of_the_store(store: Store, bucket: Path, tmp_path: Path) -> None:
    there = streamed(bucket, tmp_path)
    assert there.meta == store.meta
    assert there.records.equals(store.records) and there.beats.equals(store.beats)
    assert (there.leads, there.fs) == (store.leads, store.fs)
    for row in range(3):
        np.testing.assert_array_equal(there.signal(row), store.signal(row))


def test_the_samples_of_all_blocks_are_those_of_the_store(store: Store, bucket: Path) -> None:
    from litdata import StreamingDataset

    blocks = StreamingDataset(str(bucket))
    stored = np.sort(store.signals.numpy())
    everything = np.concatenate([blocks[i] for i in range(len(blocks))])
    assert everything.dtype == np.int16
    np.testing.assert_array_equal(np.sort(everything), stored)
    assert all(2 * len(blocks[i]) <= BLOCK for i in range(len(blocks)))


def test_only_the_tables_are_fetched_when_it_is_opened(bucket: Path, tmp_path: Path) -> None:
    streamed(bucket, tmp_path)
    assert not list(tmp_path.rglob("*.bin"))


def test_a_cache_smaller_than_the_store_is_enough(store: Store, bucket: Path, tmp_path: Path) -> None:
    there = streamed(bucket, tmp_path, budget=8 * BLOCK, group=1)
    assert int(there._layout.sizes.sum()) * 2 > 8 * BLOCK

    def kept() -> int:
        return sum(file.stat().st_size for file in tmp_path.rglob("*.bin"))

    # litdata deletes in a thread of its own, between downloads: it gets there, but nobody can say after which window.
    for turn in range(100):
        record, start = some_windows(store, 300 + turn, count=30)
        for i in range(len(record)):
            assert torch.equal(
                there.gather(record[i : i + 1], start[i : i + 1], 300 + turn),
                store.gather(record[i : i + 1], start[i : i + 1], 300 + turn),
            )
        if turn >= 2 and kept() <= 9 * BLOCK:
            return
    pytest.fail(f"the cache has {kept()} bytes of {8 * BLOCK}, and litdata deletes none")


def test_what_a_killed_process_left_in_a_full_cache_does_no_harm(store: Store, bucket: Path, tmp_path: Path) -> None:
    record, start = some_windows(store, 300)
    there = streamed(bucket, tmp_path)
    there.gather(record, start, 300)
    for file in list(tmp_path.rglob("*.bin")):
        file.with_name(file.name + ".cnt").write_text("3")
        file.with_name(file.name + ".tmp").write_bytes(b"half a blo")
    del there
    again = streamed(bucket, tmp_path, budget=8 * BLOCK)
    assert not list(tmp_path.rglob("*.cnt")) and not list(tmp_path.rglob("*.tmp"))
    assert torch.equal(again.gather(record, start, 300), store.gather(record, start, 300))


def loaded(url: str, cache: Path, rank: int, first: int, last: int) -> Iterator[tuple[torch.Tensor, ...]]:
    """What one of two ranks loads in some steps of training: windows, patients, numbers of the windows."""
    store = Prepared(url, str(cache), cache_gb=0.0003, mixed=2).open(P)
    windows = WindowSet(store, P, Sliding(1.0).index(store, P.samples))
    while first < last:
        batches = Batches(windows, 16, seed=1, rank=rank, ranks=2, first=first)
        for step, batch in enumerate(batches, first):
            yield batch.x, batch.patient, batches._rows(step, batches._order(step // batches.steps))
        first += len(batches)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = [str(Path(folder).resolve()) for folder in ("tests/data", "tests")]
from test_streaming import loaded
url, cache, rank, last = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
for step, _ in enumerate(loaded(url, cache, rank, 0, 2 * last)):
    if step == last:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("where", ["folder", pytest.param("s3", marks=pytest.mark.slow)])
def test_two_ranks_read_disjoint_windows_and_go_on_exactly_after_a_kill(
    where: str, store: Store, bucket: Path, object_store: s3.Bucket, tmp_path: Path
) -> None:
    url = {"folder": f"local:{bucket}", "s3": "s3://bucket/store"}[where]
    windows = WindowSet(store, P, Sliding(1.0).index(store, P.samples))
    steps = len(windows) // 32
    middle, cache = steps + steps // 2, tmp_path / "cut"
    command, root = [sys.executable, "-c", KILLED, url, str(cache)], Path(__file__).parents[2]
    killed = [subprocess.Popen([*command, str(rank), str(middle)], cwd=root) for rank in (0, 1)]

    every = [[*loaded(url, tmp_path / "whole", rank, 0, 2 * steps)] for rank in (0, 1)]
    for epoch in (0, 1):
        rows = torch.cat([rows for of_rank in every for _, _, rows in of_rank[epoch * steps : (epoch + 1) * steps]])
        assert len(rows.unique()) == len(rows) == steps * 32  # disjoint, and all but the dropped remainder
    for x, patient, rows in (step for of_rank in every for step in of_rank):
        assert torch.equal(x, windows.load(rows))
        names = windows.patient[rows.numpy()]
        assert len(set(zip(names, patient.tolist(), strict=True))) == len(set(names))

    assert [process.wait() for process in killed] == [-9, -9]
    for rank in (0, 1):  # in the caches that the killed ones left
        again = [*loaded(url, cache, rank, middle + 1, 2 * steps)]
        for got, wanted in zip(again, every[rank][middle + 1 :], strict=True):
            assert all(map(torch.equal, got, wanted))


def test_an_object_store_is_asked_for_each_block_once_a_machine_whatever_fails_or_restarts(
    store: Store, object_store: s3.Bucket, tmp_path: Path
) -> None:
    record, start = some_windows(store, 300)
    for again in (False, True):
        object_store.asked.clear()
        object_store.failing = 0 if again else 2
        there = StreamedStore("s3://bucket/store", tmp_path)
        assert torch.equal(there.gather(record, start, 300), store.gather(record, start, 300))
        blocks = [line for line in object_store.asked if line.endswith(".bin")]
        assert len(blocks) == len(set(blocks)) and bool(blocks) is not again
        assert object_store.failing == 0
        del there
    with pytest.raises(DataError, match=r"s3://bucket/nothing/stream\.json is not there.*check the address"):
        StreamedStore("s3://bucket/nothing", tmp_path)


def test_batches_tell_a_store_what_is_left_of_the_epoch(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[torch.Tensor, torch.Tensor]] = []
    monkeypatch.setattr(Store, "expect", lambda self, record, start, samples: told.append((record, start)))
    windows = WindowSet(store, P, Sliding(1.0).index(store, P.samples))
    steps = len(windows) // 16
    left = list(Batches(windows, 16, first=steps + 3))
    record, start = told[0]
    assert torch.equal(torch.cat([batch.x for batch in left]), P.normalise_windows(store.gather(record, start, 300)))


def test_what_comes_next_is_fetched_before_it_is_asked_for() -> None:
    read, third = [], Event()

    def fetch(block: int) -> torch.Tensor:
        read.append(block)
        if len(read) == 3:
            third.set()
        return torch.tensor([block])

    buffer = Buffer(fetch, keep=9, ahead=3)
    buffer.expect([5, 3, 8, 1, 2])
    assert third.wait(10)
    assert read == [5, 3, 8]  # and no more, as long as none of them is used
    assert [int(buffer[block]) for block in (5, 3, 8)] == [5, 3, 8]
    assert [int(buffer[block]) for block in (1, 2)] == [1, 2]
    assert sorted(read) == [1, 2, 3, 5, 8]  # each once


def test_a_block_that_cannot_be_fetched_ahead_is_said_when_it_is_needed() -> None:
    def fetch(block: int) -> torch.Tensor:
        raise DataError(f"block {block} is gone")

    buffer = Buffer(fetch, keep=9, ahead=3)
    buffer.expect([4])
    with pytest.raises(DataError, match="block 4 is gone"):
        buffer[4]


def test_patients_per_batch_is_refused(bucket: Path, tmp_path: Path) -> None:
    there = streamed(bucket, tmp_path)
    with pytest.raises(UserError, match="set it to 0"):
        Batches(WindowSet(there, P, Sliding(1.0).index(there, P.samples)), 16, patients=4)


def test_a_second_export_writes_nothing_and_another_is_refused(store: Store, bucket: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in bucket.iterdir()}
    export(store, str(bucket), block=BLOCK)
    assert {file: file.stat().st_mtime_ns for file in bucket.iterdir()} == before
    with pytest.raises(DataError, match="holds another store"):
        export(store, str(bucket), block=2 * BLOCK)


def test_an_export_that_was_stopped_is_no_store_and_can_be_repeated(store: Store, tmp_path: Path) -> None:
    pytest.importorskip("litdata")

    def stop(numbers: range, total: int) -> range:
        raise KeyboardInterrupt

    folder = tmp_path / "bucket"
    for attempt in (stop, lambda numbers, total: (stop(numbers, total) if n == 5 else n for n in numbers)):
        with pytest.raises(KeyboardInterrupt):
            export(store, str(folder), BLOCK, attempt)
        with pytest.raises(DataError, match="holds no store"):
            Prepared(str(folder)).ensure()
    export(store, str(folder), BLOCK)
    record, start = some_windows(store, 300)
    assert torch.equal(streamed(folder, tmp_path).gather(record, start, 300), store.gather(record, start, 300))


def test_a_missing_block_is_named(store: Store, bucket: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bucket, tmp_path / "copy"))
    (copy / "chunk-0-3.bin").unlink()
    there = streamed(copy, tmp_path)
    row = int(there._layout.record[there._layout.block == 3][0])
    with pytest.raises(DataError, match=r"block 3 of local:.*copy cannot be read"):
        there.signal(row)
    elsewhere = int(there._layout.record[there._layout.block == 6][0])
    np.testing.assert_array_equal(there.signal(elsewhere), store.signal(elsewhere))  # the others still can


def test_a_damaged_table_is_refused(bucket: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bucket, tmp_path / "copy"))
    (copy / "records.parquet").write_bytes(b"PAR1 something else")
    with pytest.raises(DataError, match=r"records\.parquet is damaged"):
        streamed(copy, tmp_path)


def test_a_place_without_a_store_is_said(tmp_path: Path) -> None:
    pytest.importorskip("litdata")
    with pytest.raises(DataError, match=r"stream\.json"):
        streamed(tmp_path / "nowhere", tmp_path)
    with pytest.raises(DataError, match="nowhere holds no store"):
        Prepared(str(tmp_path / "nowhere")).ensure()


def test_a_cache_without_room_is_refused(bucket: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give it room for eight"):
        streamed(bucket, tmp_path, budget=3 * BLOCK)


def test_prepared_opens_both_kinds_and_refuses_another_preprocessing(
    store: Store, bucket: Path, tmp_path: Path
) -> None:
    plain, there = Prepared(str(store.path)), Prepared(str(bucket), cache=str(tmp_path))
    assert type(plain.open(P)) is Store
    assert type(there.open(P)) is StreamedStore
    there.open(Preprocessing(leads=("II", "V1"), window=1.0, normalise="none"))  # windows are cut later
    with pytest.raises(DataError, match=r"was prepared with fs = 100\.0, leads = .'II', 'V1'.*asked for.*fs = 50\.0"):
        there.open(Preprocessing(fs=50.0, lowpass=20.0))


def test_prepared_reads_recordings_as_they_were_prepared(store: Store) -> None:
    source = Prepared(str(store.path))
    source.ensure()
    assert source.records == Ward().records
    assert (source.classes, source.task, source.cohort) == (("N", "V"), "record", "Ward")
    assert source.fingerprint() == Ward().fingerprint()
    recording = source.read(4)
    raw = Ward().read(4)
    assert (recording.patient, recording.labels, recording.fs, recording.leads) == ("p2", ("V",), 100, ("II", "V1"))
    np.testing.assert_array_equal(recording.signal, store.signal(4))
    assert recording.beats is not None and raw.beats is not None
    np.testing.assert_array_equal(recording.beats.samples, raw.beats.samples // 2)


def test_prepared_reads_nothing_until_it_is_asked(tmp_path: Path) -> None:
    Prepared(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="cache_gb must be positive"):
        Prepared("s3://bucket/store", cache_gb=0)
