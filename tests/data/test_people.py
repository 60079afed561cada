"""Age and sex as tables give them: whatever is in a cell, nothing stops."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssl_ecg.data.tables import age_of, sex_of

CELLS = st.one_of(st.none(), st.text(), st.floats(), st.integers(), st.booleans())


@given(CELLS)
def test_whatever_a_cell_holds_is_an_age_or_a_sex_or_unknown(cell: object) -> None:
    age, notes = age_of(cell)
    assert age is None or (0 <= age <= 130 and not notes)
    assert len(notes) <= 1
    sex, notes = sex_of(cell)
    assert sex in (None, "F", "M")
    assert sex is None or not notes


@pytest.mark.parametrize(("cell", "age"), [("43", 43), (43.5, 43.5), (" 0 ", 0), ("", None), ("nan", None)])
def test_ages(cell: object, age: float | None) -> None:
    assert age_of(cell) == (age, ())


@pytest.mark.parametrize(("cell", "note"), [("abc", "age 'abc' is no number"), (-1, "age -1 is no age"), (300, "300")])
def test_an_age_that_cannot_be_is_noted(cell: object, note: str) -> None:
    age, notes = age_of(cell)
    assert age is None
    assert note in notes[0]
    assert notes[0].endswith(": taken as unknown")


@pytest.mark.parametrize(
    ("cell", "sex"), [("F", "F"), ("female", "F"), ("Male", "M"), (" m", "M"), (None, None), (math.nan, None)]
)
def test_sexes(cell: object, sex: str | None) -> None:
    assert sex_of(cell) == (sex, ())


def test_a_sex_that_is_neither_is_noted() -> None:
    assert sex_of("1") == (None, ("sex '1' is neither F nor M: taken as unknown",))
