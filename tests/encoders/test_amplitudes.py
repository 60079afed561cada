"""Shape and size apart: pooled stages do not feel a lead's gain, and the log amplitudes beside them do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ssl_ecg import pretrain
from ssl_ecg.checkpoint import load_encoder, save_encoder
from ssl_ecg.data.sources import Simulated
from ssl_ecg.encoders import ConvGRU, Encoder, MobileNet1d, ResNet1d
from ssl_ecg.errors import UserError
from ssl_ecg.methods import JEPA, Autoencoder
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.streaming import StreamingEncoder


def ecg(leads: int = 2) -> torch.Tensor:
    record = next(iter(Simulated(patients=24, records_per_patient=1, duration=10).recordings()))
    return torch.from_numpy(record.signal[None, :leads, :1000])


@pytest.mark.parametrize("kind", [ResNet1d, MobileNet1d, ConvGRU])
@pytest.mark.parametrize("leads", ["together", "apart"])
def test_a_gain_moves_the_amplitudes_by_its_logarithm_and_nothing_else(kind: type[Encoder], leads: str) -> None:
    encoder = kind(2, width=8, leads=leads, amplitudes=True).eval()
    size = 6 if leads == "together" else 3
    x, gain = ecg(), torch.tensor([0.5, 3.0])
    with torch.inference_mode():
        z, scaled = encoder(x)[0], encoder(x * gain[:, None])[0]
    assert z.shape == (encoder.dim,)
    torch.testing.assert_close(scaled[:-size], z[:-size], atol=1e-4, rtol=1e-4)
    moved = gain.log().repeat_interleave(3) if size == 6 else gain.log().mean().expand(3)
    torch.testing.assert_close(scaled[-size:] - z[-size:], moved)


@pytest.mark.parametrize("leads", ["together", "beside"])
def test_stretches_are_in_mv_and_in_ascending_order(leads: str) -> None:
    encoder = ConvGRU(2, width=8, leads=leads, amplitudes="stretches").eval()
    x, gain = ecg(), torch.tensor([0.5, 3.0])
    with torch.inference_mode():
        z, scaled = encoder(x)[0], encoder(x * gain[:, None])[0]
        spoiled = x.clone()
        spoiled[0, 0, 300] = 50.0  # mV, in one of the eight
        artefact = encoder(spoiled)[0]
        short = encoder(x[..., :5])
    assert z.shape == (encoder.dim,) and short.shape == (1, encoder.dim)
    torch.testing.assert_close(scaled[:-48], z[:-48], atol=1e-4, rtol=1e-4)
    sizes, moved = z[-48:].reshape(2, 3, 8), scaled[-48:].reshape(2, 3, 8)
    torch.testing.assert_close(moved, sizes * gain[:, None, None])
    parts = x[0].unflatten(-1, (8, 125))
    torch.testing.assert_close(sizes[:, 1], parts.amax(-1).sort(-1).values)
    torch.testing.assert_close(sizes[:, 2], (-parts.amin(-1)).sort(-1).values)
    off = (artefact[-48:].reshape(2, 3, 8) - sizes).abs()
    assert off[0, 1, -1] > 40 and off[0, 1, :-1].max() < 1 and off[1].max() == 0


def test_it_is_part_of_the_checkpoint_and_of_every_beat(tmp_path: Path) -> None:
    encoder, p = ResNet1d(2, width=4, amplitudes=True), Preprocessing(leads=("I", "II"), window=5, normalise="none")
    x = ecg()[0].numpy()
    loaded = load_encoder(save_encoder(tmp_path / "checkpoint", encoder, p, {}, x, "# card"))
    beats, whole = loaded.at(x, [200, 500, 800], 100, ["I", "II"]), loaded(x, 100, ["I", "II"], whole=True)
    assert beats.shape == (3, loaded.dim)
    np.testing.assert_allclose(beats[:, -6:], np.broadcast_to(whole[-6:], (3, 6)), rtol=1e-5)
    tokens, _ = loaded.tokens(x, 100, ["I", "II"])
    np.testing.assert_allclose(loaded.tokens(7 * x, 100, ["I", "II"])[0], tokens, atol=1e-4)
    with pytest.raises(UserError, match="no stream has one"):
        StreamingEncoder(loaded, 100, ["I", "II"])


def test_what_needs_size_in_the_tokens_or_mv_is_refused(tmp_path: Path) -> None:
    JEPA(ConvGRU(2, amplitudes=True)).check(2, 1000, 100)
    with pytest.raises(ValueError, match="amplitudes must be False, True or 'stretches', not 'strechtes'"):
        ConvGRU(2, amplitudes="strechtes")
    with pytest.raises(UserError, match="do not tell its size"):
        Autoencoder(ResNet1d(2, amplitudes=True)).check(2, 1000, 100)
    with pytest.raises(SystemExit):
        pretrain.main([f"--out={tmp_path}", "--method.encoder.amplitudes=true", "--preprocessing.normalise=record"])
