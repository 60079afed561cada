"""Imports point one way, so that a piece can be understood, tested and used without what is above it."""

from __future__ import annotations

import ast
import functools
import re
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
    {"leads", "files", "fingerprint", "launch", "cli"},
    {"metrics"},
    {"estimators"},
    {"report"},
    {"preprocessing"},
    {"encoders", "data", "optimisers"},
    {"checkpoint"},
    {"methods"},
    {"training", "streaming"},
    {"study", "waves"},
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


@functools.cache
def modules(*packages: str) -> dict[str, Path]:
    """Every module below these packages by its full name."""
    paths = [path for package in packages for path in sorted(ROOT.joinpath(package).rglob("*.py"))]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports(path: Path, root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Every module a file imports, by its full name, and the name taken from it ("" for the module itself).

    Imports inside functions and under TYPE_CHECKING count; so does a text that is a dotted path into our packages.
    """
    package = path.relative_to(root).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            # `from ssl_ecg import cli` names a module, `from ssl_ecg import __version__` does not
            for alias in node.names:
                inner = root.joinpath(*base.split("."), alias.name)
                is_module = inner.is_dir() or inner.with_suffix(".py").exists()
                yield (f"{base}.{alias.name}", "") if is_module else (base, alias.name)
        elif isinstance(node, ast.Constant) and re.fullmatch(r"(ssl_ecg|augmentations)([.:]\w+)+", str(node.value)):
            yield str(node.value).replace(":", "."), ""


def layer(piece: str) -> int:
    return next((i for i, names in enumerate(LAYERS) if piece in names), len(LAYERS))


def piece_of(module: str) -> str:
    """The piece of ssl_ecg that a module is in: its folder, but that a shared layer's own command is a question."""
    inner = module.split(".")[1:]
    return "report.command" if inner[:2] in (["report", "command"], ["report", "__main__"]) else "".join(inner[:1])


def why_not(piece: str, imported: str) -> str | None:
    """What is wrong with a piece of ssl_ecg importing a module, if anything is."""
    if any(f"{imported}.".startswith(f"{name}.") for name in FORBIDDEN.get(piece, ())):
        return f"{piece} may not import {imported}"
    top, other = imported.partition(".")[0], piece_of(imported)
    if top == "augmentations":
        return None if layer(piece) >= layer("methods") else f"{piece} is below methods and may not import {imported}"
    if top != "ssl_ecg" or not other or other == piece:
        return None
    if other == "cli" and layer(piece) < len(LAYERS):
        return f"only commands import {imported}, and {piece} is none"
    return None if layer(other) < layer(piece) else f"{piece} may not import {imported}, which is not below it"


def test_ssl_ecg_imports_one_way() -> None:
    wrong = {
        f"{path.relative_to(ROOT)}: {reason}"
        for module, path in modules("ssl_ecg").items()
        # the package's own __init__ lends what the layers below made
        if (piece := piece_of(module))
        for imported, _ in imports(path)
        if (reason := why_not(piece, imported))
    }
    assert not wrong, "\n" + "\n".join(sorted(wrong))


def circles(files: dict[str, Path], root: Path = ROOT) -> list[list[str]]:
    """The groups of modules that import each other, over however many steps (Tarjan's components).

    A package's `__init__` hands on what its modules made: who imports a name from it imports the module that made it.
    """
    faces = {
        name: {taken: module for module, taken in imports(path, root) if taken}
        for name, path in files.items()
        if path.name == "__init__.py"
    }

    def maker(module: str, name: str) -> str:
        handed_on = faces.get(module, {}).get(name)
        return maker(handed_on, name) if handed_on and handed_on != module else module

    inner = [name for name in files if name not in faces]
    graph = {name: {maker(*target) for target in imports(files[name], root)} & {*inner} - {name} for name in inner}
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        open_.append(name)
        for target in sorted(graph[name]):
            if target not in order:
                visit(target)
            if target in open_:
                lowest[name] = min(lowest[name], lowest[target])
        if lowest[name] == order[name]:
            component = open_[open_.index(name) :]
            del open_[-len(component) :]
            if len(component) > 1:
                found.append(sorted(component))

    for name in inner:
        if name not in order:
            visit(name)
    return found


def test_no_modules_import_each_other() -> None:
    found = circles(modules("ssl_ecg", "augmentations"))
    assert not found, "\n" + "\n".join(" <-> ".join(names) for names in found)


def test_circles_are_found(tmp_path: Path) -> None:
    texts = {
        "__init__": "from p.a import made",
        "a": "def made():\n    from p import b",
        "b": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .c import x",
        "c": "from p import made",
        "d": "from p import made, a, b",
    }
    (tmp_path / "p").mkdir()
    files = {}
    for name, text in texts.items():
        path = files["p" if name == "__init__" else f"p.{name}"] = tmp_path / "p" / f"{name}.py"
        path.write_text(text)
    assert circles(files, tmp_path) == [["p.a", "p.b", "p.c"]]
    files["p.c"].write_text("'p.a'")
    assert circles(files, tmp_path) == []


def test_augmentations_import_torch_alone() -> None:
    allowed = {"augmentations", "torch", *sys.stdlib_module_names}
    # What a user calls for by itself: files of policies, and the page of pictures; imported there inside functions.
    extras = {"storage.py": {"yaml"}, "gallery": {"matplotlib", "PIL", "wfdb"}}
    wrong = [
        f"{path.relative_to(ROOT)}: {imported}"
        for path in modules("augmentations").values()
        for imported, _ in imports(path)
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
        ("report", "ssl_ecg.cli", False),
        ("report.command", "ssl_ecg.cli", True),
        ("report.command", "ssl_ecg.report.page", True),
        ("pretrain", "ssl_ecg.report.command", False),
        ("training", "ssl_ecg.report.command", False),
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
        # and with it augmentations itself
        ("augmentations.gallery", ("ssl_ecg", "pytorch_lightning", "scipy", "yaml", "matplotlib", "wfdb", "PIL")),
    ],
)
def test_what_an_import_does_not_bring_along(module: str, absent: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*[m for m in {absent!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == []


def test_help_waits_for_no_heavy_library() -> None:
    heavy = ("pytorch_lightning", "lightly", "torchvision", "torch._dynamo", "matplotlib", "sklearn", "scipy.signal")
    code = (
        "import atexit, sys; from ssl_ecg.pretrain import main; "
        f"atexit.register(lambda: print(*[m for m in {heavy!r} if m in sys.modules], file=sys.stderr)); "
        "main(['--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "--method.encoder" in done.stdout
    assert done.stderr.split() == []


def test_an_encoder_is_loaded_without_what_trains_it() -> None:
    """Beside torch, numpy and the standard library: nothing that takes time, or is an extra."""
    code = (
        "import sys, numpy, torch; before = {m.partition('.')[0] for m in sys.modules}; "
        "from ssl_ecg import load_encoder; "
        "print(*({m.partition('.')[0] for m in sys.modules} - before - {*sys.stdlib_module_names}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert set(done.stdout.split()) == {"ssl_ecg", "safetensors"}


def test_commands_without_their_extra_say_what_to_install() -> None:
    code = "import sys; sys.modules['jsonargparse'] = None; import ssl_ecg.cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stderr.splitlines()[-1] == (
        "ImportError: the commands need jsonargparse, and more: pip install 'ssl-ecg[train]'"
    )
