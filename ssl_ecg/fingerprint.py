"""A short name for content: the same for equal content, another one for any other."""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np


def fingerprint(content: Any) -> str:  # noqa: ANN401
    """Sixteen digits that differ where the content does: plain values and arrays, however deep."""

    def encoded(value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, np.ndarray):
            return [str(value.dtype), value.shape, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()]
        raise TypeError(f"{value!r} has no fingerprint")

    return hashlib.sha256(json.dumps(content, sort_keys=True, default=encoded).encode()).hexdigest()[:16]


@cache
def code_fingerprint(*modules: str) -> str:
    """Sixteen digits that differ where the code of some modules does.

    Comments, docstrings, layout and the version of Python make no difference. A package stands for all its modules; a
    module without a file, such as a notebook's, counts by its name alone.
    """

    def plain(node: Any) -> Any:  # noqa: ANN401
        if isinstance(node, ast.AST):
            return [type(node).__name__, {k: plain(v) for k, v in ast.iter_fields(node) if v not in (None, [])}]
        if isinstance(node, list):
            docstring = [isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in node]
            return [plain(one) for one, said in zip(node, docstring, strict=True) if not said]
        return repr(node)

    found = {name: sys.modules.get(name) or importlib.import_module(name) for name in sorted(modules)}
    content: list[Any] = []
    for name, module in found.items():
        file = Path(getattr(module, "__file__", None) or "")
        inside = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
        content += [plain(ast.parse(one.read_bytes())) for one in inside] if file.name else [name]
    return fingerprint(content)
