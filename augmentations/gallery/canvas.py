"""A page laid out in pixels from the top, text wrapped by its real width; it draws onto a matplotlib figure."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from augmentations.gallery.record import GalleryError, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.font_manager import FontProperties

# Told apart by the colour-blind: Okabe & Ito, "Color universal design", 2008.
BEFORE = "#9c9c9c"
AFTER = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
PARTNER = "#009E73"
INK, SOFT = "#1a1a1a", "#4d4d4d"

_PAPER = "#f3dcd9"
_DPI = 100
_POINTS = 72 / _DPI  # in a pixel

SUFFIXES = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Font:
    """A size in pixels and a look."""

    size: float
    mono: bool = False
    bold: bool = False
    colour: str = INK

    @property
    def line(self) -> int:
        return round(1.28 * self.size)

    @property
    def properties(self) -> "FontProperties":
        """The font as matplotlib names it."""
        from matplotlib.font_manager import FontProperties

        family, weight = "DejaVu Sans Mono" if self.mono else "DejaVu Sans", "bold" if self.bold else "normal"
        return FontProperties(family=family, weight=weight, size=self.size * _POINTS)


TITLE = Font(30, bold=True)
HEADING = Font(24, bold=True)
NAME = Font(18, bold=True)
TEXT = Font(15, colour=SOFT)
MONO = Font(14, mono=True)
TICK = Font(13, colour=SOFT)


class Canvas:
    """A page of a fixed width, whose height is said when it is saved."""

    def __init__(self, width: int) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.transforms import Affine2D

        self.width = width
        self._figure = Figure(figsize=(width / _DPI, 1), facecolor="white")
        FigureCanvasAgg(self._figure)
        self._top = Affine2D()  # from the page's bottom to its top
        self._pixels = Affine2D().scale(1 / _DPI, -1 / _DPI) + self._top + self._figure.dpi_scale_trans
        self._places: list[tuple[Axes, float, float, float, float]] = []

    def text(self, x: float, y: float, lines: Sequence[str], font: Font, right: bool = False) -> int:
        """Puts lines below `y`; returns the height they take."""
        for i, line in enumerate(lines):
            self._figure.text(
                x,
                y + (i + 0.5) * font.line,
                line.replace("$", r"\$"),
                font=font.properties,
                color=font.colour,
                ha="right" if right else "left",
                va="center_baseline",
                transform=self._pixels,
            )
        return len(lines) * font.line

    def rule(self, x: float, y: float, width: float, colour: str = "#bbbbbb", thickness: float = 1.0) -> None:
        """Draws a horizontal line."""
        from matplotlib.lines import Line2D

        line = Line2D([x, x + width], [y, y], color=colour, linewidth=thickness * _POINTS, transform=self._pixels)
        self._figure.add_artist(line)

    def axes(self, x: float, y: float, width: float, height: float) -> "Axes":
        """Puts axes at a place."""
        axes = self._figure.add_axes((0, 0, 1, 1))
        self._places.append((axes, x, y, width, height))
        return axes

    def save(self, path: Path, height: float) -> None:
        """Writes the page, whole or not at all: under another name first."""
        total = round(height)
        self._figure.set_size_inches(self.width / _DPI, total / _DPI)
        self._top.translate(0, total / _DPI)
        for axes, x, y, w, h in self._places:
            axes.set_position((x / self.width, 1 - (y + h) / total, w / self.width, h / total))
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            self._figure.savefig(temporary, dpi=_DPI, format=path.suffix[1:])
            if path.suffix == ".png":
                _shrink(temporary)
            os.replace(temporary, path)
        except OSError as error:
            raise GalleryError(f"{path} cannot be written: {error.strerror or error}") from None
        finally:
            temporary.unlink(missing_ok=True)


def _shrink(path: Path) -> None:
    """Gives a picture a palette: with few colours in it, it looks the same in a third of the space."""
    from PIL import Image  # which matplotlib brings along

    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    small.save(path, format="png", optimize=True)


def wrap(text: str, width: float, font: Font) -> list[str]:
    """Breaks text into lines that fit a width: between words, or of parameters between them."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        indent = paragraph[: len(paragraph) - len(paragraph.lstrip())]
        pieces = re.split(r"(?<=,) (?=\w+=)", paragraph.strip()) if font.mono else paragraph.split()
        line = ""
        for piece in pieces:
            longer = f"{line} {piece}" if line else indent + piece
            if line and measure(longer, font) > width:
                lines.append(line)
                longer = indent + ("  " if font.mono and indent else "") + piece
            line = longer
        lines.append(line)
    return lines


