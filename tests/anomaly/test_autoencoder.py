"""An autoencoder's decoder goes along with its encoder, and its error is an anomaly score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import arguments

from ssl_ecg import anomaly, load_encoder, pretrain
from ssl_ecg.encoders.decoder import reconstruct, reconstruction_error
from ssl_ecg.errors import CheckpointError
from ssl_ecg.metrics.scores import auroc
from ssl_ecg.report.results import read_results


@pytest.fixture(scope="module", params=["Autoencoder", "MaskedAutoencoder"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    block = ["--method.block=0.5"] if request.param.startswith("Masked") else []
    pretrain.main(arguments(folder, "tiny", f"--method={request.param}", *block))
    return folder / "runs" / "tiny"


def test_the_decoder_comes_back_and_hides_what_was_hidden_in_training(run: Path) -> None:
    found = load_encoder(run)
    assert found.decoder is not None
    last = torch.load(run / "last.ckpt", weights_only=True)["method"]
    for name, value in found.decoder.state_dict().items():
        assert torch.equal(value, last[f"decoder.{name}"]), name
    masked = "Masked" in str(run)
    assert (found.decoder.block > 0) == masked
    x = torch.randn(3, 2, 500)
    error = reconstruction_error(found.encoder, found.decoder, x)
    assert error.shape == (3,) and bool((error > 0).all())
    if not masked:
        made = reconstruct(found.encoder, found.decoder, x)
        torch.testing.assert_close(error, (made - x).square().mean((1, 2)))


def test_a_changed_decoder_is_refused(run: Path) -> None:
    file = run / "checkpoint" / "decoder.safetensors"
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(CheckpointError, match=r"decoder\.safetensors is not the file that was saved"):
            load_encoder(run)
    finally:
        file.write_bytes(whole)


def test_its_error_stands_beside_that_of_the_raw_signal(run: Path, tmp_path: Path) -> None:
    data = ["--data=Simulated", "--data.patients=320", "--data.records_per_patient=1"]
    rest = ["--detectors=reconstruction", "--beside=untrained", "--resamples=20", f"--cache={tmp_path}/cache"]
    anomaly.main([str(run), *data, *rest, f"--out={tmp_path}/out"])
    rows = {row.system: row.value for row in read_results(tmp_path / "out").select(score="auroc", reference="")}
    assert {"pretrained", "untrained", "raw signal", "autoencoder"} == {*rows}
    assert np.isfinite(rows["autoencoder"])


def test_what_it_never_saw_has_a_larger_error(run: Path) -> None:
    found = load_encoder(run)
    assert found.decoder is not None
    g = torch.Generator().manual_seed(0)
    t = torch.arange(500) / 100
    slow = torch.sin(2 * torch.pi * (1 + torch.rand(20, 1, 1, generator=g)) * t).expand(-1, 2, -1)
    noise = torch.randn(20, 2, 500, generator=g)
    error = reconstruction_error(found.encoder, found.decoder, torch.cat([slow, noise])).numpy()
    assert auroc(np.arange(40) >= 20, error.astype(np.float64)) > 0.9
