"""Several data sets in one run: who is drawn how often, who is held out, and what a command line says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from toy import Toy

from ssl_ecg import cli
from ssl_ecg.data.batches import Batches
from ssl_ecg.data.build import build
from ssl_ecg.data.mixed import MixedWindows
from ssl_ecg.data.module import ECGDataModule
from ssl_ecg.data.positives import SamePatient
from ssl_ecg.data.source import Recording, person
from ssl_ecg.data.sources import Mixture, Simulated
from ssl_ecg.data.store import Store
from ssl_ecg.data.windows import BeatCentred, Sliding, WindowSet
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.leads import ANY
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.pretrain import Pretrain

P = Preprocessing(leads=ANY, window=3.0)


class Other(Toy):
    """Other people's recordings."""


class Copies(Toy):
    """Some of the recordings of Toy, and others of the same people under names of their own."""

    cohort = "Toy"

    def read(self, number: int) -> Recording:
        toy = super().read(number)
        record = toy.record if number % 2 else f"copy{number}"
        return Recording(record, toy.patient, toy.signal, toy.fs, toy.leads, "train", beats=toy.beats)

    @property
    def records(self) -> list[str]:
        return [name if i % 2 else f"copy{i}" for i, name in enumerate(super().records)]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Store]:
    cache = tmp_path_factory.mktemp("cache")
    return [build(source, P, cache) for source in (Toy(), Other(patients=2), Other(patients=3))]


def mixed(stores: list[Store], weights: list[float] | None = None) -> MixedWindows:
    return MixedWindows([WindowSet(s, P, Sliding(1.0).index(s, P.samples)) for s in stores], weights)


def of_part(windows: MixedWindows, rows: torch.Tensor) -> torch.Tensor:
    return torch.bucketize(rows, windows.first[1:], right=True)


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 3.0]])
def test_starting_at_any_step_gives_the_same_batches(stores: list[Store], weights: list[float] | None) -> None:
    def batches(first: int = 0) -> Batches:
        return Batches(mixed(stores, weights), 12, seed=3, first=first)

    every = batches()
    twice = [*every, *batches(len(every))]
    assert not torch.equal(twice[0].x, twice[len(every)].x)
    for step in (0, 1, len(every) - 1, len(every), len(every) + 3):
        assert torch.equal(next(iter(batches(step))).x, twice[step].x)


def test_what_is_loaded_is_what_each_store_has_in_whatever_order(stores: list[Store]) -> None:
    windows = mixed(stores)
    rows = torch.randperm(len(windows))[:50]
    x = windows.load(rows)
    for i, row in enumerate(rows.tolist()):
        part = int(of_part(windows, torch.tensor(row)))
        own = windows.parts[part].load(torch.tensor([row - int(windows.first[part])]))
        assert torch.equal(x[i], own[0])
    some = windows[rows]
    assert len(some) == 50
    assert torch.cat(list(some.batches(7))).shape == x.shape
    assert next(windows.conditioned(3)).shape == (3, 1, 300)


def test_without_weights_an_epoch_has_each_window_once(stores: list[Store]) -> None:
    windows = mixed(stores)
    batches = Batches(windows, 12)
    rows = torch.cat([batch.row for batch in batches if batch.row is not None])
    assert len(rows.unique()) == len(rows) > len(windows) - 12


