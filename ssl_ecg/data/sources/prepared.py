"""A store that is prepared already, here or at an address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_ecg.data.convert import SEPARATOR
from ssl_ecg.data.source import Beats, Recording, Source, Spans, Task
from ssl_ecg.errors import DataError, UserError
from ssl_ecg.preprocessing import Preprocessing

if TYPE_CHECKING:
    import pandas as pd

    from ssl_ecg.data.store import Store


def _of_store(name: str) -> Any:  # noqa: ANN401
    """An attribute of the store."""
    return property(lambda self: getattr(self._store, name))


class Prepared(Source):
    """Recordings that were prepared before: no raw file is needed, which a node of a cluster has none of.

    Three kinds of place: the folder of a store; a folder with a streamed store, best one that all machines see; or a
    streamed store at s3://, gs:// or r2://, whose recordings are fetched a block at a time while they are needed, with
    the credentials of the environment. The preprocessing has to be what the store was prepared with, but for the window
    and the normalisation of windows.

    Args:
        path: the folder or the address. "local:" before the folder of a streamed store copies what is read to this
            machine's cache, for folders on a slow network.
        cache: folder for what is fetched of a streamed store; $SSL_ECG_CACHE or ~/.cache/ssl_ecg by default.
        cache_gb: most that each process keeps there, in GB.
        mixed: blocks of a streamed store whose windows are mixed in an epoch; three times as many are in memory.
    """

    def __init__(self, path: str, cache: str | None = None, cache_gb: float = 50.0, mixed: int = 16) -> None:
        if not cache_gb > 0:
            raise UserError(f"Prepared: cache_gb must be positive, not {cache_gb:g}")
        if mixed < 1:
            raise UserError(f"Prepared: mixed must be at least 1, not {mixed}")
        self.path, self.cache, self.cache_gb, self.mixed = path, cache, cache_gb, mixed

    # What other sources are by their class, this one is by its store.
    classes: tuple[str, ...] = _of_store("classes")
    task: ClassVar[Task] = _of_store("task")
    multilabel: bool = _of_store("multilabel")
    simulated: ClassVar[bool] = _of_store("simulated")
    leads: tuple[str, ...] = _of_store("leads")
    amplitude_unit: str = _of_store("unit")
    cohort: str = _of_store("cohort")

    @property
    def meaning(self) -> Mapping[str, tuple[str, ...]]:
        return {label: tuple(classes) for label, classes in self._store.meta["meaning"].items()}

    @property
    def shared_patients(self) -> Mapping[str, tuple[str, ...]]:  # type: ignore[override]
        return {patient: tuple(records) for patient, records in self._store.meta["shared_patients"].items()}

    @property
    def patients_known(self) -> bool:  # type: ignore[override]
        """Whether its source says whose a recording is."""
        return bool(self._store.meta.get("patients_known", True))

    def open(self, preprocessing: Preprocessing) -> Store:
        """The store itself. DataError where there is none, or where it was prepared otherwise; it says how."""
        has, wanted = self._store.meta["preprocessing"], preprocessing.conditioning()
        wanted = {name: list(value) if isinstance(value, tuple) else value for name, value in wanted.items()}
        if differing := [name for name in wanted if has.get(name) != wanted[name]]:
            raise DataError(
                f"{self.path} was prepared with {_settings(has, differing)}, and asked for is "
                f"{_settings(wanted, differing)}: change the preprocessing, or give a store prepared so"
            )
        return self._store

    def ensure(self, limit: int | None = None) -> None:
        """See that there is a store, and fetch its tables if it lies elsewhere."""
        _ = self._store

    def fingerprint(self) -> dict[str, object]:
        """That of the source it was prepared from."""
        return dict(self._store.meta["fingerprint"])

    @cached_property
    def records(self) -> Sequence[str]:
        return list(self._store.records["record"])

    def read(self, number: int) -> Recording:
        """One recording, conditioned as it was prepared: leads, filter and sampling rate are the store's."""
        store, row = self._store, self._store.records.iloc[number]
        return Recording(
            record=row["record"],
            patient=row["patient"],
            signal=store.signal(number),
            fs=store.fs,
            leads=store.leads,
            split=row["split"],
            labels=tuple(filter(None, row["labels"].split(SEPARATOR))),
            beats=self._beats(number),
            spans=self._spans(number),
            age=float(row["age"]) if row["age"] == row["age"] else None,  # NaN where unknown
            sex=row["sex"] if row["sex"] in ("F", "M") else None,
        )

    @cached_property
    def _store(self) -> Store:
        from ssl_ecg.data.store import Store
        from ssl_ecg.data.streaming import StreamedStore, is_streamed

        if is_streamed(self.path):
            return StreamedStore(self.path, self.cache, int(self.cache_gb * 1e9), self.mixed)
        if not Path(self.path).expanduser().joinpath("store.json").is_file():
            raise DataError(f"{self.path} holds no store. Give the folder of one, or where one was exported to.")
        return Store(Path(self.path).expanduser())

    def _beats(self, number: int) -> Beats | None:
        beats = self._rows("beats", number)
        if beats.empty:
            return None
        return Beats(self._at_our_rate(beats["r_peak"], number), beats["label"].to_numpy().astype(str))

    def _spans(self, number: int) -> Spans | None:
        spans = self._rows("spans", number)
        if spans.empty:
            return None
        start, end = (self._at_our_rate(spans[name], number, last) for name, last in (("start", 1), ("end", 0)))
        labels, leads = (spans[name].to_numpy().astype(str) for name in ("label", "lead"))
        return Spans(start, end, labels, leads)

    def _rows(self, table: str, number: int) -> pd.DataFrame:
        """The rows of a recording, which lie together."""
        rows: pd.DataFrame = getattr(self._store, table)
        return rows.iloc[slice(*np.searchsorted(rows["record"], [number, number + 1]))]

    def _at_our_rate(self, samples: pd.Series[int], number: int, last: int = 1) -> NDArray[np.int64]:
        row = self._store.records.iloc[number]
        ours = np.rint(samples.to_numpy() * (self._store.fs / row["source_fs"])).astype(np.int64)
        return np.asarray(np.minimum(ours, row["length"] - last))


def _settings(of: Mapping[str, object], names: Sequence[str]) -> str:
    return ", ".join(f"{name} = {of.get(name)}" for name in names)
