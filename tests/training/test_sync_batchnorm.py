"""BatchNorm over processes: outputs, gradients and running statistics of two are those of one with the whole batch."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from ssl_ecg.encoders import ResNet1d
from ssl_ecg.training.sync_batchnorm import SyncBatchNorm, synchronise


def net() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten(), nn.Linear(40, 3))
    return nn.Sequential(layers, nn.BatchNorm1d(3, affine=False, momentum=None)).double()


def data() -> Tensor:
    return 100 + torch.randn(6, 2, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def results(module: nn.Module, y: Tensor) -> dict[str, Tensor]:
    gradients = {f"gradient of {n}": p.grad for n, p in module.named_parameters() if p.grad is not None}
    return {"output": y.detach(), **gradients, **dict(module.named_buffers())}


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    module = net()
    synchronise(module)
    y = module(data()[: 2 if rank == 0 else 6][-4 if rank else 0 :])  # two windows here, four there
    y.pow(3).sum().backward()
    for p in module.parameters():
        dist.all_reduce(p.grad)
    torch.save(results(module, y), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_are_as_one(tmp_path: Path) -> None:
    mp.start_processes(worker, args=(str(tmp_path),), nprocs=2, start_method="fork")
    module = net()
    y = module(data())
    y.pow(3).sum().backward()
    alone = results(module, y)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first.keys() == alone.keys()
    first["output"] = second["output"] = torch.cat([first["output"], second["output"]])
    for name, value in alone.items():
        for found in (first[name], second[name]):
            torch.testing.assert_close(found, value, atol=1e-9, rtol=1e-9, msg=lambda m, name=name: f"{name}: {m}")


def test_weights_keep_their_names_and_one_process_its_numbers() -> None:
    encoder = ResNet1d(1, width=4).eval()
    synchronised = copy.deepcopy(encoder)
    synchronise(synchronised)
    assert any(isinstance(layer, SyncBatchNorm) for layer in synchronised.modules())
    assert not any(type(layer) is nn.BatchNorm1d for layer in synchronised.modules())
    assert synchronised.state_dict().keys() == encoder.state_dict().keys()
    x = torch.randn(3, 1, 200)
    assert torch.equal(synchronised(x), encoder(x))
    assert torch.equal(synchronised.train()(x), encoder.train()(x))
