"""A user's own classes, by dotted path through the real command line: encoder, augmentation and data set."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import TINY

from ssl_ecg import load_encoder, pretrain
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import CheckpointError, UserError

DOCS = Path(__file__).parents[1] / "docs"

MINE = '''
"""What a user writes."""
import numpy as np, torch
from augmentations import Augmentation
from ssl_ecg.data.sources import Source
from ssl_ecg.data.source import Recording
from ssl_ecg.encoders import Encoder


class Polarity(Augmentation):
    """Turns a record upside down."""

    def apply(self, x, fs, generator):
        return -x


class Tiny(Encoder):
    """Mean, maximum and spread of each lead.

    Args:
        in_channels: number of leads.
        features: how many.
    """

    def __init__(self, in_channels: int = 1, features: int = 8) -> None:
        super().__init__()
        self.in_channels, self.dim = in_channels, features
        self.layer = torch.nn.Linear(3 * in_channels, features)

    def forward(self, x):
        return self.layer(torch.cat([x.mean(-1), x.amax(-1), x.std(-1)], 1))


class Noise(Source):
    """Noise.

    Args:
        patients: how many.
    """

    classes = ("A", "B")
    task = "record"

    def __init__(self, patients: int = 12) -> None:
        self.patients = patients

    def ensure(self, limit=None): pass
    def fingerprint(self): return {"patients": self.patients}

    @property
    def records(self): return [f"r{i}" for i in range(self.patients)]

    def read(self, i):
        x = np.random.default_rng(i).normal(size=(1, 1000)).astype(np.float32)
        return Recording(f"r{i}", f"p{i}", x, 250.0, ("MLII",), labels=("AB"[i % 2],))
'''


def test_they_are_used_by_their_dotted_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine_for_test.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("method.views.augmentations: [{class_path: mine_for_test.Polarity, init_args: {p: 0.5}}]\n")
    pretrain.main(
        [
            f"--config={recipe}",
            "--data=mine_for_test.Noise",
            "--method.encoder=mine_for_test.Tiny",
            "--preprocessing.leads=II",
            "--preprocessing.window=4",
            "--batch_size=4",
            "--trainer.max_epochs=1",
            f"--out={tmp_path}/runs",
            f"--cache={tmp_path}/cache",
        ]
    )
    assert "Tiny with 32 parameters" in capsys.readouterr().err
    with pytest.raises(CheckpointError, match=r"trust=\['mine_for_test.Tiny'\]"):
        load_encoder(tmp_path / "runs" / "simclr-noise")
    encoder = load_encoder(tmp_path / "runs" / "simclr-noise", trust=True)
    assert type(encoder.encoder).__module__ == "mine_for_test"
    assert encoder(np.random.default_rng(0).normal(size=(1, 2000)), fs=500, leads=["ii"]).shape == (8,)
    sys.modules.pop("mine_for_test")


def test_the_augmentation_of_the_docs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (DOCS / "augmentations.md").read_text()
    code = page.split("```python\n# my_augmentations.py\n")[1].split("```")[0]
    options = page.split("pretrain --method.views.augmentations my_augmentations")[1].split("\n")[0].split()
    (tmp_path / "my_augmentations.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ["--data.patients=40", "--trainer.max_epochs=1", "--batch_size=32", f"--cache={tmp_path}/cache"]
    pretrain.main(
        ["--method.views.augmentations", f"my_augmentations{options[0]}", *options[1:], *arguments, f"--out={tmp_path}"]
    )
    capsys.readouterr()
    config = (tmp_path / "simclr-simulated" / "config.yaml").read_text()
    assert "class_path: my_augmentations.Saturate" in config
    saturate = sys.modules.pop("my_augmentations").Saturate(rail=(1.0, 1.0), p=1.0)
    x = torch.randn(2, 3, 500) * torch.tensor([1.0, 100.0])[:, None, None]
    y = saturate(x, 500)
    assert (y.abs().amax((1, 2)) < 1.2 * torch.tensor([1.0, 100.0])).all()
    assert torch.equal(y.sign(), x.sign())


def test_the_method_of_the_docs_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (DOCS / "tutorials" / "extend.md").read_text()
    code = page.split("```python\n# my_methods.py\n")[1].split("```")[0]
    assert len(code.splitlines()) < 40
    options = page.split("python -m ssl_ecg.pretrain --method my_methods.Masked")[1].split("\n")[0].split()
    (tmp_path / "my_methods.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    tiny = [*TINY, "--method.encoder.width=8", "--method.optimiser.lr=0.01", f"--cache={tmp_path}/cache"]
    pretrain.main(["--method=my_methods.Masked", *options, *tiny, f"--out={tmp_path}", "--name=masked"])
    capsys.readouterr()
    with (tmp_path / "masked" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["loss"]) < 0.9 * float(rows[0]["loss"])
    assert float(rows[-1]["effective_rank"]) > 1 and "alignment" not in rows[-1]
    assert load_encoder(tmp_path / "masked").encoder.arguments["width"] == 8  # no trust: the encoder is ours
    method = sys.modules.pop("my_methods").Masked
    with pytest.raises(UserError, match="Masked works on tokens, and Alone gives none"):
        method(Alone()).check(1, 100, 100)


class Alone(Encoder):
    """Writes `forward` alone."""

    def __init__(self) -> None:
        super().__init__()
        self.dim = 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((1, 2))[:, None]
