"""A checkpoint's folder: written whole or not at all, and proved when it is read."""

from __future__ import annotations

import copy
import hashlib
import importlib
import json
import os
import shutil
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor

from ssl_ecg import __version__, encoders
from ssl_ecg.checkpoint.files import CARD, CONFIG, DECODER, FORMAT, GOLDEN, WEIGHTS, check_saved
from ssl_ecg.checkpoint.pretrained import PretrainedEncoder
from ssl_ecg.checkpoint.references import find_checkpoint, scheme_of
from ssl_ecg.encoders import Encoder
from ssl_ecg.encoders.decoder import Decoder
from ssl_ecg.encoders.names import class_named
from ssl_ecg.errors import CheckpointError
from ssl_ecg.preprocessing import Preprocessing

TOLERANCE = 1e-3  # of the largest value: another machine's convolutions differ by about 1e-6


def golden_signal(window: NDArray[np.float32]) -> NDArray[np.float32]:
    """A signal to store with a checkpoint: noise with the spectrum of a window (C, T), nobody's ECG."""
    spectrum = np.abs(np.fft.rfft(window, axis=-1))
    phase = np.exp(2j * np.pi * np.random.default_rng(0).random(spectrum.shape))
    return np.fft.irfft(spectrum * phase, n=window.shape[-1]).astype(np.float32)


def save_encoder(
    folder: str | Path,
    encoder: Encoder,
    preprocessing: Preprocessing,
    pretraining: dict[str, Any],
    golden: NDArray[np.float32],
    card: str,
    decoder: Decoder | None = None,
) -> Path:
    """Write a checkpoint, whole or not at all.

    Args:
        folder: where; an older checkpoint there is replaced.
        encoder: its weights and arguments are stored.
        preprocessing: stored with it.
        pretraining: how it was trained, as plain values; "patients" holds `patient_hash`es.
        golden: a signal of shape (C, T) in mV at `preprocessing.fs`, with the preprocessing's leads.
        card: the model card, Markdown.
        decoder: what the encoder was trained with to give the signal back, if it was.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary, aside = (folder.with_name(f".{folder.name}-{uuid.uuid4().hex}.{kind}") for kind in ("new", "old"))
    encoder = copy.deepcopy(encoder).cpu()
    frozen = PretrainedEncoder(encoder, preprocessing)
    leads = preprocessing.leads * (len(golden) if preprocessing.any_leads else 1)  # fine-tuned, it may have seen more
    embedding = frozen(torch.from_numpy(golden), preprocessing.fs, leads)
    assert isinstance(embedding, Tensor)
    files = {WEIGHTS: _packed(encoder)} | ({DECODER: _packed(decoder)} if decoder is not None else {})
    config = {
        "format": FORMAT,
        "ssl_ecg": __version__,
        "encoder": {"class": public_name(encoder), "arguments": encoder.arguments},
        "preprocessing": preprocessing.to_dict(),
        "golden": {"fs": preprocessing.fs, "leads": list(leads)},
        "sha256": {name: hashlib.sha256(packed).hexdigest() for name, packed in files.items()},
        "pretraining": pretraining,
    } | ({"decoder": decoder.arguments} if decoder is not None else {})
    try:
        temporary.mkdir()
        # Not `save_file`, whose files nobody else may read.
        for name, packed in files.items():
            (temporary / name).write_bytes(packed)
        stored = {"signal": torch.from_numpy(golden), "embedding": embedding.clone()}
        (temporary / GOLDEN).write_bytes(save(stored))
        (temporary / CONFIG).write_text(json.dumps(config, indent=1))
        (temporary / CARD).write_text(card)
        if folder.exists():
            os.replace(folder, aside)
        try:
            os.replace(temporary, folder)
        except OSError:
            if aside.exists():
                os.replace(aside, folder)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(aside, ignore_errors=True)
    return folder


def load_encoder(ref: str | Path, trust: bool | Collection[str] = False) -> PretrainedEncoder:
    """Load a pretrained encoder, and prove that it is the one that was saved.

    Args:
        ref: a run's folder or a checkpoint's; the name of an encoder that ssl_ecg ships; `hf://ORG/NAME[@REVISION]`;
            `wandb://ENTITY/PROJECT/ARTIFACT:VERSION`; or `https://ADDRESS#sha256=DIGEST`, a zip or tar archive.
        trust: whether the checkpoint may name an encoder that is not among `ssl_ecg.encoders`: its module is imported,
            and may do anything. The dotted names of some classes allow these alone.

    Returns:
        The frozen encoder with its preprocessing.

    Raises:
        CheckpointError: if it is no checkpoint or cannot be fetched, a file is missing or damaged, the weights are
            not the ones that were saved, or they do not give the embedding that was stored with them.
    """
    folder = find_checkpoint(ref)
    where = str(folder if scheme_of(ref) is None else ref)  # for messages: a cache's folders say nothing
    try:
        config = json.loads((folder / CONFIG).read_text())
        kind = config.get("format")
        if kind not in range(1, FORMAT + 1):
            newer = isinstance(kind, int) and kind > FORMAT
            remedy = "of a newer ssl_ecg: update it (pip install -U ssl-ecg)" if newer else f"and not 1 to {FORMAT}"
            raise CheckpointError(f"{where} has checkpoint format {kind}, {remedy}")
        encoder_class = _class_of(config["encoder"]["class"], trust, where)
        encoder = encoder_class(**config["encoder"]["arguments"])
        preprocessing = Preprocessing(**{**config["preprocessing"], "leads": tuple(config["preprocessing"]["leads"])})
        decoder = Decoder(**config["decoder"]) if "decoder" in config else None
    except CheckpointError:
        raise
    except (ValueError, KeyError, TypeError, ImportError, AttributeError) as error:
        raise CheckpointError(f"{where}/config.json cannot be used: {type(error).__name__}: {error}") from None
    try:
        check_saved(folder / WEIGHTS, config, where)
        _fill(encoder, load_file(folder / WEIGHTS), where)
        if decoder is not None:
            check_saved(folder / DECODER, config, where)
            decoder.load_state_dict(load_file(folder / DECODER))
        golden = load_file(folder / GOLDEN)
    except CheckpointError:
        raise
    except Exception as error:  # noqa: BLE001  (safetensors and torch each raise several kinds of their own)
        raise CheckpointError(f"{where} cannot be loaded: {error}") from None
    sha256 = config["sha256"][WEIGHTS]
    pretrained = PretrainedEncoder(encoder, preprocessing, config.get("pretraining"), sha256, decoder)
    _check_golden(pretrained, golden, config, where)
    return pretrained


def golden_error(encoder: PretrainedEncoder, folder: Path) -> float:
    """How far the embedding is from the one stored in a checkpoint's folder, relative to its largest value."""
    golden, config = load_file(folder / GOLDEN), json.loads((folder / CONFIG).read_text())
    embedding = encoder(golden["signal"], config["golden"]["fs"], config["golden"]["leads"])
    assert isinstance(embedding, Tensor)
    return _off(embedding.cpu(), golden["embedding"])


