"""What holds of every encoder, here of few channels: shapes, leads, copies, gradients, causality, checkpoints."""

from __future__ import annotations

import copy
import io
import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ssl_ecg import encoders
from ssl_ecg.checkpoint import load_encoder, save_encoder
from ssl_ecg.encoders import Encoder, MobileNet1d, XResNet1d
from ssl_ecg.preprocessing import Preprocessing

SMALL: dict[str, dict[str, Any]] = {
    "ConvGRU": {"width": 8, "context": 12},
    "ConvNeXt1d": {"width": 4, "depths": (1, 2)},
    "ConvS4D": {"width": 8, "context": 12, "states": 4, "memory": 16},
    "InceptionTime": {"width": 4, "kernel": 16},
    "MobileNet1d": {"width": 4, "stages": 3},
    "ResNet1d": {"width": 4, "stages": 2},
    "SideBySide": {
        "encoders": [
            {"class_path": "ConvGRU", "init_args": {"width": 8, "context": 12}},
            {"class_path": "MobileNet1d", "init_args": {"width": 4, "stages": 3}},
        ]
    },
    "XResNet1d": {"width": 4, "depth": 18},
}
CAUSAL = ["ConvGRU", "ConvS4D"]
NAMES = [name for name in encoders.__all__ if name != "Encoder"]
# The settings under which a part is there that otherwise is not.
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("XResNet1d", {"depth": 50, "stages": 2}),
    ("InceptionTime", {"shrink": 4}),
    ("ConvNeXt1d", {"stem": 4}),
    ("ConvGRU", {"layers_of_context": 2, "strides": (2, 3)}),
]
CASES = [pytest.param(name, {}, id=name) for name in NAMES] + [
    pytest.param(name, settings, id=f"{name}-{next(iter(settings))}") for name, settings in OTHERS
]
every_encoder = pytest.mark.parametrize(("name", "settings"), CASES)


def make(name: str, settings: dict[str, Any], in_channels: int = 2, **more: Any) -> Encoder:
    """A small one whose parameters and batch statistics are not at their special initial values."""
    torch.manual_seed(0)
    encoder: Encoder = getattr(encoders, name)(in_channels, **{**SMALL.get(name, {}), **settings, **more})
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        encoder.train()(signals(16, encoder.in_channels, 200))
    return encoder.eval()


