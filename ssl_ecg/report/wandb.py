"""Weights & Biases, when asked for: one W&B run for one folder, however often its command is run again."""

from __future__ import annotations

import math
import os
import secrets
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ssl_ecg.errors import UserError
from ssl_ecg.report.results import WHOLE, Results, Row
from ssl_ecg.report.tables import plain

if TYPE_CHECKING:
    import wandb

Mode = Literal["off", "offline", "online"]

_MAIN = ("macro_auroc", "macro_f1", "macro_auprc", "auroc", "auprc", "ami")  # what a W&B run's summary has
_WHERE = ("data", "task", "system", "predictor", "fraction", "seed")


def check_wandb(mode: Mode) -> None:
    """Refuse, before long work, to log where wandb is not installed or has no account: UserError with the remedy."""
    if mode == "off":
        return
    try:
        import wandb
    except ImportError:
        raise UserError("wandb is not installed: pip install 'ssl-ecg[wandb]', or --wandb off") from None
    if mode == "online":
        try:
            wandb.login()
        except (wandb.Error, OSError) as error:
            raise UserError(f"Weights & Biases cannot start ({error}): use --wandb offline, or off") from None


def wandb_id(folder: Path) -> str:
    """The id of a folder's W&B run, kept in its `wandb_id`: the same for all processes that ask, whoever is first.

    Under an agent of W&B it is the one that the agent gives.
    """
    kept = folder / "wandb_id"
    if not kept.exists():
        made = folder / f".wandb_id.{secrets.token_hex(8)}"
        given = os.environ.get("WANDB_RUN_ID") if "WANDB_SWEEP_ID" in os.environ else None
        made.write_text(given or secrets.token_hex(4))
        with suppress(FileExistsError):  # another process was faster
            os.link(made, kept)
        made.unlink()
    return kept.read_text().strip()


def log_results(
    results: Results,
    figures: Mapping[str, Path],
    folder: Path,
    mode: Mode,
    curves: Iterable[Mapping[str, float]] = (),
) -> None:
    """Log results as one W&B run: all rows as a table, main scores in the summary, figures (files by name) as images.

    `about["config"]` becomes the run's configuration. The folder of the results keeps the W&B id, and W&B's own files
    in `wandb/`. Mode "offline" writes to disk only, for `wandb sync`, and so does "online" without a connection; "off"
    does nothing. `curves` are points to draw as curves too, each against its first name. UserError if wandb is not
    installed or cannot write.
    """
    if mode == "off":
        return
    check_wandb("offline")
    import wandb

    def start(mode: Literal["offline", "online"]) -> wandb.Run:
        return wandb.init(
            project="ssl_ecg",
            name=f"{folder.resolve().parent.name}/{folder.name}",
            job_type=results.question,
            dir=folder,
            id=wandb_id(folder),
            resume="allow",
            mode=mode,
            config=plain(results.about.get("config") or {}),
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )

    try:
        run = start(mode)
    except (wandb.Error, OSError) as error:
        if mode == "offline":
            raise UserError(f"Weights & Biases cannot write to {folder} ({error}): use --wandb off") from None
        print(f"Weights & Biases cannot be reached ({error}): logged offline, for `wandb sync`", file=sys.stderr)
        run = start("offline")
    for point in curves:
        axis, *lines = point
        for name in lines:
            run.define_metric(name, step_metric=axis)
        run.log(dict(point))
    columns: list[str | int] = [f.name for f in fields(Row)]
    table = wandb.Table(columns=columns, data=[[*plain(asdict(row)).values()] for row in results.rows])
    run.log({results.question: table, **{Path(name).stem: wandb.Image(str(path)) for name, path in figures.items()}})
    run.summary.update(main_scores(results))
    run.finish()


def main_scores(results: Results) -> dict[str, float]:
    """Main scores of all samples and draws, such as "macro_auroc/pretrained": named by what differs between them."""
    rows = [row for row in results.select(**WHOLE) if row.score in _MAIN and not math.isnan(row.value)]
    varying = [name for name in _WHERE if len({getattr(row, name) for row in rows}) > 1]
    return {"/".join([row.score, *(f"{getattr(row, name)}" for name in varying)]): row.value for row in rows}
