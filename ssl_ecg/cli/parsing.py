"""From a command line to a resolved configuration, and from that to objects."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, get_origin

import yaml

from ssl_ecg.cli.given import BARE, Layer, Resolver, plain, shown, spelt, tree, values
from ssl_ecg.cli.help import help_text
from ssl_ecg.cli.settings import Maker, Setting, UsageError, find_class, options, positionals, settings_of
from ssl_ecg.errors import UserError


class Parsed(Resolver):
    """A command's settings, checked, before anything is built.

    Attributes:
        config: every setting with its value, as plain nested values; a class is
            `{"class_path": ..., "init_args": {...}}`. Written as YAML it is a file for `--config`.
        notes: lines the user was shown, such as settings left out when the class changed.
    """

    def __init__(self, command: Maker, layers: Sequence[Layer], filled: Mapping[str, Any]) -> None:
        super().__init__(command, layers, filled)
        self._built: dict[str, Any] = {}

    def set(self, option: str, value: object, because: str = "") -> None:
        """Fill in a setting that follows from others, such as `method.encoder.in_channels`, and say why.

        UsageError if the chosen class has no such setting, or the user gave another value.
        """
        here, name, chosen = _locate(self.config, option)
        if name not in here:
            raise UsageError(f"--{option} is needed, but {chosen} has no setting {name}")
        if option.partition(".")[0] in self._built:
            raise RuntimeError(f"{option} is set after it was built")
        value, source = plain(value), self.source(option)
        if source is not None and here[name] != value:
            reason = f" because {because}" if because else ""
            raise UsageError(f"{spelt(option, source)} is {shown(here[name])} but must be {value!r}{reason}")
        here[name] = value

    def instantiate(self, *names: str) -> dict[str, Any]:
        """Build the command's keyword arguments of those names, all by default; each once, however often asked for.

        Among all of them are, where the command takes them, `config`, the resolved configuration, and `defaults`, the
        same with every setting that is no class at its default. UserError if a constructor refuses its settings.
        """
        settings = settings_of(self.command)
        for name in names or settings:
            if name not in self._built:
                self._built[name] = _build(settings[name], self.config[name], name)
        takes = [] if names else inspect.signature(self.command).parameters
        whole = {"config": copy.deepcopy(self.config)} if "config" in takes else {}
        whole |= {"defaults": self.defaults()} if "defaults" in takes else {}
        return {name: self._built[name] for name in names or settings} | whole

    def to_yaml(self) -> str:
        """The configuration as a file for `--config`."""
        return yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True)


def parse(
    command: Maker,
    argv: Sequence[str] | None = None,
    *,
    defaults: Mapping[str, Any] | str | Path | None = None,
    filled: Mapping[str, Any] | None = None,
) -> Parsed:
    """Read and check all settings of a command; nothing is built yet.

    Args:
        command: a function, or a dataclass with a method `run`, whose typed arguments are its settings and whose
            docstring explains them.
        argv: the command line without the program's name; this process's by default.
        defaults: settings to start from, such as `{"method": "SimCLR"}`, or a file of them like those for
            `--config`; for arguments that are classes, whose defaults no signature can hold.
        filled: settings that the command fills in with `Parsed.set`, with a stand-in until then.

    Raises:
        UsageError: for anything misspelt, missing or of a wrong type.
        SystemExit: after `--help` and `--print_config`.
    """
    argv, filled = list(sys.argv[1:] if argv is None else argv), filled or {}
    start = read_file(defaults) if isinstance(defaults, str | Path) else defaults or {}
    layers: list[Layer] = [(tree(start), None)]
    if "--help" in argv or "-h" in argv:
        print(help_text(command, values(layers[0][0]), filled))
        raise SystemExit(0)
    line, files, print_config = _read_line(command, argv)
    layers += [(tree(read_file(path)), path) for path in files]
    parsed = Parsed(command, [*layers, (tree(line), "")], filled)
    if print_config:
        for option in filled:
            here, name, _ = _locate(parsed.config, option)
            here.pop(name, None)  # a stand-in is no setting of the user's
        print(parsed.to_yaml(), end="")
        raise SystemExit(0)
    for note in parsed.notes:
        print(f"note: {note}", file=sys.stderr)
    return parsed


def run(command: Maker, argv: Sequence[str] | None = None) -> Any:
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


def _read_line(command: Maker, argv: Sequence[str]) -> tuple[dict[str, Any], list[str], bool]:
    """The command line as what it says of each setting, the files it names, and `--print_config`."""
    given: dict[str, Any] = {}
    files, free, tokens = [], positionals(command), list(argv)
    while tokens:
        token = tokens.pop(0)
        if not token.startswith("--"):
            if not free:
                raise UsageError(f"{token!r} stands alone: options are written --NAME VALUE")
            given[free.pop(0)] = token
            continue
        name, equals, text = token[2:].partition("=")
        name, value = name.replace("-", "_"), text if equals else BARE
        # A value may start with one dash (-1.5), an option with two; after a flag stands a value only if it is one.
        if name != "print_config" and not equals and tokens and not tokens[0].startswith("--"):
            is_word = tokens[0].lower() not in ("true", "false", "yes", "no")
            if not (is_word and free and name in (known := options(command)) and known[name].type is bool):
                value = tokens.pop(0)
        if name == "config":
            if not value or value is BARE:
                raise UsageError("--config needs a file")
            files.append(str(value))
        else:
            given[name] = value
    return given, files, given.pop("print_config", None) is not None


def read_file(path: str | Path) -> dict[str, Any]:
    """Read the settings in a YAML file; a UsageError if there are none."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config: cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"--config: {path} is not YAML: {' '.join(str(error).split())}") from error
    if content is not None and not isinstance(content, dict):
        raise UsageError(f"--config: {path} holds no settings, NAME: VALUE a line, but {shown(content)}")
    return content or {}


