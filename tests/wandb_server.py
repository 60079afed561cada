"""A server on 127.0.0.1 that speaks the routes of Weights & Biases which `wandb sweep`, its agent and a run use.

It hands out the grid of a sweep, keeps what runs log, and takes artifacts as already there. It can tell runs to stop,
and hand them out again.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from threading import Lock
from typing import Any

import yaml
from local_server import Quiet, local_server

_PROJECT = {"id": "project", "name": "project", "entity": {"id": "entity", "name": "entity"}}
_ACCOUNT = {"id": "u", "entity": "entity", "username": "entity", "email": "", "flags": "{}", "teams": {"edges": []}}
_EMPTY = {"description": "", "displayName": None, "notes": None, "tags": [], "wandbConfig": "{}", "project": _PROJECT}
_EMPTY |= {"logLineCount": 0, "eventsLineCount": 0, "eventsTail": "[]"}
_COMMITTED = {"id": "artifact", "state": "COMMITTED", "artifactSequence": {"latestArtifact": None}}


@dataclass
class Run:
    """What a run has sent: configuration, the last summary, a line for each step."""

    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    sweep: str | None = None
    state: str = "running"
    preempting: bool = False

    def bucket(self, name: str) -> dict[str, Any]:
        """What the server says of it."""
        said = {"id": name, "name": name, "sweepName": self.sweep, "historyLineCount": len(self.history)}
        said |= {"config": json.dumps(self.config), "summaryMetrics": json.dumps(self.summary)}
        return _EMPTY | said | {"historyTail": json.dumps([json.dumps(step) for step in self.history[-1:]])}


@dataclass
class Wandb:
    """What the server holds: sweeps as they were sent, trials not yet handed out, runs by their id.

    With `preempt` it tells each run to stop, once, when it has begun; `stopped` are those whose turn comes again.
    """

    url: str = ""
    sweeps: dict[str, dict[str, Any]] = field(default_factory=dict)
    waiting: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    agents: dict[str, str] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    preempt: bool = False
    trials: dict[str, dict[str, Any]] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    @property
    def environment(self) -> dict[str, str]:
        """By which wandb finds it, and nothing else."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": "0" * 40}

    def answer(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        """The data of a GraphQL operation; nothing for one that is not known."""
        return getattr(self, f"_{operation}", lambda **_: {})(**given)

    def _Viewer(self) -> dict[str, Any]:
        return {"viewer": _ACCOUNT}

    def _UpsertSweep(self, config: str, **_: Any) -> dict[str, Any]:
        name, sweep = f"sweep{len(self.sweeps)}", yaml.safe_load(config)
        values = {name: how.get("values", [how.get("value")]) for name, how in sweep["parameters"].items()}
        self.sweeps[name] = sweep
        self.waiting[name] = [dict(zip(values, trial, strict=True)) for trial in product(*values.values())]
        return {"upsertSweep": {"sweep": {"name": name, "project": _PROJECT}, "configValidationWarnings": []}}

    def _SweepWithRuns(self, sweep: str, **_: Any) -> dict[str, Any]:
        config = yaml.safe_dump(self.sweeps[sweep])
        found = {"id": sweep, "name": sweep, "config": config, "state": "RUNNING", "runs": {"edges": []}}
        return {"project": {"sweep": found}}

    def _CreateAgent(self, sweep: str, **_: Any) -> dict[str, Any]:
        agent = f"agent{len(self.agents)}"
        self.agents[agent] = sweep
        return {"createAgent": {"agent": {"id": agent}}}

    def _Heartbeat(self, runState: str, **given: Any) -> dict[str, Any]:
        """Give an agent that runs nothing the next trial, or let it go."""
        commands, running, sweep = [], json.loads(runState), self.agents[given["id"]]
        for name in running if self.preempt else ():
            if name in self.runs and name not in self.stopped:
                self.stopped.append(name)
                commands.append({"type": "stop", "run_id": name})
        if not running:
            commands.append(self._next(sweep))
        return {"agentHeartbeat": {"agent": {"id": given["id"]}, "commands": json.dumps(commands)}}

    def _next(self, sweep: str) -> dict[str, Any]:
        again = next((name for name in self.stopped if self.runs[name].state != "finished"), None)
        if again:
            return {"type": "resume", **self.trials[again]}
        if not self.waiting[sweep]:
            return {"type": "exit"}
        args = {name: {"value": value} for name, value in self.waiting[sweep].pop(0).items()}
        name = f"{sweep}-{len(self.waiting[sweep])}"
        self.trials[name] = {"run_id": name, "program": "", "args": args}
        return {"type": "run", **self.trials[name]}

    def _RunResumeStatus(self, name: str, **_: Any) -> dict[str, Any]:
        run = self.runs.get(name)
        return {"model": _PROJECT | {"bucket": run and run.bucket(name)}}

    def _UpsertBucket(self, name: str, config: str | None, sweep: str | None, **_: Any) -> dict[str, Any]:
        new = name not in self.runs
        run = self.runs.setdefault(name, Run())
        run.state = "running"
        run.config |= json.loads(config or "{}")
        run.sweep = sweep or run.sweep
        return {"upsertBucket": {"bucket": run.bucket(name), "inserted": new}}

    def _CreateRunFiles(self, run: str, files: list[str], **_: Any) -> dict[str, Any]:
        places = [{"name": name, "uploadUrl": f"{self.url}/upload"} for name in files]
        return {"createRunFiles": {"runID": run, "uploadHeaders": [], "files": places}}

    def _ArtifactType(self, **_: Any) -> dict[str, Any]:
        return {"project": {"artifact": None}}

    def _CreateArtifact(self, **_: Any) -> dict[str, Any]:
        return {"createArtifact": {"artifact": _COMMITTED}}

    def stream(self, name: str, sent: dict[str, Any]) -> None:
        """Take what a run logs; at its end its exit code comes along."""
        run, files = self.runs.setdefault(name, Run()), sent.get("files") or {}
        for line in files.get("wandb-history.jsonl", {}).get("content", []):
            run.history.append(json.loads(line))
        for line in files.get("wandb-summary.json", {}).get("content", []):
            run.summary = json.loads(line)
        run.preempting |= bool(sent.get("preempting"))
        if sent.get("complete"):
            run.state = "failed" if sent.get("exitcode") else "finished"


class _Handler(Quiet):
    protocol_version = "HTTP/1.1"
    wandb: Wandb

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        answer: dict[str, Any] = {}
        with self.wandb.lock:
            if self.path == "/graphql":
                asked = json.loads(body)
                operation = re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])
                answer = {"data": self.wandb.answer(operation[1] if operation else "", asked.get("variables") or {})}
            elif match := re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path):
                self.wandb.stream(match[1], json.loads(body))
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = _answer


@contextmanager
def serving() -> Iterator[Wandb]:
    """A server, for as long as the block lasts."""
    wandb = Wandb()
    with local_server(_Handler, wandb=wandb) as wandb.url:
        yield wandb
