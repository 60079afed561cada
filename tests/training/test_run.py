"""A run's folder: which settings must agree with an earlier start, what blocks a name, and the W&B id of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ssl_ecg import cli
from ssl_ecg.cli import Parsed
from ssl_ecg.errors import UserError
from ssl_ecg.pretrain import DEFAULTS, Pretrain
from ssl_ecg.report.wandb import wandb_id
from ssl_ecg.training.run import Run
from ssl_ecg.training.wandb import wandb_logger


def parsed(*argv: str) -> Parsed:
    return cli.parse(Pretrain, argv, defaults=DEFAULTS, filled={"method.encoder.in_channels": 1})


def settings(*argv: str) -> dict[str, Any]:
    """What a command gives to its run."""
    built = parsed(*argv).instantiate()
    return {"config": built["config"], "defaults": built["defaults"]}


def trained(folder: Path, config: dict[str, Any]) -> None:
    """As a finished run of an older version left it."""
    (folder / "checkpoint").mkdir(parents=True)
    (folder / "checkpoint" / "config.json").write_text("{}")
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A run of before there were `trainer.gradient_clip`, `probe_every`, `positives` and the optimiser's `warmup`."""
    config = parsed().config
    for place, name in (
        (config["trainer"], "gradient_clip"),
        (config, "probe_every"),
        (config, "positives"),
        (config["method"]["init_args"], "temperature"),
    ):
        del place[name]
    trained(tmp_path / "old", config)
    return tmp_path / "old"


def test_a_setting_that_an_older_run_does_not_know_counts_as_its_default(old: Path) -> None:
    assert Run(old, **settings()).finished
    assert Run(old, **settings("--trainer.gradient_clip=0", "--method.temperature=0.1")).finished
    for given, says in (
        ("--trainer.gradient_clip=1", "trainer.gradient_clip: was 0.0, now 1.0"),
        ("--method.temperature=0.2", "method.temperature: was 0.1, now 0.2"),
        ("--positives=SamePatient", "positives.class_path: was None, now SamePatient"),
        ("--seed=1", "seed: was 0, now 1"),
    ):
        with pytest.raises(UserError, match="was started with other settings") as caught:
            Run(old, **settings(given))
        assert says in str(caught.value)


def test_a_class_that_moved_to_another_module_is_the_same(tmp_path: Path) -> None:
    config = parsed().config
    text = yaml.safe_dump(config).replace(config["method"]["class_path"], "ssl_ecg.elsewhere.SimCLR")
    assert "ssl_ecg.elsewhere.SimCLR" in text
    trained(tmp_path / "run", yaml.safe_load(text))
    assert Run(tmp_path / "run", config).finished


def test_results_of_an_evaluation_do_not_block_the_name(tmp_path: Path) -> None:
    (tmp_path / "typo" / "probe-simulated").mkdir(parents=True)
    Run(tmp_path / "typo", {"seed": 0})
    (tmp_path / "again" / "probe-simulated").mkdir(parents=True)
    (tmp_path / "again" / "probe-simulated" / "results.json").write_text("{}")
    Run(tmp_path / "again", {"seed": 0})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="not empty and no run of ssl_ecg"):
        Run(tmp_path / "mine", {"seed": 0})


def test_only_the_first_process_decides_the_id_of_the_wandb_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pytorch_lightning.utilities import rank_zero_only

    with monkeypatch.context() as patch:
        patch.setattr(rank_zero_only, "rank", 1)
        with wandb_logger(tmp_path, "offline", {}):
            pass
        assert not (tmp_path / "wandb_id").exists()
    first = wandb_id(tmp_path)
    assert len(first) == 8
    assert wandb_id(tmp_path) == first  # of a run that is gone on with
