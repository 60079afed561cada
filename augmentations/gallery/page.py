"""The pages: all augmentations by family with the ready-made policies, or many views by one policy."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from augmentations.base import Augmentation
from augmentations.gallery.canvas import (
    AFTER,
    BEFORE,
    HEADING,
    INK,
    MONO,
    NAME,
    PARTNER,
    TEXT,
    TITLE,
    Canvas,
    measure,
    traces,
    wrap,
)
from augmentations.gallery.examples import DRAWS, FAMILIES, POLICIES, SHOWN, Panel, rows_of
from augmentations.gallery.record import Record
from augmentations.views import Views

WIDTH, COLUMNS = 1600, 4
_MARGIN, _GAP = 30, 22
_INNER = WIDTH - 2 * _MARGIN
_LEFT, _RIGHT, _BELOW = 40, 24, 24  # beside and below axes, for ticks, names and the scale
_HEIGHTS = {1: 132, 2: 176, 3: 220}  # of axes with so many leads


def gallery_page(panels: Sequence[Panel], record: Record, path: Path, credit: str = "") -> None:
    """Draws the panels by family, then those of policies, and writes the page; `credit` goes into its footer."""
    canvas = Canvas(WIDTH)
    about = (
        "Each was given the seconds that are shown as a record of its own, with its default parameters and p = 1. "
        f"Of {DRAWS} draws, {SHOWN} change the record more than the one shown; of a policy's, half do."
    )
    views, mixed = max(len(panel.after) for panel in panels), any(panel.partner is not None for panel in panels)
    y = _head(canvas, "ECG augmentations, before and after", about, views, mixed)
    begun: set[str] = set()
    for row in _flow(panels):
        y = _row(canvas, y, row, record, begun)
        begun |= {panel.family for panel in row}
    policies = [panel for panel in panels if panel.family == POLICIES]
    if policies:
        y = _heading(canvas, _MARGIN, y, _INNER, POLICIES)
    for panel in policies:
        y = _policy_row(canvas, y, panel, record)
    canvas.save(path, _foot(canvas, y, record, credit))


def policy_page(
    policy: Augmentation | Views, name: str, record: Record, path: Path, leads: Sequence[str], seed: int
) -> None:
    """Draws eight views by one policy, or four pairs; a ValueError says that it refuses the record or its rate."""
    views = policy if isinstance(policy, Views) else Views([policy], n=1)
    rows = rows_of(record, leads or ("II", "V2"))
    x = record.excerpt(10.0)
    repeats = max(1, 8 // views.n)
    drawn = views(x.repeat(repeats, 1, 1), record.fs, torch.Generator().manual_seed(seed))
    canvas = Canvas(WIDTH)
    kind = f"{repeats} draws of {views.n} views" if isinstance(policy, Views) else f"{repeats * views.n} draws"
    y = _head(canvas, f"{name}, before and after", f"{kind}, as they come.", views.n, False)
    y += canvas.text(_MARGIN, y, wrap(repr(policy), _INNER, MONO), MONO) + _GAP
    columns = 3 if views.n == 3 else 2
    width, height = (_INNER - (columns - 1) * _GAP) / columns, _height(len(rows))
    step = height + _BELOW + NAME.line + 8
    for k in range(repeats * views.n):
        draw, view = divmod(k, views.n)
        at, top = _MARGIN + k % columns * (width + _GAP), y + k // columns * step
        title = f"draw {draw + 1}, view {view + 1}" if isinstance(policy, Views) else f"draw {k + 1}"
        panel = Panel(title, "", "", "", tuple(record.leads[i] for i in rows), x[rows])
        panel.after = [signal[draw, rows] for signal in drawn]
        canvas.text(at + _LEFT, top, [title], NAME)
        _panel(canvas, at, top + NAME.line, width, height, panel, record, view)
    y += math.ceil(repeats * views.n / columns) * step
    canvas.save(path, _foot(canvas, y, record, ""))


def _head(canvas: Canvas, title: str, about: str, views: int, mixed: bool) -> float:
    """Title, legend and what the page shows; returns where they end."""
    y = 28 + canvas.text(_MARGIN, 24, [title], TITLE)
    at: float = WIDTH - _MARGIN
    entries = [("before", BEFORE, 4.0), ("after", AFTER[0], 2.5)]
    entries += [("second view", AFTER[1], 2.5)] * (views > 1) + [("what it was mixed with", PARTNER, 2.5)] * mixed
    for label, colour, thickness in reversed(entries):
        canvas.text(at, 34, [label], TEXT, right=True)
        at -= measure(label, TEXT) + 10
        canvas.rule(at - 40, 34 + TEXT.line / 2, 40, colour, thickness)
        at -= 40 + 24
    return y + canvas.text(_MARGIN, y, wrap(about, _INNER, TEXT), TEXT) + 10


def _foot(canvas: Canvas, y: float, record: Record, credit: str) -> float:
    """Which record it was; returns where the page ends."""
    parts = [f"Record {record.name}, {len(record.leads)} leads, {record.fs:g} Hz.", credit]
    parts.append("Grid lines are 0.2 s apart; the bar beside each panel is its scale.")
    canvas.rule(_MARGIN, y, _INNER)
    return y + 8 + canvas.text(_MARGIN, y + 8, wrap(" ".join(filter(None, parts)), _INNER, TEXT), TEXT) + 16


def _flow(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Rows of panels; a family begins a row of its own unless it fits whole into what is left of the last."""
    rows: list[list[Panel]] = []
    for name in FAMILIES:
        mine = [panel for panel in panels if panel.family == name]
        if mine and rows and len(rows[-1]) + len(mine) <= COLUMNS:
            rows[-1] += mine
        else:
            rows += [mine[i : i + COLUMNS] for i in range(0, len(mine), COLUMNS)]
    return rows


