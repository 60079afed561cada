"""An encoder is compiled for training alone, and learns the same."""

from __future__ import annotations

import copy
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import arguments
from torch import Tensor, nn

from ssl_ecg import load_encoder, pretrain
from ssl_ecg.encoders import Encoder, ResNet1d
from ssl_ecg.training.fit import compiled


class Whole(Encoder):
    """Writes `forward` alone."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.dim = in_channels
        self.layer = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.mean(-1, keepdim=True)).flatten(1)


@pytest.mark.parametrize("make", [lambda: ResNet1d(2, width=4, stages=2), lambda: Whole(2)])
def test_layers_run_compiled_within_the_block_alone(
    make: Callable[[], Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def compile_(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given: (calls.append(function), function(*given))[1]

    monkeypatch.setattr(torch, "compile", compile_)
    encoder, x = make().eval(), torch.randn(3, 2, 200)
    names, plain = list(encoder.state_dict()), encoder(x)
    with compiled(encoder):
        assert torch.equal(encoder(x), plain) and len(calls) == 1
        assert list(encoder.state_dict()) == names
    assert torch.equal(copy.deepcopy(encoder)(x), plain) and len(calls) == 1


@pytest.mark.slow
def test_a_compiled_run_learns_as_one_that_is_not(tmp_path: Path) -> None:
    losses = []
    for name, more in (("plain", ()), ("compiled", ("--trainer.compile",))):
        pretrain.main(arguments(tmp_path, name, "--trainer.max_epochs=1", *more))
        with (tmp_path / "runs" / name / "metrics.csv").open(newline="") as file:
            losses.append(float(next(csv.DictReader(file))["loss"]))
        assert load_encoder(tmp_path / "runs" / name)
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)
