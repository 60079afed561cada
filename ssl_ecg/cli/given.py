"""What was given, and where: defaults, configuration files and the command line, resolved in that order.

Each says the same things by the same names: `method: SimCLR` and `method.temperature: 0.1` in a file are
`--method SimCLR --method.temperature 0.1` on the command line, in any order.
"""

from __future__ import annotations

import copy
from argparse import ArgumentError
from collections.abc import Mapping, Sequence
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
OWN = ""  # in a tree, where the value of the option itself stands

# What was said of one option and below it, `{OWN: "Resnet", "width": {OWN: 8}}`; and by whom: a file, "" for the
# command line, None for the command's own defaults.
Layer = tuple[dict[str, Any], str | None]


def tree(value: Any) -> dict[str, Any]:
    """What one source says, level by level; `class_path` and `init_args` of a run's config.yaml are no levels."""
    if not isinstance(value, Mapping):
        return {OWN: value}
    found: dict[str, Any] = {OWN: value["class_path"]} if "class_path" in value else {}
    for key, inner in value.items():
        if key == "init_args":
            _add(found, tree(inner or {}))
        elif key != "class_path":
            branch = tree(inner)
            for name in reversed(str(key).replace("-", "_").split(".")):
                branch = {name: branch}
            _add(found, branch)
    return found


def _add(to: dict[str, Any], more: dict[str, Any]) -> None:
    for name, branch in more.items():
        if name in to and name != OWN:
            _add(to[name], branch)
        else:
            to[name] = branch


