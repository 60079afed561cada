"""Run Python commands in forks of one process that has imported torch: a fresh start costs seconds, a fork none.

For tests of what a command does. What an import brings along, environment variables that libraries read when they
are imported, and the number of threads of a process that has used several need `subprocess` and a new interpreter.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired

# What takes long to import. The fork server must not compute with torch: a fork does not inherit its threads.
PRELOADED = [
    "torch", "pytorch_lightning", "lightly.loss", "torchmetrics", "sklearn.linear_model", "scipy.signal", "pandas",
    "matplotlib.pyplot", "wfdb", "jsonargparse", "rich.console", "ssl_ecg.checkpoint", "ssl_ecg.methods",
]  # fmt: skip
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(PRELOADED)


class Forked:
    """A command that runs in a fork.

    Args:
        arguments: as after `python`: `-m`, a module and its arguments, or `-c`, code and its arguments.
        cwd: the folder it runs in, the current one by default.
        env: its environment variables, this process's by default.
    """

    def __init__(self, *arguments: object, cwd: str | Path = ".", env: Mapping[str, str] | None = None) -> None:
        self.arguments = [str(argument) for argument in arguments]
        self._folder = tempfile.TemporaryDirectory()
        for name in ("stdout", "stderr"):
            Path(self._folder.name, name).touch()
        settings = (self.arguments, str(cwd), dict(os.environ if env is None else env), self._folder.name)
        self._process = _context.Process(target=_run, args=settings)
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float = 3000) -> CompletedProcess[str]:
        """Return its exit code (negative: the signal that ended it) and output; after the time-out end it and raise."""
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            self._process.kill()
            self._process.join()
        out, err = ((Path(self._folder.name) / name).read_text(encoding="utf-8") for name in ("stdout", "stderr"))
        self._folder.cleanup()
        if code is None:
            raise TimeoutExpired(self.arguments, timeout, out, err)
        return CompletedProcess(self.arguments, code, out, err)


def run_in_fork(
    *arguments: object, cwd: str | Path = ".", env: Mapping[str, str] | None = None, timeout: float = 3000
) -> CompletedProcess[str]:
    """Run a Python command in a fork, as `subprocess.run([sys.executable, *arguments])`, and return what it printed.

    Examples:
        done = run_in_fork("-m", "ssl_ecg.pretrain", "--help", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    """
    return Forked(*arguments, cwd=cwd, env=env).wait(timeout)


def _run(arguments: list[str], cwd: str, env: dict[str, str], folder: str) -> None:
    """Become the command: in the fork."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    for number, name in ((0, os.devnull), (1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(folder, name), os.O_RDWR), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    if "OMP_NUM_THREADS" in env:
        import torch

        torch.set_num_threads(int(env["OMP_NUM_THREADS"]))
    kind, what, *rest = arguments
    sys.path[:] = [cwd, *env.get("PYTHONPATH", "").split(os.pathsep), *sys.path]
    sys.argv = [what if kind == "-m" else kind, *rest]
    try:
        if kind == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 (as the interpreter does)
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.exit(code)
