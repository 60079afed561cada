"""What a source has looked up stays in the process that looked it up."""

from __future__ import annotations

from functools import cached_property


class Lazy:
    """Pickles without what its `cached_property`s hold: a table of a million rows is read again, not sent."""

    def __getstate__(self) -> dict[str, object]:
        kind = type(self)
        return {k: v for k, v in vars(self).items() if not isinstance(getattr(kind, k, None), cached_property)}
