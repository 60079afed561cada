"""Imports point one way, so that a piece can be understood, tested and used without what is above it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the bottom up: a piece imports itself and what is below it, never what stands beside it.
# Anything else directly under ssl_ecg is a question: at the top, and none imports another.
LAYERS = [
    {"errors"},
    {"leads", "files", "fingerprint", "cli"},
    {"preprocessing"},
    {"encoders", "data", "optimisers"},
    {"methods", "checkpoint"},
    {"metrics"},
    {"estimators"},
    {"training"},
    {"study"},
    {"report"},
]

# Beyond the layers: what a piece may not import although it is below it, or is no part of ssl_ecg.
# A probe on cached embeddings has to start in a second, and to judge any model's embeddings.
_ARRAYS_ALONE = {"ssl_ecg.methods", "ssl_ecg.checkpoint", "ssl_ecg.data", "pytorch_lightning", "lightning", "lightly"}
FORBIDDEN = {
    "metrics": _ARRAYS_ALONE,
    "estimators": _ARRAYS_ALONE,
    "encoders": {"pytorch_lightning", "lightning", "lightly"},
    "preprocessing": {"pytorch_lightning", "lightning", "lightly"},
}


def imports(path: Path) -> Iterator[str]:
    """The full name of every module a file imports, inside functions too."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(
                [*package[: len(package) + 1 - node.level], node.module or ""] if node.level else [node.module or ""]
            )
            # `from ssl_ecg import cli` names a module, `from ssl_ecg import __version__` does not
            for alias in node.names:
                inner = ROOT.joinpath(*base.strip(".").split("."), alias.name)
                is_module = inner.is_dir() or inner.with_suffix(".py").exists()
                yield f"{base.strip('.')}.{alias.name}" if is_module else base.strip(".")


def layer(piece: str) -> int:
    return next((i for i, names in enumerate(LAYERS) if piece in names), len(LAYERS))


def why_not(piece: str, imported: str) -> str | None:
    """What is wrong with a piece of ssl_ecg importing a module, if anything is."""
    if any(f"{imported}.".startswith(f"{name}.") for name in FORBIDDEN.get(piece, ())):
        return f"{piece} may not import {imported}"
    top, _, rest = imported.partition(".")
    other = rest.partition(".")[0]
    if top == "augmentations":
        return None if layer(piece) >= layer("methods") else f"{piece} is below methods and may not import {imported}"
    if top != "ssl_ecg" or not other or other == piece:
        return None
    if other == "cli" and layer(piece) < len(LAYERS):
        return f"only commands import {imported}, and {piece} is none"
    return None if layer(other) < layer(piece) else f"{piece} may not import {imported}, which is not below it"


def files(package: str) -> list[Path]:
    return sorted(ROOT.joinpath(package).rglob("*.py"))


def test_ssl_ecg_imports_one_way() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {reason}"
        for path in files("ssl_ecg")
        # the package's own __init__ lends what the layers below made
        if (piece := path.relative_to(ROOT / "ssl_ecg").parts[0].removesuffix(".py")) != "__init__"
        for imported in imports(path)
        if (reason := why_not(piece, imported))
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_augmentations_import_torch_alone() -> None:
    allowed = {"augmentations", "torch", *sys.stdlib_module_names}
    # What a user calls for by itself: files of policies, and the page of pictures; imported there inside functions.
    extras = {"storage.py": {"yaml"}, "gallery": {"matplotlib", "PIL", "wfdb"}}
    wrong = [
        f"{path.relative_to(ROOT)}: {imported}"
        for path in files("augmentations")
        for imported in imports(path)
        if imported.partition(".")[0]
        not in allowed | extras.get(path.name, set()) | extras.get(path.parent.name, set())
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("piece", "imported", "allowed"),
    [
        ("encoders", "ssl_ecg.errors", True),
        ("encoders", "ssl_ecg.encoders.base", True),
        ("encoders", "ssl_ecg.data.store", False),
        ("data", "ssl_ecg.methods", False),
        ("methods", "augmentations", True),
        ("data", "augmentations.noise", False),
        ("training", "ssl_ecg.estimators.knn", True),
        ("metrics", "ssl_ecg.training.fit", False),
        ("estimators", "ssl_ecg.methods.base", False),
        ("metrics", "pytorch_lightning.callbacks", False),
        ("training", "pytorch_lightning", True),
        ("training", "ssl_ecg.cli", False),
        ("pretrain", "ssl_ecg.cli", True),
        ("pretrain", "ssl_ecg.probe", False),
    ],
)
def test_the_rule_itself(piece: str, imported: str, allowed: bool) -> None:
    assert (why_not(piece, imported) is None) == allowed


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("ssl_ecg", ("torch", "numpy")),
        ("ssl_ecg.errors", ("torch", "numpy")),
        ("ssl_ecg.cli", ("torch", "pytorch_lightning", "sklearn")),
        ("ssl_ecg.metrics", ("pytorch_lightning", "lightly", "ssl_ecg.methods")),
        ("augmentations", ("ssl_ecg", "pytorch_lightning", "scipy", "yaml", "matplotlib", "wfdb")),
        ("augmentations.gallery", ("matplotlib", "wfdb", "PIL", "ssl_ecg")),
    ],
)
def test_what_an_import_does_not_bring_along(module: str, absent: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*[m for m in {absent!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == []
