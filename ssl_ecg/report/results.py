"""The one result schema: tidy rows with the same columns for every question, and the one place that writes them."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_ecg import __version__
from ssl_ecg.errors import UserError
from ssl_ecg.metrics.bootstrap import Difference, Interval
from ssl_ecg.report.figures import save
from ssl_ecg.report.tables import Value, write_csv, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Row:
    """One number and where it belongs; what does not apply is empty or None.

    `task` is what is predicted, such as super; `system` whose features, such as pretrained or raw PCA; `predictor` what
    reads them, such as linear probe or kNN. `fraction` is the share of the labels, 1 for all; `draw` the number of
    their draw, and `fold` that of patients, both None for the mean over them; `seed` that of pretraining, None where
    there is one checkpoint. `subset` says which test samples, such as "without 232", empty for all; `reference` the
    system that a difference is against, empty for a score itself. `low` and `high` end the 95 % interval; `p_value` is
    that of a paired difference, two-sided.
    """

    data: str = ""
    task: str = ""
    system: str = ""
    predictor: str = ""
    fraction: float = 1.0
    draw: int | None = None
    seed: int | None = None
    fold: int | None = None
    subset: str = ""
    reference: str = ""
    score: str
    value: float
    low: float = math.nan
    high: float = math.nan
    p_value: float = math.nan

    @property
    def interval(self) -> Interval:
        """The number with its interval, as tables and figures take it; a `Difference` where it is one."""
        if self.reference:
            return Difference(self.value, self.low, self.high, p_value=self.p_value)
        return Interval(self.value, self.low, self.high)


_NUMBERS = ("value", "low", "high", "p_value")
WHOLE = {"subset": "", "reference": "", "draw": None, "fold": None}
"""Where the scores of all test samples, draws and folds are."""


def rows_of(scores: Mapping[str, Interval | float], **where: Any) -> list[Row]:  # noqa: ANN401
    """Make a row for each score of one system; `where` gives the other columns, such as `predictor="linear probe"`."""
    made = []
    for name, score in scores.items():
        found = score if isinstance(score, Interval) else Interval(float(score), math.nan, math.nan)
        parts = {part: getattr(found, part) for part in _NUMBERS if hasattr(found, part)}
        made.append(Row(score=name, **parts, **where))
    return made


@dataclass
class Results:
    """What a question, such as probe, found.

    `about` has what else is to be known: checkpoint, setting (inductive or transductive), classes, settings chosen, the
    command's configuration.
    """

    question: str
    rows: list[Row]
    about: dict[str, Any] = field(default_factory=dict)

    def select(self, **where: Any) -> list[Row]:  # noqa: ANN401
        """List the rows that agree with `where`, such as `system="pretrained"`."""
        return [row for row in self.rows if all(getattr(row, name) == value for name, value in where.items())]

    def scores(self, **where: Any) -> dict[str, dict[str, Interval]]:  # noqa: ANN401
        """Find every system's scores by name: of all test samples, draws and folds, unless `where` says otherwise."""
        found: dict[str, dict[str, Interval]] = {}
        for row in self.select(**{**WHOLE, **where}):
            found.setdefault(row.system, {})[row.score] = row.interval
        return found

    def table(
        self,
        columns: Mapping[str, str],
        intervals: Collection[str] = (),
        **where: Any,  # noqa: ANN401
    ) -> dict[str, dict[str, Value]]:
        """Arrange systems and their scores for `print_table`; scores that no system has make no column.

        `columns` gives headings by the name of the score, `intervals` the scores to show with their interval, `where`
        the rows, as for `scores`.
        """
        return {
            system: {
                heading: scores[name] if name in intervals else scores[name].value
                for name, heading in columns.items()
                if name in scores
            }
            for system, scores in self.scores(**where).items()
        }

    def compared(self, score: str, heading: str, **where: Any) -> list[str]:  # noqa: ANN401
        """Write a line for each paired difference of a score: "pretrained - untrained: macro AUROC +0.043 ..."."""
        where = {"score": score, "subset": "", "draw": None, "fold": None} | where
        return [f"{r.system} - {r.reference}: {heading} {r.interval}" for r in self.select(**where) if r.reference]

    def write(self, folder: Path, figures: Mapping[str, Figure], name: str = "results") -> dict[str, Path]:
        """Write NAME.json, NAME.csv and the figures (by file name), each whole or not at all, and say so.

        Files of these names in the folder are replaced. Returns the figures' paths, by file name. UserError if a file
        cannot be written.
        """
        rows = [asdict(row) for row in self.rows]
        write_csv(rows, folder / f"{name}.csv")
        for file, figure in figures.items():
            save(figure, folder / file)
        head = {"schema": SCHEMA, "question": self.question, "ssl_ecg": __version__}
        write_json({**head, **self.about, "rows": rows}, folder / f"{name}.json")
        print(f"Written to {folder}: {', '.join([f'{name}.json', f'{name}.csv', *figures])}")
        return {file: folder / file for file in figures}


def read_results(path: str | Path) -> Results:
    """Read results.json, or the one of a folder; UserError if there is none, or it has another schema."""
    path = Path(path)
    path = path / "results.json" if path.is_dir() else path
    try:
        document = json.loads(path.read_text())
        if document.pop("schema") != SCHEMA:
            raise KeyError("schema")
        rows: list[dict[str, Any]] = document.pop("rows")
        for row in rows:
            row.update({name: math.nan for name in _NUMBERS if row.get(name, math.nan) is None})
        return Results(question=document.pop("question"), rows=[Row(**row) for row in rows], about=document)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no results of schema {SCHEMA} ({type(error).__name__}: {error})") from None


def differences(versus: Mapping[str, Mapping[str, Difference]], **where: Any) -> list[Row]:  # noqa: ANN401
    """Make rows of paired differences, by the system that each is against."""
    return [row for other, found in versus.items() for row in rows_of(found, reference=other, **where)]


def unique(names: Sequence[str]) -> list[str]:
    """Number the names that occur again."""
    return [f"{name} ({names[:i].count(name) + 1})" if name in names[:i] else name for i, name in enumerate(names)]