def values(branch: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """What a tree says, by option."""
    found = {place[:-1]: branch[OWN]} if OWN in branch else {}
    for name in [name for name in branch if name != OWN]:
        found |= values(branch[name], f"{place}{name}.")
    return found


class Resolver:
    """Settles what a command is told by several sources, of which the later ones win.

    Attributes:
        config: all settings as plain nested values.
        notes: for the user: settings left out when the class changed.
    """

    def __init__(self, command: Maker, layers: Sequence[Layer], filled: Mapping[str, Any]) -> None:
        self.command, self.layers, self.filled = command, layers, filled
        self.notes: list[str] = []
        self._wrong: list[str] = []  # values: less urgent than a name that does not exist
        self._classes_alone = False
        self.config = self._settings(command, "", layers)
        if self._wrong:
            raise UsageError(self._wrong[0])

    def defaults(self) -> dict[str, Any]:
        """The settings with the classes chosen and all else at its default; a class that the user chose is None."""
        again = copy.copy(self)
        again.filled, again.notes, again._wrong, again._classes_alone = {}, [], [], True
        return again._settings(self.command, "", self.layers)

    def source(self, option: str) -> str | None:
        """Who said what counts for an option; None for the command itself."""
        for branch, source in reversed(self.layers):
            for name in option.split("."):
                branch = branch.get(name, {})
            if OWN in branch:
                return source
        return None

    def _settings(
        self,
        owner: Maker,
        place: str,
        layers: Sequence[Layer],
        start: object = None,
        family: type | None = None,
        supplied: Sequence[type] = (),
    ) -> dict[str, Any]:
        """The settings of a command, class or dataclass, without those of types that are `supplied` later.

        `start` has the defaults of a dataclass, if it is there.
        """
        found, settings = {}, settings_of(owner)
        if family is None:
            for branch, source in layers:
                for name in [name for name in branch if name not in settings]:
                    raise UsageError(_unknown(owner, place, name, source))
        for setting in (setting for setting in settings.values() if setting.family not in supplied):
            option = f"{place}.{setting.name}" if place else setting.name
            mine = [(branch[setting.name], source) for branch, source in layers if setting.name in branch]
            value = self._value(setting, option, mine, getattr(start, setting.name, setting.default), owner)
            if value is not REQUIRED:
                found[setting.name] = value
        return found

    def _value(self, setting: Setting, option: str, layers: list[Layer], default: Any, owner: Maker) -> Any:
        given, source = next(((b[OWN], s) for b, s in reversed(layers) if OWN in b), (None, None))
        if given is BARE and setting.type is not bool:
            raise UsageError(f"{spelt(option, source)} needs a value ({type_name(setting.type)})")
        nothing = setting.optional and any(is_none(branch) for branch, _ in layers)
        if nothing:  # what was said before it does not count
            last = max(i for i, (branch, _) in enumerate(layers) if is_none(branch))
            layers = [(_inner(layers[last][0]), layers[last][1]), *layers[last + 1 :]]
            layers = [(branch, source) for branch, source in layers if branch]
        if setting.group:
            if any(OWN in branch for branch, _ in layers):
                fields = ", ".join(settings_of(setting.group))
                raise UsageError(f"{spelt(option, source)} takes no value of its own; it has the settings {fields}")
            return self._settings(setting.group, option, layers, None if default is REQUIRED else default)
        if not layers or (self._classes_alone and not setting.family):
            if nothing and not self._classes_alone:
                return None
            default = self.filled.get(option, default)
            if default is REQUIRED:
                what = f"one of {', '.join(known(setting.family))}" if setting.family else setting.doc
                need = f"{owner.__name__} needs --{option}" if "." in option else f"--{option} is missing"
                self._wrong.append(f"{need}: {what}" if what else need)
                return REQUIRED
            return plain(default)
        if setting.family:
            if setting.many:
                return self._several(setting.family, option, layers, setting.supplied)
            return self._chosen(setting.family, option, _together(setting.family, layers), setting.supplied)
        branch, source = layers[-1]
        value = _leaf(branch)
        if setting.many and isinstance(value, str):
            value = f"[{value.strip('[]()')}]"
        try:
            return plain(setting.typed(value))
        except ArgumentError:
            self._wrong.append(f"{spelt(option, source)} must be {type_name(setting.type)}, not {shown(value)}")

    def _several(self, family: type, option: str, layers: list[Layer], supplied: Sequence[type]) -> list[Any]:
        """A list of classes, whose items are options of their own (`option.0.p`)."""
        length, named = 0, [i for i, (branch, _) in enumerate(layers) if OWN in branch]
        if named:
            branch, source = layers[named[-1]]
            items = _listed(branch[OWN])
            if not isinstance(items, list):
                what = f"{spelt(option, source)} must be a list of {family.__name__}, not {shown(items)}"
                raise UsageError(what)
            length, of_items = len(items), {str(i): tree(item) for i, item in enumerate(items)}
            layers = [(of_items, source), (_inner(branch), source), *layers[named[-1] + 1 :]]
        for branch, source in layers:
            for number in branch:
                if not number.isdecimal() or int(number) > length:
                    where = spelt(option, source)
                    raise UsageError(f"{where}.{number}: {where} is a list of {length}, counted from 0")
                length = max(length, int(number) + 1)
        mine = [[(b[i], s) for b, s in layers if i in b] for i in map(str, range(length))]
        return [self._chosen(family, f"{option}.{i}", one, supplied) for i, one in enumerate(mine)]

    def _chosen(self, family: type, option: str, layers: list[Layer], supplied: Sequence[type]) -> dict[str, Any]:
        """The class that was named last, with its settings; what it lacks and was given for another is left out."""
        classes: list[Maker] = []  # as each source knew it
        named = [i for i, (branch, _) in enumerate(layers) if OWN in branch]
        if not named and is_abstract(family):
            raise UsageError(
                f"{spelt(option, layers[0][1])}: choose the class first, one of {', '.join(known(family))}"
            )
        for branch, source in layers:
            before = classes[-1] if classes else family
            classes.append(find_class(branch[OWN], family, spelt(option, source)) if OWN in branch else before)
        cls, last = classes[-1], named[-1] if named else 0
        # Of the command's own choice another class takes over its parts (encoder, views), not its numbers (width).
        layers = [
            (branch if source is not None or of is cls else _parts(branch, cls), source)
            for (branch, source), of in zip(layers, classes, strict=True)
        ]
        lost: dict[str, dict[str, str]] = {}
        for i, (branch, source) in enumerate(layers):
            for name in [name for name in branch if name != OWN and name not in settings_of(cls)]:
                if i >= last or name not in settings_of(classes[i]):
                    raise UsageError(_unknown(classes[i], option, name, source, family))
                if source is not None:  # the command's own defaults go without a word
                    lost.setdefault(classes[i].__name__, {})[name] = source or "the command line"
        for old, names in lost.items():
            files = ", ".join(sorted(set(names.values())))
            self.notes.append(f"--{option} {cls.__name__} leaves out {', '.join(names)}, given for {old} in {files}")
        hidden = self._classes_alone and named and layers[last][1] is not None
        path = None if hidden else f"{cls.__module__}.{cls.__qualname__}"
        return {"class_path": path, "init_args": self._settings(cls, option, layers, None, family, supplied)}


def _together(family: type, layers: list[Layer]) -> list[Layer]:
    """Take `A,B` for the class that stands for several (see `several` of their base), and `A.x` for what it holds."""
    if not hasattr(family, "several"):
        return layers
    combined, holds = family.several
    names: list[str] = []
    found = []
    for branch, source in layers:
        items = _listed(branch.get(OWN))
        if isinstance(items, list) and (len(items) > 1 or isinstance(branch[OWN], list)):
            branch = _inner(branch)
            _add(branch, {OWN: combined, holds: {OWN: items}})
        if OWN in branch:
            items = _listed(branch.get(holds, {}).get(OWN))
            names = [str(tree(item).get(OWN)).rpartition(".")[2] for item in items] if isinstance(items, list) else []
        numbers = {name: i for i, name in enumerate(names) if names.count(name) == 1}
        for name in [name for name in branch if names and (name in numbers or name.isdecimal())]:
            branch = {key: inner for key, inner in branch.items() if key != name} | {
                holds: {**branch.get(holds, {}), str(numbers.get(name, name)): branch[name]}
            }
        found.append((branch, source))
    return found


def _parts(branch: dict[str, Any], cls: Maker) -> dict[str, Any]:
    """What a branch says of the settings of a class that are classes themselves."""
    settings = settings_of(cls)
    return {
        n: b for n, b in branch.items() if n == OWN or (n in settings and (settings[n].family or settings[n].group))
    }


def _unknown(owner: Maker, place: str, name: str, source: str | None, family: type | None = None) -> str:
    """The error for a name that is no setting: what was meant, or whose it is."""
    settings = settings_of(owner)
    near = closest(name, settings)
    if not place:
        dashes, at = ("", f"{source}: ") if source else ("--", "")
        others = [option for option in options(owner) if option.rpartition(".")[2] == name]
        meant = " or ".join(dashes + option for option in ([near] if near else others))
        return f"{at}there is no option {dashes}{name}" + (f"; did you mean {meant}?" if meant else "")
    message = f"{spelt(f'{place}.{name}', source)}: {owner.__name__} has no setting {name}"
    others = [other for other, cls in known(family).items() if name in settings_of(cls)] if family else []
    if others and not near:
        return f"{message}; {', '.join(others)} {'has' if len(others) == 1 else 'have'}"
    return message + (did_you_mean(name, settings) or f"; it has {', '.join(settings) or 'none'}")


def is_none(branch: Mapping[str, Any]) -> bool:
    """Whether a source says that there is to be nothing; W&B's sweep agents write None as Python does."""
    return OWN in branch and (branch[OWN] is None or branch[OWN] in ("none", "None", "null"))


def _inner(branch: dict[str, Any]) -> dict[str, Any]:
    return {name: inner for name, inner in branch.items() if name != OWN}


def _leaf(branch: dict[str, Any]) -> Any:
    """A value that has no settings of its own."""
    if OWN in branch:
        return True if branch[OWN] is BARE else branch[OWN]
    return {name: _leaf(inner) for name, inner in branch.items()}


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
