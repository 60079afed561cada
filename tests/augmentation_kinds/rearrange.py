"""Time put in another order, beats, and waves."""

from hypothesis import strategies as st

from augmentation_kinds.kind import Kind, ranges
from augmentations.heart_rate import HeartRateChange
from augmentations.rearrange import CircularShift, RandomCrop, RateJitter, SegmentPermutation, TimeReversal
from augmentations.waves import WaveMask

waves = st.sampled_from([("P",), ("QRS",), ("T", "P"), ("P", "QRS", "T")])

KINDS = {
    "shift": Kind(lambda p: st.builds(CircularShift, ranges(-30, 30), p), lambda p: CircularShift(p=p), varies=False),
    "permutation": Kind(
        lambda p: st.builds(SegmentPermutation, st.integers(2, 12), st.sampled_from(["equal", "random"]), p),
        lambda p: SegmentPermutation(20, "random", p),
    ),
    "reversal": Kind(lambda p: st.builds(TimeReversal, p), TimeReversal, varies=False),
    "random_crop": Kind(
        lambda p: st.builds(RandomCrop, st.floats(0.001, 20)),
        lambda p: RandomCrop(1.0),
        varies=False,
        keeps_length=False,
    ),
    "rate": Kind(lambda p: st.builds(RateJitter, ranges(0.5, 2), p), lambda p: RateJitter(p=p)),
    # Which beats are found in noise, or in a sine, may depend on the last bit: no `half` for these.
    "waves": Kind(
        lambda p: st.builds(WaveMask, waves, ranges(0, 1), st.sampled_from(["bridge", "zero"]), p),
        lambda p: WaveMask(p=p),
        half=False,
        varies=False,
    ),
    "heart_rate": Kind(
        lambda p: st.builds(HeartRateChange, ranges(0.5, 2), p), lambda p: HeartRateChange(p=p), half=False
    ),
}
