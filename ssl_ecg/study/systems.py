"""The systems that are compared: the pretrained encoder, and baselines without pretraining."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_ecg.checkpoint.long import stages
from ssl_ecg.data.progress import track
from ssl_ecg.data.store import Store
from ssl_ecg.data.windows import WindowSet
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import UserError
from ssl_ecg.estimators.attentive import Tokens
from ssl_ecg.estimators.pca import PrincipalComponents, fit_pca
from ssl_ecg.study.context import BATCH, FIT_ON, Context, evenly, watched
from ssl_ecg.study.hand import beat_features, record_features
from ssl_ecg.study.minirocket import MiniRocket, fit_minirocket, require_minirocket
from ssl_ecg.study.recordings import longer, over_recordings, whole
from ssl_ecg.study.rhythm import rhythm_of
from ssl_ecg.study.study import Study

Features = NDArray[np.float32]

PRETRAINED, UNTRAINED = "pretrained", "untrained"

BASELINES = ("untrained", "raw PCA", "RR alone", "hand features", "MiniRocket")
"""What `beside` can name."""

_COMPONENTS = 512  # of MiniRocket's 10,000 features, where they would take gigabytes


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
    """An encoder, (B, C, T) to (B, D), that is not trained further, on a device, or where it is.

    Where beats are read in stretches, what reduces those is fitted on the train windows.
    """

    def __init__(
        self,
        name: str,
        encoder: Encoder,
        device: torch.device | None = None,
        context: Context | None = None,
        train: WindowSet | None = None,
    ) -> None:
        self.name, self.encoder, self._device, self.context = name, encoder, device, context or Context()
        self.fitted, self._train = self.context.windows == "stretches", train

    @cached_property
    def reduction(self) -> PrincipalComponents | None:
        """What reduces embeddings of stretches; None for other embeddings."""
        if not self.fitted:
            return None
        assert self._train is not None
        return self.context.fit(self.encoder.to(self._device), self._train, self.name)

    def features(self, windows: WindowSet) -> Features:
        """Embeddings, shape (n, D), float32."""
        encoder, reduction = self.encoder.to(self._device), self.reduction
        if self.context.windows == "whole":
            return self.context.embed(encoder, windows, self.name)
        return over_recordings(windows, lambda some: self.context.embed(encoder, some, self.name, reduction))


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
        reduced = _COMPONENTS if len(self._train) > FIT_ON else None
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
        UNTRAINED: lambda: Frozen(UNTRAINED, untrained(study.encoder.encoder, seed), device, context, study.train),
        RawPCA.name: lambda: RawPCA(study.train, components),
        Rhythm.name: lambda: Rhythm(study.store, future=future),
        HandFeatures.name: lambda: HandFeatures(beats),
        MiniRocketFeatures.name: lambda: MiniRocketFeatures(study.train, seed),
    }
    wanted = [name for name in BASELINES if (possible.get(name, True) if beside is None else name in beside)]
    return [Frozen(PRETRAINED, study.encoder.encoder, device, context, study.train), *(make[name]() for name in wanted)]


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
    x: NDArray[Any] = train.load(evenly(train)).numpy()
    return x
