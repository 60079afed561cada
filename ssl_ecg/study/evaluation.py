"""The settings that all questions about frozen encoders share, and what every question does first and last."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch

from ssl_ecg.checkpoint import find_checkpoint
from ssl_ecg.checkpoint.references import results_folder
from ssl_ecg.data.sources import Source
from ssl_ecg.errors import CheckpointError, UserError
from ssl_ecg.estimators.pca import check_components
from ssl_ecg.files import ensure_writable
from ssl_ecg.fingerprint import fingerprint
from ssl_ecg.metrics.bootstrap import check_resamples
from ssl_ecg.report.results import Results, Row
from ssl_ecg.report.wandb import Mode, check_wandb, log_results
from ssl_ecg.study.context import Context, Windows
from ssl_ecg.study.study import Study, open_study
from ssl_ecg.study.systems import System, check_names, systems
from ssl_ecg.training.embedding import pick_device

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What moves no number: two results that differ in these alone are the same result.
_FREE = ("checkpoint", "data", "device", "cache", "trust", "launcher", "out", "save_head", "wandb", "config")
_WHERE = ("root", "download", "path")  # settings of a source that say where it lies, not what it is


@dataclass(kw_only=True)
class Question:
    """Settings of every question about frozen encoders, whatever it asks.

    Args:
        resamples: bootstrap resamples of the test patients for the 95 % intervals.
        seed: of the untrained encoder's weights and of the bootstrap.
        device: where to compute, such as cpu or cuda; auto takes a GPU if there is one.
        trust: whether the checkpoint may import an encoder of your own, from outside ssl_ecg.
        out: folder of the results; beside the checkpoint by default, named by question, data and settings.
        wandb: log rows and figures to Weights & Biases too; "offline" needs no account and can be synced later.
        config: all settings as plain values, kept with the results; the command line gives it.
    """

    question: ClassVar[str]

    resamples: int = 1000
    seed: int = 0
    device: str = "auto"
    trust: bool = False
    out: str | None = None
    wandb: Mode = "off"
    config: dict[str, Any] | None = None

    def check(self) -> None:
        """Refuse, before any work, what cannot be used: UserError, naming the setting and what it may be."""
        check_resamples(self.resamples)
        pick_device(self.device)
        if self.wandb != "off":
            check_wandb(self.wandb)

    @property
    def at(self) -> torch.device:
        """Where to compute."""
        return pick_device(self.device)

    @property
    def identity(self) -> dict[str, Any]:
        """What tells these results from those of another question or setting; kept with them."""
        mine = [f for f in fields(self) if f.name not in _FREE]
        usual = {f.name: f.default if f.default_factory is MISSING else f.default_factory() for f in mine}
        changed = {name: value for name in usual if (value := getattr(self, name)) != usual[name]}
        return {"question": self.question, **changed}

    def publish(
        self,
        folder: Path,
        rows: Sequence[Row],
        figures: Mapping[str, Figure],
        about: Mapping[str, Any],
        *,
        name: str = "results",
        curves: Iterable[Mapping[str, float]] = (),
    ) -> Results:
        """Write rows, figures and what else is to be known to a folder, and to Weights & Biases if that is wanted.

        `identity` and `config` are added to `about`; for the rest, and the UserErrors, see `Results.write` and
        `log_results`.
        """
        results = Results(self.question, list(rows), {"identity": self.identity, "config": self.config, **about})
        files = results.write(folder, figures, name)
        if self.wandb != "off":
            log_results(results, files, folder, self.wandb, curves)
        return results


@dataclass(kw_only=True)
class Shared(Question):
    """Settings of every question about the embeddings of frozen encoders.

    Args:
        beside: what to compare with, of untrained, raw PCA, RR alone, hand features and MiniRocket; all by default.
        components: of the PCA of the raw signal.
        windows: "cut" encodes each window by itself, and averages those of a recording that has the class; the others
            encode each recording once: "whole" pools all of it, "context" reads beats from the tokens around them,
            "stretches" from all maps, from the beat before to what follows, in five stretches.
        centre: "record" subtracts the recording's own median embedding; non-causal: it reads the recording's future.
        span: how much of the recording the tokens of a beat in context stand for, s.
        future: RR features with the interval after the beat too, known one beat later; causal ones by default.
        lead: what an encoder of one lead reads where the data set lacks its own: II, say, of twelve leads, by one that
            was pretrained on a wearable's ECG; and what one of any lead reads alone, which reads all otherwise. Such
            results are named so.
        cache: folder of prepared data; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.
    """

    beside: tuple[str, ...] | None = None
    components: int = 64
    windows: Windows = "cut"
    centre: Literal["none", "record"] = "none"
    span: float = 1.0
    future: bool = False
    lead: str | None = None
    cache: str | None = None

    def check(self) -> None:
        """Refuse, before any work, what cannot be used: UserError, naming the setting and what it may be."""
        check_names(self.beside)
        check_components(self.components)
        super().check()

    def systems(self, study: Study) -> list[System]:
        """The pretrained encoder and what it is compared with."""
        self.context.check(study.data.task)
        given: dict[str, Any] = {"components": self.components, "seed": self.seed, "context": self.context}
        return systems(study, beside=self.beside, device=self.at, future=self.future, **given)

    @property
    def context(self) -> Context:
        """How encoders embed windows."""
        return Context(self.windows, self.centre, self.span)

    def noted(self, study: Study) -> Study:
        """The same study, which says too how windows are embedded."""
        return replace(study, note="; ".join(note for note in (study.note, self.context.note) if note))


@dataclass
class Evaluation(Shared):
    """A question about one checkpoint on one labelled data set.

    Args:
        checkpoint: a run's folder, or another reference to a checkpoint.
        data: the labelled data set.
    """

    checkpoint: str
    data: Source

    @cached_property
    def place(self) -> Path:
        """The folder of the checkpoint, found once: a reference may stand for another one a moment later."""
        return find_checkpoint(self.checkpoint)

    @property
    def identity(self) -> dict[str, Any]:
        """What tells these results from those of another question, task, checkpoint or setting; kept with them."""
        question, *changed = super().identity.items()
        return dict([question, ("data", task_of(self.data)), ("weights", self._weights()), *changed])

    @property
    def where(self) -> dict[str, str]:
        """Data set and task, as columns of the rows of results."""
        return {"data": type(self.data).__name__, "task": str(task_of(self.data).get("labels") or "")}

    def open(self, name: str = "results") -> tuple[Path, Study]:
        """Check all settings, find the checkpoint, make the folder of the results, and open encoder and data.

        `name` is that of the file that will be written there. UserError for settings, a checkpoint, data or a folder
        that cannot be used.
        """
        self.check()
        self.context.check(self.data.task)
        self.place  # noqa: B018  (refused here, where it cannot be found)
        folder = result_folder(self.checkpoint, self.out, self.identity, name)
        return folder, self.noted(self.open_study())

    def open_study(self) -> Study:
        """Encoder and data, parted into train and test; a question that parts them differently overrides this."""
        return open_study(self.place, self.data, self.cache, self.trust, self.lead)

    def _weights(self) -> str:
        """Twelve digits of the SHA-256 of the checkpoint's weights; empty without such a file."""
        try:
            with open(self.place / "model.safetensors", "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()[:12]
        except (CheckpointError, OSError):
            return ""


def task_of(data: Source) -> dict[str, Any]:
    """Describe a data set: its name and the settings that are not its defaults, except for its place."""
    found: dict[str, Any] = {"name": type(data).__name__}
    for name, parameter in inspect.signature(type(data)).parameters.items():
        value = getattr(data, name, parameter.default)
        if name not in _WHERE and (name == "labels" or value != parameter.default):
            found[name] = value if isinstance(value, str | int | float | bool | None) else str(value)
    return found


def result_folder(checkpoint: str | Path, out: str | None, identity: dict[str, Any], name: str = "results") -> Path:
    """Make the folder of a question's results: one for each task and settings; where, see `results_folder`, or `out`.

    `identity` has question, data and changed settings; `name` is that of the file that will be written there. UserError
    if it cannot be written, or `out` holds results of something else.
    """
    identity = json.loads(json.dumps(identity, default=str))
    if out is None:
        data = identity.get("data", {})
        settings = {k: v for k, v in identity.items() if k not in ("question", "data", "weights")}
        settings |= {f"data.{k}": v for k, v in data.items() if k not in ("name", "labels")}
        parts = [identity["question"], data.get("name", "").lower(), str(data.get("labels") or "")]
        parts.append(fingerprint(settings)[:6] if settings else "")
        folder = results_folder(checkpoint) / "-".join(part for part in parts if part)
    else:
        folder = Path(out).expanduser()
        _check_same(folder / f"{name}.json", identity)
    ensure_writable(folder)
    return folder


def _check_same(file: Path, identity: dict[str, Any]) -> None:
    """Refuse to replace results of something else."""
    if not file.exists():
        return
    try:
        there = json.loads(file.read_text()).get("identity")
    except (OSError, ValueError, AttributeError):
        there = None
    if there is None:
        raise UserError(f"{file} is no file of results that could be replaced: give another --out, or remove it")
    if differing := [k for k in {**there, **identity} if there.get(k) != identity.get(k)]:
        said = "; ".join(f"{k}: there {there.get(k)}, now {identity.get(k)}" for k in differing)
        raise UserError(f"{file} holds other results ({said}): give another --out, or remove them")
