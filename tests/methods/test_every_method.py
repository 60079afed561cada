"""Every method: the loss of its paper, gradients where they belong, two processes as one, resumed as never stopped.

A new method needs a line in `CASES` here and a formula in tests/method_formulas.py.
"""

from __future__ import annotations

import copy
import functools
import inspect
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from checkpoints import fresh_checkpoint
from method_formulas import FORMULAS
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import ssl_ecg.methods
import ssl_ecg.methods.jepa as jepa
import ssl_ecg.methods.masked_autoencoder as masked_autoencoder
from augmentations import GaussianNoise, MultiCrop, Views
from ssl_ecg.data.batches import Batch
from ssl_ecg.data.sources import Simulated
from ssl_ecg.encoders import ConvGRU, ResNet1d
from ssl_ecg.methods import (
    BYOL,
    CPC,
    DINO,
    JEPA,
    Autoencoder,
    BarlowTwins,
    Distillation,
    Joint,
    JointEmbedding,
    LeJEPA,
    MaskedAutoencoder,
    Method,
    MoCo,
    SimCLR,
    SimSiam,
    VICReg,
)
from ssl_ecg.methods.masks import draw_blocks
from ssl_ecg.metrics.diagnostics import collapsed, diagnose
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.pretrain.pictures import seen_by
from ssl_ecg.training.sync_batchnorm import synchronise


def encoder() -> ResNet1d:
    return ResNet1d(1, width=4, stages=2)


def context() -> ConvGRU:
    """One with a causal context; BatchNorm of its own is no part of it."""
    return ConvGRU(1, width=4, strides=(2, 2), context=16)


def two() -> Views:
    return Views([GaussianNoise(p=1.0)])


def crops() -> MultiCrop:
    return MultiCrop([GaussianNoise(p=1.0)], global_duration=1.5, local_duration=0.8)


SMALL = {"hidden_dim": 16, "output_dim": 8}


@functools.cache
def teacher() -> str:
    """A checkpoint of one lead."""
    with torch.random.fork_rng():
        return str(fresh_checkpoint(Path(tempfile.mkdtemp()), Preprocessing(window=2)))


CASES: dict[str, Callable[[], Method]] = {
    "Autoencoder": lambda: Autoencoder(encoder(), hidden_dim=8),
    "Autoencoder, denoising": lambda: Autoencoder(encoder(), hidden_dim=8, augmentations=[GaussianNoise(p=1.0)]),
    "CPC": lambda: CPC(context(), horizons=(0.24, 0.48)),
    "CPC, both": lambda: CPC(context(), horizons=(0.24, 0.48), negatives="both", count=16),
    "CPC, batch": lambda: CPC(context(), horizons=(0.24,), negatives="batch", count=16),
    "JEPA": lambda: JEPA(encoder(), blocks=2, block=0.3, hidden_dim=8),
    "JEPA, convolutions": lambda: JEPA(context(), blocks=2, block=0.3, hidden_dim=8, target=-2),
    "Joint": lambda: Joint(
        context(),
        [lambda e: SimCLR(e, two(), **SMALL), lambda e: JEPA(e, blocks=2, block=0.3, hidden_dim=8)],
        weights=(1, 20),
    ),
    "Joint, on tokens": lambda: Joint(
        encoder(),
        [lambda e: JEPA(e, blocks=2, block=0.3, hidden_dim=8), lambda e: MaskedAutoencoder(e, block=0.3, hidden_dim=8)],
    ),
    "Joint, portions": lambda: Joint(
        encoder(), [lambda e: SimCLR(e, two(), **SMALL), lambda e: Autoencoder(e, hidden_dim=8)], portions=(1, 0.5)
    ),
    "MaskedAutoencoder": lambda: MaskedAutoencoder(encoder(), block=0.3, hidden_dim=8),
    "BYOL": lambda: BYOL(encoder(), two(), **SMALL),
    "BarlowTwins": lambda: BarlowTwins(encoder(), two(), **SMALL),
    "DINO": lambda: DINO(encoder(), two(), hidden_dim=16, bottleneck_dim=8, prototypes=12),
    "DINO, crops": lambda: DINO(encoder(), crops(), hidden_dim=16, bottleneck_dim=8, prototypes=12),
    "Distillation": lambda: Distillation(encoder(), teacher(), hidden_dim=16),
    "Distillation, noise": lambda: Distillation(
        encoder(), teacher(), augmentations=[GaussianNoise(p=1.0)], hidden_dim=16
    ),
    "LeJEPA": lambda: LeJEPA(encoder(), Views([GaussianNoise(p=1.0)], n=3), directions=32, **SMALL),
    "LeJEPA, crops": lambda: LeJEPA(encoder(), crops(), directions=32, **SMALL),
    "MoCo": lambda: MoCo(encoder(), two(), **SMALL),
    "MoCo, queue": lambda: MoCo(encoder(), two(), queue=40, negatives="others", **SMALL),
    "SimCLR": lambda: SimCLR(encoder(), two(), **SMALL),
    "SimCLR, patient": lambda: SimCLR(encoder(), two(), negatives="patient", **SMALL),
    "SimCLR, others": lambda: SimCLR(encoder(), two(), negatives="others", **SMALL),
    "SimCLR, three views": lambda: SimCLR(encoder(), Views([GaussianNoise(p=1.0)], n=3), negatives="others", **SMALL),
    "SimCLR, crops": lambda: SimCLR(encoder(), crops(), **SMALL),
    "SimSiam": lambda: SimSiam(encoder(), two(), bottleneck_dim=4, **SMALL),
    "VICReg": lambda: VICReg(encoder(), two(), **SMALL),
}
every = pytest.mark.parametrize("name", CASES)


