"""What every pretraining method shares: a batch in, one loss out, the online encoder exported."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from ssl_ecg.data.batches import Batch
from ssl_ecg.data.randomness import Purpose, generator, stream
from ssl_ecg.encoders import Encoder
from ssl_ecg.encoders.decoder import Decoder
from ssl_ecg.errors import UserError
from ssl_ecg.optimisers import AdamW, Optimiser

if TYPE_CHECKING:
    from ssl_ecg.checkpoint import PretrainedEncoder


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
        sample_wise: whether the loss is a mean over the samples of a batch, so that a batch may come in pieces.
        shown: what the last `loss` adds to the metrics of the run, such as the terms it sums; without gradients.
    """

    fs: float = 100.0
    seed: int = 0
    steps: int = 1
    purpose: ClassVar[Purpose] = Purpose.VIEWS
    sample_wise: ClassVar[bool] = False

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

    def step(self, batch: Batch, number: int, rank: int = 0, piece: int = 0) -> Tensor:
        """Compute the loss of a batch, or of a piece of it, at a step of the run, in one of its processes."""
        torch.manual_seed(stream(self.seed, Purpose.DROPOUT, number, rank, *_beyond_the_first(piece)))
        return self.loss(batch, self.draws(number, rank, batch.x.device, piece))

    def draws(self, step: int, rank: int = 0, device: torch.device | str = "cpu", piece: int = 0) -> torch.Generator:
        """The generator that `loss` gets at a step."""
        return generator(self.seed, self.purpose, step, rank, *_beyond_the_first(piece), device=device)

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

    @property
    def teachers(self) -> list[PretrainedEncoder]:
        """Pretrained encoders it learns from: whom they were trained on, it knows too."""
        return []

    def looks(self, x: Tensor, generator: torch.Generator) -> list[Tensor]:
        """What the collapse monitor embeds of windows (B, C, T): themselves, or two views to be alike."""
        return [x]


def _beyond_the_first(piece: int) -> tuple[int, ...]:
    """What tells the draws of pieces apart; the first has those of a batch that comes whole."""
    return (piece,) if piece else ()


@contextmanager
def refusals_of(setting: str) -> Iterator[None]:
    """Turn what augmentations refuse, a ValueError, into a UserError that names the setting."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{setting}: {error}") from None


def in_fp32(criterion: Callable[..., Tensor], *z: Tensor) -> Tensor:
    """A loss outside autocast: a softmax over thousands of similarities loses too much in half precision."""
    with torch.autocast(z[0].device.type, enabled=False):
        return criterion(*(v.to(torch.promote_types(v.dtype, torch.float32)) for v in z))
