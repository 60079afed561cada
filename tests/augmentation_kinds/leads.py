"""Amplitude, the converter, the leads, the vectorcardiogram and the spectrum."""

from hypothesis import strategies as st

from augmentation_kinds.kind import Kind, ranges
from augmentations.amplitude import GainModulation, Offset, Polarity
from augmentations.converter import Clip, Quantise
from augmentations.leads import LeadDropout, LeadMixing, LeadPermutation
from augmentations.spectral import BandPass, BandStop, FourierSurrogate, FrequencyMask
from augmentations.vcg import VCGRotation, VCGScale

bits = st.tuples(st.integers(2, 16), st.integers(2, 16)).map(lambda pair: tuple(sorted(pair)))

KINDS = {
    "polarity": Kind(lambda p: st.builds(Polarity, st.booleans(), p), lambda p: Polarity(p=p), varies=False),
    "offset": Kind(lambda p: st.builds(Offset, ranges(-5, 5), st.booleans(), p), lambda p: Offset(p=p)),
    "gain": Kind(
        lambda p: st.builds(GainModulation, ranges(0, 1), ranges(0, 2), st.booleans(), p),
        lambda p: GainModulation(per_lead=True, p=p),
    ),
    "clip": Kind(lambda p: st.builds(Clip, ranges(0, 1), p), lambda p: Clip(p=p)),
    "quantise": Kind(lambda p: st.builds(Quantise, bits, p), lambda p: Quantise(p=p), varies=False),
    "lead dropout": Kind(
        lambda p: st.builds(LeadDropout, st.floats(0, 1), p), lambda p: LeadDropout(p=p), varies=False
    ),
    "lead permutation": Kind(
        lambda p: st.builds(LeadPermutation, st.floats(0, 1), p), lambda p: LeadPermutation(p=p), varies=False
    ),
    "lead mixing": Kind(lambda p: st.builds(LeadMixing, ranges(0, 1), p), lambda p: LeadMixing(p=p)),
    "band stop": Kind(
        lambda p: st.builds(BandStop, ranges(0, 200), ranges(0, 100), st.floats(0.01, 10), p),
        lambda p: BandStop((5.0, 100.0), (5.0, 40.0), 5.0, p=p),
    ),
    "band pass": Kind(
        lambda p: st.builds(BandPass, ranges(0, 9), ranges(10, 250), p),
        lambda p: BandPass(low=(0.0, 5.0), p=p),
    ),
    "frequency mask": Kind(
        lambda p: st.builds(FrequencyMask, ranges(0, 1), st.integers(1, 6), p), lambda p: FrequencyMask(p=p)
    ),
    "surrogate": Kind(lambda p: st.builds(FourierSurrogate, ranges(0, 1), p), lambda p: FourierSurrogate(p=p)),
    "vcg rotation": Kind(
        lambda p: st.builds(VCGRotation, ranges(-180, 180), st.booleans(), p), lambda p: VCGRotation(p=p), leads=12
    ),
    "vcg scale": Kind(
        lambda p: st.builds(VCGScale, ranges(0.1, 10), st.booleans(), p), lambda p: VCGScale(p=p), leads=12
    ),
}