def test_with_weights_every_batch_has_its_share_of_each_and_nothing_is_seen_twice_before_all_was(
    stores: list[Store],
) -> None:
    windows = mixed(stores, [1, 2, 1])
    epochs = [Batches(windows, 16, first=epoch * (len(windows) // 16)) for epoch in range(3)]
    seen: list[torch.Tensor] = []
    for batches in epochs:
        for batch in batches:
            assert batch.row is not None
            count = torch.bincount(of_part(windows, batch.row), minlength=3).tolist()
            assert max(abs(c - e) for c, e in zip(count, [4, 8, 4], strict=True)) <= 1
            seen.append(batch.row)
    rows = torch.cat(seen)
    for number, part in enumerate(windows.parts):
        times = torch.bincount(rows[of_part(windows, rows) == number] - windows.first[number], minlength=len(part))
        assert times.max() - times.min() <= 1  # over epochs, too


def test_ranks_share_an_epoch_without_overlap(stores: list[Store]) -> None:
    windows = mixed(stores)
    rows = [torch.cat([b.row for b in Batches(windows, 8, rank=r, ranks=2) if b.row is not None]) for r in (0, 1)]
    assert len(rows[0]) == len(rows[1])
    first = [set(part.tolist()) for part in rows]
    assert not first[0] & first[1]


def test_partners_are_of_the_same_patient_of_the_same_store(stores: list[Store]) -> None:
    windows = mixed(stores)
    partners = SamePatient().partners(windows)
    assert partners is not None
    rows = torch.arange(len(windows))
    drawn = partners.draw(rows, 1, 2)
    assert torch.equal(of_part(windows, drawn), of_part(windows, rows))
    assert torch.equal(windows.person[drawn], windows.person)
    assert not (drawn == rows).any()


def test_a_batch_of_few_patients_mixes_all_of_them(stores: list[Store]) -> None:
    batch = next(iter(Batches(mixed(stores), 12, patients=6)))
    assert len(batch.patient.unique()) == 6
    with pytest.raises(UserError, match=r"leave out data\.weights"):
        Batches(mixed(stores, [1, 1, 1]), 12, patients=6)


def test_who_is_held_out_of_one_is_held_out_of_all_and_no_recording_is_there_twice(
    stores: list[Store], tmp_path: Path
) -> None:
    copies = build(Copies(), P, tmp_path)
    module = ECGDataModule([stores[0], copies, stores[2]], P, Sliding(1.0), BeatCentred(), batch_size=8)
    toy, copy, other = module.parts
    assert toy.held_out
    held = {person("Toy", name) for name in toy.held_out} | {person("Toy", name) for name in copy.held_out}
    for part in (toy, copy):
        assert not held & {person("Toy", name) for name in part.train.patient}
    assert not set(toy.train.record) & set(copy.train.record)
    assert {*other.patients, *other.held_out} == {"p0", "p1"}, "other people of the same names are not held out"
    assert module.store is stores[0]
    assert module.probed is toy


def test_the_probe_is_that_of_the_first_with_labels(stores: list[Store], tmp_path: Path) -> None:
    unlabelled = build(Simulated(patients=24, duration=5), P, tmp_path)  # no beat-centred windows
    module = ECGDataModule([unlabelled, stores[0]], P, Sliding(1.0), BeatCentred(), batch_size=8)
    assert module.store is stores[0]
    assert len(module.probe_train)
    assert len(module.probe_val)


def test_a_data_set_that_cannot_be_used_is_named(stores: list[Store], tmp_path: Path) -> None:
    long = Preprocessing(leads=ANY, window=30)
    short = build(Simulated(patients=24, duration=5), long, tmp_path)
    with pytest.raises(DataError, match=r"Simulated: no window of 30 s fits"):
        ECGDataModule([stores[0], short], long, Sliding(1.0), Sliding(1.0), batch_size=4)


@pytest.mark.parametrize("weights", [(1.0,), (1.0, -1.0), (1.0, 0.0)])
def test_weights_that_cannot_be_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(UserError, match="a positive number for each of the 2"):
        Mixture((Toy(), Other()), weights)


def test_other_commands_take_one_data_set(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is to pretrain on"):
        build(Mixture((Toy(), Other())), P, tmp_path)


# --- the command line


def parsed(*argv: str) -> dict[str, Any]:
    start = {"data": "Simulated", "method": "SimCLR", "method.encoder": "ResNet1d", "windows": "Whole"}
    start |= {"probe_windows": "Whole", "positives": "SameWindow", "method.optimiser": "AdamW"}
    start |= {"method.views.augmentations": []}
    return cli.parse(Pretrain, argv, defaults=start).config["data"]


def named(data: dict[str, Any]) -> list[str]:
    return [source["class_path"].rpartition(".")[2] for source in data["init_args"]["sources"]]


def test_several_by_name_and_number(tmp_path: Path) -> None:
    data = parsed(
        "--data=PTBXL,CinC2017,MITBIH", "--data.PTBXL.rate=500", "--data.CinC2017.root=here", "--data.2.chest=V1",
        "--data.weights=1,2,0.5",
    )  # fmt: skip
    assert data["class_path"].endswith("Mixture")
    assert named(data) == ["PTBXL", "CinC2017", "MITBIH"]
    ptbxl, cinc, mitbih = (source["init_args"] for source in data["init_args"]["sources"])
    assert (ptbxl["rate"], cinc["root"], mitbih["chest"]) == (500, "here", "V1")
    assert data["init_args"]["weights"] == [1, 2, 0.5]


def test_several_in_a_file_and_changed_on_the_line(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("data:\n  - PTBXL\n  - {class_path: CinC2017, init_args: {root: there}}\n")
    data = parsed(f"--config={file}", "--data.PTBXL.root=here")
    assert [source["init_args"]["root"] for source in data["init_args"]["sources"]] == ["here", "there"]
    file.write_text(yaml.safe_dump({"data": data}))
    assert parsed(f"--config={file}") == data
    assert parsed(f"--config={file}", "--data.CinC2017.root=x")["init_args"]["sources"][1]["init_args"]["root"] == "x"
    assert parsed(f"--config={file}", "--data=MITBIH")["class_path"].endswith("MITBIH")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--data=PTBXL,MITBH"], "sources.1: there is no Source called 'MITBH'; did you mean MITBIH"),
        (["--data=PTBXL,LUDB", "--data.MITBIH.root=x"], "Mixture has no setting MITBIH"),
        (["--data=PTBXL,PTBXL", "--data.PTBXL.root=x"], "Mixture has no setting PTBXL"),
        (["--data=PTBXL,LUDB", "--data.LUDB.rate=5"], "LUDB has no setting rate"),
    ],
)
def test_what_cannot_be_meant_is_said(argv: list[str], says: str) -> None:
    with pytest.raises(cli.UsageError, match=says):
        parsed(*argv)
