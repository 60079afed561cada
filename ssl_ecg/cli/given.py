"""What was given, and where: defaults, configuration files and the command line, merged in that order.

Each says the same things by the same names: `method: SimCLR` and `method.temperature: 0.1` in a file are
`--method SimCLR --method.temperature 0.1` on the command line, in any order. Names are checked here, where
it is known who gave them; the values are left to jsonargparse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from ssl_ecg.cli.settings import (
    REQUIRED,
    Setting,
    UsageError,
    closest,
    find_class,
    is_abstract,
    known,
    options,
    settings_of,
    type_name,
)

BARE = object()
"""The value of an option given without one, such as `--wandb`."""

_UNSET = object()
_NONE = ("none", "None", "null")  # W&B's sweep agents write None as Python does


@dataclass
class Given:
    """What one source says of one setting: a value, settings below it, or both.

    Attributes:
        source: the file it stands in; "" for the command line, None for the command's own defaults.
        value: a value or a class's name.
        parts: what is said of the settings below it, by name.
    """

    source: str | None
    value: Any = _UNSET
    parts: dict[str, Given] = field(default_factory=dict)

    def put(self, name: str, value: Any) -> None:
        """Note a value under a dotted name; a mapping is noted entry by entry."""
        here = self
        for part in name.split("."):
            here = here.parts.setdefault(part.replace("-", "_"), Given(self.source))
        if not isinstance(value, Mapping):
            here.value = value
            return
        # class_path and init_args: how jsonargparse writes a choice of class, and so a run's config.yaml.
        here.value = value.get("class_path", _UNSET)
        for key, part in {**value, **(value.get("init_args") or {})}.items():
            if key not in ("class_path", "init_args"):
                here.put(str(key), part)

    def plain(self) -> Any:
        """The value as it was written."""
        return {k: v.plain() for k, v in self.parts.items()} if self.value is _UNSET else self.value


@dataclass
class Leaf:
    """A plain value and where it was given."""

    value: Any
    source: str | None

    def plain(self) -> Any:
        """The value, for jsonargparse."""
        return self.value

    def sources(self) -> set[str | None]:
        """Where it was given."""
        return {self.source}


@dataclass
class Several:
    """A list of classes with their settings."""

    items: list[Chosen]
    source: str | None

    def plain(self) -> list[Any]:
        """The list, for jsonargparse."""
        return [item.plain() for item in self.items]

    def sources(self) -> set[str | None]:
        """Where it was given."""
        return {self.source}


@dataclass
class Chosen:
    """A command, or what was chosen for one of its settings, with everything given to it.

    Attributes:
        owner: the command or class.
        option: the option that chose it, "" for the command.
        family: what `owner` had to be a subclass of; None for a command, and for a dataclass whose
            fields are settings of their own.
        values: what was given so far, by name.
        notes: lines for the user, shared by the whole tree.
    """

    owner: Callable[..., Any]
    option: str = ""
    family: type | None = None
    values: dict[str, Leaf | Several | Chosen] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """Everything given, for jsonargparse."""
        values = {name: value.plain() for name, value in self.values.items()}
        if self.family is None:
            return values
        return {"class_path": f"{self.owner.__module__}.{self.owner.__qualname__}", "init_args": values}

    def sources(self) -> set[str | None]:
        """Where any of it was given."""
        return set().union(*(value.sources() for value in self.values.values()))

    def flat(self) -> dict[str, Any]:
        """Everything given by its option; a class by its short name."""
        found: dict[str, Any] = {}
        for name, value in self.values.items():
            option = self.name_of(name)
            if isinstance(value, Leaf):
                found[option] = value.value
            elif isinstance(value, Several):
                found[option] = [item.owner.__name__ for item in value.items]
            else:
                found |= ({option: value.owner.__name__} if value.family else {}) | value.flat()
        return found

    def name_of(self, setting: str) -> str:
        """The option of one of its settings, without the dashes."""
        return f"{self.option}.{setting}" if self.option else setting

    def find(self, option: str) -> list[tuple[Chosen, str]]:
        """Whose setting an option is, and its name there; for several in a list, where no number tells which."""
        first, _, rest = option.partition(".")
        if not rest:
            return [(self, first)] if first in settings_of(self.owner) else []
        below = self.values.get(first)
        if isinstance(below, Several):
            return [found for item in below.items for found in item.find(rest)]
        return below.find(rest) if isinstance(below, Chosen) else []

    def update(self, given: Given) -> None:
        """Take over what one more source says.

        Raises:
            UsageError: for a name that is no setting, or no class.
        """
        settings = settings_of(self.owner)
        for name, what in given.parts.items():
            if name not in settings:
                raise UsageError(self._unknown(name, what.source))
            self.values[name] = self._merged(settings[name], what)

    def check_complete(self) -> None:
        """Raise a UsageError where a setting without a default was not given."""
        for setting in settings_of(self.owner).values():
            value = self.values.get(setting.name)
            if value is None and setting.group and setting.default is REQUIRED:
                value = Chosen(setting.group, self.name_of(setting.name))
            if value is None and setting.default is REQUIRED:
                option = f"--{self.name_of(setting.name)}"
                what = f"one of {', '.join(known(setting.family))}" if setting.family else setting.doc
                need = f"{self.owner.__name__} needs {option}" if self.option else f"{option} is missing"
                raise UsageError(f"{need}: {what}" if what else need)
            for part in value.items if isinstance(value, Several) else [value]:
                if isinstance(part, Chosen):
                    part.check_complete()

    def _merged(self, setting: Setting, what: Given) -> Leaf | Several | Chosen:
        option, old = self.name_of(setting.name), self.values.get(setting.name)
        where = spelt(option, what.source)
        if what.value is BARE:
            if setting.type is not bool:
                raise UsageError(f"{where} needs a value ({type_name(setting.type)})")
            return Leaf(True, what.source)
        if setting.optional and not what.parts and (what.value is None or what.value in _NONE):
            return Leaf(None, what.source)
        if setting.group:
            if what.value is not _UNSET:
                fields = ", ".join(settings_of(setting.group))
                raise UsageError(f"{where} takes no value of its own; it has the settings {fields}")
            group = old if isinstance(old, Chosen) else Chosen(setting.group, option, notes=self.notes)
            group.update(what)
            return group
        if setting.family and setting.many:
            return self._several(setting, old, what, option)
        if setting.family:
            return self._choice(setting.family, old, what, option)
        value = what.plain()
        if setting.many and isinstance(value, str):
            value = f"[{value.strip('[]()')}]"
        return Leaf(value, what.source)

    def _several(self, setting: Setting, old: object, what: Given, option: str) -> Several:
        """A new list of classes, or changes to items of the one there is (`option.0.p`)."""
        assert setting.family is not None
        where = spelt(option, what.source)
        items = list(old.items) if isinstance(old, Several) else []
        whole = Given(what.source)
        if what.value is not _UNSET:
            items, values = [], _listed(what.value)
            if not isinstance(values, list):
                raise UsageError(f"{where} must be a {type_name(setting.type)}, not {shown(values)}")
            for number, value in enumerate(values):
                whole.put(str(number), value)
        for i, part in (*whole.parts.items(), *what.parts.items()):
            if not i.isdecimal() or int(i) > len(items):
                raise UsageError(f"{where}.{i}: {where} is a list of {len(items)}, counted from 0")
            before = items[int(i)] if int(i) < len(items) else None
            items[int(i) : int(i) + 1] = [self._choice(setting.family, before, part, f"{option}.{i}")]
        return Several(items, what.source)

    def _choice(self, family: type, old: object, what: Given, option: str) -> Chosen:
        """The class that was named, or named before, with those earlier settings that it has too."""
        where = spelt(option, what.source)
        cls: Callable[..., Any]
        if what.value is not _UNSET:
            cls = find_class(what.value, family, where)
        elif isinstance(old, Chosen):
            cls = old.owner
        elif not is_abstract(family):
            cls = family
        else:
            raise UsageError(f"{where}: choose the class first, one of {', '.join(known(family))}")
        new = Chosen(cls, option, family, notes=self.notes)
        if isinstance(old, Chosen):
            new.values = {k: v for k, v in old.values.items() if k in settings_of(cls)}
            # The command's own defaults go without a word: the user never gave them.
            lost = {k: v.sources() - {None} for k, v in old.values.items() if k not in new.values}
            lost = {k: sources for k, sources in lost.items() if sources}
            if lost:
                files = sorted(filter(None, set().union(*lost.values()))) or ["the command line"]
                self.notes.append(
                    f"--{option} {cls.__name__} leaves out {', '.join(lost)}, given for "
                    f"{old.owner.__name__} in {', '.join(files)}"
                )
        new.update(what)
        return new

    def _unknown(self, name: str, source: str | None) -> str:
        """The error for a name that is no setting here: what was meant, or whose it is."""
        settings = settings_of(self.owner)
        near = closest(name, settings)
        dashes = "" if source else "--"
        if not self.option:
            others = [option for option in options(self.owner) if option.rpartition(".")[2] == name]
            meant = " or ".join(dashes + option for option in ([near] if near else others))
            at = f"{source}: " if source else ""
            return f"{at}there is no option {dashes}{name}" + (f"; did you mean {meant}?" if meant else "")
        where = spelt(self.name_of(name), source)
        message = f"{where}: {self.owner.__name__} has no setting {name}"
        if near:
            return f"{message}; did you mean {near}?"
        classes = known(self.family) if self.family else {}
        owners = [other for other, cls in classes.items() if name in settings_of(cls)]
        if owners:
            return f"{message}; {', '.join(owners)} {'has' if len(owners) == 1 else 'have'}"
        return f"{message}; it has {', '.join(settings) or 'none'}"


def spelt(option: str, source: str | None) -> str:
    """An option as its source writes it: `--batch_size`, or `recipe.yaml: batch_size`."""
    return f"{source}: {option}" if source else f"--{option}"


def shown(value: object) -> str:
    """A value as an error message quotes it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _listed(value: Any) -> Any:
    """A list from `A,B`, `[A, B]` or a list; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value if value.startswith("[") else f"[{value}]")
    except yaml.YAMLError:
        return value
