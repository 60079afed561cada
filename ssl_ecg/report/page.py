"""One self-contained HTML page of text, tables and figures: no file beside it, no script, no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ssl_ecg.files import write_text
from ssl_ecg.report.tables import Value, text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class Table:
    """Rows of cells under headings; `words` sets cells as text, to the left, rather than as numbers."""

    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    caption: str = ""
    words: bool = False
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Picture:
    """A PNG, base64, with what it shows."""

    data: str
    caption: str
    kind: ClassVar[str] = "picture"


@dataclass(frozen=True)
class Details:
    """A long text that is folded away."""

    summary: str
    text: str
    kind: ClassVar[str] = "details"


Part = Text | Table | Picture | Details


@dataclass(frozen=True)
class Section:
    """A heading, by whose `name` links find it, and what stands below."""

    name: str
    heading: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Page:
    """A page: title, a line below it, warnings, and sections; those without parts are left out."""

    title: str
    lead: str
    sections: Sequence[Section]
    warnings: Sequence[str] = field(default=())

    def html(self) -> str:
        """Render it; whatever names and settings hold is text, never markup."""
        from jinja2 import Environment, PackageLoader, StrictUndefined

        loader = PackageLoader("ssl_ecg.report", "")
        made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("page.html.jinja")
        sections = [section for section in self.sections if section.parts]
        return made.render(title=self.title, lead=self.lead, warnings=self.warnings, sections=sections)

    def write(self, path: Path) -> Path:
        """Write it, whole or not at all; UserError if it cannot be written."""
        write_text(path, self.html())
        return path


def table(rows: Mapping[str, Mapping[str, Value]], caption: str = "") -> Table:
    """Make a table of the values of each system, by column, as `tables.print_table` prints it."""
    names = list(dict.fromkeys(name for values in rows.values() for name in values))
    return Table(names, [(row, [text(values.get(name)) for name in names]) for row, values in rows.items()], caption)


def picture(of: Figure | Path, caption: str, dpi: int = 110) -> Picture:
    """Embed a figure, or the picture in a PNG file."""
    if isinstance(of, Path):
        data = of.read_bytes()
    else:
        buffer = io.BytesIO()
        of.savefig(buffer, dpi=dpi, format="png")
        data = buffer.getvalue()
    return Picture(base64.b64encode(data).decode("ascii"), caption)
