"""What is on the page: each augmentation of the package, its example on the record, and each ready-made policy."""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import get_type_hints

import torch
from torch import Generator, Tensor

import augmentations
from augmentations.base import Augmentation
from augmentations.compose import Compose
from augmentations.gallery.record import Record
from augmentations.mixing import Mixing
from augmentations.motion import ElectrodeMotion
from augmentations.recorded import RecordedNoise
from augmentations.spectral import BandPass
from augmentations.views import Views

DRAWS, SHOWN = 16, 2
"""How many examples are drawn; so many are changed more than the one shown."""

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


# Where four seconds of one lead (of a family of leads, four) are not the best to see the effect.
_SHORT = ["Powerline", "MuscleNoise", "GaussianNoise", "Clip", "Quantise", "BandStop", "BandPass", "FrequencyMask"]
_LONG = ["BaselineWander", "BaselineDrift", "ElectrodeMotion", "GainModulation", "TimeWarp"]
_TWO_LEADS = ["RecordedNoise", "BaselineWander", "BaselineDrift", "ElectrodeMotion", "Offset", "Mixup", "CutMix"]
_HIGHEST_LEAD = ["Clip", "Quantise"]


@dataclass
class Panel:
    """One augmentation, or one policy, as it is drawn: signals are (leads, time)."""

    name: str
    family: str
    sentence: str  # what it does
    settings: str
    leads: tuple[str, ...]
    before: Tensor
    after: list[Tensor] = field(default_factory=list)  # one, or each view
    partner: Tensor | None = None  # what it was mixed with
    note: str = ""
    refusal: str = ""  # why there is no example


