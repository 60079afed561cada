"""A stream gives what the whole recording gives, however it is cut, and goes on bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from export_encoders import TINY, tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from ssl_ecg import StreamingEncoder
from ssl_ecg.checkpoint import PretrainedEncoder
from ssl_ecg.encoders import Encoder, SideBySide
from ssl_ecg.errors import CheckpointError, DataError, UserError
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.streaming import Hop
from ssl_ecg.streaming.conditioning import CausalConditioning

FS, LEADS = 250, ["v1", "MLII", "I"]
X = np.random.default_rng(0).normal(size=(3, 20 * FS + 77)).cumsum(-1) / 20 + 1
CAUSAL = ("ConvGRU", "ConvS4D")


def encoder(name: str, normalise: Literal["window", "record", "none"] = "none", **more: Any) -> PretrainedEncoder:
    p = Preprocessing(leads=("aVF", "V1"), window=3.0, normalise=normalise)
    return PretrainedEncoder(tiny(name, **more), p, weights="abc")


def joined(hops: list[Hop]) -> NDArray[np.float32]:
    return np.concatenate([hop.tokens for hop in hops], axis=1)


def everything(stream: StreamingEncoder, chunks: list[NDArray[Any]]) -> list[Hop]:
    return [hop for chunk in chunks for hop in stream.push(chunk)] + list(stream.finish())


def causally_conditioned(pretrained: PretrainedEncoder, x: NDArray[Any], fs: float) -> Tensor:
    conditioning = CausalConditioning(pretrained.preprocessing, fs, LEADS)
    return torch.from_numpy(np.concatenate([conditioning.push(x), conditioning.finish()], 1).astype(np.float32))


@pytest.mark.parametrize("name", sorted({*TINY} - {"SideBySide"}))
def test_tokens_and_embeddings_are_those_of_the_whole_recording(name: str) -> None:
    pretrained = encoder(name)
    stream = StreamingEncoder(pretrained, FS, LEADS)
    hops = everything(stream, np.array_split(X, 23, axis=1))
    x = causally_conditioned(pretrained, X, FS)
    assert x.shape[1] == -(-X.shape[1] * 100 // FS)
    with torch.inference_mode():
        whole = pretrained.encoder.tokens(x[None])[0].numpy()
    found = joined(hops)
    assert found.shape == whole.shape
    np.testing.assert_allclose(found, whole, atol=1e-5)
    stride, count = pretrained.encoder.stride, round(300 / pretrained.encoder.stride)
    assert stream.block % stride == 0 and (name not in CAUSAL or stream.tokens.waits == 0)
    end = 0
    for hop in hops:
        end += hop.tokens.shape[1]
        pooled = pretrained.encoder.pool([torch.from_numpy(whole[None, :, max(0, end - count) : end])])
        np.testing.assert_allclose(hop.embedding, pooled[0].numpy(), atol=1e-5)
    assert np.concatenate([hop.times for hop in hops])[0] == pretrained.encoder.grids[-1].centre / 100


@pytest.mark.parametrize("names", [("ConvGRU", "ConvS4D"), ("MobileNet1d", "ResNet1d")])
def test_encoders_side_by_side_stream_where_all_do_so_alike(names: tuple[str, str]) -> None:
    parts = [{"class_path": name, "init_args": TINY[name]} for name in names]
    torch.manual_seed(0)
    p = Preprocessing(leads=("aVF", "V1"), window=3.0, normalise="none")
    pretrained = PretrainedEncoder(SideBySide(2, parts).eval(), p)
    stream = StreamingEncoder(pretrained, FS, LEADS)
    hops = everything(stream, np.array_split(X, 23, axis=1))
    with torch.inference_mode():
        x = causally_conditioned(pretrained, X, FS)
        whole = pretrained.encoder.stages(x[None])
    np.testing.assert_allclose(joined(hops), whole[-1][0].numpy(), atol=1e-5)
    assert all(hop.embedding.shape == (pretrained.dim,) for hop in hops)
    with pytest.raises(UserError, match="SideBySide cannot stream"):
        StreamingEncoder(encoder("SideBySide"), FS, LEADS)


@pytest.mark.parametrize("normalise", ["window", "record"])
@pytest.mark.parametrize("name", ["ConvGRU", "MobileNet1d"])
def test_normalisation_is_that_of_the_whole_recording(name: str, normalise: Literal["window", "record"]) -> None:
    pretrained = encoder(name, normalise)
    x = causally_conditioned(pretrained, X, FS)
    scale = x[:, :1000].unfold(1, 200, 200).std(-1, correction=0).sort(1)[0]
    scale = scale[:, scale.shape[1] // 2 - (scale.shape[1] + 1) % 2 : scale.shape[1] // 2 + 1].mean(1, keepdim=True)
    wanted = pretrained.preprocessing.normalise_record(x) if normalise == "window" else x / scale
    with torch.inference_mode():
        whole = pretrained.encoder.tokens(wanted[None])[0].numpy()
    found = joined(everything(StreamingEncoder(pretrained, FS, LEADS), np.array_split(X, 7, axis=1)))
    np.testing.assert_allclose(found, whole, atol=2e-5)
    given = StreamingEncoder(pretrained, FS, LEADS, scale=scale.numpy()) if normalise == "record" else None
    if given is not None:
        np.testing.assert_allclose(joined(everything(given, [X])), whole, atol=2e-5)


@settings(max_examples=12, deadline=None)
@given(
    name=st.sampled_from(["ConvGRU", "ConvS4D", "MobileNet1d"]),
    normalise=st.sampled_from(["window", "record", "none"]),
    cuts=st.lists(st.integers(0, X.shape[1]), max_size=12),
    stop=st.integers(0, 12),
    fs=st.sampled_from([100, 128, 250, 257]),
)
def test_however_it_is_cut_and_wherever_it_is_stopped_the_bits_are_the_same(
    name: str, normalise: Literal["window", "record", "none"], cuts: list[int], stop: int, fs: float
) -> None:
    pretrained = encoder(name, normalise)
    wanted = everything(StreamingEncoder(pretrained, fs, LEADS, enrol=4), [X])
    stream = StreamingEncoder(pretrained, fs, LEADS, enrol=4)
    found: list[Hop] = []
    for i, chunk in enumerate(np.split(X, sorted(cuts), axis=1)):
        if i == stop:
            other = StreamingEncoder(pretrained, fs, LEADS, enrol=4)
            other.restore(stream.state())
            stream = other
        found += stream.push(chunk)
    found += stream.finish()
    assert len(found) == len(wanted)
    for one, two in zip(found, wanted, strict=True):
        assert one.end == two.end
        for a, b in zip(one[1:], two[1:], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["ConvGRU", "MobileNet1d"])
def test_a_saved_stream_goes_on_as_if_nothing_had_been(name: str, tmp_path: Path) -> None:
    pretrained = encoder(name, "record")
    stream = StreamingEncoder(pretrained, FS, LEADS)
    list(stream.push(X[:, :4000]))
    stream.save(tmp_path / "state.npz")
    again = StreamingEncoder.load(tmp_path / "state.npz", pretrained)
    one, two = (everything(each, [X[:, 4000:]]) for each in (stream, again))
    assert len(one) > 3
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.embedding, b.embedding)
    pretrained.weights = "def"
    with pytest.raises(CheckpointError, match="saved with an encoder of weights abc"):
        StreamingEncoder.load(tmp_path / "state.npz", pretrained)


def test_what_it_keeps_is_small_and_does_not_grow() -> None:
    stream = StreamingEncoder(encoder("ConvGRU"), FS, LEADS)
    list(stream.push(X[:, : 10 * FS]))
    assert stream.state_bytes < 8000
    list(stream.push(X[:, : 10 * FS]))
    assert stream.state_bytes < 8000
    assert stream.real_time_factor > 1
    assert stream.latency == pytest.approx(1.04 + 10 / 100, abs=0.1)


def test_what_has_no_tokens_or_sees_everything_cannot_stream() -> None:
    class Alone(Encoder):
        def __init__(self, in_channels: int = 2) -> None:
            super().__init__(in_channels)
            self.dim, self.layer = 2, nn.Linear(1, 1)

        def forward(self, x: Tensor) -> Tensor:
            return x.mean(-1)

    class BothWays(Encoder):
        def __init__(self, in_channels: int = 2) -> None:
            super().__init__(in_channels)
            self.gru = nn.GRU(2, 4, bidirectional=True, batch_first=True)

        def features(self, x: Tensor) -> list[Tensor]:
            return [self.gru(x.transpose(1, 2))[0].transpose(1, 2)]

    p = Preprocessing(leads=("I", "V1"))
    with pytest.raises(UserError, match="has no tokens"):
        StreamingEncoder(PretrainedEncoder(Alone(), p), FS, LEADS)
    with pytest.raises(UserError, match="see the whole recording"):
        StreamingEncoder(PretrainedEncoder(BothWays(), p), FS, LEADS)


def test_what_cannot_be_used_is_refused() -> None:
    pretrained = encoder("ConvGRU")
    with pytest.raises(DataError, match="lead aVF is wanted"):
        StreamingEncoder(pretrained, FS, ["I", "V1"])
    with pytest.raises(DataError, match="at 50 Hz ends at 25 Hz"):
        StreamingEncoder(pretrained, 50, LEADS)
    with pytest.raises(UserError, match="above 0"):
        StreamingEncoder(pretrained, FS, LEADS, hop=0)
    stream = StreamingEncoder(pretrained, FS, LEADS)
    with pytest.raises(DataError, match="NaN"):
        stream.push(np.full((3, 9), np.nan))
    with pytest.raises(DataError, match="must have shape"):
        stream.push(np.zeros((2, 9)))
    assert list(stream.push(np.zeros((3, 0)))) == [] and list(stream.finish()) == []
    with pytest.raises(UserError, match="was finished"):
        stream.push(np.zeros((3, 9)))