def _locate(config: dict[str, Any], option: str) -> tuple[dict[str, Any], str, str]:
    """Where in a configuration an option stands, its name there, and the class whose setting it is."""
    *path, name = option.split(".")
    chosen = "the command"
    for part in path:
        config = config[part]
        if "class_path" in config:
            chosen = config["class_path"].rpartition(".")[2]
            config = config["init_args"]
    return config, name, chosen


def _build(setting: Setting, value: Any, option: str) -> Any:
    """The object that a setting's plain value stands for."""
    if isinstance(value, list) and setting.family and setting.many:
        items = [_build_chosen(setting, item, option) for item in value]
        return tuple(items) if get_origin(setting.type) is tuple else items
    if isinstance(value, dict) and setting.family:
        return _build_chosen(setting, value, option)
    return _make(setting.group, value, option) if setting.group else setting.typed(value)


def _build_chosen(setting: Setting, value: Mapping[str, Any], option: str) -> Any:
    """The instance of the class that was chosen, or what makes it once it gets what it lacks."""
    assert setting.family is not None
    cls, given = find_class(value["class_path"], setting.family, option), value["init_args"]
    return partial(cls, **_arguments(cls, given, option)) if setting.supplied else _make(cls, given, option)


def _make(cls: Maker, values: Mapping[str, Any], option: str) -> Any:
    """Call a constructor; what it refuses, the user gave."""
    arguments = _arguments(cls, values, option)
    try:
        return cls(**arguments)
    except UserError:
        raise
    except ValueError as error:
        text = str(error)
        raise UsageError(text if text.startswith(cls.__name__) else f"{cls.__name__}: {text}") from error


def _arguments(cls: Maker, values: Mapping[str, Any], option: str) -> dict[str, Any]:
    """What a constructor is called with."""
    settings = settings_of(cls)
    return {name: _build(settings[name], value, f"{option}.{name}") for name, value in values.items()}