def make(name: str, seed: int = 0) -> Method:
    torch.manual_seed(seed)
    method = CASES[name]()
    method.prepare(100, steps=20)
    return method


def batch(seed: int = 0) -> Batch:
    x = torch.randn(8, 1, 200, generator=torch.Generator().manual_seed(seed)).cumsum(-1) / 5
    return Batch(x, torch.tensor([0, 0, 0, 1, 1, 2, 3, 4]) + 3 * (seed % 2))


def advance(method: Method, optimiser: torch.optim.Optimizer, steps: range) -> list[float]:
    """Train; the losses."""
    losses = []
    for step in steps:
        method.before_step(step)
        optimiser.zero_grad()
        loss = method.step(batch(step), step)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def trained(name: str, seed: int = 0) -> tuple[Method, torch.optim.Optimizer]:
    method = make(name, seed)
    return method, torch.optim.SGD(method.parameters(), 0.01)


def test_no_method_is_left_out() -> None:
    exported = {name: getattr(ssl_ecg.methods, name) for name in ssl_ecg.methods.__all__}
    concrete = {name for name, cls in exported.items() if not inspect.isabstract(cls)}
    assert {name.partition(",")[0] for name in CASES} == {*FORMULAS} == concrete


@every
def test_the_loss_is_that_of_the_paper(name: str) -> None:
    method, optimiser = trained(name)
    advance(method, optimiser, range(3))  # a queue and a centre that are not empty, a copy that lags behind
    precise = copy.deepcopy(method).double()
    torch.manual_seed(1)
    found = method.loss(batch(3), method.draws(3))
    torch.manual_seed(1)
    wanted = FORMULAS[name.partition(",")[0]](precise, batch(3), method.draws(3))
    assert wanted.dtype == torch.float64
    torch.testing.assert_close(found.double(), wanted, atol=1e-5, rtol=1e-5)


@every
def test_every_online_weight_learns_and_no_copy_does(name: str) -> None:
    method = make(name)
    method.loss(batch(), method.draws(0)).backward()
    for weight, p in method.named_parameters():
        learns = not {"target", "teacher"} & {*weight.split(".")}
        assert (p.grad is not None and bool(p.grad.abs().sum() > 0)) == learns, weight


