"""What is on the page: each augmentation of the package, its example on the record, and each ready-made policy."""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_type_hints

import torch
from torch import Tensor

import augmentations
from augmentations.base import Augmentation
from augmentations.compose import Compose
from augmentations.gallery.record import Record
from augmentations.mixing import Mixing
from augmentations.motion import transients
from augmentations.recorded import RecordedNoise
from augmentations.views import Views

DRAWS = 16
"""How many examples are drawn, of which one is shown."""

SHOWN = 2
"""Which: so many are changed more."""

FAMILIES = {
    "Noise": ("noise", "coloured", "powerline", "motion", "recorded", "wander"),
    "Amplitude": ("amplitude", "converter"),
    "Physiology": ("waves", "heart_rate"),
    "Time": ("warping", "rearrange", "masking"),
    "Frequency": ("spectral",),
    "Leads": ("leads", "vcg"),
    "Mixing": ("mixing",),
    "Further": (),
}
"""Headings of the page in their order, and the modules whose classes they are above; Further has all others."""

POLICIES = "Ready-made policies"

_LEADS = {"one": ("II",), "two": ("II", "V2"), "many": ("I", "II", "V2", "V5")}


@dataclass(frozen=True)
class Example:
    """How an augmentation is shown.

    Attributes:
        leads: How many leads show the effect; "highest" is the one with the record's peak.
        seconds: How much of the record does.
        make: Makes it, where defaults do not do; takes the sampling rate.
        note: What the reader should know about that.
    """

    leads: Literal["one", "two", "many", "highest"] = "one"
    seconds: float = 4.0
    make: Callable[[float], Augmentation | Mixing] | None = None
    note: str = ""


@dataclass
class Panel:
    """One augmentation, or one policy, as it is drawn.

    Attributes:
        name: Of the class or function.
        family: The heading that it belongs to.
        sentence: What it does.
        settings: Its parameters.
        leads: Names of the leads shown, L.
        before: The signal, (L, T).
        after: What became of it, one or more of (L, T).
        partner: What it was mixed with, (L, T).
        note: What else the reader should know.
        refusal: Why there is no example.
    """

    name: str
    family: str
    sentence: str
    settings: str
    leads: tuple[str, ...]
    before: Tensor
    after: list[Tensor] = field(default_factory=list)
    partner: Tensor | None = None
    note: str = ""
    refusal: str = ""


