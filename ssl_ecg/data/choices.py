"""Settings that choose among names, checked where no command line has done it."""

from __future__ import annotations

from collections.abc import Sequence

from ssl_ecg.errors import UserError


def check_choice(setting: str, value: object, choices: Sequence[object]) -> None:
    """See that a setting is one of its choices.

    Raises:
        UserError: if it is not; it names them all.
    """
    if value not in choices:
        raise UserError(f"{setting} is {value!r}, not one of {', '.join(map(str, choices))}")
