"""Score a linear probe by folds of patients."""

from ssl_ecg.cross_validate.command import cross_validate, main

__all__ = ["cross_validate", "main"]
