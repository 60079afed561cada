"""What a run says of itself while it is trained, and who may train in its folder: one job at a time, on any machine.

`sidecar.json` in the run's folder is both. Whoever finds it fresh stays out; it is taken over from a job that ended,
that is known to be dead, or that gave no sign of life for a minute. So it works where files cannot be locked.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ssl_ecg.errors import CheckpointError, UserError
from ssl_ecg.files import write_text
from ssl_ecg.report.state import NAME, STALE, read_sidecar

BEAT = 10.0  # s from one sign of life to the next
_KEPT = ("state", "host", "job", "array_task", "restarts", "started", "step", "heartbeat", "error")  # of earlier starts


class Sidecar:
    """Keeps `sidecar.json` of a run's folder: state, host, process, SLURM job, step, last sign of life.

    The state is "running", and at the end of `held` "finished", "stopped" or "failed". `earlier` has the last state of
    every start before this one: "running" where it was killed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / NAME
        self._lost = False
        self._says: dict[str, Any] = {
            "state": "running",
            "owner": secrets.token_hex(8),
            "host": socket.gethostname(),
            "machine": _machine(),
            "pid": os.getpid(),
            "job": os.environ.get("SLURM_JOB_ID"),
            "array_task": os.environ.get("SLURM_ARRAY_TASK_ID"),
            "restarts": int(os.environ.get("SLURM_RESTART_COUNT", 0)),
            "started": time.time(),
            "step": None,
            "stepped": None,
        }
        self._writing = threading.Lock()

    @contextmanager
    def held(self, *, locked: bool) -> Iterator[None]:
        """Hold the folder; `locked` says that no other process of this machine can hold it.

        UserError if another one holds it, or it cannot be written.
        """
        try:
            with _gate(self.folder) as now:
                before = read_sidecar(self.folder)
                if before and before.get("state") == "running" and self._lives(before, now, locked):
                    raise taken(self.folder, before)
                if before:
                    start = {name: before[name] for name in _KEPT if name in before}
                    self._says["earlier"] = [*before.get("earlier", []), start]
                self._write()
        except OSError as error:
            raise UserError(f"cannot write to {self.folder} ({error.strerror}): choose another folder") from None
        done = threading.Event()
        thread = threading.Thread(target=self._beat, args=(done,), daemon=True)
        thread.start()
        end: dict[str, Any] = {"state": "finished"}
        try:
            yield
        except (SystemExit, KeyboardInterrupt):
            end = {"state": "stopped"}
            raise
        except BaseException as error:
            refused = isinstance(error, UserError) and not isinstance(error, CheckpointError)
            if refused and self._says["step"] is None:  # changes nothing
                end = before or {}
            else:
                end = {"state": "failed", "error": (str(error) or type(error).__name__).splitlines()[0]}
            raise
        finally:
            done.set()
            thread.join()
            with suppress(UserError, OSError):
                self._end(end, refused=end is before or not end)

    def step(self, number: int) -> None:
        """Note a step of training; UserError if another job has taken the folder because this one was silent."""
        self._says |= {"step": number, "stepped": time.time()}
        if self._lost:
            raise taken(self.folder, read_sidecar(self.folder) or {})

    def _lives(self, other: dict[str, Any], now: float, locked: bool) -> bool:
        """Whether who wrote a sidecar, "running", still does; `now` by the clock of the file system."""
        here = other.get("machine") == self._says["machine"]
        if here and (locked or (other.get("host") == self._says["host"] and not _alive(int(other.get("pid", 0))))):
            return False
        requeued = other.get("job") is not None and other["job"] == self._says["job"]
        if requeued and self._says["restarts"] > int(other.get("restarts", 0)):
            return False  # SLURM starts a job again only when it has ended
        return now - self.path.stat().st_mtime < STALE

    def _beat(self, done: threading.Event) -> None:
        while not done.wait(BEAT):
            with suppress(UserError, OSError):  # a full disk: training says it
                self._write()

    def _end(self, end: dict[str, Any], *, refused: bool) -> None:
        if refused and not end:
            self.path.unlink(missing_ok=True)
        elif refused:
            write_text(self.path, json.dumps(end, indent=1))
        else:
            self._says |= end
            self._write()

    def _write(self) -> None:
        """Give a sign of life, unless another has the folder by now."""
        with self._writing:
            there = read_sidecar(self.folder) if "heartbeat" in self._says else None
            self._lost = self._lost or (there is not None and there.get("owner") != self._says["owner"])
            if not self._lost:
                self._says["heartbeat"] = time.time()
                write_text(self.path, json.dumps(self._says, indent=1))


def taken(folder: Path, by: dict[str, Any]) -> UserError:
    """Make the error that says who trains in a folder."""
    who = f" on {by['host']}" if "host" in by else ""
    who += f" (SLURM job {by['job']})" if by.get("job") else ""
    return UserError(f"{folder} is being trained by another process{who}: wait for it, or give another --name")


def _machine() -> str:
    """What tells this machine from others that have its name, and from itself before it was started anew."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"{uuid.getnode():x}"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


@contextmanager
def _gate(folder: Path) -> Iterator[float]:
    """Let one process at a time decide who holds a folder, on any file system; gives the time by its clock."""
    gate = folder / f".{NAME}.lock"
    while True:
        try:
            os.close(os.open(gate, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except FileExistsError:
            with suppress(FileNotFoundError):
                if time.time() - gate.stat().st_mtime > STALE:  # whoever made it died within these few lines
                    gate.unlink()
            time.sleep(0.05)
    try:
        yield gate.stat().st_mtime
    finally:
        gate.unlink(missing_ok=True)
