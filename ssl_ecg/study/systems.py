"""The systems that are compared: the pretrained encoder, and baselines without pretraining."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.checkpoint.long import embed_at, stages
from ssl_ecg.data.progress import track
from ssl_ecg.data.store import Store
from ssl_ecg.data.windows import BeatCentred, WindowSet, labelled
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.estimators.attentive import Tokens
from ssl_ecg.estimators.pca import PrincipalComponents, fit_pca
from ssl_ecg.study.hand import beat_features, record_features
from ssl_ecg.study.minirocket import MiniRocket, fit_minirocket, require_minirocket
from ssl_ecg.study.recordings import longer, over_recordings, whole
from ssl_ecg.study.rhythm import rhythm_of
from ssl_ecg.study.study import Study
from ssl_ecg.training.embedding import embed

Features = NDArray[np.float32]

PRETRAINED, UNTRAINED = "pretrained", "untrained"

BASELINES = ("untrained", "raw PCA", "RR alone", "hand features", "MiniRocket")
"""What `beside` can name."""

BATCH = 1024
_FIT_ON = 20_000  # windows, evenly spaced: more do not move 64 principal components
_COMPONENTS = 512  # of MiniRocket's 10,000 features, where they would take gigabytes


def watched(batches: Iterable[Tensor], windows: WindowSet, what: str) -> Iterable[Tensor]:
    """Give on the batches of windows, with a bar of progress."""
    return track(batches, -(-len(windows) // BATCH), what)


@dataclass(frozen=True)
class Context:
    """How an encoder embeds windows, by the settings of this name that every evaluation has (`Shared`).

    Centring subtracts the median embedding of all windows of the recording, with a class or without: non-causal, since
    it reads the recording's future.
    """

    windows: Literal["cut", "context"] = "cut"
    centre: Literal["none", "record"] = "none"
    span: float = 1.0

    def check(self, task: str) -> None:
        """Refuse what a task cannot be embedded by: UserError, naming the setting."""
        if self.windows == "context" and task != "beat":
            raise UserError(f"windows=context embeds beats in their recording, and these classes are those of a {task}")
        if self.centre == "record" and task == "record":
            raise UserError("centre=record needs several windows of a recording, and each has one label here")
        if not 0 <= self.span < np.inf:
            raise UserError(f"span must be a number of seconds, not {self.span}")

    @property
    def note(self) -> str:
        """What a reader of the results must know."""
        said = f"beats embedded in their recording (tokens within {self.span:g} s)" if self.windows == "context" else ""
        centred = "embeddings less the median of their recording: non-causal" if self.centre == "record" else ""
        return "; ".join(part for part in (said, centred) if part)

    def embed(self, encoder: Encoder, windows: WindowSet, what: str) -> NDArray[np.float32]:
        """Embed windows, shape (n, D), with an encoder in evaluation mode."""
        z = self._embedded(encoder, windows, what)
        if self.centre == "record":
            store, samples = windows.store, windows.preprocessing.samples
            kind = BeatCentred(unclassified=True) if store.task == "beat" else labelled(store)
            everything = WindowSet(store, windows.preprocessing, kind.index(store, samples))
            record = windows.index.record.numpy()
            everything = everything.where(np.isin(everything.index.record.numpy(), record))
            others, theirs = self._embedded(encoder, everything, f"{what}, medians"), everything.index.record.numpy()
            for row in np.unique(record):
                z[record == row] -= np.median(others[theirs == row], axis=0)
        return z

    def _embedded(self, encoder: Encoder, windows: WindowSet, what: str) -> NDArray[np.float32]:
        if self.windows == "cut":
            return embed(encoder, watched(windows.batches(BATCH), windows, f"embedding, {what}")).numpy()
        p, record = windows.preprocessing, windows.index.record
        z = torch.empty(len(windows), encoder.dim)
        rows = record.unique()
        for row in track(rows.tolist(), len(rows), f"embedding in context, {what}"):
            mine = record == row
            x = p.normalise_record(torch.from_numpy(windows.store.signal(row)))
            z[mine] = embed_at(encoder, x, windows.index.start[mine] + p.samples // 2, self.span * p.fs)
        return z.numpy()


class System(ABC):
    """Something that turns windows into features; what it fits, it fits on the train windows, without labels.

    Its `name` stands in every table. Unless it is `fitted`, features of a window are the same whoever is trained on.
    """

    name: str
    fitted: bool = False

    @abstractmethod
    def features(self, windows: WindowSet) -> Features:
        """Features of windows, shape (n, D)."""


class Frozen(System):
    """An encoder, (B, C, T) to (B, D), that is not trained further, on a device, or where it is."""

    def __init__(
        self, name: str, encoder: Encoder, device: torch.device | None = None, context: Context | None = None
    ) -> None:
        self.name, self.encoder, self._device, self.context = name, encoder, device, context or Context()

    def features(self, windows: WindowSet) -> Features:
        """Embeddings, shape (n, D), float32."""
        encoder = self.encoder.to(self._device)
        return over_recordings(windows, lambda some: self.context.embed(encoder, some, self.name))


class FrozenTokens(System):
    """The tokens of a frozen encoder, for an attentive probe; all those of a recording longer than a window."""

    def __init__(self, name: str, encoder: Encoder, device: torch.device | None = None) -> None:
        self.name, self.encoder, self._device = f"{name}, attentive", encoder, device

    @torch.inference_mode()
    def features(self, windows: WindowSet) -> Tokens:  # type: ignore[override]  # not as many of every window
        """Tokens of windows; UserError if the encoder has none."""
        found = [
            each.transpose(1, 2).half().cpu() for each in self._maps(windows, self.encoder.to(self._device).eval())
        ]
        count = torch.cat([torch.full((len(each),), each.shape[1]) for each in found])
        return Tokens(torch.cat([each.flatten(0, 1) for each in found]), count)

    def _maps(self, windows: WindowSet, encoder: Encoder) -> Iterator[Tensor]:
        """Tokens (B, F, T'), of recordings longer than a window one by one."""
        if not longer(windows):
            for x in watched(windows.batches(BATCH), windows, self.name):
                yield encoder.tokens(x.to(self._device))
            return
        records = windows.index.record.tolist()
        for record in track(records, len(records), self.name):
            x = windows.preprocessing.normalise_record(torch.from_numpy(windows.store.signal(record)))
            yield stages(encoder, x)[-1][None]


class RawPCA(System):
    """Principal components of the windows themselves, fitted on train windows."""

    name = "raw PCA"
    fitted = True

    def __init__(self, train: WindowSet, components: int = 64) -> None:
        self._train, self._components = train, components

    @cached_property
    def _fitted(self) -> PrincipalComponents:
        return fit_pca(_some(self._train), self._components)

    def features(self, windows: WindowSet) -> Features:
        """Projections, shape (n, components)."""
        return over_recordings(
            windows, lambda some: np.concatenate([self._fitted(x.numpy()) for x in some.batches(BATCH)])
        )


class Rhythm(System):
    """RR features of each beat, and nothing of its shape; with `future` the next RR too, and the name says so."""

    name = "RR alone"

    def __init__(self, store: Store, *, future: bool = False) -> None:
        self._rhythm = rhythm_of(store, future=future)
        self.name = "RR alone, next RR too" if future else self.name
        self.joined = " + RR, next RR too" if future else " + RR"
        """Ends the name of a system that has these features beside its own."""

    def features(self, windows: WindowSet) -> Features:
        """Those of the beat at each window's centre, shape (n, 4 or 5)."""
        mine: Features = self._rhythm[windows.index.beat.numpy()]
        return mine


def has_rr(name: str) -> bool:
    """Whether a system's features have the RR features among them."""
    return " RR" in f" {name}"


class HandFeatures(System):
    """Features of `study.hand`, of beats or of whole recordings, from windows in mV where the recordings have it."""

    name = "hand features"

    def __init__(self, beats: bool) -> None:
        self._of = beat_features if beats else record_features

    def features(self, windows: WindowSet) -> Features:
        """Measurements, shape (n, D); where recordings have the classes, of each as a whole."""
        found: Features | None = None
        for rows, x in track(whole(windows, BATCH), -(-len(windows) // BATCH), self.name):
            some = self._of(x.numpy(), windows.preprocessing.fs)
            found = np.empty((len(windows), some.shape[1]), np.float32) if found is None else found
            found[rows.numpy()] = some
        assert found is not None
        return found


class MiniRocketFeatures(System):
    """Features of `study.minirocket`; of more than 20,000 train windows, such as beats, 512 principal components."""

    name = "MiniRocket"
    fitted = True

    def __init__(self, train: WindowSet, seed: int = 0) -> None:
        self._train, self._seed = train, seed

    @cached_property
    def _fitted(self) -> MiniRocket:
        reduced = _COMPONENTS if len(self._train) > _FIT_ON else None
        return fit_minirocket(_some(self._train), seed=self._seed, components=reduced)

    def features(self, windows: WindowSet) -> Features:
        """Shares of positive values, shape (n, 9,996 or 512)."""

        def shares(some: WindowSet) -> Features:
            batches = watched(some.batches(BATCH), some, self.name)
            return np.concatenate([self._fitted.transform(x.numpy()) for x in batches])

        return over_recordings(windows, shares)


def systems(
    study: Study,
    *,
    components: int = 64,
    seed: int = 0,
    beside: Sequence[str] | None = None,
    device: torch.device | None = None,
    future: bool = False,
    context: Context | None = None,
) -> list[System]:
    """List the systems to compare on a study, the pretrained encoder first.

    `beside` names baselines; by default all that are possible: MiniRocket with aeon installed, RR where beats have
    classes. Encoders compute on the `device`, or where the pretrained one is; the other settings are those of `Shared`.
    UserError for an unknown baseline, or one that is not possible.
    """
    check_names(beside)
    beats = study.data.task == "beat"
    if beside and Rhythm.name in beside and not beats:
        raise UserError(f"no baseline {Rhythm.name} here: {study.name} has no classes of beats")
    possible = {Rhythm.name: beats, MiniRocketFeatures.name: find_spec("aeon") is not None}
    make: dict[str, Callable[[], System]] = {
        UNTRAINED: lambda: Frozen(UNTRAINED, untrained(study.encoder.encoder, seed), device, context),
        RawPCA.name: lambda: RawPCA(study.train, components),
        Rhythm.name: lambda: Rhythm(study.store, future=future),
        HandFeatures.name: lambda: HandFeatures(beats),
        MiniRocketFeatures.name: lambda: MiniRocketFeatures(study.train, seed),
    }
    wanted = [name for name in BASELINES if (possible.get(name, True) if beside is None else name in beside)]
    return [Frozen(PRETRAINED, study.encoder.encoder, device, context), *(make[name]() for name in wanted)]


def check_names(beside: Sequence[str] | None) -> None:
    """Refuse, by a UserError, unknown baselines, and MiniRocket where aeon is not installed."""
    if unknown := [name for name in beside or () if name not in BASELINES]:
        raise UserError(f"unknown baseline {', '.join(unknown)}: there is {', '.join(BASELINES)}")
    if beside and MiniRocketFeatures.name in beside:
        require_minirocket()


def untrained(encoder: Encoder, seed: int) -> Encoder:
    """Make the same architecture with fresh weights, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = type(encoder)(**encoder.arguments)
    return fresh.eval()


def _some(train: WindowSet) -> NDArray[Any]:
    rows = torch.linspace(0, len(train) - 1, min(len(train), _FIT_ON)).round().long()
    x: NDArray[Any] = train.load(rows).numpy()
    return x