@every
def test_the_loss_is_float32_and_finite_in_half_precision(name: str) -> None:
    method = make(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert method.encoder(batch().x).dtype == torch.bfloat16
        loss = method.loss(batch(), method.draws(0))
    assert loss.dtype == torch.float32
    loss.backward()
    assert loss.isfinite() and all(p.grad.isfinite().all() for p in method.parameters() if p.grad is not None)


@every
def test_what_is_drawn_follows_from_the_step_alone(name: str) -> None:
    method = make(name)
    losses = []
    for step in (7, 7, 8):
        torch.rand(step)
        losses.append(copy.deepcopy(method).step(batch(), step))
    assert losses[0] == losses[1]
    if name not in ("Autoencoder", "CPC", "Distillation"):  # which draw nothing
        assert losses[1] != losses[2]


@every
def test_a_saved_state_goes_on_as_if_never_saved(name: str) -> None:
    method, optimiser = trained(name)
    advance(method, optimiser, range(4))
    restored, other = trained(name, seed=1)
    restored.load_state_dict(copy.deepcopy(method.state_dict()))
    assert advance(restored, other, range(4, 7)) == advance(method, optimiser, range(4, 7))


def embedded_ecg(method: Method, lr: float, steps: int) -> Tensor:
    """Embeddings of 32 simulated records after some steps on them."""
    records = Simulated(patients=32, records_per_patient=1, duration=4).recordings()
    x = torch.stack([torch.from_numpy(record.signal[1:2, :300]) for record in records])
    x = (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True)
    optimiser = torch.optim.AdamW([p for p in method.parameters() if p.requires_grad], lr)
    for step in range(steps):
        method.before_step(step)
        optimiser.zero_grad()
        method.step(Batch(x, torch.arange(32) % 16), step).backward()
        optimiser.step()
    with torch.no_grad():
        return method.eval().encoder(x)


@every
def test_a_learning_rate_far_too_high_raises_the_collapse_warning(name: str) -> None:
    if not name.startswith("CPC"):  # whose tiny context makes simulated records alike, trained or not
        assert collapsed(diagnose(embedded_ecg(make(name), lr=0.005, steps=10))) is None
    assert "has collapsed" in (collapsed(diagnose(embedded_ecg(make(name), lr=100.0, steps=20))) or "")


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("BYOL", lambda: BYOL(encoder(), two(), momentum=0.0, **SMALL)),
        ("DINO", lambda: DINO(encoder(), two(), momentum=0.0, centre=1.0, hidden_dim=16, prototypes=12)),
        ("LeJEPA", lambda: LeJEPA(encoder(), two(), gaussian=0.0, directions=32, **SMALL)),
        ("VICReg", lambda: VICReg(encoder(), two(), variance=0.0, covariance=0.0, **SMALL)),
    ],
)
def test_without_what_guards_against_it_projections_become_one(name: str, broken: Callable[[], Method]) -> None:
    def spread(method: Method) -> float:
        """Over records, of projections as the loss compares them: by direction, or as they are."""
        method.prepare(100, steps=40)
        z = method.head(embedded_ecg(method, lr=0.05, steps=40))
        return (nn.functional.normalize(z) if name in ("BYOL", "DINO") else z).std(0).norm().item()

    torch.manual_seed(0)
    method = broken()
    if name == "BYOL":
        method.predictor = nn.Identity()
    if name == "DINO":  # whose norms in the head are a guard too
        for head in (method.head, method.target[1]):
            head.layers = nn.Sequential(*(each for each in head.layers if not isinstance(each, nn.BatchNorm1d)))
    assert 3 * spread(method) < spread(make(name))


class Loss(nn.Module):
    """DDP hooks into `forward`, so the loss has to be computed there."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, batch: Batch, part: slice) -> Tensor:
        """The loss of a part of the batch, whose rows are as if all had been drawn for."""
        method = self.method
        for module in (jepa, masked_autoencoder):
            module.draw_blocks = lambda rows, *how: draw_blocks(8, *how)[part]
        if isinstance(method, JointEmbedding):
            views = method.views(batch.x.double(), 100, method.draws(0))
            return method.compare([view[part] for view in views], batch.patient[part])
        return method.loss(Batch(batch.x[part].double(), batch.patient[part]), method.draws(0))


def gradients(name: str, rank: int = 0, ranks: int = 1) -> dict[str, Tensor]:
    """And the state after two steps, the first of which fills queue and centre; in float64."""
    method = make(name).double()
    synchronise(method)
    size = 8 // ranks
    loss: nn.Module = Loss(method)
    if ranks > 1:
        loss = DistributedDataParallel(loss)  # named: freed before backward, it would average nothing
    for step in (0, 1):
        method.zero_grad()
        torch.manual_seed(rank)
        loss(batch(step), slice(rank * size, rank * size + size)).backward()
    found = {f"gradient of {n}": p.grad for n, p in method.named_parameters() if p.grad is not None}
    return found | {n: v.clone() for n, v in method.state_dict().items()}


def worker(rank: int, folder: str, names: list[str]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    torch.save({name: gradients(name, rank, 2) for name in names}, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


# What repels within a process alone, takes a part of each process's rows, or draws for each process's rows.
APART = ("SimCLR, patient", "Joint", "Joint, portions", "Autoencoder, denoising", "Distillation, noise")
GLOBAL = [name for name in CASES if name not in APART]


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Tensor]]]:
    folder = tmp_path_factory.mktemp("two")
    mp.start_processes(worker, args=(str(folder), GLOBAL), nprocs=2, start_method="fork")
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@every
def test_what_a_method_sees_is_as_many_windows(name: str) -> None:
    method, x = CASES[name](), torch.randn(2, 1, 200)
    method.prepare(100.0)
    made = seen_by(method, x, torch.Generator().manual_seed(0))
    assert all(signals.ndim == 3 and len(signals) == len(x) for signals in made.values())


@pytest.mark.parametrize("name", GLOBAL)
def test_two_processes_learn_as_one(name: str, of_two: list[dict[str, dict[str, Tensor]]]) -> None:
    alone = gradients(name)
    for found in (each[name] for each in of_two):
        assert found.keys() == alone.keys()
        for key, value in alone.items():
            torch.testing.assert_close(found[key], value, atol=1e-9, rtol=1e-9, msg=lambda m, k=key: f"{k}: {m}")
