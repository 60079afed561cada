"""What every pretraining method shares: a batch in, one loss out, the online encoder exported."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from augmentations import Augmentation, Compose, LeadViews, Views
from ssl_ecg.data.batches import Batch
from ssl_ecg.data.randomness import Purpose, generator, stream
from ssl_ecg.encoders import Encoder
from ssl_ecg.encoders.decoder import Decoder, reconstruct
from ssl_ecg.errors import UserError
from ssl_ecg.optimisers import AdamW, Optimiser


class Trained(nn.Module, ABC):
    """An encoder that some objective trains, by an optimiser and its schedule over the whole run.

    All randomness of a step follows from the seed, the step and the rank, so that a resumed run goes on exactly as it
    would have: what `loss` draws comes from the generator it is given, and what layers such as dropout draw from
    torch's global state, which is seeded anew for each step.

    Attributes:
        fs: sampling rate of the windows, Hz.
        seed: of all that is drawn.
        steps: of the whole run, however often it is stopped.
        purpose: of what `loss` draws.
        shown: what the last `loss` adds to the metrics of the run, such as the terms it sums; without gradients.
    """

    fs: float = 100.0
    seed: int = 0
    steps: int = 1
    purpose: ClassVar[Purpose] = Purpose.VIEWS

    def __init__(self, encoder: Encoder, optimiser: Optimiser | None = None) -> None:
        super().__init__()
        self.shown: dict[str, Tensor] = {}
        self.encoder = encoder
        self.optimiser = optimiser if optimiser is not None else AdamW()

    def prepare(self, fs: float, seed: int = 0, steps: int = 1) -> None:
        """Say once, before the first step, what run this is; `fs`, in Hz, is the sampling rate of the windows."""
        self.fs, self.seed, self.steps = fs, seed, steps

    @abstractmethod
    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Compute the objective of a batch.

        Args:
            batch: windows, patients and, where the run has them, partners.
            generator: the only source of random numbers, on the batch's device.

        Returns:
            A scalar, float32 whatever the precision of training (see `in_fp32`).
        """

    def before_step(self, step: int) -> None:
        """Update what follows the weights without a gradient, such as a momentum copy, before a step of the run.

        Before a step rather than after the last one: a state saved between the two then is the same whoever saves it.
        """

    def step(self, batch: Batch, number: int, rank: int = 0) -> Tensor:
        """Compute the loss of a batch at a step of the run, in one of its processes."""
        torch.manual_seed(stream(self.seed, Purpose.DROPOUT, number, rank))
        return self.loss(batch, self.draws(number, rank, batch.x.device))

    def draws(self, step: int, rank: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
        """The generator that `loss` gets at a step."""
        return generator(self.seed, self.purpose, step, rank, device=device)

    def shares(self) -> dict[nn.Parameter, float]:
        """Shares of the learning rate, for parameters that do not have all of it."""
        return {}


class Method(Trained):
    """A self-supervised objective on ECG windows.

    A subclass gives `loss(batch, generator)`, or derives from one of the three kinds and gives less: `JointEmbedding`
    compares views, `Predictive` works on tokens, `Reconstructive` gives the signal back.

    Args:
        encoder: what is pretrained, and afterwards exported.
        optimiser: how it is trained.

    Attributes:
        needs_tokens: whether the encoder must write `features`.
    """

    needs_tokens: ClassVar[bool] = False

    def check(self, leads: int, samples: int, fs: float) -> None:
        """Refuse, before any work, what cannot be trained.

        Args:
            leads: of a window.
            samples: length of a window.
            fs: its sampling rate, Hz.

        Raises:
            UserError: naming the setting or the encoder, and what is wanted of it.
        """
        encoder, name = self.encoder, type(self.encoder).__name__
        if self.needs_tokens and not encoder.has_tokens:
            raise UserError(
                f"{type(self).__name__} works on tokens, and {name} gives none: take an encoder that writes "
                "features(x) -> list of (B, F, T')"
            )
        training = encoder.training
        with torch.inference_mode():
            z = encoder.eval()(torch.zeros(2, leads, samples))
        encoder.train(training)
        if not isinstance(z, Tensor) or z.shape != (2, encoder.dim):
            given = f"shape {tuple(z.shape)}" if isinstance(z, Tensor) else type(z).__name__
            raise UserError(
                f"{name} makes two windows of shape {(leads, samples)} into {given}: it must give one embedding of its "
                f"dim each, shape {(2, encoder.dim)}"
            )

    @property
    def shipped(self) -> Decoder | None:
        """The decoder that goes along with the encoder's checkpoint, if it trains one."""
        return None

    def looks(self, x: Tensor, generator: torch.Generator) -> list[Tensor]:
        """What the collapse monitor embeds of windows (B, C, T): themselves, or two views to be alike."""
        return [x]


class JointEmbedding(Method):
    """A method that compares embeddings of augmented views; a subclass gives `compare(views, patient)`.

    Args:
        encoder: what is pretrained, and afterwards exported.
        views: the augmentations that make the views.
        optimiser: how it is trained.

    Attributes:
        n_views: how many views `compare` takes; None for any number from two up.
    """

    n_views: ClassVar[int | None] = None

    def __init__(self, encoder: Encoder, views: Views, optimiser: Optimiser | None = None) -> None:
        super().__init__(encoder, optimiser)
        self.views = views

    @abstractmethod
    def compare(self, views: list[Tensor], patient: Tensor) -> Tensor:
        """Compute the objective of views.

        Args:
            views: augmented versions of one batch, each (B, C, T_i); long ones first, where lengths differ.
            patient: number of the patient each window is from, shape (B,), int64.

        Returns:
            A scalar, float32 whatever the precision of training (see `in_fp32`).
        """

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Make the views of a batch, every second one of its partners where it has some, and compare them."""
        x = batch.x if batch.partner is None else [batch.x, batch.partner]
        return self.compare(self.views(x, self.fs, generator), batch.patient)

    def looks(self, x: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Two views of windows (B, C, T)."""
        return self.views(x, self.fs, generator)[:2]

    def check(self, leads: int, samples: int, fs: float) -> None:
        """Refuse views the loss cannot compare or the sampling rate cannot carry too; see `Method.check`."""
        name, views = type(self).__name__, self.views
        if views.n != (wanted := self.n_views or max(2, views.n)):
            setting = "method.views.n must be" if "n" in views.settings() else f"{type(views).__name__} must show"
            raise UserError(f"{name} compares {self.n_views or 'at least 2'} views: {setting} {wanted}, not {views.n}")
        try:
            views.check(fs)
        except ValueError as error:
            raise UserError(f"method.views: {error}") from None
        super().check(leads, samples, fs)
        if isinstance(views, LeadViews):
            if leads < 2:
                raise UserError(
                    "method.views: LeadViews show different leads: preprocessing.leads must name two or more"
                )
            if not self.encoder.any_leads:
                raise UserError(
                    f"method.views: LeadViews show one lead at a time, but {type(self.encoder).__name__} takes all "
                    f"{leads} together: set method.encoder.leads to apart, or use Views"
                )
        try:
            views(torch.zeros(2, leads, samples), fs, torch.Generator())
        except ValueError as error:
            raise UserError(f"method.views: {error}") from None


class OnTokens(Method):
    """A method that works on tokens, of windows that are augmented once; leads embedded apart are windows of their own.

    Args:
        encoder: what is pretrained, and afterwards exported; it needs tokens.
        optimiser: how it is trained.
        augmentations: what is done to windows before; none by default.
    """

    needs_tokens = True

    def __init__(
        self,
        encoder: Encoder,
        optimiser: Optimiser | None = None,
        augmentations: list[Augmentation] | None = None,
    ) -> None:
        super().__init__(encoder, optimiser)
        self.augmentations = Compose(augmentations or [])

    def augmented(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Augment windows (B, C, T), each lead by itself where they are embedded apart: then (B C, 1, T)."""
        return self.augmentations(self.encoder.split_leads(x), self.fs, generator)

    def check(self, leads: int, samples: int, fs: float) -> None:
        """Refuse augmentations that the sampling rate cannot carry too; see `Method.check`."""
        try:
            self.augmentations.check(fs)
        except ValueError as error:
            raise UserError(f"method.augmentations: {error}") from None
        super().check(leads, samples, fs)


class Predictive(OnTokens):
    """A method that predicts tokens from tokens; a subclass gives `predict(tokens, x, generator)`.

    Args:
        encoder: what is pretrained, and afterwards exported; it needs tokens.
        optimiser: how it is trained.
        augmentations: what is done to windows before; none by default.
    """

    @abstractmethod
    def predict(self, tokens: Tensor, x: Tensor, generator: torch.Generator) -> Tensor:
        """Compute the objective of tokens.

        Args:
            tokens: of the windows, shape (B, F, T'); F is `encoder.widths[-1]`.
            x: the windows, shape (B, C, T).
            generator: the only source of random numbers, such as for masks.

        Returns:
            A scalar, float32 whatever the precision of training (see `in_fp32`).
        """

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Compute the tokens of a batch, and the objective of them."""
        x = self.augmented(batch.x, generator)
        return self.predict(self.encoder.tokens(x), x, generator)


class Reconstructive(Method):
    """A method that gives the signal back from tokens; a subclass gives `corrupt(x, generator)`.

    Args:
        encoder: what is pretrained, and afterwards exported; it needs tokens.
        optimiser: how it is trained.

    Attributes:
        decoder: maps tokens (B, F, T') to signals (B, C, T) of at least the window's length; it goes along with the
            checkpoint, where the error of the reconstruction tells anomalies.
    """

    needs_tokens = True
    decoder: nn.Module

    def __init__(self, encoder: Encoder, optimiser: Optimiser | None = None) -> None:
        super().__init__(encoder, optimiser)
        if encoder.has_tokens:
            self.decoder = Decoder(encoder.widths[-1], encoder.inputs, encoder.stride)

    @property
    def shipped(self) -> Decoder | None:
        """The decoder; none where a subclass has one of another class."""
        return self.decoder if isinstance(self.decoder, Decoder) else None

    @abstractmethod
    def corrupt(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Hide something of windows.

        Args:
            x: shape (B, C, T).
            generator: the only source of random numbers.

        Returns:
            What the encoder sees, (B, C, T), and how much the error of each sample counts, broadcast to (B, C, T).
        """

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Compute the weighted mean squared error of each window's reconstruction, and the mean over windows."""
        seen, weight = self.corrupt(batch.x, generator)
        made = reconstruct(self.encoder, self.decoder, seen)
        weight = weight.expand_as(made)
        error = ((made - batch.x).square() * weight).sum((1, 2))
        return (error / weight.sum((1, 2)).clamp_min(1e-6)).mean()


def embed_views(network: nn.Module, views: Sequence[Tensor]) -> Tensor:
    """Embed n views (B, C, T_i), those of one length that follow each other as one batch: (n B, D), view by view."""
    alike = (list(group) for _, group in itertools.groupby(views, key=lambda view: view.shape))
    return torch.cat([network(torch.cat(group)) for group in alike])


def global_views(views: Sequence[Tensor]) -> Sequence[Tensor]:
    """The views (B, C, T) as long as the first, at the beginning: all, or the long ones of `MultiCrop`."""
    return list(itertools.takewhile(lambda view: view.shape == views[0].shape, views))


def in_fp32(criterion: Callable[..., Tensor], *z: Tensor) -> Tensor:
    """A loss outside autocast: a softmax over thousands of similarities loses too much in half precision."""
    with torch.autocast(z[0].device.type, enabled=False):
        return criterion(*(v.to(torch.promote_types(v.dtype, torch.float32)) for v in z))
