"""An encoder on disk: weights, preprocessing, and the proof that both are the ones that were saved.

A checkpoint is a folder in the Hugging Face layout:

- `model.safetensors`: the encoder's weights;
- `config.json`: class and arguments, `Preprocessing`, checksum of the weights, how it was pretrained and on whom;
- `golden.safetensors`: a signal and its embedding, recomputed at every load;
- `README.md`: the model card.
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ssl_ecg import __version__
from ssl_ecg.encoders import Encoder
from ssl_ecg.errors import CheckpointError, DataError
from ssl_ecg.preprocessing import Preprocessing

FORMAT = 1
_TOLERANCE = 1e-3  # of the largest value: another machine's convolutions differ by about 1e-6


def patient_hash(source: str, patient: str) -> str:
    """What a checkpoint remembers of a patient: enough to recognise, not to read."""
    return hashlib.sha256(f"{source}:{patient}".encode()).hexdigest()[:16]


def golden_signal(window: NDArray[np.float32]) -> NDArray[np.float32]:
    """A signal to store with a checkpoint: noise with the spectrum of a window (C, T), nobody's ECG."""
    spectrum = np.abs(np.fft.rfft(window, axis=-1))
    phase = np.exp(2j * np.pi * np.random.default_rng(0).random(spectrum.shape))
    return np.fft.irfft(spectrum * phase, n=window.shape[-1]).astype(np.float32)


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
        of = {card.get("cohort", card.get("data")), *card.get("taught_cohort", [])}
        return _met(card.get("patients", []), card.get("covers", []), of, cohort, patients, covers)

    def taught_by(self, cohort: str, patients: Iterable[str], covers: Iterable[str] = ()) -> list[str]:
        """Which of these patients it was fine-tuned on, with their labels, or may have been; arguments as of `saw`."""
        card = self.card
        of = set(card.get("taught_cohort", []))
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
            DataError: for wrong leads, NaN, or a signal shorter than the training window.
        """
        array = signal.detach().cpu().numpy() if isinstance(signal, Tensor) else np.asarray(signal)
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


def save_encoder(
    folder: str | Path,
    encoder: Encoder,
    preprocessing: Preprocessing,
    pretraining: dict[str, Any],
    golden: NDArray[np.float32],
    card: str,
) -> Path:
    """Write a checkpoint, whole or not at all.

    Args:
        folder: where; an older checkpoint there is replaced.
        encoder: its weights and arguments are stored.
        preprocessing: stored with it.
        pretraining: how it was trained, as plain values; "patients" holds `patient_hash`es.
        golden: a signal of shape (C, T) in mV at `preprocessing.fs`, with the preprocessing's leads.
        card: the model card, Markdown.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    encoder = copy.deepcopy(encoder).cpu()
    try:
        weights = {name: value.contiguous() for name, value in encoder.state_dict().items()}
        save_file(weights, temporary / "model.safetensors")
        frozen = PretrainedEncoder(encoder, preprocessing)
        embedding = frozen(torch.from_numpy(golden), preprocessing.fs, preprocessing.leads)
        assert isinstance(embedding, Tensor)
        save_file(
            {"signal": torch.from_numpy(golden), "embedding": embedding.clone()}, temporary / "golden.safetensors"
        )
        config = {
            "format": FORMAT,
            "ssl_ecg": __version__,
            "encoder": {"class": _dotted(encoder), "arguments": encoder.arguments},
            "preprocessing": preprocessing.to_dict(),
            "golden": {"fs": preprocessing.fs, "leads": list(preprocessing.leads)},
            "sha256": {"model.safetensors": _sha256(temporary / "model.safetensors")},
            "pretraining": pretraining,
        }
        (temporary / "config.json").write_text(json.dumps(config, indent=1))
        (temporary / "README.md").write_text(card)
        temporary.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def load_encoder(path: str | Path) -> PretrainedEncoder:
    """Load a pretrained encoder, and prove that it is the one that was saved.

    Args:
        path: a checkpoint folder, or a run folder that holds one.

    Returns:
        The frozen encoder with its preprocessing.

    Raises:
        CheckpointError: if it is no checkpoint, a file is missing or damaged, the weights are not the ones
            that were saved, or they do not give the embedding that was stored with them.
    """
    folder = Path(path).expanduser()
    if (folder / "checkpoint" / "config.json").exists():
        folder = folder / "checkpoint"
    if not (folder / "config.json").exists():
        hint = ": training has not finished; run the same pretrain command again" if _is_run(folder) else ""
        raise CheckpointError(f"{folder} is no checkpoint: it holds no config.json{hint}")
    try:
        config = json.loads((folder / "config.json").read_text())
        encoder_class = _import(config["encoder"]["class"])
        encoder = encoder_class(**config["encoder"]["arguments"])
        preprocessing = Preprocessing(**{**config["preprocessing"], "leads": tuple(config["preprocessing"]["leads"])})
        expected = config["sha256"]["model.safetensors"]
    except (ValueError, KeyError, TypeError, ImportError, AttributeError) as error:
        raise CheckpointError(f"{folder}/config.json cannot be used: {type(error).__name__}: {error}") from None
    if config.get("format") != FORMAT:
        raise CheckpointError(f"{folder} has checkpoint format {config.get('format')}; this version reads {FORMAT}")
    try:
        found = _sha256(folder / "model.safetensors")
        if found != expected:
            raise CheckpointError(
                f"{folder}/model.safetensors is not the file that was saved (SHA-256 {found[:12]}..., expected "
                f"{expected[:12]}...): the weights were changed or damaged; fetch or train the checkpoint again"
            )
        encoder.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
        golden = load_file(folder / "golden.safetensors")
    except CheckpointError:
        raise
    except Exception as error:  # noqa: BLE001  (safetensors and torch each raise several kinds of their own)
        raise CheckpointError(f"{folder} cannot be loaded: {error}") from None
    pretrained = PretrainedEncoder(encoder, preprocessing, config.get("pretraining"), found)
    _check_golden(pretrained, golden, config, folder)
    return pretrained


def _check_golden(
    pretrained: PretrainedEncoder, golden: dict[str, Tensor], config: dict[str, Any], folder: Path
) -> None:
    try:
        embedding = pretrained(golden["signal"], config["golden"]["fs"], config["golden"]["leads"])
    except (KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{folder}: the stored signal cannot be embedded again: {error}") from None
    assert isinstance(embedding, Tensor)
    off = float((embedding - golden["embedding"]).abs().max() / golden["embedding"].abs().max().clamp_min(1e-12))
    if not off <= _TOLERANCE:
        raise CheckpointError(
            f"{folder} does not give the embedding stored with it (relative error {off:.2g}): its "
            "config.json, the encoder's code or this machine's arithmetic is not what it was saved with"
        )


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


def _dotted(instance: object) -> str:
    return f"{type(instance).__module__}.{type(instance).__qualname__}"


def _import(dotted: str) -> type[Encoder]:
    module, _, name = dotted.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    if not (isinstance(found, type) and issubclass(found, Encoder)):
        raise TypeError(f"{dotted} is no Encoder")
    return found


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_run(folder: Path) -> bool:
    return (folder / "config.yaml").exists()
