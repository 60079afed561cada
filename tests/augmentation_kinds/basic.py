"""The first seven, and a composition."""

from hypothesis import strategies as st

from augmentation_kinds.kind import Kind, ranges
from augmentations import (
    AmplitudeScale,
    BaselineWander,
    Compose,
    CropResize,
    GaussianNoise,
    OneOf,
    RandomOrder,
    SomeOf,
    TimeMask,
    TimeWarp,
)


def parts(p):
    return [TimeWarp(p=p), BaselineWander(p=p), TimeMask(p=p)]


KINDS = {
    "wander": Kind(
        lambda p: st.builds(BaselineWander, ranges(0, 2), ranges(0, 1), st.integers(1, 5), p),
        lambda p: BaselineWander(p=p),
    ),
    "noise": Kind(
        lambda p: st.builds(GaussianNoise, ranges(0, 2), st.none() | ranges(-20, 60), p),
        lambda p: GaussianNoise(p=p),
        half=False,
    ),
    "scale": Kind(
        lambda p: st.builds(AmplitudeScale, ranges(0.1, 10), st.booleans(), p), lambda p: AmplitudeScale(p=p)
    ),
    "warp": Kind(lambda p: st.builds(TimeWarp, st.floats(0, 0.99), st.floats(0.5, 20), p), lambda p: TimeWarp(p=p)),
    "crop": Kind(lambda p: st.builds(CropResize, ranges(0.1, 1), p), lambda p: CropResize(p=p)),
    "mask": Kind(lambda p: st.builds(TimeMask, ranges(0, 1), st.integers(1, 5), p), lambda p: TimeMask(p=p)),
    "compose": Kind(
        lambda p: p.flatmap(lambda q: st.builds(Compose, st.just(parts(q)), p)), lambda p: Compose(parts(p))
    ),
    "one of": Kind(
        lambda p: st.builds(OneOf, st.just(parts(1.0)), st.sampled_from([None, (1.0, 0.0, 2.0)]), p),
        lambda p: OneOf(parts(1.0), p=p),
    ),
    "some of": Kind(
        lambda p: st.builds(SomeOf, st.just(parts(1.0)), st.sampled_from([(0, 3), (1, 2), (2, 2)]), p),
        lambda p: SomeOf(parts(1.0), n=(1, 3), p=p),
    ),
    "random order": Kind(
        lambda p: st.builds(RandomOrder, st.just(parts(1.0)), p), lambda p: RandomOrder(parts(1.0), p=p)
    ),
}