def _example(cls: type[Augmentation] | type[Mixing]) -> Augmentation | Mixing:
    """An augmentation with its defaults that changes every sample."""
    if (
        cls is RecordedNoise
    ):  # as of a moving electrode, for want of a recording: a random walk that returns, with jumps
        generator, rate = Generator().manual_seed(1), 250.0
        walk = torch.randn(1, 2, int(60 * rate), generator=generator).cumsum(-1)
        jumps = ElectrodeMotion(rate=(40.0, 40.0), leads=1.0, p=1.0)(walk, rate, generator)
        return RecordedNoise(BandPass((0.5, 0.5), p=1.0)(jumps, rate, generator)[0], noise_fs=rate, p=1.0)
    parameters = inspect.signature(cls).parameters
    needed = [p.name for p in parameters.values() if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    if needed:
        raise ValueError(f"{cls.__name__} needs {', '.join(needed)}: add an example of it to the gallery")
    return cls(p=1.0) if "p" in parameters else cls()  # type: ignore[call-arg]


def _place(cls: type) -> tuple[int, int, str]:
    """Where a class stands on the page: number of its family, of its module in it, and name."""
    module = cls.__module__.rpartition(".")[2]
    places = [(i, mine.index(module)) for i, mine in enumerate(FAMILIES.values()) if module in mine]
    return (*(places[0] if places else (len(FAMILIES) - 1, 0)), cls.__name__)


def classes() -> dict[str, type[Augmentation] | type[Mixing]]:
    """All classes on the page, in its order: what the package exports, but what only combines others."""
    exported = (getattr(augmentations, name) for name in augmentations.__all__)
    kinds = [cls for cls in exported if isinstance(cls, type) and issubclass(cls, (Augmentation, Mixing))]
    found = [cls for cls in kinds if not issubclass(cls, Compose) and not inspect.isabstract(cls)]
    return {cls.__name__: cls for cls in sorted(found, key=_place)}


def policies() -> dict[str, Callable[[], Views]]:
    """The ready-made policies: the functions of the package that return `Views`."""
    exported = {name: getattr(augmentations, name) for name in augmentations.__all__}
    functions = {name: f for name, f in exported.items() if inspect.isfunction(f)}
    found = {name: f for name, f in functions.items() if get_type_hints(f).get("return") is Views}
    return dict(sorted(found.items(), key=lambda item: item[1].__code__.co_firstlineno))


def augmentation_panel(
    cls: type[Augmentation] | type[Mixing], record: Record, other: Record | None, leads: Sequence[str], seed: int
) -> Panel:
    """One augmentation on a record, mixed with `other` or a shifted copy; the panel says where its rate is refused.

    A ValueError says that it refuses the record for another reason, such as its number of leads.
    """
    name, of = cls.__name__, list(FAMILIES)[_place(cls)[0]]
    made = _example(cls)
    x = record.excerpt(2.0 if name in _SHORT else 8.0 if name in _LONG else 4.0)
    if not leads and name in _HIGHEST_LEAD:
        leads = (record.leads[int(x.abs().amax(1).argmax())],)
    usual = ("I", "II", "V2", "V5") if of == "Leads" else ("II", "V2") if name in _TWO_LEADS else ("II",)
    rows = rows_of(record, leads or usual)
    # The parameters as `repr` shows them, without the name, and without the probability, which is 1 throughout.
    settings = re.sub(r"^\w+\(|,? ?\bp=1\.0\)$|\)$", "", repr(made))
    panel = Panel(name, of, _sentence(cls), settings, tuple(record.leads[i] for i in rows), x[rows])
    if cls is RecordedNoise:
        panel.note = "Noise made up for this page, for want of a recording."
    generator = torch.Generator().manual_seed(seed)
    if isinstance(made, Mixing):
        _mix(panel, made, record, other, x, rows, generator)
    elif not _refused(panel, made, record):
        batch = x.repeat(DRAWS, 1, 1)
        y = made(batch, record.fs, generator)
        panel.after = [y[_ranked(y, batch, rows, SHOWN), rows]]
    return panel


def policy_panel(name: str, make: Callable[[], Views], record: Record, leads: Sequence[str], seed: int) -> Panel:
    """One ready-made policy on the record: a middling draw of its views; see `augmentation_panel`."""
    policy = make()
    rows = rows_of(record, leads or ("II", "V2"))
    x = record.beat() if name == "centred_beat" else record.excerpt(4.0)
    panel = Panel(name, POLICIES, _sentence(make), repr(policy), tuple(record.leads[i] for i in rows), x[rows])
    if _refused(panel, policy, record):
        return panel
    batch = x.repeat(DRAWS, 1, 1)
    views = policy(batch, record.fs, torch.Generator().manual_seed(seed))
    k = _ranked(torch.stack(views, 1).flatten(1, 2), batch.repeat(1, len(views), 1), None, DRAWS // 2)
    panel.after = [view[k, rows] for view in views]
    return panel


def _refused(panel: Panel, made: Augmentation | Views, record: Record) -> bool:
    """Whether the record's sampling rate is refused, which the panel then says."""
    try:
        made.check(record.fs)
    except ValueError as error:
        panel.refusal = str(error)
    return bool(panel.refusal)


def rows_of(record: Record, leads: Sequence[str]) -> list[int]:
    """The rows of the leads of these names; where the record lacks some, of its first leads besides."""
    rows = [record.leads.index(lead) for lead in leads if lead in record.leads]
    others = [row for row in range(len(record.leads)) if row not in rows]
    return sorted(rows + others[: len(leads) - len(rows)])


def _sentence(of: object) -> str:
    return (inspect.getdoc(of) or "").partition("\n")[0].replace("`", "")


def _ranked(y: Tensor, x: Tensor, rows: list[int] | None, rank: int) -> int:
    """Which of the draws is changed most but for `rank` others; the first where lengths differ."""
    if y.shape != x.shape:
        return 0
    change = (y - x).square() if rows is None else (y - x)[:, rows].square()
    return int(change.sum((1, 2)).argsort(descending=True)[rank])


def _mix(
    panel: Panel, made: Mixing, record: Record, other: Record | None, x: Tensor, rows: list[int], generator: Generator
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