def measure(text: str, font: Font) -> float:
    """The width of text in pixels."""
    from matplotlib.font_manager import findfont, get_font

    face = get_font(findfont(font.properties))
    face.set_size(font.size * _POINTS, _DPI)
    face.set_text(text)
    return float(face.get_width_height()[0]) / 64


def traces(
    axes: "Axes",
    record: Record,
    leads: Sequence[str],
    before: Tensor,
    after: Tensor,
    colour: str,
    partner: Tensor | None = None,
) -> None:
    """Draws a signal before and after, (L, T), and what it was mixed with, on paper, its leads one below the other."""
    signals = [before, after, *([] if partner is None else [partner])]
    low = [min(float(signal[i].min()) for signal in signals) for i in range(len(leads))]
    high = [max(float(signal[i].max()) for signal in signals) for i in range(len(leads))]
    total = max(sum(high) - sum(low), 1e-3)
    steps = (0.5 * k * 10.0**d for d in range(-4, 9) for k in (1, 2, 4))
    step = next(step for step in steps if total <= (5 + len(leads)) * step)
    if total > 1:  # paper has 0.5 mV; less only for what would be flat on it
        step = max(step, 0.5)
    base = [0.0]  # where each lead's zero is
    for i in range(1, len(leads)):
        base.append(base[-1] + low[i - 1] - high[i] - 0.04 * total)

    looks = [(before, BEFORE, 2.2), *([] if partner is None else [(partner, PARTNER, 0.9)]), (after, colour, 1.0)]
    for signal, ink, thickness in looks:
        time = [t / record.fs for t in range(signal.shape[-1])]
        for row, zero in zip(signal.tolist(), base, strict=True):
            axes.plot(time, [zero + value for value in row], color=ink, linewidth=thickness, solid_joinstyle="round")
    seconds = before.shape[-1] / record.fs
    axes.set_xlim(0, seconds)
    axes.set_ylim(base[-1] + low[-1] - 0.05 * total, base[0] + high[0] + 0.05 * total)
    _paper(axes, seconds, step)
    axes.set_yticks(base, list(leads), fontsize=15 * _POINTS, color=INK)
    _bar(axes, seconds, step, record.unit)


def _paper(axes: "Axes", seconds: float, step: float) -> None:
    """Draws a grid of 0.2 s, or more in long signals, and of `step`, and labels the time."""
    every = next((s for s in (0.2, 1.0, 10.0) if seconds / s <= 52), 60.0)
    low, high = axes.get_ylim()
    across = [i * every for i in range(int(seconds / every) + 1)]
    down = [i * step for i in range(int(low / step) - 1, int(high / step) + 2)]
    axes.vlines(across, low, high, color=_PAPER, linewidth=0.7, zorder=0)
    axes.hlines(down, 0, seconds, color=_PAPER, linewidth=0.7, zorder=0)
    axes.set_ylim(low, high)
    tick = next((s for s in (0.2, 0.5, 1.0, 2.0, 5.0, 10.0) if seconds / s <= 5.1), 20.0)
    ticks = [round(i * tick, 3) for i in range(int(seconds / tick + 1e-6) + 1)]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks[:-1]] + [f"{ticks[-1]:g} s"])
    axes.tick_params(labelsize=TICK.size * _POINTS, labelcolor=TICK.colour, length=0, pad=3)
    for spine in axes.spines.values():
        spine.set(color="#d9c3c0", linewidth=0.8)


def _bar(axes: "Axes", seconds: float, step: float, unit: str) -> None:
    """Draws a bar of known height at the right, which says the scale."""
    low, high = axes.get_ylim()
    tall = 2 * step if 2 * step < 0.8 * (high - low) else step
    x, bottom = 1.015 * seconds, low + 0.06 * (high - low)
    axes.plot([x, x], [bottom, bottom + tall], color=INK, linewidth=1.8, clip_on=False, solid_capstyle="butt")
    place = (1.03 * seconds, bottom + tall / 2)
    axes.text(*place, f"{tall:g} {unit}", fontsize=TICK.size * _POINTS, color=SOFT, rotation=90, va="center")
