"""Every kind of augmentation, as strategies over its settings: what the tests of invariants draw from.

A family has a file here with a dictionary `KINDS`: from a name to a function of a strategy for `p` that gives a
strategy for the augmentation.
"""

from augmentation_kinds import basic, leads, noises, rearrange

KINDS = {**leads.KINDS, **rearrange.KINDS, **basic.KINDS, **noises.KINDS}
