"""From a command line to a resolved configuration, and from that to objects."""

from __future__ import annotations

import argparse
import copy
import enum
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from ssl_ecg.cli.given import BARE, Chosen, Given, Leaf, shown, spelt
from ssl_ecg.cli.help import help_text
from ssl_ecg.cli.settings import UsageError, positionals, settings_of, type_name
from ssl_ecg.errors import UserError


class Parsed:
    """A command's settings, checked, before anything is built.

    Attributes:
        config: every setting with its value, as plain nested values; a class is
            `{"class_path": ..., "init_args": {...}}`. Written as YAML it is a file for `--config`.
        notes: lines the user was shown, such as settings left out when the class changed.
    """

    def __init__(self, command: Callable[..., Any], chosen: Chosen) -> None:
        self._chosen = chosen
        self._built: dict[str, Any] = {}
        self._takes = inspect.signature(command).parameters
        self._parser = ArgumentParser(exit_on_error=False)
        add = self._parser.add_class_arguments if inspect.isclass(command) else self._parser.add_function_arguments
        add(command, as_group=False, fail_untyped=False, skip={"config"})
        self.notes = chosen.notes
        self.config: dict[str, Any] = chosen.plain()
        self.config = _plain(self._typed().as_dict())

    def set(self, option: str, value: object, because: str = "") -> None:
        """Fill in a setting that follows from others, such as `method.encoder.in_channels`.

        Args:
            option: its name, as on the command line without the dashes.
            value: what it must be.
            because: why, for the error where the user asked for something else.

        Raises:
            UsageError: if the chosen class has no such setting, or the user gave another value.
        """
        here, name, chosen = _locate(self.config, option)
        if name not in here:
            raise UsageError(f"--{option} is needed, but {chosen} has no setting {name}")
        if option.partition(".")[0] in self._built:
            raise RuntimeError(f"{option} is set after it was built")
        value = _plain(value)
        given = next((owner.values.get(name) for owner, _ in self._chosen.find(option)), None)
        if isinstance(given, Leaf) and given.source is not None and here[name] != value:
            reason = f" because {because}" if because else ""
            raise UsageError(f"{spelt(option, given.source)} is {shown(here[name])} but must be {value!r}{reason}")
        here[name] = value

    def instantiate(self, *names: str) -> dict[str, Any]:
        """Build the objects.

        Args:
            names: the arguments wanted; all, if none is named.

        Returns:
            The command's keyword arguments of those names. Each is built once, however often asked for.
            Among all of them is `config`, the resolved configuration, where the command takes one.

        Raises:
            UserError: if a constructor refuses its settings.
        """
        wanted = names or tuple(self.config)
        typed, settings = self._typed(), settings_of(self._chosen.owner)
        # jsonargparse builds every dataclass of the command each time; without its values, from the defaults.
        todo = [name for name in self.config if settings[name].group or (name in wanted and name not in self._built)]
        part = Namespace({name: typed[name] for name in todo})  # type: ignore[no-untyped-call]
        built = self._build(part)
        for name in todo:
            self._built.setdefault(name, built[name])
        whole = {} if names or "config" not in self._takes else {"config": copy.deepcopy(self.config)}
        return {name: self._built[name] for name in wanted} | whole

    def to_yaml(self) -> str:
        """The configuration as a file for `--config`."""
        return yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True)

    def _build(self, typed: Namespace) -> Namespace:
        """The objects of some settings."""
        refused: list[UserError] = []

        def construct(cls: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            try:
                return _construct(cls, *args, **kwargs)
            except UserError as error:
                refused.append(error)
                raise

        try:
            built: Namespace = self._parser.instantiate(typed, instantiators=[(construct, object, True)])
            return built
        except ValueError:
            if not refused:
                raise
            # Where None is allowed too, jsonargparse tells at length of every type it tried.
            raise refused[0] from None

    def _typed(self) -> Namespace:
        """The configuration with every value of its setting's type."""
        try:
            typed: Namespace = self._parser.parse_object(copy.deepcopy(self.config))
            return typed
        except argparse.ArgumentError as error:
            raise UsageError(_wrong_value(str(error), self._chosen)) from error


def parse(
    command: Callable[..., Any],
    argv: Sequence[str] | None = None,
    *,
    defaults: Mapping[str, Any] | str | Path | None = None,
    filled: Mapping[str, Any] | None = None,
) -> Parsed:
    """Read and check all settings of a command; nothing is built yet.

    Args:
        command: a function whose typed arguments are its settings and whose docstring explains them.
        argv: the command line without the program's name; this process's by default.
        defaults: settings to start from, such as `{"method": "SimCLR"}`, or a file of them like those for
            `--config`; for arguments that are classes, whose defaults no signature can hold.
        filled: settings that the command fills in with `Parsed.set`, with a stand-in until then.

    Returns:
        The checked settings.

    Raises:
        UsageError: for anything misspelt, missing or of a wrong type.
        SystemExit: after `--help` and `--print_config`.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    chosen = Chosen(command)
    if defaults is not None:
        chosen.update(_settings(defaults, None) if isinstance(defaults, Mapping) else _read_file(str(defaults), None))
    if "--help" in argv or "-h" in argv:
        print(help_text(command, chosen.flat(), filled or {}))
        raise SystemExit(0)
    line, files, print_config = _read_line(command, argv)
    for given in (*(_read_file(path, path) for path in files), line):
        chosen.update(given)
    for option, value in (filled or {}).items():
        for owner, name in chosen.find(option):
            owner.values.setdefault(name, Leaf(value, None))
    chosen.check_complete()
    parsed = Parsed(command, chosen)
    if print_config:
        for option in filled or {}:
            here, name, _ = _locate(parsed.config, option)
            here.pop(name, None)  # a stand-in is no setting of the user's
        print(parsed.to_yaml(), end="")
        raise SystemExit(0)
    for note in parsed.notes:
        print(f"note: {note}", file=sys.stderr)
    return parsed


def run(command: Callable[..., Any], argv: Sequence[str] | None = None) -> Any:
    """Parse a command line, build the settings and run the command: a function, or a dataclass with a method `run`."""
    with reporting_errors():
        made = command(**parse(command, argv).instantiate())
        return made.run() if inspect.isclass(command) else made


@contextmanager
def reporting_errors() -> Iterator[None]:
    """Turn what the user can act on into a line on stderr and an exit code; let bugs through.

    Exits with 2 for wrong usage, 1 for any other `UserError`, 130 for Ctrl-C.
    """
    try:
        yield
    except UserError as error:
        first, *more = str(error).splitlines() or [""]
        print("\n".join([f"error: {first}", *(f"       {line}" for line in more)]), file=sys.stderr)
        raise SystemExit(2 if isinstance(error, UsageError) else 1) from error
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def _read_line(command: Callable[..., Any], argv: Sequence[str]) -> tuple[Given, list[str], bool]:
    """The command line as what it says of each setting, the files it names, and `--print_config`."""
    given, files, print_config = Given(""), [], False
    free = positionals(command)
    tokens = list(argv)
    while tokens:
        token = tokens.pop(0)
        if not token.startswith("--"):
            if not free:
                raise UsageError(f"{token!r} stands alone: options are written --NAME VALUE")
            given.put(free.pop(0), token)
            continue
        name, equals, value = token[2:].partition("=")
        if name == "print_config":
            print_config = True
            continue
        # A value may start with one dash (-1.5), an option with two.
        if not equals and tokens and not tokens[0].startswith("--"):
            equals, value = "=", tokens.pop(0)
        if name == "config":
            if not value:
                raise UsageError("--config needs a file")
            files.append(value)
        else:
            given.put(name, value if equals else BARE)
    return given, files, print_config


def _read_file(path: str, source: str | None) -> Given:
    """A YAML file as what it says of each setting."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config: cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"--config: {path} is not YAML: {' '.join(str(error).split())}") from error
    if content is not None and not isinstance(content, dict):
        raise UsageError(f"--config: {path} holds no settings, NAME: VALUE a line, but {shown(content)}")
    return _settings(content or {}, source)


def _settings(content: Mapping[str, Any], source: str | None) -> Given:
    given = Given(source)
    for name, value in content.items():
        given.put(str(name), value)
    return given


def _wrong_value(message: str, chosen: Chosen) -> str:
    """One line for jsonargparse's many: which setting, what type it wants and what it got."""
    option = ".".join(re.findall(r'Parser key "([^"]+)"', message))
    found = [(owner, name, owner.values.get(name)) for owner, name in chosen.find(option)]
    # Inside a list of classes the message does not tell which one, but quotes the value.
    found.sort(key=lambda f: not (isinstance(f[2], Leaf) and str(f[2].value) in message))
    for owner, name, value in found[:1]:
        source = value.source if isinstance(value, Leaf) else None
        got = f", not {shown(value.value)}" if isinstance(value, Leaf) else ""
        return f"{spelt(owner.name_of(name), source)} must be {type_name(settings_of(owner.owner)[name].type)}{got}"
    return f"{f'--{option}: ' if option else ''}{message.splitlines()[-1].strip()}"


def _locate(config: dict[str, Any], option: str) -> tuple[dict[str, Any], str, str]:
    """Where in a configuration an option stands, its name there, and the class whose setting it is."""
    *path, name = option.split(".")
    chosen = "the command"
    for part in path:
        config = config[part]
        if "class_path" in config:
            chosen = config["class_path"].rpartition(".")[2]
            config = config.get("init_args", {})
    return config, name, chosen


def _construct(cls: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a constructor; what it refuses, the user gave."""
    try:
        return cls(*args, **kwargs)
    except UserError:
        raise
    except ValueError as error:
        name = cls.__name__
        text = str(error)
        raise UsageError(text if text.startswith(name) else f"{name}: {text}") from error


def _plain(value: Any) -> Any:
    """A parsed value as YAML can hold it."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"{value!r} is no plain value: give the defaults of class arguments by parse(defaults=...)")
