"""A frozen encoder that takes raw recordings, and knows whom it was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import DataError
from ssl_ecg.preprocessing import Preprocessing


def patient_hash(source: str, patient: str) -> str:
    """What a checkpoint remembers of a patient: enough to recognise, not to read."""
    return hashlib.sha256(f"{source}:{patient}".encode()).hexdigest()[:16]


class PretrainedEncoder(nn.Module):
    """A frozen encoder that takes raw recordings.

    Args:
        encoder: maps windows to embeddings.
        preprocessing: what the encoder was trained with, applied to every signal.
        card: how it was pretrained (`config.json`'s "pretraining").
        weights: SHA-256 of the file its weights came from, if it came from one.

    Example:
        >>> encoder = load_encoder("runs/simclr-mitbih")        # doctest: +SKIP
        >>> encoder(signal, fs=500, leads=["I", "II"]).shape    # doctest: +SKIP
        (256,)
    """

    def __init__(
        self, encoder: Encoder, preprocessing: Preprocessing, card: dict[str, Any] | None = None, weights: str = ""
    ) -> None:
        super().__init__()
        self.encoder = encoder.eval().requires_grad_(False)
        self.preprocessing = preprocessing
        self.card = card or {}
        self.weights = weights

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.encoder.dim

    def train(self, mode: bool = True) -> PretrainedEncoder:
        """Stays in evaluation mode: batch statistics of whatever is embedded must not leak into it."""
        return super().train(False)

    def saw(self, cohort: str, patients: Iterable[str], covers: Iterable[str] = ()) -> list[str]:
        """Which of these patients the encoder was pretrained on, or may have been where they had other names.

        Args:
            cohort: under what name the patients are known, and
            covers: whose recordings are among theirs under other names: see `Source`.
            patients: their names.
        """
        card = self.card
        of = {card.get("cohort", card.get("data")), *card.get("taught_cohorts", [])}
        return _met(card.get("patients", []), card.get("covers", []), of, cohort, patients, covers)

    def taught_by(self, cohort: str, patients: Iterable[str], covers: Iterable[str] = ()) -> list[str]:
        """Which of these patients it was fine-tuned on, with their labels, or may have been; arguments as of `saw`."""
        card = self.card
        of = set(card.get("taught_cohorts", []))
        return _met(card.get("taught_by", []), card.get("taught_covers", []), of, cohort, patients, covers)

    @torch.inference_mode()
    def forward(
        self,
        signal: NDArray[np.floating] | Tensor,
        fs: float,
        leads: list[str] | tuple[str, ...],
        whole: bool = False,
    ) -> NDArray[np.float32] | Tensor:
        """Embed one recording or a batch of them.

        The signal is picked, filtered and resampled as in training. One that is longer than the training
        window is cut into windows that overlap by half, and their embeddings are averaged.

        Args:
            signal: shape (C, T) or (B, C, T), in mV, NumPy or torch.
            fs: its sampling rate, Hz.
            leads: name of each channel, length C; any order, any spelling, more than needed is fine.
            whole: embed the signal in one piece, however long or short.

        Returns:
            Shape (D,) or (B, D), of the kind that was given (torch: on the encoder's device).

        Raises:
            DataError: for wrong leads, NaN or complex samples, a rate too low for what the encoder sees, or a signal
                shorter than the training window.
        """
        array = _as_array(signal) if isinstance(signal, Tensor) else np.asarray(signal)
        x = torch.from_numpy(self.preprocessing.condition(array, fs, tuple(leads)))
        single = x.ndim == 2
        x = x[None] if single else x
        samples = self.preprocessing.samples
        if not whole:
            if x.shape[-1] < samples - 1:  # one sample of grace: 2.999 s rounds either way
                raise DataError(
                    f"the signal lasts {array.shape[-1] / fs:g} s, but the encoder was trained on windows of "
                    f"{self.preprocessing.window:g} s: give more, or pass whole=True to embed it as it is"
                )
            samples = min(samples, x.shape[-1])
            hops = max(1, -(-(x.shape[-1] - samples) // max(1, samples // 2)) + 1)
            starts = torch.linspace(0, x.shape[-1] - samples, hops).round().long()
            x = torch.stack([x[..., s : s + samples] for s in starts.tolist()], 1).flatten(0, 1)
        else:
            hops = 1
        device = next(self.encoder.parameters()).device
        z: Tensor = torch.cat(
            [self.encoder(self.preprocessing.normalise_windows(part.to(device))) for part in x.split(1024)]
        )
        z = z.unflatten(0, (-1, hops)).mean(1)
        z = z[0] if single else z
        if isinstance(signal, Tensor):
            return z
        out: NDArray[np.float32] = z.cpu().numpy()
        return out


def _as_array(signal: Tensor) -> NDArray[Any]:
    """The samples of a tensor, as numbers that NumPy has: it knows no bfloat16, and all fit into doubles."""
    signal = signal.detach().cpu()
    array: NDArray[Any] = (signal.resolve_conj() if signal.is_complex() else signal.double()).numpy()
    return array


def _met(
    hashes: Iterable[str],
    covered: Iterable[str],
    cohorts: set[str],
    cohort: str,
    patients: Iterable[str],
    covers: Iterable[str],
) -> list[str]:
    """Which patients are among the hashed ones, or may be.

    Anybody may be whose cohort was covered by what the encoder has met. Where it is the other way round, those may be
    who are not told apart ("?" and a group: see `Recording`); whoever has a name of their own is somebody else.
    """
    if cohort in covered:
        return list(patients)
    known, mixed = set(hashes), not cohorts.isdisjoint(covers)
    return [who for who in patients if patient_hash(cohort, who) in known or (mixed and who.startswith("?"))]
