"""Work divided among jobs: of this machine, or of a SLURM cluster whose machines share a file system."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from ssl_ecg.errors import UserError

T = TypeVar("T")
R = TypeVar("R")

_STARTS = 3  # of a job whose process dies


@dataclass(frozen=True)
class Launcher:
    """Where a command's work is done: in its own process, or by jobs, which submitit starts and waits for.

    A job that is preempted, or whose time is up, is queued again and goes on; one that dies is started anew, twice at
    most. What is finished lies on disk: should the command itself be killed, the same command goes on with it.

    Args:
        where: here, in this process; local, as processes of this machine; slurm, as a job array.
        jobs: that the work is divided among.
        minutes: that a job may take before it is queued again.
        cpus: cores of a job.
        gpus: of a job.
        memory: of a job, GB; the cluster's default if None.
        partition: of the cluster; its default if None.
        options: other options of sbatch, such as {"account": "ecg"}.
    """

    where: Literal["here", "local", "slurm"] = "here"
    jobs: int = 2
    minutes: int = 240
    cpus: int = 1
    gpus: int = 0
    memory: int | None = None
    partition: str | None = None
    options: dict[str, str] | None = None

    @property
    def away(self) -> bool:
        """Whether jobs do the work."""
        return self.where != "here"

    def run(self, function: Callable[[Sequence[T]], R], items: Sequence[T], folder: Path) -> list[R]:
        """Call `function` with a share of the items in each job, and wait for all; their results, a share each.

        `folder`, which all machines see, gets the jobs' logs. UserError, with what to do, if submitit is not installed,
        the cluster takes no jobs, or one dies again and again; and whatever UserError `function` raises.
        """
        if self.jobs < 1:
            raise UserError(f"launcher.jobs must be at least 1, not {self.jobs}")
        left = {number: items[number :: self.jobs] for number in range(min(self.jobs, len(items)))}
        results: dict[int, R] = {}
        for _ in range(_STARTS):
            done, died = self._started(function, left, folder)
            results |= done
            if not died:
                return [results[number] for number in sorted(results)]
            left = {number: left[number] for number in died}
        raise UserError(
            f"{len(died)} job(s) died {_STARTS} times, likely for want of memory (launcher.memory), see "
            f"{next(iter(died.values()))}; what is done is kept, and the same command goes on"
        )

    def _started(
        self, function: Callable[[Sequence[T]], R], shares: dict[int, Sequence[T]], folder: Path
    ) -> tuple[dict[int, R], dict[int, str]]:
        """Start a job for each share, and wait: the results, and of jobs that died where their logs are."""
        try:
            import submitit
            from submitit.core.utils import FailedJobError, UncompletedJobError
        except ImportError:
            raise UserError("submitit is not installed: pip install 'ssl-ecg[launch]'") from None
        try:
            executor = submitit.AutoExecutor(folder, cluster=self.where, slurm_max_num_timeout=1000)
            executor.update_parameters(**self._parameters(len(shares)))
            jobs = executor.map_array(_Share(function), list(shares.values()))
        except RuntimeError as error:
            raise UserError(f"no jobs can be started: {error}") from None
        done: dict[int, R] = {}
        died: dict[int, str] = {}
        try:
            for number, job in zip(shares, jobs, strict=True):
                try:
                    result = job.result()
                except FailedJobError:  # a bug
                    raise
                except UncompletedJobError:
                    died[number] = str(job.paths.stderr)
                    continue
                if isinstance(result, UserError):
                    raise result
                done[number] = result
        except BaseException:
            for job in jobs:
                job.cancel(check=False)
            raise
        return done, died

    def _parameters(self, jobs: int) -> dict[str, Any]:
        """What submitit calls the settings of a job."""
        return {
            "name": "ssl_ecg",
            "timeout_min": self.minutes,
            "cpus_per_task": self.cpus,
            "gpus_per_node": self.gpus or None,
            "mem_gb": self.memory,
            "slurm_array_parallelism": jobs,
            "slurm_partition": self.partition,
            "slurm_additional_parameters": self.options,
        }


class _Share:
    """A job's work: called again, with the same share, when the job is queued again."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __call__(self, share: Sequence[Any]) -> Any:  # noqa: ANN401
        try:
            return self.function(share)
        except UserError as error:  # said by the command, not in a job's log
            return error

    def checkpoint(self, share: Sequence[Any]) -> Any:  # noqa: ANN401
        """Say how a job goes on that has to end now; submitit asks."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, share)
