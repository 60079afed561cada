"""Errors a user can act on: each says what was found, what was expected and the remedy.

The commands print them without a traceback; anything else that escapes is a bug.
"""

from __future__ import annotations


class UserError(ValueError):
    """Something the user gave cannot be used."""


class DataError(UserError):
    """A data set, file or signal is missing, damaged or not what it should be."""


class CheckpointError(UserError):
    """A checkpoint cannot be read, or is not the one that was saved."""
