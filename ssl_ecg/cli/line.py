"""A command to try next, as it is typed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ssl_ecg.cli.given import plain
from ssl_ecg.cli.settings import REQUIRED, find_class, known, settings_of


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