def signals(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@every_encoder
@pytest.mark.parametrize("pooling", ["last", "stages"])
@torch.inference_mode()
def test_any_length_gives_stages_tokens_and_an_embedding(name: str, settings: dict[str, Any], pooling: str) -> None:
    encoder = make(name, settings, pooling=pooling, statistics=("mean", "max", "std", "attentive"))
    for length in (1, 5, 64, 301):
        x = signals(3, 2, length)
        stages = encoder.stages(x)
        strides = [grid.stride for grid in encoder.grids]
        assert [each.shape for each in stages] == [
            (3, width, math.ceil(length / stride)) for width, stride in zip(encoder.widths, strides, strict=True)
        ]
        assert torch.equal(encoder.tokens(x), stages[-1])
        z = encoder(x)
        assert z.shape == (3, encoder.dim) and z.isfinite().all()


@every_encoder
@torch.inference_mode()
def test_leads_apart_are_each_embedded_by_the_same_weights(name: str, settings: dict[str, Any]) -> None:
    encoder = make(name, settings, leads="apart")
    x = signals(2, 3, 200)
    torch.testing.assert_close(encoder(x), torch.stack([encoder(x[:, [i]]) for i in range(3)]).mean(0))
    torch.testing.assert_close(encoder(x), encoder(x[:, [2, 0, 1]]))


@every_encoder
def test_copies_and_arguments_rebuild_it(name: str, settings: dict[str, Any]) -> None:
    encoder, x = make(name, settings, statistics=("max", "std")), signals(2, 2, 200)
    again = type(encoder)(**encoder.arguments).eval()
    again.load_state_dict(encoder.state_dict())
    torch.save(encoder, file := io.BytesIO())
    file.seek(0)
    for copied in (
        again,
        copy.deepcopy(encoder),
        pickle.loads(pickle.dumps(encoder)),
        torch.load(file, weights_only=False),
    ):
        assert copied.arguments == encoder.arguments
        assert torch.equal(copied(x), encoder(x))


@every_encoder
def test_weights_have_one_dimension_in_time(name: str, settings: dict[str, Any]) -> None:
    assert all(value.ndim <= 3 for value in make(name, settings).state_dict().values())


@every_encoder
@pytest.mark.parametrize("training", [True, False])
def test_a_gradient_reaches_every_parameter_and_every_layer_is_counted(
    name: str, settings: dict[str, Any], training: bool
) -> None:
    encoder = make(name, settings, statistics=("mean", "max", "attentive")).train(training)
    encoder(signals(4, 2, 200)).square().sum().backward()
    untouched = [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not untouched
    counted = [id(p) for layer in encoder.layers() for p in layer.parameters()]
    assert sorted(counted) == sorted(id(p) for p in encoder.parameters())


@every_encoder
@torch.inference_mode()
def test_evaluation_is_deterministic_and_its_samples_do_not_touch(name: str, settings: dict[str, Any]) -> None:
    encoder, x = make(name, settings, **regularised(name)), signals(5, 2, 200)
    assert torch.equal(encoder(x), encoder(x))
    torch.testing.assert_close(encoder(x)[2:3], encoder(x[2:3]))


@every_encoder
def test_dropout_is_drawn_from_torch_s_generator_and_for_training_alone(name: str, settings: dict[str, Any]) -> None:
    encoder, x = make(name, settings, **regularised(name)), signals(5, 2, 200)
    without = make(name, settings)
    without.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder(x), without(x))
    encoder.train()

    def drawn(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return encoder(x)

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


@every_encoder
@torch.inference_mode()
def test_tokens_see_what_their_grid_says(name: str, settings: dict[str, Any]) -> None:
    encoder = make(name, settings)
    length = 40 * encoder.stride
    at = 20 * encoder.stride + encoder.stride // 2
    x, later, earlier = (signals(1, 2, length) for _ in range(3))
    later[..., at:] += signals(1, 2, length - at, seed=2)
    earlier[..., :at] += signals(1, 2, at, seed=2)
    for grid, *maps in zip(encoder.grids, *(encoder.stages(each) for each in (x, later, earlier)), strict=True):
        changed, unchanged = [(each - maps[0]).abs().amax((0, 1)) > 0 for each in maps[1:]]
        j = torch.arange(maps[0].shape[-1]) * grid.stride
        assert not changed[j + grid.right < at].any()
        assert changed[j >= at].all()
        assert not unchanged[j - grid.left >= at].any()


@torch.inference_mode()
@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("training", [True, False])
def test_what_a_causal_one_said_never_changes(name: str, training: bool) -> None:
    encoder = make(name, {}).train(training)
    assert encoder.causal
    whole = signals(2, 2, 400)
    for end in (8, 56, 200):
        for part, all_of_it in zip(encoder.stages(whole[..., :end]), encoder.stages(whole), strict=True):
            torch.testing.assert_close(part, all_of_it[..., : end // 8], atol=1e-5, rtol=1e-4)


def test_those_that_read_in_order_are_causal_and_no_other() -> None:
    assert {name for name in NAMES if make(name, {}).causal} == set(CAUSAL)


def test_a_recurrence_sees_all_that_was_and_a_state_space_as_far_as_it_remembers() -> None:
    assert make("ConvGRU", {}).receptive_field == math.inf
    tokens, context = make("ConvS4D", {}).grids
    assert context.left == tokens.left + 2 * (16 - 1) * 8


@torch.no_grad()
def test_a_state_space_is_the_one_of_complex_arithmetic_in_training_and_evaluation() -> None:
    layer = make("ConvS4D", {}).double().context[0]
    step, a = layer.step.exp(), torch.complex(-layer.decay.exp(), layer.frequency)
    weight = torch.complex(*layer.read) * ((step * a).exp() - 1) / a
    u, state, expected = signals(3, 12, 1, 16).double(), torch.zeros(3, 12, 4, dtype=torch.complex128), []
    for now in u[:, :, 0].unbind(-1):
        state = (step * a).exp() * state + now[..., None]
        expected.append(2 * (weight * state).sum(-1).real)
    torch.testing.assert_close(layer.remember(u)[:, :, 0], torch.stack(expected, dim=-1))
    torch.testing.assert_close(layer.train().remember(u)[:, :, 0], torch.stack(expected, dim=-1), atol=1e-5, rtol=1e-4)


@every_encoder
@torch.inference_mode()
def test_a_signal_shifted_by_a_token_gives_tokens_shifted_by_one(name: str, settings: dict[str, Any]) -> None:
    encoder = make(name, settings)
    step, x = encoder.stride, signals(1, 2, 4000)
    for grid, here, shifted in zip(encoder.grids, encoder.stages(x), encoder.stages(x[..., step:]), strict=True):
        if math.isfinite(grid.left + grid.right):
            edge, by = math.ceil(max(grid.left, grid.right) / grid.stride) + 1, step // grid.stride
            assert here.shape[-1] > 2 * edge + by + 10
            torch.testing.assert_close(here[..., edge + by : -edge], shifted[..., edge:-edge])


@every_encoder
def test_a_checkpoint_gives_the_same_embedding(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    preprocessing = Preprocessing(fs=100, leads=["I", "II"], window=3)
    golden = np.random.default_rng(0).normal(size=(2, 300)).astype(np.float32)
    encoder = make(name, settings)
    loaded = load_encoder(save_encoder(tmp_path / "checkpoint", encoder, preprocessing, {}, golden, "# card"))
    assert f'"class": "ssl_ecg.encoders.{name}"' in (tmp_path / "checkpoint" / "config.json").read_text()
    assert loaded.encoder.arguments == json.loads(json.dumps(encoder.arguments))
    assert torch.equal(loaded.encoder(signals(2, 2, 300)), encoder(signals(2, 2, 300)))


@pytest.mark.parametrize("name", NAMES)
def test_it_exports_for_any_length_and_batch(name: str) -> None:
    encoder = make(name, {})
    fixed = name in ("ConvGRU", "SideBySide")  # torch.export unrolls a GRU: for one batch and length
    dynamic = None if fixed else {"x": {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}}
    program = torch.export.export(encoder, (signals(2, 2, 300),), dynamic_shapes=dynamic)
    x = signals(2, 2, 300, seed=2) if fixed else signals(5, 2, 417)
    torch.testing.assert_close(program.module()(x), encoder(x))


@pytest.mark.parametrize(("width", "limit"), [(16, 100_000), (32, 400_000)])
def test_mobilenet_s_sizes_are_as_promised(width: int, limit: int) -> None:
    for leads in (1, 12):
        assert sum(p.numel() for p in MobileNet1d(leads, width).parameters()) <= limit


def test_mobilenet_needs_no_operator_that_8_bit_runtimes_lack() -> None:
    """Where weights are constants their products are too, so multiplications of weights alone do not count."""
    program = torch.export.export(MobileNet1d(2).eval(), (signals(1, 2, 300),))
    of_the_signal: set[str] = set()
    from_signal: set[Any] = set()
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name == "x":
            from_signal.add(node)
        if node.op == "call_function" and from_signal & set(node.all_input_nodes):
            from_signal.add(node)
            of_the_signal.add(str(node.target).split(".")[1].rstrip("_"))
    assert of_the_signal <= {"conv2d", "hardtanh", "add", "mean", "amax", "cat", "unsqueeze", "squeeze", "contiguous"}
    assert {"conv2d", "hardtanh", "add"} <= of_the_signal


def test_xresnet_is_the_published_one() -> None:
    """Its parameters, counted from the reference code of arXiv 2004.13701 without the head."""
    encoder = XResNet1d(12)
    stem = 5 * (12 * 32 + 32 * 32 + 32 * 64) + 2 * (32 + 32 + 64)
    first, other = (n * 64 + 64 * 64 * 5 + 64 * 256 + 2 * (64 + 64 + 256) for n in (64, 256))
    blocks = first + (3 + 4 + 23 + 3 - 1) * other + 64 * 256 + 2 * 256
    assert sum(p.numel() for p in encoder.parameters()) == stem + blocks
    assert (encoder.stride, encoder.receptive_field) == (32, 1945)


@torch.no_grad()
def test_in_evaluation_convolution_and_normalisation_are_one() -> None:
    layer = encoders.layers.ConvNorm(3, 4, 5, 2).train()
    x = encoders.layers.as_image(signals(8, 3, 50))
    for _ in range(3):
        layer(x)
    layer.eval()
    torch.testing.assert_close(layer(x), layer.norm(layer.conv(x)))
    torch.testing.assert_close(
        encoders.layers.as_signal(layer.conv(x)), nn.functional.conv1d(signals(8, 3, 50), layer.conv.weight, None, 2, 2)
    )


@torch.no_grad()
def test_in_evaluation_the_branches_of_an_inception_module_are_normalised_as_one() -> None:
    module = make("InceptionTime", {}).blocks[1].body[0]
    x = encoders.layers.as_image(signals(3, 16, 50))
    narrow = module.bottleneck(x)
    maps = [branch(narrow) for branch in module.branches[:-1]] + [module.branches[-1](module.largest(x))]
    torch.testing.assert_close(module(x), module.norm(torch.cat(maps, dim=1)).relu())


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *((name, {"width": 0}) for name in NAMES),
        *((name, {"dropout": 1.0}) for name in NAMES),
        *((name, {"in_channels": 0}) for name in NAMES),
        *((name, {"pooling": "first"}) for name in NAMES),
        ("XResNet1d", {"depth": 20}),
        ("XResNet1d", {"stages": 5}),
        ("XResNet1d", {"kernel": 4}),
        ("XResNet1d", {"stochastic_depth": -0.1}),
        ("InceptionTime", {"modules": 4}),
        ("InceptionTime", {"kernel": 3}),
        ("InceptionTime", {"shrink": 0}),
        ("MobileNet1d", {"kernel": 8}),
        ("MobileNet1d", {"expansion": 0}),
        ("ConvNeXt1d", {"depths": ()}),
        ("ConvNeXt1d", {"kernel": 6}),
        ("ConvGRU", {"strides": ()}),
        ("ConvGRU", {"layers_of_context": 0}),
        ("ConvS4D", {"memory": 0}),
    ],
)
def test_impossible_settings_are_refused_by_name(name: str, wrong: dict[str, Any]) -> None:
    named = "ConvGRU" if name == "SideBySide" else name  # whose settings are those of its encoders
    with pytest.raises(ValueError, match=f"{named}: {next(iter(wrong))} must"):
        getattr(encoders, name)(**wrong)


def regularised(name: str) -> dict[str, float]:
    """All the dropout it takes."""
    return {"dropout": 0.3} | ({} if name in ("ResNet1d", "SideBySide", *CAUSAL) else {"stochastic_depth": 0.5})


@pytest.mark.parametrize("name", CAUSAL)
def test_details_are_the_maps_of_every_convolution_and_the_stages(name: str) -> None:
    encoder = make(name, {"strides": (2, 2, 3)}).eval()
    with torch.no_grad():
        x = torch.randn(2, encoder.inputs, 240)
        details, stages = list(encoder.details(x)), list(encoder.features(x))
    for a, b in zip(details[-2:], stages, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert [each.shape[-1] for each in details] == [120, 60, 20, 20]
    assert [grid.stride for grid in encoder.detail_grids] == [2, 4, 12, 12]
    assert encoder.detail_grids[-2:] == encoder.grids
