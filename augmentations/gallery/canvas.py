"""A page laid out in pixels from the top, text wrapped by its real width; it draws onto a matplotlib figure."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from augmentations.gallery.examples import Panel
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
    """A page of a fixed width, whose height is said when it is saved: axes of matplotlib that count in pixels."""

    def __init__(self, width: int) -> None:
        from matplotlib.figure import Figure

        self._figure = Figure((width / _DPI, 1), _DPI)
        self._page = self._figure.add_axes((0, 0, 1, 1), xlim=(0, width), autoscale_on=False)
        self._page.set_axis_off()

    def text(self, x: float, y: float, lines: Sequence[str], font: Font, right: bool = False) -> int:
        """Puts lines below `y`; returns the height they take."""
        look = {"font": font.properties, "color": font.colour, "ha": "right" if right else "left"}
        for i, line in enumerate(lines):
            self._page.text(x, -y - (i + 0.5) * font.line, line, look, va="center_baseline", parse_math=False)
        return len(lines) * font.line

    def rule(self, x: float, y: float, width: float, colour: str = "#bbbbbb", thickness: float = 1.0) -> None:
        """Draws a horizontal line."""
        self._page.plot([x, x + width], [-y, -y], color=colour, linewidth=thickness * _POINTS, clip_on=False)

    def axes(self, x: float, y: float, width: float, height: float) -> "Axes":
        """Puts axes at a place."""
        return self._page.inset_axes((x, -y - height, width, height), transform=self._page.transData)

    def save(self, path: Path, height: float) -> None:
        """Writes the page, whole or not at all: under another name first."""
        self._page.set_ylim(-round(height), 0)
        self._figure.set_figheight(round(height) / _DPI)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            self._figure.savefig(temporary, format=path.suffix[1:])
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


def traces(axes: "Axes", record: Record, panel: Panel, view: int) -> None:
    """Draws a view before and after, and what it was mixed with, on paper, its leads one below the other."""
    looks = [(panel.before, BEFORE, 2.2), (panel.after[view], AFTER[view % len(AFTER)], 1.0)]
    if panel.partner is not None:
        looks.insert(1, (panel.partner, PARTNER, 0.9))
    every = torch.cat([signal for signal, _, _ in looks], dim=1)
    low, high = every.amin(1).tolist(), every.amax(1).tolist()
    total = max(sum(high) - sum(low), 1e-3)
    steps = (0.5 * k * 10.0**d for d in range(-4, 9) for k in (1, 2, 4))
    step = next(step for step in steps if total <= (5 + len(low)) * step)
    if total > 1:  # paper has 0.5 mV; less only for what would be flat on it
        step = max(step, 0.5)
    base = [0.0]  # where each lead's zero is
    for below, above in zip(low, high[1:], strict=False):
        base.append(base[-1] + below - above - 0.04 * total)

    for signal, ink, thickness in looks:
        time = torch.arange(signal.shape[1]) / record.fs
        lines = signal.T + torch.tensor(base)
        axes.plot(time, lines, color=ink, linewidth=thickness, solid_joinstyle="round")
    seconds = panel.before.shape[1] / record.fs
    axes.set(xlim=(0, seconds), ylim=(base[-1] + low[-1] - 0.05 * total, base[0] + high[0] + 0.05 * total))
    _paper(axes, seconds, step)
    axes.set_yticks(base, list(panel.leads), fontsize=15 * _POINTS, color=INK)
    _bar(axes, seconds, step, record.unit)


def _paper(axes: "Axes", seconds: float, step: float) -> None:
    """Draws a grid of 0.2 s, or more in long signals, and of `step`, and labels the time."""
    from matplotlib.ticker import MaxNLocator, MultipleLocator

    across = next((s for s in (0.2, 1.0, 10.0) if seconds / s <= 52), 60.0)
    for axis, apart in ((axes.xaxis, across), (axes.yaxis, step)):
        axis.set_minor_locator(MultipleLocator(apart))
        axis.remove_overlapping_locs = False
    axes.grid(which="minor", color=_PAPER, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter("{x:g} s")
    axes.tick_params(which="both", labelsize=TICK.size * _POINTS, labelcolor=TICK.colour, length=0, pad=3)
    axes.spines[:].set(color="#d9c3c0", linewidth=0.8)


def _bar(axes: "Axes", seconds: float, step: float, unit: str) -> None:
    """Draws a bar of known height at the right, which says the scale."""
    low, high = axes.get_ylim()
    tall = 2 * step if 2 * step < 0.8 * (high - low) else step
    x, bottom = 1.015 * seconds, low + 0.06 * (high - low)
    axes.plot([x, x], [bottom, bottom + tall], color=INK, linewidth=1.8, clip_on=False, solid_capstyle="butt")
    place = (1.03 * seconds, bottom + tall / 2)
    axes.text(*place, f"{tall:g} {unit}", fontsize=TICK.size * _POINTS, color=SOFT, rotation=90, va="center")
