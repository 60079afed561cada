"""What a command, or a class it can be given, may be told: the typed, documented arguments of its signature."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import inspect
import sys
import types
import typing
from abc import ABC
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import docstring_parser
from jsonargparse import ArgumentParser

# The one private name of jsonargparse: it follows **kwargs to the parent class and evaluates postponed annotations.
from jsonargparse._parameter_resolvers import get_signature_parameters

from ssl_ecg.errors import UserError

REQUIRED = inspect.Parameter.empty  # the default of a setting that has none
Maker = Callable[..., Any]  # a command, a class, or a function that makes an instance of a class


class UsageError(UserError):
    """A command was called with something it does not know or cannot use (exit code 2)."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """One argument of a command or constructor: its name, type hint, default (or `REQUIRED`) and meaning."""

    name: str
    type: Any
    default: Any
    doc: str

    @property
    def optional(self) -> bool:
        """Whether None is a value of it."""
        return type(None) in alternatives(self.type) or self.default is None

    @property
    def group(self) -> type | None:
        """The dataclass whose fields are settings of their own (`--preprocessing.fs`), if it is one."""
        return self.type if inspect.isclass(self.type) and dataclasses.is_dataclass(self.type) else None

    @property
    def many(self) -> bool:
        """Whether it is a list of values."""
        return get_origin(self._only) in (list, tuple, Sequence)

    @property
    def family(self) -> type | None:
        """The class that its value, or each of its values, is or makes an instance of, where there is a choice."""
        base = get_args(self._each)[-1] if get_origin(self._each) is Callable else self._each
        plain = not inspect.isclass(base) or base.__module__.partition(".")[0] in sys.stdlib_module_names
        return None if self.group or plain else base

    @property
    def supplied(self) -> tuple[type, ...]:
        """What is given later to a value that makes an instance: Encoder of a `Callable[[Encoder], Method]`."""
        return tuple(get_args(self._each)[0]) if get_origin(self._each) is Callable else ()

    @property
    def _each(self) -> Any:
        """The type of its value, or of each of its values."""
        return get_args(self._only)[0] if self.many else self._only

    @property
    def _only(self) -> Any:
        """The one type besides None, if there is no other."""
        return only[0] if len(only := [t for t in alternatives(self.type) if t is not type(None)]) == 1 else None

    def typed(self, value: Any) -> Any:
        """The value as its type has it, by jsonargparse; an ArgumentError if it is none of that type."""
        return None if value is None and self.optional else _parser(self.type).parse_object({"value": value}).value


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The members of a union; of any other type, itself."""
    return get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


@cache
def _parser(hint: Any) -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=hint)
    return parser


@cache
def documented(owner: Maker) -> docstring_parser.Docstring:
    """The parsed docstring of a class or function itself; a parent's is not inherited."""
    text = vars(owner).get("__doc__") if inspect.isclass(owner) else owner.__doc__
    return docstring_parser.parse(inspect.cleandoc(text or ""), style=docstring_parser.DocstringStyle.GOOGLE)


@cache
def settings_of(owner: Maker) -> dict[str, Setting]:
    """The settings of a command or class in its signature's order, without a command's `config` and `defaults`."""
    # A command is a function, or a dataclass of its settings with a method `run`.
    is_command = not inspect.isclass(owner) or (dataclasses.is_dataclass(owner) and hasattr(owner, "run"))
    return {
        p.name: Setting(p.name, Any if p.annotation is REQUIRED else p.annotation, p.default, p.doc or "")
        for p in get_signature_parameters(owner, None)
        if not (is_command and p.name in ("config", "defaults"))
    }


def positionals(command: Maker) -> list[str]:
    """The arguments of a command that need no `--NAME`: those before its `*` without a default."""
    plain = {s.name for s in settings_of(command).values() if not (s.family or s.group)}
    given = inspect.signature(command).parameters.values()
    return [p.name for p in given if p.name in plain and p.kind is not p.KEYWORD_ONLY and p.default is REQUIRED]


def known(base: type) -> dict[str, Maker]:
    """What can be chosen for `base` by a short name: it, its imported subclasses, and functions that make one.

    Abstract and private classes, and those defined inside functions, are left out; functions count where the package
    of `base` exports them.
    """
    found: dict[str, Maker] = {}
    queue = [base]
    while queue:
        cls = queue.pop(0)
        queue += cls.__subclasses__()
        public = not cls.__name__.startswith("_") and "<locals>" not in cls.__qualname__
        if public and not is_abstract(cls):
            # Two of one name: the later one needs its dotted path.
            found.setdefault(cls.__name__, cls)
    exported = vars(sys.modules.get(base.__module__.partition(".")[0], base))
    found |= {name: f for name, f in exported.items() if not name.startswith("_") and _makes(f, base)}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _makes(function: object, base: type) -> bool:
    """Whether this is a function that says it returns a `base`."""
    made = typing.get_type_hints(function).get("return") if inspect.isfunction(function) else None
    return inspect.isclass(made) and issubclass(made, base)


def is_abstract(cls: type) -> bool:
    """Whether a class is only there to be subclassed."""
    return inspect.isabstract(cls) or ABC in cls.__bases__


def find_class(name: object, base: type, where: str) -> Maker:
    """The subclass of `base`, or the function that makes one, meant by a short name or a dotted path.

    UsageError, beginning with `where` (the option), if there is none.
    """
    classes = known(base)
    if isinstance(name, str) and name in classes:
        return classes[name]
    if not isinstance(name, str) or "." not in name:
        raise UsageError(
            f"{where}: there is no {base.__name__} called {name!r}{did_you_mean(name, classes)}\n"
            f"known: {', '.join(classes) or 'none'}; or the dotted path of your own class"
        )
    path, _, attribute = name.rpartition(".")
    try:
        module = importlib.import_module(path)
    except ImportError as error:
        raise UsageError(f"{where}: cannot import {name}: {error}") from error
    cls: object = getattr(module, attribute, None)
    if inspect.isfunction(cls) and _makes(cls, base):
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


def options(owner: Maker, prefix: str = "", within: tuple[type, ...] = ()) -> dict[str, Setting]:
    """Every option that a command may be given, whatever the classes chosen, without the dashes."""
    found: dict[str, Setting] = {}
    for setting in settings_of(owner).values():
        option, base = prefix + setting.name, setting.group or setting.family
        found.setdefault(option, setting)
        if base and base not in within:  # an augmentation of augmentations ends there
            for cls in [base] if setting.group else known(base).values():
                found = options(cls, f"{option}.", (*within, base)) | found
    return found


def families(command: Maker) -> dict[type, list[str]]:
    """Every class among the settings of a command and of the classes it can be given, with the options for it."""
    found: dict[type, list[str]] = {}
    for option, setting in sorted(options(command).items(), key=lambda item: item[0].count(".")):
        places = found.setdefault(setting.family, []) if setting.family else []
        if not any(option.startswith(f"{place}.") for place in places):
            places.append(option)
    return found


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
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "|".join(map(str, args))
    if len(several := alternatives(hint)) > 1:
        return " or ".join(dict.fromkeys(type_name(t) for t in several if t is not type(None)))
    if origin is tuple and args[-1] is not Ellipsis:
        return ",".join(map(type_name, args))
    if origin in (list, tuple, Sequence):
        return f"list of {type_name(args[0])}"
    if origin is Callable:
        return type_name(args[-1])
    names: dict[Any, str] = {bool: "true|false", Any: "value", Path: "path"}
    return names.get(hint) or str(getattr(origin or hint, "__name__", hint))
