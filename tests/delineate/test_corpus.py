"""Leads with marks, from any data set that has them, and maps at the moments that a head reads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ssl_ecg.data.source import Recording, Source, Waves
from ssl_ecg.delineate.corpus import read_leads
from ssl_ecg.encoders import ConvGRU, ResNet1d
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.preprocessing import Preprocessing
from ssl_ecg.waves.features import Frozen, Map, RawSamples

P = Preprocessing(fs=100, leads=("ECG",), window=9, normalise="record")


class Marked(Source):
    """Two recordings of two leads at 250 Hz, the second of which cannot be read; marks are of both leads together."""

    classes = ()
    task = "record"
    lead = ""

    def ensure(self, limit: int | None = None) -> None:
        pass

    def fingerprint(self) -> dict[str, object]:
        return {}

    @property
    def records(self) -> list[str]:
        return ["a", "b"]

    def read(self, number: int) -> Recording:
        if number:
            raise DataError("b is damaged")
        signal = np.random.default_rng(0).normal(size=(2, 2500)).astype(np.float32)
        return Recording(record="a", patient="MITBIH::1", signal=signal, fs=250, leads=("MLII", "V5"))

    def waves(self, number: int) -> tuple[Waves, ...]:
        one = np.array([1000])
        return (Waves(self.lead, np.array(["QRS"]), one, one + 10, one + 20, np.array([[1000, 1021]])),)


class OfOneLead(Marked):
    lead = "V5"


def test_marks_of_all_leads_together_count_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    leads = read_leads(Marked(), P, ())
    assert [(each.name, each.patient, each.fs, len(each.x)) for each in leads] == [
        ("II", "MITBIH::1", 250, 1000), ("V5", "MITBIH::1", 250, 1000),
    ]  # fmt: skip
    assert "left out: b is damaged" in capsys.readouterr().out
    assert [each.name for each in read_leads(Marked(), P, ("V5", "I"))] == ["V5"]
    assert [each.name for each in read_leads(OfOneLead(), P, ())] == ["V5"]
    with pytest.raises(DataError, match="no marked waves in the leads V1"):
        read_leads(Marked(), P, ("V1",))


def test_a_data_set_without_marks_is_refused() -> None:
    class Unmarked(Marked):
        waves = Source.waves

    with pytest.raises(UserError, match="Unmarked marks no P, QRS and T waves"):
        read_leads(Unmarked(), P, ())


def test_a_layer_on_tokens_is_a_layer_on_samples() -> None:
    """Interpolated before or after it."""
    values = torch.randn(5, 20, generator=torch.Generator().manual_seed(0))
    one = Map(values, 8, (-3.0, 0.0, 16.0))
    weight = torch.randn(15, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(one.at(torch.arange(160)) @ weight, one.scores(weight, 160))
    both = Map(torch.stack([values, 2 * values]), 8, one.shifts).scores(weight, 160)
    torch.testing.assert_close(both[1], 2 * one.scores(weight, 160))


@pytest.mark.parametrize("encoder", [ConvGRU(1, width=8, context=8), ResNet1d(1, width=4, stages=2)])
def test_leads_at_once_are_what_they_are_alone(encoder: ConvGRU | ResNet1d) -> None:
    frozen, x = Frozen("pretrained", encoder.eval(), 100.0), torch.randn(3, 500)
    for row, maps in zip(x, frozen.of_leads(x), strict=True):
        for a, b in zip(maps, frozen.maps(row), strict=True):
            torch.testing.assert_close(a.values, b.values, atol=1e-5, rtol=1e-4)
            assert (a.stride, a.shifts) == (b.stride, b.shifts)
    assert len(Frozen("one", encoder, 100.0, only=1).maps(x[0])) == 1


def test_a_causal_map_is_read_later_and_another_one_around_its_sample() -> None:
    causal = Frozen("", ConvGRU(1, width=8, context=8).eval(), 100.0).maps(torch.randn(300))
    assert [one.shifts for one in causal] == [(4.0, 20.0), (8.0, 24.0), (16.0, 32.0), (16.0, 32.0)]
    other = Frozen("", ResNet1d(1, width=4, stages=2).eval(), 100.0).maps(torch.randn(300))
    assert all(min(one.shifts) < 0 < max(one.shifts) for one in other)


def test_raw_samples_are_the_lead_itself() -> None:
    x = torch.arange(300.0)
    (one,) = RawSamples(100.0, seconds=0.02).maps(x)
    assert one.at(torch.tensor([150])).tolist() == [[148, 149, 150, 151, 152]]
