"""R peaks, the waves around them, and the rate at which they come."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from augmentations.heart_rate import HeartRateChange, heart_rate_map
from augmentations.peaks import r_peaks
from augmentations.warping import interpolate
from augmentations.waves import WAVES, WaveMask, mask_waves, wave_spans

quick = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 2**31)
BEATS = set("NLRBAaJSVrFejnE/fQ?")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def heart(beats, fs, seconds=10.0, leads=2, batch=1):
    """A record with R waves of 1 mV (Gaussian, 12 ms) and T waves of 0.2 mV (50 ms) after 0.3 s at given times in s."""
    time = torch.arange(round(seconds * fs), dtype=torch.float64) / fs
    away = time - torch.as_tensor(beats, dtype=torch.float64)[:, None]
    record = ((-0.5 * (away / 0.012) ** 2).exp() + 0.2 * (-0.5 * ((away - 0.3) / 0.05) ** 2).exp()).sum(0)
    gain = 1 - 1.5 * torch.arange(leads, dtype=torch.float64) / leads  # of either sign
    return (gain[:, None] * record).expand(batch, -1, -1).clone()


def found(peaks, fs):
    """The positions in s of one row of `r_peaks`."""
    return peaks[peaks >= 0].double() / fs


# ---- peaks


@quick
@given(
    st.sampled_from([100.0, 125.0, 250.0, 360.0, 500.0, 1000.0]),
    st.lists(st.floats(0.4, 1.5), min_size=25, max_size=25),
    st.floats(0.001, 1000),
    seeds,
)
def test_every_beat_is_found_and_nothing_else(fs, intervals, unit, seed):
    beats = torch.tensor(intervals, dtype=torch.float64).cumsum(0)
    beats = beats[beats < 9.7]
    x = heart(beats, fs) + 0.01 * torch.randn(1, 2, round(10 * fs), generator=seeded(seed), dtype=torch.float64) + 3
    peaks = r_peaks(unit * x, fs)
    torch.testing.assert_close(found(peaks, fs), beats, atol=0.021, rtol=0)
    assert (found(peaks, fs).diff() > 0).all()


def test_no_peaks_where_there_is_nothing_and_a_fixed_number_of_places():
    assert r_peaks(torch.full((3, 2, 1000), 5.0), 100).eq(-1).all()
    for length in (1, 2, 3, 25, 26, 27, 999):
        peaks = r_peaks(torch.randn(4, 2, length, generator=seeded()), 100)
        assert peaks.shape[1] == max(1, math.ceil((length - min(2, length - 1)) / 26))
        assert ((peaks >= -1) & (peaks < length)).all()


def agreement(peaks, beats, fs, duration, tolerance=0.15):
    """Numbers of beats found, missed, and invented, away from the ends of a record (EC57: within 150 ms)."""
    at = found(peaks, fs)
    inner, sure = (beats > 0.15) & (beats < duration - 0.15), (at > 0.15) & (at < duration - 0.15)
    if not (len(at) and len(beats)):
        return torch.tensor([0, inner.sum(), sure.sum()])
    close = (at[:, None] - beats).abs() < tolerance
    return torch.stack([(close.any(0) & inner).sum(), (~close.any(0) & inner).sum(), (~close.any(1) & sure).sum()])


@pytest.mark.parametrize("fs", [100, 360])
def test_finds_the_beats_of_mit_bih(mitdb, fs):
    wfdb = pytest.importorskip("wfdb")
    counts = []
    for path in sorted(mitdb.glob("*.hea")):
        record = str(path.with_suffix(""))
        signal = wfdb.rdrecord(record, sampto=72_000, return_res=32).p_signal.T  # 200 s
        notes = wfdb.rdann(record, "atr", sampto=72_000)
        beats = torch.tensor([at / 360 for at, what in zip(notes.sample, notes.symbol, strict=True) if what in BEATS])
        x = torch.tensor(signal if fs == 360 else resample_poly(signal, 5, 18, axis=-1)).float()
        x = x.unflatten(1, (20, -1)).transpose(0, 1)  # 20 samples of 10 s
        windows = [beats[(beats >= 10 * i) & (beats < 10 * i + 10)] - 10 * i for i in range(20)]
        peaks = r_peaks(x, fs)
        counts.append(sum(agreement(row, true, fs, 10) for row, true in zip(peaks, windows, strict=True)))
    assert len(counts) == 48
    hit, missed, invented = torch.stack(counts).double().T
    sensitivity, precision = hit / (hit + missed), hit / (hit + invented)
    assert hit.sum() / (hit + missed).sum() > 0.995
    assert hit.sum() / (hit + invented).sum() > 0.985
    assert ((sensitivity > 0.97) & (precision > 0.97)).sum() >= 42


@pytest.fixture(scope="module")
def ludb(shared_data):
    """Of 30 records of LUDB: the signal, its peaks, and P, QRS and T waves in lead II, as (begin, end) in samples."""
    wfdb = pytest.importorskip("wfdb")
    folder = shared_data / "ludb" / "data"
    if not (folder / "1.hea").exists():
        pytest.skip(f"no LUDB records in {folder}")
    records = []
    for number in range(1, 31):
        x = torch.tensor(wfdb.rdrecord(str(folder / str(number))).p_signal.T).float()[None]
        notes = wfdb.rdann(str(folder / str(number)), "ii")
        marks = list(zip(notes.symbol, notes.sample.tolist(), strict=True))
        waves = {"p": [], "N": [], "t": []}
        for before, (what, _), after in zip(marks, marks[1:], marks[2:], strict=False):
            if what in waves and before[0] == "(" and after[0] == ")":
                waves[what].append((before[1], after[1]))
        records.append((x, r_peaks(x, 500), list(waves.values())))
    return records


def test_finds_the_beats_of_ludb(ludb):
    counts = 0
    for _, peaks, (_, qrs, _) in ludb:
        beats = torch.tensor([(begin + end) / 1000 for begin, end in qrs])
        inside = (peaks / 500 > beats[0] - 0.15) & (peaks / 500 < beats[-1] + 0.15)  # not all are annotated
        counts += agreement(torch.where(inside, peaks, -1), beats, 500, 10, tolerance=0.06)
    hit, missed, invented = counts.tolist()
    assert hit > 250
    assert missed + invented <= 2


# ---- waves


@pytest.mark.parametrize("wave", range(3))
def test_waves_lie_where_ludb_has_them(ludb, wave):
    inside = elsewhere = own = others = 0
    for _, peaks, waves in ludb:
        start, end = wave_spans(peaks, torch.tensor([wave]), 500)
        time = torch.arange(5000)
        hidden = ((time >= start[0, :, None]) & (time < end[0, :, None])).any(0)
        for kind, spans in enumerate(waves):
            for begin, stop in spans:
                if kind == wave:
                    inside, own = inside + hidden[begin:stop].sum(), own + stop - begin
                else:
                    elsewhere, others = elsewhere + hidden[begin:stop].sum(), others + stop - begin
    assert inside / own > 0.95
    assert elsewhere / others < 0.03


def test_t_waves_follow_the_rate_and_stop_before_the_next_beat():
    peaks = torch.tensor([[100, 200, 240, -1, 280, 400], [-1, -1, 50, -1, -1, -1]])
    start, end = wave_spans(peaks, torch.tensor([2, 2]), 100)
    assert (start[0, 1], end[0, 1]) == (211, 232)  # 0.43 s after R, but for the QRS 0.4 s after it
    assert (start[0, 2], end[0, 2]) == (248, 272)  # 0.4^(1/3) of 0.11 and 0.43 s: 0.081 and 0.317 s
    assert (start[0, 3], end[0, 3]) == (0, 0)
    assert (start[0, 5], end[0, 5]) == (412, 446)  # after 1.2 s
    assert (start[0, 0], end[0, 0]) == (111, 143)  # the first goes by the interval after it
    assert (start[1, 2], end[1, 2]) == (61, 93)  # an only one by 1 s
    start, end = wave_spans(peaks, torch.tensor([0, 1]), 100)
    assert (start[0, 1], end[0, 1]) == (173, 193)
    assert (start[0, 2], end[0, 2]) == (220, 233)  # half of 0.4 s
    assert (start[1, 2], end[1, 2]) == (42, 58)  # 42.5, to even


@quick
@given(st.sampled_from([0, 1, 2]), st.integers(1, 4), st.sampled_from([100.0, 500.0]), seeds)
def test_masks_are_zero_or_a_line_and_leave_the_rest(wave, leads, fs, seed):
    length = round(5 * fs)
    x = torch.randn(6, leads, length, generator=seeded(seed)) + 5
    peaks = (torch.tensor([0.0, 1.1, 1.9, -1, 3.1, 4.9]) * fs).long().clamp_min(-1).expand(6, -1)
    chosen = torch.rand(6, 6, generator=seeded(seed)) < 0.6
    which = torch.full((6,), wave)
    zero = mask_waves(x, peaks, which, chosen, fs, "zero")
    start, end = wave_spans(peaks, which, fs)
    time = torch.arange(length)
    hidden = ((time >= start[..., None]) & (time < end[..., None]) & chosen[..., None]).any(1, keepdim=True)
    assert torch.equal(zero, torch.where(hidden, 0, x))
    bridge = mask_waves(x, peaks, which, chosen, fs)
    assert torch.equal(bridge.masked_fill(hidden, 0), zero)
    for row, gone, result in zip(x, hidden[:, 0], bridge, strict=True):
        kept = time[~gone].numpy()
        lines = [torch.tensor(np.interp(time.numpy(), kept, lead[~gone].numpy())) for lead in row]
        torch.testing.assert_close(result, torch.stack(lines).float(), atol=1e-4, rtol=0)


def test_wave_mask_hides_what_it_says_in_the_stated_share_of_beats():
    beats = torch.arange(0.6, 9.5, 0.8)
    x = heart(beats, 250, batch=400)
    r, t = x[0, 0, 150], x[0, 0, 150 + 75]  # the first beat and its T wave
    at = (beats * 250).round().long()
    qrs = WaveMask(("QRS",), (0.3, 0.3), p=1)(x, 250, seeded())[:, 0]
    gone = qrs[:, at] < 0.2 * r
    assert abs(gone.double().mean() - 0.3) < 0.03
    torch.testing.assert_close(qrs[:, at + 75], x[:, 0, at + 75])
    assert (WaveMask(("T",), (1, 1), p=1)(x, 250, seeded())[:, 0, at[:-1] + 75] < 0.2 * t).all()
    both = WaveMask(("T", "QRS"), (1, 1), p=1)(x, 250, seeded())[:, 0]
    no_r, no_t = both[:, at[3]] < 0.2 * r, both[:, at[3] + 75] < 0.2 * t
    assert (no_r ^ no_t).all(), "one kind of wave in a sample"
    assert 0.4 < no_r.double().mean() < 0.6
    assert torch.equal(WaveMask(WAVES, (0, 0), p=1)(x, 250, seeded()), x)


# ---- heart rate


def planted(beats, fs, factor, place, seconds=10.0):
    """The map for beats at given times in s, and the result of reading time itself at it."""
    peaks = (torch.tensor(beats, dtype=torch.float64) * fs).round().long()[None]
    factor, place = torch.tensor([[factor]], dtype=torch.float64), torch.tensor([[place]], dtype=torch.float64)
    return heart_rate_map(peaks, factor, place, fs, round(seconds * fs))[0] / fs


@quick
@given(
    st.lists(st.floats(0.55, 1.4), min_size=4, max_size=15),
    st.floats(0.6, 1.8),
    st.floats(0, 1),
    st.sampled_from([100.0, 500.0]),
)
def test_each_interval_is_divided_and_each_qrs_keeps_its_width(intervals, factor, place, fs):
    beats = (torch.tensor(intervals, dtype=torch.float64).cumsum(0) * fs).round() / fs
    beats = beats[beats < 9.8]
    source = planted(beats.tolist(), fs, factor, place)
    time = torch.arange(len(source), dtype=torch.float64) / fs
    assert source.min() >= -1e-9 and source.max() <= 10 - 1 / fs + 1e-9
    step = source.diff() * fs
    seams = step < 0
    assert (step[~seams] > 0).all()
    still = ((source[:, None] - beats).abs() < 0.1 - 3 / fs).any(1)
    assert ((step[still[:-1] & still[1:] & ~seams] - 1).abs() < 1e-6).all()
    # Where the map passes two beats in succession, the time between is the old over the factor.
    place, beat = ((source[:-1, None] <= beats) & (source[1:, None] > beats)).nonzero().T
    passed = time[place] + beats[beat] - source[place]
    for i in range(len(beat) - 1):
        if beat[i + 1] == beat[i] + 1:
            new, before, after = passed[i + 1] - passed[i], beats[beat[i]], beats[beat[i + 1]]
            if not seams[place[i] : place[i + 1]].any():
                assert float(new) == pytest.approx(float(after - before) / factor, abs=1e-6)


@pytest.mark.parametrize("factor", [0.8, 0.95, 1.1, 1.3, 1.6])
def test_the_rate_changes_by_the_factor_and_r_waves_do_not(factor):
    fs, interval = 500, 0.9
    x = heart(torch.arange(0.5, 10, interval), fs, batch=20)
    change = HeartRateChange((factor, factor), p=1)
    y = change(x, fs, seeded())
    for row in r_peaks(y, fs):
        torch.testing.assert_close(
            found(row, fs).diff().median(), torch.tensor(interval / factor, dtype=torch.float64), atol=0.011, rtol=0
        )
        assert (found(row, fs).diff() - interval / factor).abs().max() < 0.03, "also across the seams"
    wide = (x[0, 0] > 0.5).double().mean() * 10 / (x[0, 0] > 0.5).int().diff().eq(1).sum()  # s per R wave
    for row in y[:, 0]:
        inside = row[100:-100]
        starts = (inside > 0.5).int().diff()
        widths = starts.eq(-1).nonzero()[-1] - starts.eq(1).nonzero()[0]
        assert widths > 0
        first = int(starts.eq(1).nonzero()[0])
        last = int(starts.eq(-1).nonzero()[-1])
        beats = starts[first : last + 1].eq(1).sum()
        assert (inside[first : last + 1] > 0.5).sum() / fs / beats == pytest.approx(float(wide), abs=0.0025)


def test_a_slower_heart_shows_any_part_and_a_faster_one_repeats_its_beats():
    beats = [0.5 + 0.9 * i for i in range(11)]
    flush, end = planted(beats, 500, 0.8, 0.0), planted(beats, 500, 0.8, 1.0)
    assert flush[0] == 0 and end[-1] == pytest.approx(9.998)
    faster = planted(beats, 500, 1.25, 0.0)
    seam = int((faster.diff() < 0).nonzero()[0])
    assert faster[seam] == pytest.approx(9.998, abs=0.01)
    assert faster[seam + 1] == pytest.approx(9.998 - 9.0, abs=0.01), "goes on ten beats of 0.9 s earlier"
    assert planted(beats, 500, 1.25, 1.0)[-1] == pytest.approx(9.998)


def test_without_two_beats_the_ends_are_held():
    for beats in ([-1.0], [4.0]):
        source = planted(beats, 100, 1.5, 0.5)
        position = interpolate(torch.arange(1000.0)[None, None], source[None].float() * 100)[0, 0]
        assert position[0] == 0 and position[-1] == 999
        assert (position.diff() >= 0).all()
    assert (planted([-1.0], 100, 1.0, 0.3) * 100 - torch.arange(1000)).abs().max() < 1e-6


def test_the_factor_covers_its_range():
    x = heart(torch.arange(0.5, 10, 0.8), 250, batch=200)
    y = HeartRateChange((0.8, 1.25), p=1)(x, 250, seeded())
    rate = torch.stack([0.8 / found(row, 250).diff().median() for row in r_peaks(y, 250)])
    assert 0.78 < rate.min() < 0.83
    assert 1.21 < rate.max() < 1.28
    assert abs(rate.mean() - 1.025) < 0.03


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: WaveMask(()), "at least one"),
        (lambda: WaveMask(("U",)), "at least one"),
        (lambda: WaveMask(share=(0, 1.5)), "share"),
        (lambda: WaveMask(fill="noise"), "fill"),
        (lambda: HeartRateChange((0.3, 1)), "factor"),
    ],
)
def test_bad_settings_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
