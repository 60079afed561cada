"""What an encoder knows by way of the encoders it learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ssl_ecg.checkpoint.pretrained import PretrainedEncoder


def with_teachers(pretraining: Mapping[str, Any], teachers: Sequence[PretrainedEncoder]) -> dict[str, Any]:
    """Add to a card of pretraining whom the teachers have seen, and whose labels; without any it stays as it is."""
    if not teachers:
        return dict(pretraining)
    said = [{"weights": teacher.weights, "data": teacher.card.get("data", "")} for teacher in teachers]
    return with_seen_by(pretraining, teachers) | {"teachers": said}


def with_seen_by(pretraining: Mapping[str, Any], others: Sequence[PretrainedEncoder]) -> dict[str, Any]:
    """Add to a card of pretraining whom other encoders have seen, and whose labels."""
    cards = [pretraining, *(other.card for other in others)]
    cohorts = [name for card in cards for name in card.get("cohorts", [card.get("cohort", card.get("data"))])]
    seen = {
        name: list(dict.fromkeys(each for card in cards for each in card.get(name, [])))
        for name in ("covers", "patients", "taught_by", "taught_covers", "taught_cohorts")
    }
    return {
        **{name: value for name, value in pretraining.items() if name != "cohort"},
        **{name: values for name, values in seen.items() if values},
        "cohorts": list(dict.fromkeys(cohorts)),
        "simulated": any(card.get("simulated", False) for card in cards),
    }
