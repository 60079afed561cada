"""A batch that the memory does not hold comes in pieces: the gradient is that of the whole, or it is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tiny_runs import Stop, arguments, assert_same, weights

import ssl_ecg.training.fit as fit
from augmentations import GaussianNoise, Views
from ssl_ecg import pretrain
from ssl_ecg.data.batches import Batch
from ssl_ecg.encoders import ConvGRU, ConvNeXt1d, Encoder, ResNet1d
from ssl_ecg.errors import UserError
from ssl_ecg.methods import BYOL, JEPA, Autoencoder, Joint, LeJEPA, Method, MoCo, SimCLR, VICReg
from ssl_ecg.training.pieces import cached, check_pieces, pieces
from ssl_ecg.training.settings import TrainerSettings


def no_batch_norm(dropout: float = 0.0) -> Encoder:
    return ConvNeXt1d(1, width=4, depths=(1, 1), dropout=dropout)


def views() -> Views:
    return Views([GaussianNoise(p=1.0)])


def batch(n: int = 7) -> Batch:
    g = torch.Generator().manual_seed(0)
    return Batch(torch.randn(n, 1, 200, generator=g, dtype=torch.float64), torch.arange(n) // 2)


def gradients(method: Method, of: Batch, number: int = 1) -> dict[str, torch.Tensor]:
    method.double().train()
    for i, piece in enumerate(pieces(of, number)):
        (len(piece.x) / len(of.x) * method.step(piece, 3, piece=i)).backward()
    found = {name: p.grad.clone() for name, p in method.named_parameters() if p.grad is not None}
    method.zero_grad()
    return found


def assert_close(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys() and any(bool(value.any()) for value in a.values())
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("make", [SimCLR, VICReg, MoCo, LeJEPA, BYOL])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_cached_gradients_are_those_of_the_whole_batch(make: Callable[..., Method], dropout: float) -> None:
    """Heads and their BatchNorm see the whole batch. With dropout the masks are others, but the same each time."""
    method = make(no_batch_norm(dropout), views())
    whole = gradients(method, batch())
    with cached(method.encoder, 3):
        found, again = (gradients(method, batch()) for _ in range(2))
    assert_close(found, again if dropout else whole)
    assert "forward" not in vars(method.encoder)


def test_cached_keeps_one_piece_at_a_time() -> None:
    encoder, most = no_batch_norm(), [0]
    encoder.layers()[0].register_forward_hook(lambda _, given, __: most.append(len(given[0])))
    with cached(encoder.double().train(), 3):
        encoder(batch().x).sum().backward()
        assert most == [0, 3, 3, 1, 1, 3, 3]  # and once more, from the last
        with torch.no_grad():
            encoder(batch().x)
    assert most[-1] == 7


def test_pieces_of_a_mean_over_samples_sum_to_the_gradient_of_the_whole() -> None:
    method = Autoencoder(no_batch_norm(), hidden_dim=8)
    assert_close(gradients(method, batch()), gradients(method, batch(), number=3))


def test_pieces_draw_apart_and_the_first_as_a_whole_batch_does() -> None:
    method = BYOL(no_batch_norm(), views())
    whole, first, second = (torch.rand(3, generator=method.draws(4, piece=i)) for i in (0, 0, 1))
    assert torch.equal(whole, first) and not torch.equal(first, second)
    assert torch.equal(whole, torch.rand(3, generator=method.draws(4)))


def test_a_batch_is_cut_with_all_that_belongs_to_it() -> None:
    whole = Batch(*batch()[:2], partner=batch().x + 1, row=torch.arange(7))
    cut = pieces(whole, 3)
    assert [len(part.x) for part in cut] == [3, 2, 2]
    for i, field in enumerate(whole):
        assert field is not None
        assert torch.equal(torch.cat([part[i] for part in cut]), field)
    assert pieces(batch(), 2)[1].partner is None


def joint(encoder: Encoder) -> Joint:
    return Joint(encoder, [lambda e: Autoencoder(e, hidden_dim=8), lambda e: SimCLR(e, views())])


@pytest.mark.parametrize(
    ("method", "given", "reason"),
    [
        (lambda: SimCLR(ResNet1d(1, width=4), views()), {"accumulate": 2}, "SimCLR compares the samples of a batch"),
        (lambda: joint(ResNet1d(1, width=4)), {"accumulate": 2}, "Joint compares .* lower batch_size"),
        (lambda: SimCLR(ResNet1d(1, width=4), views()), {"cached": 8}, "BatchNorm of ResNet1d needs the whole batch"),
        (lambda: JEPA(ConvGRU(1, width=4)), {"cached": 8}, "JEPA does not compare embeddings: use trainer.accumulate"),
        (lambda: BYOL(no_batch_norm(), views()), {"accumulate": 9}, "9 pieces of a batch of 16 are too small"),
        (lambda: JEPA(ConvGRU(1, width=4)), {"accumulate": 2}, None),
        (lambda: SimCLR(no_batch_norm(), views()), {"cached": 8}, None),
    ],
)
def test_what_would_learn_something_else_is_refused(
    method: Callable[[], Method], given: dict[str, int], reason: str | None
) -> None:
    if reason is None:
        check_pieces(method(), TrainerSettings(**given), 16)
    else:
        with pytest.raises(UserError, match=reason):
            check_pieces(method(), TrainerSettings(**given), 16)


@contextmanager
def stopping(monkeypatch: pytest.MonkeyPatch, step: int) -> Iterator[None]:
    train = fit.train
    with monkeypatch.context() as patch:
        patch.setattr(fit, "train", lambda *given: train(*given[:-1], [*given[-1], Stop(step)]))
        with pytest.raises(RuntimeError, match="stopped"):
            yield


ENCODER = ["--method.encoder=ConvNeXt1d", "--method.encoder.width=4", "--method.encoder.depths=[1,1]"]


@pytest.mark.parametrize(
    "given",
    [
        ["--method=Autoencoder", "--trainer.accumulate=3"],
        ["--method.encoder.dropout=0.1", "--trainer.cached=3"],
    ],
)
def test_a_run_in_pieces_goes_on_as_if_never_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str]
) -> None:
    def run(name: str) -> None:
        plain = [a for a in arguments(tmp_path, name) if "encoder" not in a]
        method = [a for a in given if a.startswith("--method=")]
        rest = [a for a in given if not a.startswith("--method=")]
        pretrain.main([*plain, *method, *ENCODER, *rest, "--trainer.max_epochs=2"])

    run("whole")
    with stopping(monkeypatch, 4):
        run("stopped")
    run("stopped")
    assert_same(weights(tmp_path, "stopped"), weights(tmp_path, "whole"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "given"), [("Autoencoder", "--trainer.accumulate=3"), ("SimCLR", "--trainer.cached=3")]
)
def test_two_processes_share_the_gradients_of_all_pieces(tmp_path: Path, method: str, given: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    for name, more in (("whole", []), ("pieces", [given])):
        plain = [a for a in arguments(tmp_path, name) if "encoder" not in a]
        two = ["--trainer.devices=2", "--trainer.max_epochs=1"]
        command = [sys.executable, "-m", "ssl_ecg.pretrain", *plain, f"--method={method}", *ENCODER, *two, *more]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=900)
    whole, found = weights(tmp_path, "whole"), weights(tmp_path, "pieces")
    # A shift of embeddings is nothing to the BatchNorm of SimCLR's head: Adam makes steps of its rounding errors.
    learned = set(whole) - ({"norm.bias"} if method == "SimCLR" else set())
    assert all(torch.allclose(found[name], whole[name], atol=1e-5) for name in learned)