def _recorded(fs: float) -> RecordedNoise:
    """Noise as that of a moving electrode, for want of a recording: a random walk that returns, with jumps."""
    rate, seconds, count = 250.0, 60, 40
    generator = torch.Generator().manual_seed(1)
    length = int(rate * seconds)
    shape = (2, count)
    onset = torch.rand(shape, generator=generator) * length
    peak = torch.randn(shape, generator=generator)
    rise = 0.02 * rate * (1 + torch.rand(shape, generator=generator))
    decay = 0.3 * rate * (1 + torch.rand(shape, generator=generator))
    walk = torch.randn(2, length, generator=generator).cumsum(-1)
    width = int(rate) | 1
    slow = torch.nn.functional.avg_pool1d(walk[:, None], width, 1, width // 2, count_include_pad=False)[:, 0]
    walk = (walk - slow) / (walk - slow).std()
    return RecordedNoise(0.5 * walk + transients(onset, peak, rise, decay, length), noise_fs=rate, p=1.0)


EXAMPLES = {
    "Powerline": Example(seconds=2),
    "MuscleNoise": Example(seconds=2),
    "GaussianNoise": Example(seconds=2),
    "RecordedNoise": Example("two", make=_recorded, note="Noise made up for this page, for want of a recording."),
    "BaselineWander": Example("two", seconds=8),
    "BaselineDrift": Example("two", seconds=8),
    "ElectrodeMotion": Example("two", seconds=8),
    "GainModulation": Example(seconds=8),
    "Offset": Example("two"),
    "Clip": Example("highest", seconds=2),
    "Quantise": Example("highest", seconds=2),
    "BandStop": Example(seconds=2),
    "BandPass": Example(seconds=2),
    "FrequencyMask": Example(seconds=2),
    "TimeWarp": Example(seconds=8),
    "Mixup": Example("two"),
    "CutMix": Example("two"),
}
"""Where the default is not the best to see the effect. A class that is not here has it."""


def family(cls: type) -> str:
    """The heading that a class belongs to."""
    module = cls.__module__.rpartition(".")[2]
    return next((name for name, modules in FAMILIES.items() if module in modules), "Further")


def classes() -> dict[str, type[Augmentation] | type[Mixing]]:
    """All classes on the page, in its order: what the package exports, but what only combines others."""
    exported = (getattr(augmentations, name) for name in augmentations.__all__)
    found = [
        cls
        for cls in exported
        if isinstance(cls, type)
        and issubclass(cls, (Augmentation, Mixing))
        and not issubclass(cls, Compose)
        and not inspect.isabstract(cls)
    ]
    families = list(FAMILIES)
    modules = [module for each in FAMILIES.values() for module in each]

    def place(cls: type) -> tuple[int, int, str]:
        module = cls.__module__.rpartition(".")[2]
        in_family = modules.index(module) if module in modules else len(modules)
        return families.index(family(cls)), in_family, cls.__name__

    return {cls.__name__: cls for cls in sorted(found, key=place)}


def policies() -> dict[str, Callable[[], Views]]:
    """The ready-made policies: the functions of the package that return `Views`."""
    exported = {name: getattr(augmentations, name) for name in augmentations.__all__}
    functions = {name: f for name, f in exported.items() if inspect.isfunction(f)}
    found = {name: f for name, f in functions.items() if get_type_hints(f).get("return") is Views}
    return dict(sorted(found.items(), key=lambda item: item[1].__code__.co_firstlineno))


def augmentation_panel(
    cls: type[Augmentation] | type[Mixing], record: Record, other: Record | None, leads: Sequence[str], seed: int
) -> Panel:
    """One augmentation on the record.

    Args:
        cls: Its class.
        record: The record.
        other: What it is mixed with, if it is; None is a shifted copy.
        leads: Names of the leads to show; none leaves the choice to the example.
        seed: Of the draws.

    Returns:
        The panel; it has a refusal where the sampling rate is refused.

    Raises:
        ValueError: If the augmentation refuses the record for another reason, such as its number of leads.
    """
    name, of = cls.__name__, family(cls)
    example = EXAMPLES.get(name, Example("many" if of == "Leads" else "one"))
    made = example.make(record.fs) if example.make else _certain(cls)
    x = record.excerpt(example.seconds)
    highest = (record.leads[int(x.abs().amax(1).argmax())],)
    rows = rows_of(record, leads or _LEADS.get(example.leads, highest))
    panel = Panel(name, of, _sentence(cls), settings(made), tuple(record.leads[i] for i in rows), x[rows])
    panel.note = example.note
    generator = torch.Generator().manual_seed(seed)
    if isinstance(made, Mixing):
        _mix(panel, made, record, other, x, rows, generator)
        return panel
    try:
        made.check(record.fs)
    except ValueError as error:
        panel.refusal = str(error)
        return panel
    batch = x.repeat(DRAWS, 1, 1)
    y = made(batch, record.fs, generator)
    panel.after = [y[_ranked(y, batch, rows, SHOWN), rows]]
    return panel


def policy_panel(name: str, make: Callable[[], Views], record: Record, leads: Sequence[str], seed: int) -> Panel:
    """One ready-made policy on the record: a middling draw of its views; see `augmentation_panel`."""
    policy = make()
    rows = rows_of(record, leads or _LEADS["two"])
    x = record.beat() if name == "centred_beat" else record.excerpt(4.0)
    panel = Panel(name, POLICIES, _sentence(make), repr(policy), tuple(record.leads[i] for i in rows), x[rows])
    try:
        policy.check(record.fs)
    except ValueError as error:
        panel.refusal = str(error)
        return panel
    batch = x.repeat(DRAWS, 1, 1)
    views = policy(batch, record.fs, torch.Generator().manual_seed(seed))
    k = _ranked(torch.stack(views, 1).flatten(1, 2), batch.repeat(1, len(views), 1), None, DRAWS // 2)
    panel.after = [view[k, rows] for view in views]
    return panel


def settings(made: object) -> str:
    """The parameters as `repr` shows them, without the name, and without the probability, which is 1 throughout."""
    return re.sub(r"^\w+\(|,? ?\bp=1\.0\)$|\)$", "", repr(made))


def rows_of(record: Record, leads: Sequence[str]) -> list[int]:
    """The rows of the leads of these names; where the record lacks some, of its first leads besides."""
    rows = [record.leads.index(lead) for lead in leads if lead in record.leads]
    others = [row for row in range(len(record.leads)) if row not in rows]
    return sorted(rows + others[: len(leads) - len(rows)])


def _certain(cls: type[Augmentation] | type[Mixing]) -> Augmentation | Mixing:
    needed = [
        p.name
        for p in inspect.signature(cls).parameters.values()
        if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    ]
    if needed:
        raise ValueError(f"{cls.__name__} needs {', '.join(needed)}: add an example of it to the gallery")
    return cls(p=1.0) if "p" in inspect.signature(cls).parameters else cls()  # type: ignore[call-arg]


def _sentence(of: object) -> str:
    return (inspect.getdoc(of) or "").partition("\n")[0].replace("`", "")


def _ranked(y: Tensor, x: Tensor, rows: list[int] | None, rank: int) -> int:
    """Which of the draws is changed most but for `rank` others; the first where lengths differ."""
    if y.shape != x.shape:
        return 0
    change = (y - x).square() if rows is None else (y - x)[:, rows].square()
    return int(change.sum((1, 2)).argsort(descending=True)[rank])


def _mix(
    panel: Panel,
    made: Mixing,
    record: Record,
    other: Record | None,
    x: Tensor,
    rows: list[int],
    generator: torch.Generator,
) -> None:
    """Mixes record and partner; of many draws, shows the one whose share is nearest to 0.6."""
    partner, name = x.roll(x.shape[-1] * 3 // 8, -1), "a shifted copy"
    if other is not None and (there := other.excerpt(x.shape[-1] / record.fs)).shape == x.shape:
        partner, name = there, other.name
    draws = 4 * DRAWS
    mixed = made(torch.stack([x, partner]).repeat_interleave(draws, 0), record.fs, generator)
    weight = mixed.weight[:draws]
    k = int(torch.where(mixed.partner[:draws] >= draws, (weight - 0.6).abs(), 2.0).argmin())
    panel.after, panel.partner = [mixed.x[k, rows]], partner[rows]
    panel.note = f"own share {float(weight[k]):.2f}, mixed with {name}"