def _row(canvas: Canvas, y: float, row: list[Panel], record: Record, begun: set[str]) -> float:
    """Panels beside each other, below the names of the families that begin in the row; returns where they end."""
    width = (_INNER - (COLUMNS - 1) * _GAP) / COLUMNS
    lefts = [_MARGIN + k * (width + _GAP) for k in range(len(row))]
    families, start = list(dict.fromkeys(panel.family for panel in row)), y
    for name in families:
        if name not in begun:
            mine = [left for left, panel in zip(lefts, row, strict=True) if panel.family == name]
            span = _INNER if len(families) == 1 else mine[-1] + width - mine[0]
            y = max(y, _heading(canvas, mine[0], start, span, name))
    sentences = [wrap(panel.sentence, width, TEXT) for panel in row]
    top = y + NAME.line + 2 + max(map(len, sentences)) * TEXT.line + 8
    height = max(_height(len(panel.leads)) for panel in row)
    below = top + height + _BELOW
    end: float = below
    for panel, left, sentence in zip(row, lefts, sentences, strict=True):
        canvas.text(left, y, [panel.name], NAME)
        canvas.text(left, y + NAME.line + 2, sentence, TEXT)
        _panel(canvas, left, top, width, height, panel, record)
        used = canvas.text(left, below, wrap(panel.settings or "(no parameters)", width, MONO), MONO)
        used += canvas.text(left, below + used, wrap(panel.note, width, TEXT), TEXT)
        end = max(end, below + used)
    return end + _GAP


def _heading(canvas: Canvas, x: float, y: float, width: float, name: str) -> float:
    y += 6 + canvas.text(x, y + 6, [name], HEADING)
    canvas.rule(x, y + 2, width, INK, 1.5)
    return y + 10


def _policy_row(canvas: Canvas, y: float, panel: Panel, record: Record) -> float:
    """Name and contents at the left, views beside each other at the right."""
    count = max(len(panel.after), 1)
    text = 0.32 * _INNER
    width = (_INNER - text - count * _GAP) / count
    used: float = canvas.text(_MARGIN, y, [panel.name], NAME) + 2
    used += canvas.text(_MARGIN, y + used, wrap(panel.sentence, text, TEXT), TEXT) + 4
    used += canvas.text(_MARGIN, y + used, wrap(panel.settings, text, MONO), MONO)
    least = _height(len(panel.leads))
    height = min(max(used - _BELOW, least), 1.5 * least)
    for k in range(count):
        _panel(canvas, _MARGIN + text + _GAP + k * (width + _GAP), y + 4, width, height, panel, record, k)
    return y + max(used, height + _BELOW + 4) + _GAP


def _panel(
    canvas: Canvas, x: float, y: float, width: float, height: float, panel: Panel, record: Record, view: int = 0
) -> None:
    """One view before and after, or why there is none."""
    if panel.refusal:
        canvas.rule(x, y + 2, width, AFTER[1])
        canvas.text(x + 6, y + 8, wrap(panel.refusal, width - 12, TEXT), TEXT)
        return
    axes = canvas.axes(x + _LEFT, y, width - _LEFT - _RIGHT, height)
    traces(axes, record, panel, view)


def _height(leads: int) -> int:
    return _HEIGHTS.get(leads, 60 * leads)
