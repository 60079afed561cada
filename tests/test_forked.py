"""Commands in forks behave as commands in new interpreters."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from forked import Forked, run_in_fork


def test_output_arguments_folder_environment_and_exit_code(tmp_path):
    code = "import os, sys; print(sys.argv, os.getcwd(), os.environ['A']); print('no', file=sys.stderr); sys.exit(3)"
    done = run_in_fork("-c", code, "x", 1, cwd=tmp_path, env={**os.environ, "A": "ä"})
    assert (done.returncode, done.stderr) == (3, "no\n")
    assert done.stdout == f"['-c', 'x', '1'] {tmp_path} ä\n"


def test_a_module_is_run_as_the_main_one(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import sys\nassert __name__ == '__main__'\nprint(sys.argv[1:])\nraise OSError('x')"
    )
    done = run_in_fork("-m", "mine", "a", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "['a']\n")
    assert done.stderr.rstrip().endswith("OSError: x")


def test_torch_is_there_already_and_computes():
    code = "import sys; assert 'torch' in sys.modules; import torch; x = torch.ones(400, 400); print((x @ x).sum())"
    assert run_in_fork("-c", code).stdout == "tensor(64000000.)\n"


def test_a_signal_and_a_time_out_end_it():
    waits = Forked("-c", "import time; time.sleep(100)")
    assert waits.poll() is None
    os.kill(waits.pid, signal.SIGTERM)
    assert waits.wait().returncode == -signal.SIGTERM
    with pytest.raises(subprocess.TimeoutExpired):
        run_in_fork("-c", "import time; time.sleep(100)", timeout=0.1)
