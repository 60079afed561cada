"""`--help`: what a command does, its options, and every class with all of its settings; and a command to try next."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ssl_ecg.cli.given import plain
from ssl_ecg.cli.settings import (
    REQUIRED,
    Maker,
    Setting,
    documented,
    families,
    find_class,
    known,
    options,
    positionals,
    settings_of,
    type_name,
)

_WIDTH = 100  # at most: longer lines are hard to read, and logs are not terminals
_COLUMN = 38  # where meanings start

ALWAYS = {
    "config FILE": "a YAML file of these settings by these names; give it again for more files. Options win.",
    "print_config": "print all settings as such a file and stop.",
    "help": "show this and stop.",
}
"""The options that every command has."""


def program(command: Maker) -> str:
    """How the command is called, such as `python -m ssl_ecg.pretrain`."""
    spec = sys.modules[command.__module__].__spec__
    name = spec.name if spec else command.__module__
    if subcommand := getattr(command, "subcommand", ""):  # one of several that a package has
        return f"python -m {name.rpartition('.')[0]} {subcommand}"
    return f"python -m {name.removesuffix('.command').removesuffix('.files')}"


def help_text(command: Maker, start: Mapping[str, Any], filled: Iterable[str] = ()) -> str:
    """The help of a command, with the values by option that it starts from and without those `filled` in by itself."""
    doc, every = documented(command), options(command)
    free = "".join(f" {name.upper()}" for name in positionals(command))
    lines = [f"usage: {program(command)}{free} [--config FILE] [--OPTION VALUE ...]", ""]

    def add(settings: Iterable[Setting], place: str = "", indent: int = 2) -> None:
        for setting in settings:
            option = place + setting.name
            if option not in filled:
                lines.extend(_option(setting, option, start.get(option, setting.default), indent))

    for paragraph in f"{doc.short_description or ''}\n\n{doc.long_description or ''}".split("\n\n"):
        lines += [*_wrap(paragraph), ""] if paragraph.strip() else []
    examples = [line.strip() for e in doc.examples for line in (e.description or "").splitlines() if line.strip()]
    if examples:
        lines += ["Examples:", *(f"  {line}" for line in examples), ""]
    lines.append("Options:")
    add(setting for setting in settings_of(command).values() if not setting.group)
    for name, meaning in ALWAYS.items():
        lines += _entry(f"--{name}", meaning)
    lines += ["", *_wrap("A list is written A,B,C and no value none. A true|false option may stand without a value.")]
    for setting in settings_of(command).values():
        if setting.group:
            lines += ["", *_wrap(f"{setting.name.capitalize()}: {setting.doc or _summary(setting.group)}")]
            at_hand = {} if setting.default in (REQUIRED, None) else vars(setting.default)
            fields = settings_of(setting.group).values()
            add((replace(s, default=at_hand.get(s.name, s.default)) for s in fields), f"{setting.name}.")
    for base, (first, *others) in families(command).items():
        place, value = (f"{first}.N.", "NAME,NAME,...; N counts from 0") if every[first].many else (f"{first}.", "NAME")
        how = " or ".join(f"--{option}" for option in (first, *others))
        classes = known(base)
        owned = [list(settings_of(cls).values()) for cls in classes.values()]
        alone = len(owned) == 1 and base in classes.values()
        shared = [s for s in owned[0] if all(s in one for one in owned)] if alone or len(owned) > 1 else []
        if classes:
            lines += ["", *_wrap(f"{base.__name__.removesuffix('s')}s ({how} {value}): {_summary(base)}")]
        if shared and not alone:
            lines.append("  all of them")
        add(shared, place, 2 if alone else 4)
        for name, cls in classes.items() if not alone else ():
            lines += _wrap(f"{name}: {_summary(cls)}", 2, 6)
            add((s for s in settings_of(cls).values() if s not in shared), place, 4)
    return "\n".join(lines).rstrip()


def _option(setting: Setting, option: str, default: Any, indent: int) -> list[str]:
    kind, doc = type_name(setting.type), setting.doc
    if setting.family:
        kind = kind if setting.many else setting.family.__name__
        default = _short(default)
        if "." not in option and known(setting.family):
            doc += f" One of {', '.join(known(setting.family))}, or the dotted path of your own class."
    note = "required" if default is REQUIRED else f"default: {_value(default)}"
    return _entry(f"--{option} {kind}", f"{doc} [{note}]", indent)


def _short(default: Any) -> Any:
    """The short name of a class, or of each in a list, as a file has it."""
    if isinstance(default, list | tuple):
        return [_short(item) for item in default]
    name = default.get("class_path") if isinstance(default, Mapping) else default
    return name.rpartition(".")[2] if isinstance(name, str) else name


def _entry(option: str, meaning: str, indent: int = 2) -> list[str]:
    """An option and, beside it or below where it is long, what it means."""
    head = " " * indent + option
    lines = _wrap(meaning, _COLUMN, _COLUMN)
    if len(head) > _COLUMN - 2:
        return [head, *lines]
    return [f"{head:{_COLUMN}}{lines[0].lstrip()}", *lines[1:]]


def _wrap(text: str, indent: int = 0, hanging: int = 0) -> list[str]:
    """A paragraph of a docstring in lines that fit the terminal."""
    width = max(70, min(_WIDTH, shutil.get_terminal_size((_WIDTH, 24)).columns))
    text = re.sub(r"\s+", " ", text).strip().removesuffix(":")
    first, others = " " * indent, " " * hanging
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)


def _summary(made_by: Maker) -> str:
    return (documented(made_by).short_description or "").rstrip(".")


def _value(default: Any) -> str:
    if default is None or isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list | tuple):
        return ", ".join(map(_value, default)) or "empty"
    return f"{default:g}" if isinstance(default, float) else str(default) or '""'


def command_line(command: str, *arguments: str, **options: object) -> str:
    """A whole line for the shell, such as `python -m ssl_ecg.probe runs/x --data MITBIH`; values as Python has them."""
    words = [word for name, value in options.items() for word in (f"--{name}", _written(value))]
    return shlex.join(["python", "-m", f"ssl_ecg.{command}", *arguments, *words])


def chosen(option: str, base: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """The options that choose a subclass of `base` again: its name, and the settings that are not its defaults."""
    found = find_class(config["class_path"], base, option)
    name = next((short for short, one in known(base).items() if one is found), config["class_path"])
    usual = {k: plain(s.default) for k, s in settings_of(found).items() if s.default is not REQUIRED}
    given = config.get("init_args", {}).items()
    return {option: name} | {f"{option}.{k}": v for k, v in given if k not in usual or v != usual[k]}


def _written(value: object) -> str:
    """A value as the command line takes it, with all digits."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
