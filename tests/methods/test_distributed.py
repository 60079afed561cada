"""Two processes with half a batch each learn as one with the whole: shown by gradients, not by losses."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from augmentations import GaussianNoise, Views
from ssl_ecg.encoders import ResNet1d
from ssl_ecg.methods import SimCLR


class Loss(torch.nn.Module):
    """DDP hooks into `forward`, so the loss has to be computed there."""

    def __init__(self, method: SimCLR) -> None:
        super().__init__()
        self.method = method

    def forward(self, a: torch.Tensor, b: torch.Tensor, patient: torch.Tensor) -> torch.Tensor:
        return self.method.compare([a, b], patient)


def make() -> SimCLR:
    torch.manual_seed(0)
    method = SimCLR(ResNet1d(1, width=4, stages=2), Views([GaussianNoise(p=1.0)]))
    return method.eval()  # batch statistics aside, which SyncBatchNorm shares in training


def data() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    x = torch.randn(8, 1, 100, generator=g)
    return x, x + 0.3 * torch.randn(8, 1, 100, generator=g), torch.arange(8)


def worker(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    torch.set_num_threads(1)
    method = make()
    part = slice(rank * 4, rank * 4 + 4)
    parallel = DistributedDataParallel(Loss(method))  # named: freed before backward, it would average nothing
    parallel(*(v[part] for v in data())).backward()
    if rank == 0:
        torch.save({n: p.grad for n, p in method.named_parameters()}, f"{folder}/gradients.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_negatives_are_gathered_with_their_gradients(tmp_path: Path) -> None:
    mp.spawn(worker, args=(str(tmp_path),), nprocs=2)
    together = torch.load(tmp_path / "gradients.pt", weights_only=True)
    method = make()
    apart = copy.deepcopy(method)
    x = data()
    method.compare([x[0], x[1]], x[2]).backward()
    alone = torch.stack([apart.compare([v[s] for v in x[:2]], x[2][s]) for s in (slice(0, 4), slice(4, 8))]).mean()
    alone.backward()
    differs = False
    for name, p in method.named_parameters():
        assert p.grad is not None
        torch.testing.assert_close(together[name], p.grad, atol=1e-5, rtol=1e-4)
        q = dict(apart.named_parameters())[name].grad
        differs |= q is not None and not torch.allclose(q, p.grad, atol=1e-5, rtol=1e-3)
    assert differs  # else the test could not tell gathering from not gathering
