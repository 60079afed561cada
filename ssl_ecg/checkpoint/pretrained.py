"""A frozen encoder that takes raw recordings, and knows whom it was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssl_ecg.checkpoint.long import embed_at, embed_stretches, interpolated, stages
from ssl_ecg.data.source import person
from ssl_ecg.encoders import Encoder
from ssl_ecg.encoders.decoder import Decoder
from ssl_ecg.errors import DataError
from ssl_ecg.preprocessing import Preprocessing

Signal = NDArray[np.floating] | Tensor
Unit = Literal["mV", "uV", "V"]
MILLIVOLTS = {"mV": 1.0, "uV": 1e-3, "V": 1e3}


def patient_hash(source: str, patient: str) -> str:
    """What a checkpoint remembers of a patient: enough to recognise, not to read."""
    return hashlib.sha256(person(source, patient).encode()).hexdigest()[:16]


class PretrainedEncoder(nn.Module):
    """A frozen encoder that takes raw recordings.

    Amplitudes are in mV unless `unit` says otherwise. Where the preprocessing normalises by "window" or "record", the
    unit cancels out, but for leads flatter than 0.1 µV; encoders normalised by "none" need it right.

    Args:
        encoder: maps windows to embeddings.
        preprocessing: what the encoder was trained with, applied to every signal.
        card: how it was pretrained (`config.json`'s "pretraining").
        weights: SHA-256 of the file its weights came from, if it came from one.
        decoder: gives the signal back from tokens, where the encoder was trained with one.

    Example:
        >>> encoder = load_encoder("runs/simclr-mitbih")        # doctest: +SKIP
        >>> encoder(signal, fs=500, leads=["I", "II"]).shape    # doctest: +SKIP
        (256,)
        >>> tokens, times = encoder.tokens(signal, 500, ["I", "II"])    # doctest: +SKIP
        >>> beats = encoder.at(signal, r_peaks, 500, ["I", "II"])       # doctest: +SKIP
    """

    def __init__(
        self,
        encoder: Encoder,
        preprocessing: Preprocessing,
        card: dict[str, Any] | None = None,
        weights: str = "",
        decoder: Decoder | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder.eval().requires_grad_(False)
        self.preprocessing = preprocessing
        self.card = card or {}
        self.weights = weights
        self.decoder = decoder.eval().requires_grad_(False) if decoder is not None else None

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.encoder.dim

    @property
    def channels(self) -> int:
        """Channels of a window: 1 where each lead is embedded by itself, whichever it is."""
        return 1 if self.preprocessing.any_leads else self.encoder.in_channels

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
        of = {*card.get("cohorts", [card.get("cohort", card.get("data"))]), *card.get("taught_cohorts", [])}
        return _met(card.get("patients", []), card.get("covers", []), of, cohort, patients, covers)

    def taught_by(self, cohort: str, patients: Iterable[str], covers: Iterable[str] = ()) -> list[str]:
        """Which of these patients it was fine-tuned on, with their labels, or may have been; arguments as of `saw`."""
        card = self.card
        of = set(card.get("taught_cohorts", []))
        return _met(card.get("taught_by", []), card.get("taught_covers", []), of, cohort, patients, covers)

    @torch.inference_mode()
    def forward(
        self,
        signal: Signal,
        fs: float,
        leads: Sequence[str],
        whole: bool = False,
        unit: Unit = "mV",
        each_lead: bool = False,
    ) -> NDArray[np.float32] | Tensor:
        """Embed one recording or a batch of them.

        The signal is picked, filtered and resampled as in training. One that is longer than the training
        window is cut into windows that overlap by half, and their embeddings are averaged. An encoder of any lead
        embeds each lead by itself, whatever it is called, and averages over the leads.

        Args:
            signal: shape (C, T) or (B, C, T), NumPy or torch.
            fs: its sampling rate, Hz.
            leads: name of each channel, length C; any order, any spelling, more than needed is fine.
            whole: embed the signal in one piece, however long or short.
            unit: of the signal: "mV", "uV" or "V".
            each_lead: give the embedding of each lead, not their mean; flattened, they stand side by side.

        Returns:
            Shape (D,) or (B, D), of each lead (C, D) or (B, C, D), of the kind that was given (torch: on the encoder's
            device).

        Raises:
            DataError: for wrong leads, an unknown unit, NaN or complex samples, a rate too low for what the encoder
                sees, or a signal shorter than the training window.
            UserError: for `each_lead` of an encoder that takes leads together.
        """
        x = self._conditioned(signal, fs, leads, unit)
        single = x.ndim == 2
        x = x[None] if single else x
        samples = self.preprocessing.samples
        if not whole:
            if x.shape[-1] < samples - 1:  # one sample of grace: 2.999 s rounds either way
                raise DataError(
                    f"the signal lasts {np.shape(signal)[-1] / fs:g} s, but the encoder was trained on windows of "
                    f"{self.preprocessing.window:g} s: give more, or pass whole=True to embed it as it is"
                )
            samples = min(samples, x.shape[-1])
            hops = max(1, -(-(x.shape[-1] - samples) // max(1, samples // 2)) + 1)
            starts = torch.linspace(0, x.shape[-1] - samples, hops).round().long()
            x = torch.stack([x[..., s : s + samples] for s in starts.tolist()], 1).flatten(0, 1)
        else:
            hops = 1
        device = next(self.encoder.parameters()).device
        embed = self.encoder.each_lead if each_lead else self.encoder
        z: Tensor = torch.cat([embed(self.preprocessing.normalise_windows(part.to(device))) for part in x.split(1024)])
        z = z.unflatten(0, (-1, hops)).mean(1)
        return _given_back(z[0] if single else z, signal)

    def tokens(
        self, signal: Signal, fs: float, leads: Sequence[str], unit: Unit = "mV"
    ) -> tuple[NDArray[np.float32] | Tensor, NDArray[np.float64]]:
        """Compute the tokens of a recording of any length: an embedding every `encoder.stride` samples.

        A recording normalised by "window" is normalised by the window around each sample.

        Args:
            signal: shape (C, T), NumPy or torch.
            fs: its sampling rate, Hz.
            leads: name of each channel, length C.
            unit: of the signal: "mV", "uV" or "V".

        Returns:
            Tokens, shape (F, T'), of the kind that was given, and the time each is about, in s, shape (T',).

        Raises:
            DataError: as calling it; a short signal is fine.
            UserError: if the encoder has no tokens.
        """
        maps, grid = stages(self.encoder, self._record(signal, fs, leads, unit)), self.encoder.grids[-1]
        times: NDArray[np.float64] = np.arange(maps[-1].shape[-1], dtype=np.float64) * grid.stride + grid.centre
        times /= self.preprocessing.fs
        return _given_back(maps[-1], signal), times

    def features(
        self, signal: Signal, fs: float, leads: Sequence[str], rate: float | None = None, unit: Unit = "mV"
    ) -> tuple[NDArray[np.float32] | Tensor, NDArray[np.float64]]:
        """Compute all stages of a recording of any length side by side on one time grid, linearly interpolated.

        Those of `Encoder.details`: of a causal encoder, each convolution's map.

        Args:
            signal: shape (C, T), NumPy or torch.
            fs: its sampling rate, Hz.
            leads: name of each channel, length C.
            rate: of the time grid, Hz; that of the stage with most tokens by default.
            unit: of the signal: "mV", "uV" or "V".

        Returns:
            Shape (F_1 + F_2 + ..., n), of the kind that was given, and the times from 0 on, in s, shape (n,).

        Raises:
            DataError: as `tokens`, and for a rate that is not positive.
            UserError: if the encoder has no tokens.
        """
        own, grids = self.preprocessing.fs, self.encoder.detail_grids
        rate = own / min(grid.stride for grid in grids) if rate is None else rate
        if not 0 < rate < np.inf:
            raise DataError(f"the rate of features must be a positive number of Hz, not {rate}")
        x = self._record(signal, fs, leads, unit)
        times = np.arange(int(np.ceil(x.shape[-1] / own * rate))) / rate
        at = torch.from_numpy(times * own)
        maps = zip(stages(self.encoder, x, details=True), grids, strict=True)
        side_by_side = torch.cat([interpolated(each, (at - grid.centre) / grid.stride) for each, grid in maps])
        return _given_back(side_by_side, signal), times

    def at(
        self,
        signal: Signal,
        samples: NDArray[np.integer] | Sequence[int],
        fs: float,
        leads: Sequence[str],
        span: float = 1.0,
        unit: Unit = "mV",
        stretches: Sequence[float] | None = None,
    ) -> NDArray[np.float32] | Tensor:
        """Embed positions of a recording, such as its beats, each in its context; the recording is encoded once.

        An embedding is pooled, as that of a window is, from the tokens around its position. It equals pooling the
        same tokens of a window cut around the position where both see the same normalisation ("none" or "record"), the
        position falls on the token grid (a multiple of `encoder.stride`), and half the span and half the receptive
        field lie inside the window. Normalised by "window", each sample is normalised by the window around it.

        Args:
            signal: shape (C, T), NumPy or torch.
            samples: positions in the signal, shape (n,).
            fs: its sampling rate, Hz.
            leads: name of each channel, length C.
            span: how much of the signal the pooled tokens stand for, s.
            unit: of the signal: "mV", "uV" or "V".
            stretches: instead of pooling tokens within a span, average every map of the encoder, the finest too, from
                each of these edges, ascending, s from the position, to the next. More of a beat's shape is kept.

        Returns:
            Shape (n, D), of the kind that was given; D of stretches is their number times the features of all maps.

        Raises:
            DataError: as `tokens`, and for positions outside the signal, and edges that do not ascend.
            UserError: if the encoder has no tokens.
        """
        where = np.asarray(samples)
        if where.ndim != 1 or (len(where) and not (where.min() >= 0 and where.max() < np.shape(signal)[-1])):
            raise DataError(f"positions must have shape (n,) and lie in the signal of {np.shape(signal)[-1]} samples")
        if not 0 <= span < np.inf:
            raise DataError(f"the span must be a number of seconds, not {span}")
        if stretches is not None and not (len(stretches) > 1 and (np.diff(stretches) > 0).all()):
            raise DataError(f"edges of stretches must ascend, and be at least two, not {list(stretches)}")
        own, x = self.preprocessing.fs, self._record(signal, fs, leads, unit)
        positions = torch.from_numpy(where * (own / fs))
        if stretches is None:
            return _given_back(embed_at(self.encoder, x, positions, span * own), signal)
        return _given_back(embed_stretches(self.encoder, x, positions, [edge * own for edge in stretches]), signal)

    def _conditioned(self, signal: Signal, fs: float, leads: Sequence[str], unit: Unit) -> Tensor:
        """Picked, filtered and resampled, in mV or, normalised by record, in standard deviations."""
        if unit not in MILLIVOLTS:
            raise DataError(f"the unit of a signal is one of {', '.join(MILLIVOLTS)}, not {unit!r}")
        if isinstance(signal, Tensor):  # NumPy knows no bfloat16, and all real numbers fit into doubles
            signal = signal.detach().cpu()
            signal = (signal.resolve_conj() if signal.is_complex() else signal.double()).numpy()
        array = np.asarray(signal)
        if unit != "mV":
            array = array * MILLIVOLTS[unit]
        return torch.from_numpy(self.preprocessing.condition(array, fs, tuple(leads)))

    def _record(self, signal: Signal, fs: float, leads: Sequence[str], unit: Unit) -> Tensor:
        """One whole recording as its tokens are computed from, shape (C, T)."""
        if np.ndim(signal) != 2:
            raise DataError(f"tokens are those of one recording, shape (leads, time), not {np.shape(signal)}")
        return self.preprocessing.normalise_record(self._conditioned(signal, fs, leads, unit))


def _given_back(z: Tensor, signal: Signal) -> NDArray[np.float32] | Tensor:
    """As a tensor where one was given, else as an array."""
    if isinstance(signal, Tensor):
        return z
    array: NDArray[np.float32] = z.cpu().numpy()
    return array


def _met(
    hashes: Iterable[str],
    covered: Iterable[str],
    cohorts: set[str],
    cohort: str,
    patients: Iterable[str],
    covers: Iterable[str],
) -> list[str]:
    """Which patients are among the hashed ones, or may be: anybody whose cohort what the encoder has met covers.

    Where it is the other way round, those may be who are not told apart ("?" and a group: see `Recording`); whoever has
    a name of their own is somebody else.
    """
    if cohort in covered:
        return list(patients)
    known, mixed = set(hashes), not cohorts.isdisjoint(covers)
    return [who for who in patients if patient_hash(cohort, who) in known or (mixed and who.startswith("?"))]
