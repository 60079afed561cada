"""What a command, or a class it can be given, may be told: the typed arguments of its signature.

Constructors are the configuration: nothing is registered and there is no second schema. Docstrings give
the meanings, type hints the types, and a setting whose type is a class takes any subclass of it.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import importlib
import inspect
import sys
import types
import typing
from abc import ABC
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import docstring_parser

# The one use of a private name of jsonargparse: the parser below it resolves signatures with the same
# function (**kwargs followed to the parent class, docstrings, postponed annotations), so what --help
# lists and what is accepted cannot come apart.
from jsonargparse._parameter_resolvers import get_signature_parameters

from ssl_ecg.errors import UserError

REQUIRED = inspect.Parameter.empty
"""The default of a setting that has none."""


class UsageError(UserError):
    """A command was called with something it does not know or cannot use (exit code 2)."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """One argument of a command or constructor.

    Attributes:
        name: its name.
        type: its type hint.
        default: its default, or `REQUIRED`.
        doc: its meaning, from the docstring.
    """

    name: str
    type: Any
    default: Any
    doc: str

    @property
    def optional(self) -> bool:
        """Whether None is a value of it."""
        return type(None) in _alternatives(self.type) or self.default is None

    @property
    def group(self) -> type | None:
        """The dataclass whose fields are settings of their own (`--preprocessing.fs`), if it is one."""
        return self.type if inspect.isclass(self.type) and dataclasses.is_dataclass(self.type) else None

    @property
    def many(self) -> bool:
        """Whether it is a list of values."""
        only = _without_none(self.type)
        return len(only) == 1 and get_origin(only[0]) in (list, tuple, Sequence)

    @property
    def family(self) -> type | None:
        """The class that its value, or each of its values, is an instance of, where there is a choice."""
        only = _without_none(self.type)
        if self.group or len(only) != 1:
            return None
        base = get_args(only[0])[0] if self.many else only[0]
        plain = not inspect.isclass(base) or base.__module__.partition(".")[0] in sys.stdlib_module_names
        return None if plain or issubclass(base, enum.Enum) else base


@cache
def settings_of(owner: Callable[..., Any]) -> dict[str, Setting]:
    """The settings of a command or class, in the order of its signature.

    An argument `config` of a command is none: there it takes the resolved configuration as a whole.
    """
    docs = _documented(owner) if inspect.isclass(owner) else {}
    return {
        p.name: Setting(
            p.name, Any if p.annotation is REQUIRED else p.annotation, p.default, p.doc or docs.get(p.name, "")
        )
        for p in get_signature_parameters(owner, None)
        if p.name != "config" or not is_command(owner)
    }


def is_command(owner: Callable[..., Any]) -> bool:
    """Whether it is a command: a function, or a dataclass of its settings with a method `run`."""
    return not inspect.isclass(owner) or (dataclasses.is_dataclass(owner) and hasattr(owner, "run"))


def _documented(owner: type) -> dict[str, str]:
    """What the docstrings of a class and of its bases say of arguments."""
    found: dict[str, str] = {}
    for cls in reversed(owner.__mro__):
        doc = docstring_parser.parse(inspect.cleandoc(vars(cls).get("__doc__") or ""))
        found |= {p.arg_name: p.description or "" for p in doc.params}
    return found


def positionals(command: Callable[..., Any]) -> list[str]:
    """The arguments of a command that need no `--NAME`: those before its `*` without a default."""
    settings = settings_of(command)
    return [
        p.name
        for p in inspect.signature(command).parameters.values()
        if p.name in settings
        and p.kind is not p.KEYWORD_ONLY
        and p.default is REQUIRED
        and not (settings[p.name].family or settings[p.name].group)
    ]


def known(base: type) -> dict[str, Callable[..., Any]]:
    """What can be chosen for `base` by a short name: it, its imported subclasses, and functions that make one.

    Abstract and private classes, and those defined inside functions, are left out; functions count where the
    package of `base` exports them.
    """
    found: dict[str, Callable[..., Any]] = {}
    queue = [base]
    while queue:
        cls = queue.pop(0)
        queue += cls.__subclasses__()
        public = not cls.__name__.startswith("_") and "<locals>" not in cls.__qualname__
        if public and not is_abstract(cls):
            # Two of one name: the later one needs its dotted path.
            found.setdefault(cls.__name__, cls)
    exported = vars(sys.modules.get(base.__module__.partition(".")[0], base))
    found |= {name: f for name, f in exported.items() if not name.startswith("_") and makes(f, base)}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def makes(function: object, base: type) -> bool:
    """Whether this is a function that says it returns a `base`."""
    made = typing.get_type_hints(function).get("return") if inspect.isfunction(function) else None
    return inspect.isclass(made) and issubclass(made, base)


def is_abstract(cls: type) -> bool:
    """Whether a class is only there to be subclassed."""
    return inspect.isabstract(cls) or ABC in cls.__bases__


def find_class(name: object, base: type, where: str) -> Callable[..., Any]:
    """The class, or the function that makes an instance, meant by a short name or a dotted path.

    Args:
        name: what the user gave.
        base: what it must be a subclass of.
        where: the option, for the error.

    Raises:
        UsageError: if there is no such class, or it is not a `base`.
    """
    classes = known(base)
    if isinstance(name, str) and name in classes:
        return classes[name]
    if not isinstance(name, str) or "." not in name:
        hint = did_you_mean(name, classes)
        raise UsageError(
            f"{where}: there is no {base.__name__} called {name!r}{hint}\n"
            f"known: {', '.join(classes) or 'none'}; or the dotted path of your own class"
        )
    path, _, attribute = name.rpartition(".")
    try:
        module = importlib.import_module(path)
    except ImportError as error:
        raise UsageError(f"{where}: cannot import {name}: {error}") from error
    cls: object = getattr(module, attribute, None)
    if inspect.isfunction(cls) and makes(cls, base):
        return cls
    if not inspect.isclass(cls):
        classes = {k: v for k, v in vars(module).items() if inspect.isclass(v) and issubclass(v, base)}
        raise UsageError(f"{where}: {path} has no class {attribute}{did_you_mean(attribute, classes)}")
    if not issubclass(cls, base):
        raise UsageError(f"{where}: {name} is not a subclass of {base.__module__}.{base.__qualname__}")
    if is_abstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        raise UsageError(f"{where}: {name} is abstract" + (f": it does not define {missing}" if missing else ""))
    return cls


@dataclasses.dataclass
class Family:
    """A class with the options that take one of its subclasses.

    Attributes:
        base: the class.
        options: those options, such as `method.encoder`.
        many: whether they take a list of them.
    """

    base: type
    options: list[str]
    many: bool


def families(command: Callable[..., Any]) -> list[Family]:
    """Every class among the settings of a command, and among those of the classes it can be given."""
    found: dict[type, Family] = {}
    queue: list[tuple[Callable[..., Any], str]] = [(command, "")]
    while queue:
        owner, prefix = queue.pop(0)
        for setting in settings_of(owner).values():
            base, option = setting.family, prefix + setting.name
            if base and base not in found:
                found[base] = Family(base, [option], setting.many)
                queue += [(cls, f"{option}.") for cls in known(base).values()]
            elif base and option not in found[base].options and not option.startswith(f"{found[base].options[0]}."):
                found[base].options.append(option)
    return list(found.values())


def options(command: Callable[..., Any]) -> Iterator[str]:
    """Every option a command may be given, whatever the classes chosen, without the dashes."""
    for setting in settings_of(command).values():
        yield setting.name
        if setting.group:
            yield from (f"{setting.name}.{field}" for field in settings_of(setting.group))
    for family in families(command):
        for cls in known(family.base).values():
            yield from (f"{option}.{name}" for option in family.options for name in settings_of(cls))


def closest(name: object, candidates: Iterable[str]) -> str | None:
    """The candidate a misspelt name most likely meant, if any is near."""
    by_lower = {c.lower(): c for c in candidates}
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def did_you_mean(name: object, candidates: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing where no candidate is near."""
    near = closest(name, candidates)
    return f"; did you mean {near}?" if near else ""


def type_name(hint: Any) -> str:
    """A type as a user reads it: `float`, `window|none`, `list of str`, `Encoder`."""
    names = [_single_type_name(t) for t in _without_none(hint)]
    return " or ".join(dict.fromkeys(names)) or "none"


def _single_type_name(hint: Any) -> str:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "|".join(map(str, args))
    if origin is typing.Annotated:
        return type_name(args[0])
    if origin in (list, tuple, Sequence) and args:
        if origin is tuple and args[-1] is not Ellipsis:
            return ",".join(map(type_name, args))
        return f"list of {type_name(args[0])}"
    if hint is bool:
        return "true|false"
    if inspect.isclass(hint) and issubclass(hint, enum.Enum):
        return "|".join(hint.__members__)
    if hint is Any:
        return "value"
    return "path" if hint is Path else str(getattr(origin or hint, "__name__", hint))


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _without_none(hint: Any) -> list[Any]:
    return [t for t in _alternatives(hint) if t is not type(None)]