def _off(embedding: Tensor, stored: Tensor) -> float:
    return float((embedding - stored).abs().max() / stored.abs().max().clamp_min(1e-12))


def _packed(module: torch.nn.Module) -> bytes:
    """A module's weights as safetensors."""
    return save({name: value.contiguous().cpu() for name, value in module.state_dict().items()})


def _check_golden(pretrained: PretrainedEncoder, golden: dict[str, Tensor], config: dict[str, Any], where: str) -> None:
    try:
        stored = golden["embedding"]
        embedding = pretrained(golden["signal"], config["golden"]["fs"], config["golden"]["leads"])
    except (KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{where}: the stored signal cannot be embedded again: {error}") from None
    assert isinstance(embedding, Tensor)
    if embedding.shape != stored.shape:
        raise CheckpointError(
            f"{where} gives embeddings of shape {tuple(embedding.shape)}, and the one stored with it has "
            f"{tuple(stored.shape)}: its config.json or the encoder's code is not what it was saved with"
        )
    off = _off(embedding, stored)
    if not off <= TOLERANCE:
        raise CheckpointError(
            f"{where} does not give the embedding stored with it (relative error {off:.2g}): its "
            "config.json, the encoder's code or this machine's arithmetic is not what it was saved with"
        )


def _fill(encoder: Encoder, weights: dict[str, Tensor], where: str) -> None:
    try:
        encoder.load_state_dict(weights, strict=True)
    except RuntimeError:  # which lists every one of them
        own, stored = ({name: x.shape for name, x in of.items()} for of in (encoder.state_dict(), weights))
        differing = [name for name in own | stored if own.get(name) != stored.get(name)]
        if not differing:
            raise
        raise CheckpointError(
            f"{where}/config.json describes another encoder than the one whose weights are stored: {len(differing)} "
            f"of {len(own | stored)} tensors differ in shape or are on one side alone, such as {differing[0]}"
        ) from None


def public_name(encoder: Encoder) -> str:
    """The dotted name a checkpoint knows an encoder's class by: the public one of ours, the module's of others."""
    kind = type(encoder)
    ours = getattr(encoders, kind.__name__, None) is kind and kind.__name__ in encoders.__all__
    return f"{encoders.__name__}.{kind.__name__}" if ours else f"{kind.__module__}.{kind.__qualname__}"


def _class_of(dotted: str, trust: bool | Collection[str], where: str) -> type[Encoder]:
    """The class of a dotted name: one of ours, or one that the caller trusts; nothing else is imported."""
    found: Any = class_named(dotted)
    if found is None:
        if not (trust if isinstance(trust, bool) else dotted in ([trust] if isinstance(trust, str) else trust)):
            raise CheckpointError(
                f"{where} names the encoder {dotted}, which is none of ssl_ecg's: loading it would run that module. If "
                f"you trust it, load it by load_encoder(ref, trust=[{dotted!r}]), or in commands by --trust true"
            )
        module, _, name = dotted.rpartition(".")
        found = getattr(importlib.import_module(module), name)
    if not (isinstance(found, type) and issubclass(found, Encoder)):
        raise TypeError(f"{dotted} is no Encoder")
    return found
