"""Lead names: one canonical spelling each, and the limb leads that follow from any two others."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_Real = TypeVar("_Real", bound="np.floating[Any]")

STANDARD_12 = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

ANY = ("any",)
"""In place of lead names: every lead of every recording, each by itself and whatever it is called."""

# Modified limb leads are recorded from the torso but look along the same axis.
_MODIFIED = {"mli": "I", "mlii": "II", "mliii": "III", "mv1": "V1", "mv2": "V2", "mv5": "V5", "mcl1": "V1"}
_PORTUGUESE = {"di": "I", "dii": "II", "diii": "III"}  # derivação
_CANONICAL = {name.lower(): name for name in STANDARD_12} | _MODIFIED | _PORTUGUESE

# Einthoven and Goldberger: how many halves of I and of II add up to each limb lead. No two are multiples of each
# other, so any two give all six.
_HALVES = {"I": (2, 0), "II": (0, 2), "III": (-2, 2), "aVR": (-1, -1), "aVL": (2, -1), "aVF": (-1, 2)}


def canonical(lead: str) -> str:
    """Give a lead's name its one spelling: `AVR` -> `aVR`, `MLII` -> `II`, `lead_v1` -> `V1`; keep any other name."""
    key = lead.strip().lower().removeprefix("lead").strip(" _-")
    return _CANONICAL.get(key, lead.strip())


def numbered(names: tuple[str, ...]) -> tuple[str, ...]:
    """Number the names that several channels have: `ECG`, `ECG` -> `ECG1`, `ECG2`; others stay as they are."""
    count = dict.fromkeys(names, 0)
    told = []
    for name in names:
        count[name] += 1
        told.append(f"{name}{count[name]}" if names.count(name) > 1 else name)
    return tuple(told)


def pick(signal: NDArray[_Real], have: tuple[str, ...], want: tuple[str, ...]) -> NDArray[_Real]:
    """Pick leads, in the wanted order: (..., C, T) -> (..., len(want), T), all in one unit.

    A limb lead that is not there is derived from two others. ValueError where one is neither there nor derivable, or a
    name stands twice.
    """
    names = [canonical(lead) for lead in have]
    if len(set(names)) != len(names):
        raise ValueError(f"a lead is named twice in {', '.join(have)}")
    row = {name: signal[..., i, :] for i, name in enumerate(names)}
    limb = [name for name in _HALVES if name in row][:2]
    out = []
    for lead in map(canonical, want):
        if lead in row:
            out.append(row[lead])
            continue
        if lead not in _HALVES or len(limb) < 2:
            raise ValueError(
                f"lead {lead} is wanted, but the signal has {', '.join(have)}"
                + (" (it could be derived from any two other limb leads)" if lead in _HALVES else "")
            )
        a, b = limb
        wa, wb = _weights(lead, a, b)
        out.append(wa * row[a] + wb * row[b])
    return np.stack(out, axis=-2)


def _weights(lead: str, a: str, b: str) -> tuple[float, float]:
    """Solve for the weights of two limb leads that add up to a third (Cramer's rule)."""

    def area(one: str, other: str) -> int:
        (x, y), (u, v) = _HALVES[one], _HALVES[other]
        return x * v - y * u

    return area(lead, b) / area(a, b), area(a, lead) / area(a, b)
