"""What was given, and where: defaults, configuration files and the command line, resolved in that order.

Each says the same things by the same names: `method: SimCLR` and `method.temperature: 0.1` in a file are
`--method SimCLR --method.temperature 0.1` on the command line, in any order.
"""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ssl_ecg.cli.settings import (
    REQUIRED,
    Maker,
    Setting,
    UsageError,
    closest,
    did_you_mean,
    find_class,
    is_abstract,
    known,
    options,
    settings_of,
    type_name,
)

BARE = object()  # the value of an option given without one, such as `--validate`


class _Length(int):
    """The value of a list of classes once its items are options of their own."""


@dataclass(frozen=True)
class Given:
    """A value, the file it stands in ("" for the command line, None for the command's own defaults), and its turn."""

    value: Any
    source: str | None = None
    turn: int = 0

    @property
    def none(self) -> bool:
        """Whether it says that there is to be nothing; W&B's sweep agents write None as Python does."""
        return self.value is None or self.value in ("none", "None", "null")


def flat(content: Mapping[str, Any], source: str | None, turn: int) -> dict[str, Given]:
    """What one source says, by dotted names; `class_path` and `init_args` of a run's config.yaml are no names."""
    found: dict[str, Given] = {}
    for key, value in content.items():
        name = str(key).replace("-", "_")
        if not isinstance(value, Mapping):
            found[name] = Given(value, source, turn)
            continue
        if "class_path" in value:
            found[name] = Given(value["class_path"], source, turn)
        inner = {k: v for k, v in value.items() if k not in ("class_path", "init_args")} | (
            value.get("init_args") or {}
        )
        found |= {f"{name}.{k}": v for k, v in flat(inner, source, turn).items()}
    return found


