"""`--help`: what a command does, its options, and every class with all of its settings; and a command to try next."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping
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


def program(command: Maker) -> str:
    """How the command is called, such as `python -m ssl_ecg.pretrain`."""
    spec = sys.modules[command.__module__].__spec__
    return f"python -m {(spec.name if spec else command.__module__).removesuffix('.command')}"


def help_text(command: Maker, defaults: Mapping[str, Any], filled: Iterable[str] = ()) -> str:
    """The help of a command, with the `defaults` it starts from and without the options it has `filled` in itself."""
    doc = documented(command)
    free = "".join(f" {name.upper()}" for name in positionals(command))
    lines = [f"usage: {program(command)}{free} [--config FILE] [--OPTION VALUE ...]", ""]
    for paragraph in f"{doc.short_description or ''}\n\n{doc.long_description or ''}".split("\n\n"):
        lines += [*_wrap(paragraph), ""] if paragraph.strip() else []
    examples = [line.strip() for e in doc.examples for line in (e.description or "").splitlines() if line.strip()]
    if examples:
        lines += ["Examples:", *(f"  {line}" for line in examples), ""]
    lines += ["Options:", *_own_options(command, defaults), ""]
    lines += [*_wrap("A list is written A,B,C and no value none. A true|false option may stand without a value."), ""]
    for setting in settings_of(command).values():
        if setting.group:
            lines += [*_group(setting, defaults), ""]
    for base, places in families(command).items():
        if known(base):
            lines += [*_family(base, places, options(command)[places[0]].many, defaults, set(filled)), ""]
    return "\n".join(lines).rstrip()


def _own_options(command: Maker, defaults: Mapping[str, Any]) -> list[str]:
    lines = []
    for setting in settings_of(command).values():
        if not setting.group:
            names = ", ".join(known(setting.family)) if setting.family else ""
            choice = f" One of {names}, or the dotted path of your own class." if names else ""
            lines += _option(setting, setting.name, defaults, doc=setting.doc + choice)
    for name, meaning in (
        ("config FILE", "a YAML file of these settings by these names; give it again for more files. Options win."),
        ("print_config", "print all settings as such a file and stop."),
        ("help", "show this and stop."),
    ):
        lines += _entry(f"--{name}", meaning)
    return lines


def _group(setting: Setting, defaults: Mapping[str, Any]) -> list[str]:
    """The section of a dataclass, whose fields are settings."""
    assert setting.group is not None
    at_hand = {} if setting.default in (REQUIRED, None) else vars(setting.default)
    start = {**{f"{setting.name}.{name}": value for name, value in at_hand.items()}, **defaults}
    lines = _wrap(f"{setting.name.capitalize()}: {setting.doc or _summary(setting.group)}")
    for field in settings_of(setting.group).values():
        lines += _option(field, f"{setting.name}.{field.name}", start)
    return lines


def _family(base: type, places: list[str], many: bool, defaults: Mapping[str, Any], filled: set[str]) -> list[str]:
    """The section of a base class: what all of its classes share, then each with its own settings."""
    first = places[0]
    prefix, value = (f"{first}.N", "NAME,NAME,...; N counts from 0") if many else (first, "NAME")
    plural = base.__name__ if base.__name__.endswith("s") else f"{base.__name__}s"
    how = " or ".join(f"--{option}" for option in places)
    lines = _wrap(f"{plural} ({how} {value}): {_summary(base)}")

    def settings(chosen: Iterable[Setting], indent: int) -> list[str]:
        shown = [s for s in chosen if f"{first}.{s.name}" not in filled]
        return [line for s in shown for line in _option(s, f"{prefix}.{s.name}", defaults, indent)]

    classes = known(base)
    if list(classes.values()) == [base]:
        return lines + settings(settings_of(base).values(), 2)
    every = [list(settings_of(cls).values()) for cls in classes.values()]
    shared = [s for s in every[0] if all(s in one for one in every)] if len(every) > 1 else []
    if shared:
        lines += ["  all of them", *settings(shared, 4)]
    for cls_name, cls in classes.items():
        lines += _wrap(f"{cls_name}: {_summary(cls)}", 2, 6)
        lines += settings((s for s in settings_of(cls).values() if s not in shared), 4)
    return lines


def _option(
    setting: Setting, option: str, defaults: Mapping[str, Any], indent: int = 2, doc: str | None = None
) -> list[str]:
    default = defaults.get(option, setting.default)
    kind = setting.family.__name__ if setting.family and not setting.many else type_name(setting.type)
    note = "required" if default is REQUIRED else f"default: {_value(default)}"
    return _entry(f"--{option} {kind}", f"{setting.doc if doc is None else doc} [{note}]", indent)


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
