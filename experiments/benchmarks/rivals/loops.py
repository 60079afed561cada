"""The loop that users of a library for single records write."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Records = NDArray[np.float32]


def one_by_one(change: Callable[[Records], Records], records: Records) -> Tensor:
    """Changes record after record and stacks the results to a batch, as a data set and its collation do."""
    return torch.from_numpy(np.stack([change(record) for record in records]))


def looped(changes: dict[str, Callable[[Records], Records]], records: Records) -> dict[str, Callable[[], object]]:
    """That loop for each of several operations on the same records."""
    return {name: partial(one_by_one, change, records) for name, change in changes.items()}
