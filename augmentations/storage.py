"""Policies as plain values and as YAML files: what was done to the data, kept with the results.

The form is that of the recipes and of jsonargparse, `class_path` and `init_args`, so that a saved policy can be
pasted into a recipe.
"""

import importlib
import inspect
import os
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import augmentations
from augmentations.base import Augmentation
from augmentations.views import Views

Policy = Augmentation | Views


def to_dict(policy: Policy) -> dict[str, Any]:
    """A policy as plain values, its class under `class_path` and its settings under `init_args`.

    A TypeError refuses a setting that has no plain form, such as a tensor.
    """
    cls = type(policy)
    if "." in cls.__qualname__:
        raise TypeError(f"{cls.__qualname__} is defined inside something else: a file can name classes of modules only")
    ours = getattr(augmentations, cls.__name__, None) is cls
    path = f"augmentations.{cls.__name__}" if ours else f"{cls.__module__}.{cls.__qualname__}"
    return {"class_path": path, "init_args": {k: _plain(v, f"{path}.{k}") for k, v in policy.settings().items()}}


def from_dict(values: object) -> Policy:
    """The policy that `to_dict` described. Imports the modules it names: only for files you trust.

    `class_path` is the dotted path of a class, or of a function that makes a policy; a name without a dot is one of
    this package. A TypeError says that the class takes no such settings, or is none of a policy; a ValueError that
    there is no such class, or that it refuses the settings.
    """
    if not isinstance(values, dict) or "class_path" not in values or set(values) - {"class_path", "init_args"}:
        raise ValueError(f"a policy is written as class_path and init_args, not {values!r}")
    path = str(values["class_path"])
    module, _, name = path.rpartition(".")
    try:
        make = getattr(importlib.import_module(module or "augmentations"), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"there is no {path}: {error}") from None
    if not _makes_policy(make):
        raise TypeError(f"{path} is neither an Augmentation, nor Views, nor a function that says it returns one")
    policy = make(**{key: _parsed(value) for key, value in (values.get("init_args") or {}).items()})
    assert isinstance(policy, (Augmentation, Views))
    return policy


def save(policy: Policy, path: str | os.PathLike[str]) -> None:
    """Writes a policy to a YAML file, or over it; under another name first, so that a stopped write leaves no half.

    Raises TypeError for a setting that has no plain form, such as a tensor, OSError if the file cannot be written, and
    ModuleNotFoundError without PyYAML.
    """
    text = _yaml().safe_dump(to_dict(policy), sort_keys=False)
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(path.stat().st_mode if path.exists() else 0o644)  # a temporary file is the owner's alone
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike[str]) -> Policy:
    """Reads a policy that `save` wrote. Imports the modules it names: only for files you trust.

    Raises TypeError as `from_dict`, ValueError if the file is not YAML, or no policy (both name the file), OSError if
    it cannot be read, and ModuleNotFoundError without PyYAML.
    """
    yaml = _yaml()
    text = Path(path).read_text(encoding="utf-8")
    try:
        return from_dict(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError, TypeError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{path}: {error}") from error


def _makes_policy(make: object) -> bool:
    """Whether this is a class of policies, or a function annotated to return one: nothing else is called."""
    made = get_type_hints(make).get("return") if inspect.isfunction(make) else make
    return inspect.isclass(made) and issubclass(made, (Augmentation, Views))


def _plain(value: object, where: str) -> object:
    if isinstance(value, (Augmentation, Views)):
        return to_dict(value)
    if isinstance(value, (list, tuple)):
        return [_plain(part, where) for part in value]
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):  # NumPy's too
        return int(value) if isinstance(value, int) else float(value)
    raise TypeError(f"{where} is a {type(value).__name__}, which a file cannot keep: give it as a path or as numbers")


def _parsed(value: object) -> object:
    if isinstance(value, dict):
        return from_dict(value)
    if isinstance(value, list):
        parts = [_parsed(part) for part in value]
        return parts if any(isinstance(part, (Augmentation, Views)) for part in parts) else tuple(parts)
    return value


def _yaml() -> ModuleType:
    try:
        import yaml

        return yaml
    except ModuleNotFoundError:
        raise ModuleNotFoundError("policies are kept as YAML, which needs PyYAML: pip install pyyaml") from None
