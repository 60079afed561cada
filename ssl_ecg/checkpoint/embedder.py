"""A pretrained encoder as a transformer of scikit-learn."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssl_ecg.checkpoint.folder import load_encoder
from ssl_ecg.checkpoint.pretrained import PretrainedEncoder, Unit
from ssl_ecg.errors import DataError

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ModuleNotFoundError as error:
    raise ImportError("ECGEmbedder needs scikit-learn: pip install scikit-learn") from error

if TYPE_CHECKING:
    from typing import Self


class ECGEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Embed recordings in a scikit-learn pipeline: nothing is learned from them, so that no fold leaks into another.

    Args:
        ref: a run's folder, or another reference to a checkpoint; see `load_encoder`.
        fs: sampling rate of the recordings, Hz.
        leads: names of their C leads, in order.
        unit: of the recordings: "mV", "uV" or "V".
        whole: embed each recording in one piece, however short; by default it is cut into windows of the encoder's
            length, whose embeddings are averaged.
        trust: whether the checkpoint may name an encoder of your own; see `load_encoder`.
        batch_size: recordings at a time.
        device: where to compute, such as "cpu" or "cuda".

    Attributes:
        encoder_: the `PretrainedEncoder`, loaded by `fit`; pickled with the rest, so that workers load nothing.

    Example:
        >>> model = make_pipeline(ECGEmbedder("runs/simclr-mitbih", fs=360, leads=["MLII"]), LogisticRegression())
        ... # doctest: +SKIP
        >>> cross_val_score(model, x, y, groups=patients, cv=GroupKFold(5))    # doctest: +SKIP
    """

    def __init__(
        self,
        ref: str | Path,
        fs: float,
        leads: Sequence[str],
        unit: Unit = "mV",
        whole: bool = False,
        trust: bool | Collection[str] = False,
        batch_size: int = 64,
        device: str = "cpu",
    ) -> None:
        self.ref = ref
        self.fs = fs
        self.leads = leads
        self.unit = unit
        self.whole = whole
        self.trust = trust
        self.batch_size = batch_size
        self.device = device

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ANN401
        """Load the encoder, and check the recordings' shape; CheckpointError if the encoder cannot be had."""
        self._checked(X, reset=True)
        self.encoder_: PretrainedEncoder = load_encoder(self.ref, self.trust)
        self._n_features_out = self.encoder_.dim
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:  # noqa: ANN401
        """Embed recordings (n, C, T), or (n, T) of one lead: (n, D).

        DataError for what the encoder cannot embed, such as missing leads; ValueError for NaN.
        """
        check_is_fitted(self)
        x = self._checked(X, reset=False)
        x = x[:, None] if x.ndim == 2 else x
        encoder = self.encoder_.to(torch.device(self.device))
        embed = [
            encoder(x[i : i + self.batch_size], self.fs, list(self.leads), whole=self.whole, unit=self.unit)
            for i in range(0, len(x), self.batch_size)
        ]
        return np.concatenate([np.asarray(z) for z in embed])

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401  (scikit-learn's own)
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]  # what embeddings are
        return tags

    def _checked(self, X: Any, reset: bool) -> NDArray[np.floating[Any]]:  # noqa: ANN401
        """As an array of real numbers, (n, C, T) or of one lead (n, T)."""
        x: NDArray[np.floating[Any]] = validate_data(
            self, X, reset=reset, allow_nd=True, dtype=[np.float64, np.float32], ensure_min_features=1
        )
        channels = x.shape[1] if x.ndim == 3 else 1
        if x.ndim not in (2, 3) or channels != len(self.leads):
            raise DataError(
                f"recordings must have shape (n, {len(self.leads)}, time) for the leads {', '.join(self.leads)}"
                f"{' or (n, time)' if len(self.leads) == 1 else ''}, not {x.shape}"
            )
        return x