class Resolver:
    """Settles what a command is told by several sources, one after the other."""

    def __init__(self, command: Maker) -> None:
        self.command = command
        self.given: dict[str, Given] = {}  # everything that counts so far, by option
        self.owners: dict[str, Maker] = {"": command}  # the command, and what was chosen for an option or is a group
        self.notes: list[str] = []  # for the user
        self._families: dict[str, type] = {}
        self._used: set[str] = set()
        self._hidden: set[str] = set()
        self._turn = 0

    def add(self, content: Mapping[str, Any], source: str | None) -> None:
        """Take over what one more source says; a UsageError for a name that is no setting, or no class."""
        self._turn += 1
        self.given |= flat(content, source, self._turn)
        before = self.owners
        self.config(final=False)
        lost: dict[str, list[tuple[str, str | None]]] = {}
        for option in [option for option in self.given if option not in self._used]:
            given = self.given.pop(option)
            place = max((p for p in self.owners if not p or option.startswith(f"{p}.")), key=len)
            name = option[len(place) + bool(place) :].partition(".")[0]
            if given.turn == self._turn or place not in before:
                raise UsageError(self._unknown(place, name, given.source))
            if given.source is not None:  # the command's own defaults go without a word
                lost.setdefault(place, []).append((name, given.source))
        for place in [p for p in self.owners if p in lost]:
            names = ", ".join(dict.fromkeys(name for name, _ in lost[place]))
            files = ", ".join(sorted({source for _, source in lost[place] if source})) or "the command line"
            new, old = self.owners[place].__name__, before[place].__name__
            self.notes.append(f"--{place} {new} leaves out {names}, given for {old} in {files}")

    def config(self, *, final: bool = True) -> dict[str, Any]:
        """All settings as plain nested values; if `final`, a UsageError for what is missing or of a wrong type."""
        self._used, self.owners = set(), {"": self.command}
        return self._settings(self.command, "", final)

    def defaults(self) -> dict[str, Any]:
        """The settings with the classes chosen and all else at its default; a class that the user chose is None."""
        again = Resolver(self.command)
        again._turn = self._turn
        again.given = {o: g for o, g in self.given.items() if o in self.owners or isinstance(g.value, _Length)}
        again._hidden = {o for o, g in again.given.items() if g.source is not None}
        return again.config(final=False)

    def shown(self) -> dict[str, Any]:
        """Everything given by its option; a class by its short name, a list of classes by theirs."""
        found: dict[str, Any] = {}
        for option, given in self.given.items():
            found[option] = self.owners[option].__name__ if option in self.owners else given.value
            if isinstance(given.value, _Length):
                found[option] = [self.owners[f"{option}.{i}"].__name__ for i in range(given.value)]
        return found

    def _settings(self, owner: Maker, place: str, final: bool, start: object = None) -> dict[str, Any]:
        """The settings of a command, class or dataclass; `start` has the defaults of a dataclass, if it is there."""
        found = {}
        for setting in settings_of(owner).values():
            option = f"{place}.{setting.name}" if place else setting.name
            default = getattr(start, setting.name, setting.default)
            value = self._value(setting, option, default, owner, final)
            if value is not REQUIRED:
                found[setting.name] = value
        return found

    def _value(self, setting: Setting, option: str, default: Any, owner: Maker, final: bool) -> Any:
        given, below = self.given.get(option), [o for o in self.given if o.startswith(f"{option}.")]
        where = spelt(option, given.source if given else None)
        if given is not None and given.value is BARE:
            if setting.type is not bool:
                raise UsageError(f"{where} needs a value ({type_name(setting.type)})")
            given = self.given[option] = Given(True, given.source, given.turn)
        if given is not None and given.none and setting.optional:
            for o in [o for o in below if self.given[o].turn < given.turn]:
                below.remove(o)
                del self.given[o]
            if not below:
                self._used.add(option)
                return None
            given = None
        if setting.group:
            if given is not None:
                fields = ", ".join(settings_of(setting.group))
                raise UsageError(f"{where} takes no value of its own; it has the settings {fields}")
            self.owners[option] = setting.group
            return self._settings(setting.group, option, final, None if default is REQUIRED else default)
        if given is None and not below:
            if default is REQUIRED and final:
                what = f"one of {', '.join(known(setting.family))}" if setting.family else setting.doc
                need = f"{owner.__name__} needs --{option}" if "." in option else f"--{option} is missing"
                raise UsageError(f"{need}: {what}" if what else need)
            return default if default is REQUIRED else plain(default)
        self._used.add(option)
        if setting.family and setting.many:
            return self._several(setting, option, given, final)
        if setting.family:
            return self._chosen(setting.family, option, final)
        self._used.update(below)
        value = given.value if given is not None else {o[len(option) + 1 :]: self.given[o].value for o in below}
        if setting.many and isinstance(value, str):
            value = f"[{value.strip('[]()')}]"
        if not final:
            return value
        try:
            return plain(setting.typed(value))
        except ArgumentError:
            where = spelt(option, (given or self.given[below[0]]).source)
            raise UsageError(f"{where} must be {type_name(setting.type)}, not {shown(value)}") from None

    def _several(self, setting: Setting, option: str, given: Given | None, final: bool) -> list[Any]:
        """A list of classes, whose items are options of their own (`option.0.p`)."""
        if given is not None and not isinstance(given.value, _Length):
            items = _listed(given.value)
            if not isinstance(items, list):
                where = spelt(option, given.source)
                raise UsageError(f"{where} must be a {type_name(setting.type)}, not {shown(items)}")
            later = {o: g for o, g in self.given.items() if o.startswith(f"{option}.") and g.turn >= given.turn}
            self.given = {o: g for o, g in self.given.items() if not o.startswith(f"{option}.")}
            self.given |= flat({f"{option}.{i}": item for i, item in enumerate(items)}, given.source, given.turn)
            self.given |= later
            given = self.given[option] = Given(_Length(len(items)), given.source, given.turn)
        length = 0 if given is None else int(given.value)
        for o in [o for o in self.given if o.startswith(f"{option}.")]:
            number = o[len(option) + 1 :].partition(".")[0]
            if not number.isdecimal() or int(number) > length:
                where = spelt(option, self.given[o].source)
                raise UsageError(f"{where}.{number}: {where} is a list of {length}, counted from 0")
            length = max(length, int(number) + 1)
        assert setting.family is not None
        return [self._chosen(setting.family, f"{option}.{i}", final) for i in range(length)]

    def _chosen(self, family: type, option: str, final: bool) -> dict[str, Any]:
        """The class that was named last, with its settings."""
        given = self.given.get(option)
        self._used.add(option)
        below = next((g for o, g in self.given.items() if o.startswith(f"{option}.")), None)
        if given is None and is_abstract(family):
            where = spelt(option, below.source if below else "")
            raise UsageError(f"{where}: choose the class first, one of {', '.join(known(family))}")
        cls = family if given is None else find_class(given.value, family, spelt(option, given.source))
        self.owners[option], self._families[option] = cls, family
        path = None if option in self._hidden else f"{cls.__module__}.{cls.__qualname__}"
        return {"class_path": path, "init_args": self._settings(cls, option, final)}

    def _unknown(self, place: str, name: str, source: str | None) -> str:
        """The error for a name that is no setting: what was meant, or whose it is."""
        owner = self.owners[place]
        settings = settings_of(owner)
        near = closest(name, settings)
        dashes, at = ("", f"{source}: ") if source else ("--", "")
        if not place:
            others = [option for option in options(owner) if option.rpartition(".")[2] == name]
            meant = " or ".join(dashes + option for option in ([near] if near else others))
            return f"{at}there is no option {dashes}{name}" + (f"; did you mean {meant}?" if meant else "")
        message = f"{spelt(f'{place}.{name}', source)}: {owner.__name__} has no setting {name}"
        classes = known(self._families[place]) if place in self._families else {}
        others = [other for other, cls in classes.items() if name in settings_of(cls)]
        if others and not near:
            return f"{message}; {', '.join(others)} {'has' if len(others) == 1 else 'have'}"
        return message + (did_you_mean(name, settings) or f"; it has {', '.join(settings) or 'none'}")


def spelt(option: str, source: str | None) -> str:
    """An option as its source writes it: `--batch_size`, or `recipe.yaml: batch_size`."""
    return f"{source}: {option}" if source else f"--{option}"


def shown(value: object) -> str:
    """A value as an error message quotes it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def plain(value: Any) -> Any:
    """A value as YAML can hold it."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"{value!r} is no plain value: give the defaults of class arguments by parse(defaults=...)")


def _listed(value: Any) -> Any:
    """A list from `A,B`, `[A, B]` or a list; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value if value.startswith("[") else f"[{value}]")
    except yaml.YAMLError:
        return value
