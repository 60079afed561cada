"""A server on 127.0.0.1 that speaks the routes of the Hugging Face Hub that its client uses, and serves plain files.

It can be slow of wit: connections that break, private and gated repositories, revisions that are gone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from local_server import Quiet, local_server

_NAME = r"([\w.-]+/[\w.-]+)"
LFS = (".safetensors", ".zip")  # files that the Hub keeps as large ones, behind a redirect


@dataclass
class Repository:
    """Commits, the newest last, by their id; branches and tags."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    private: bool = False
    gated: bool = False

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        before = self.commits.get(self.refs.get(branch, ""), {})
        sha = hashlib.sha1(f"{len(self.commits)}".encode()).hexdigest()
        self.commits[sha] = before | files
        self.refs[branch] = sha
        return sha


@dataclass
class Hub:
    """What the server holds and how it behaves.

    `cut` says how many bytes of a file's next answers are sent before the connection breaks, a number an answer; `down`
    is a status for all answers; `asked` are the requests so far, such as "GET /org/name/resolve/main/config.json".
    """

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    cut: dict[str, list[int]] = field(default_factory=dict)
    ranges: list[str] = field(default_factory=list)
    down: int = 0
    asked: list[str] = field(default_factory=list)

    @property
    def url_of_large(self) -> str:
        """Another host, as far as the client knows: it follows no redirect there before it has what the Hub says."""
        return self.url.replace("127.0.0.1", "localhost") + "/large"

    def add(self, name: str, folder: Path) -> Repository:
        """Make a repository of a folder's files."""
        repository = self.repositories.setdefault(name, Repository())
        repository.commit({path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()})
        return repository


class _Handler(Quiet):
    hub: Hub

    def do_GET(self) -> None:
        self._answer(b"")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    do_PUT = do_POST

    def _answer(self, body: bytes) -> None:
        path, hub = unquote(urlsplit(self.path).path), self.hub
        hub.asked.append(f"{self.command} {path}")
        if hub.down:
            return self._say(hub.down, b"down")
        if path.removeprefix("/") in hub.files:
            return self._file(path, hub.files[path.removeprefix("/")])
        if path == "/api/repos/create":
            if "Authorization" not in self.headers:
                return self._say(401, b"who are you?")
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            hub.repositories.setdefault(name, Repository()).private |= bool(asked.get("private"))
            return self._json({"url": f"{hub.url}/{name}", "name": name})
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if match := re.fullmatch(r"/large/(\w+)", path):
            if self.command == "PUT":
                assert hashlib.sha256(body).hexdigest() == match[1]
                hub.large[match[1]] = body
                return self._say(200)
            return self._file(path, hub.large[match[1]])
        if match := re.fullmatch(rf"/{_NAME}\.git/info/lfs/objects/batch", path):
            objects = [
                {**thing, "actions": {"upload": {"href": f"{hub.url}/large/{thing['oid']}"}}}
                for thing in json.loads(body)["objects"]
            ]
            return self._json({"objects": objects, "transfer": "basic"})
        if match := re.fullmatch(rf"/api/models/{_NAME}(?:/(revision|tree|preupload|commit|branch)/(.+))?", path):
            return self._api(match[1], match[2], match[3] or "main", body)
        if match := re.fullmatch(rf"/{_NAME}/resolve/([^/]+)/(.+)", path):
            return self._resolve(*match.groups())
        return self._say(404, b"no such route")

    def _commit_of(self, name: str, revision: str) -> str | None:
        """The commit of a revision; None where the answer was that there is none for you."""
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and "Authorization" not in self.headers):
            self._say(401, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
            return None
        if repository.gated:
            self._say(403, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to it is restricted"})
            return None
        sha = repository.refs.get(revision, revision)
        if sha not in repository.commits and repository.commits:
            self._say(404, b"", {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
            return None
        return sha

    def _api(self, name: str, what: str | None, revision: str, body: bytes) -> None:
        hub = self.hub
        if what == "branch":
            repository = hub.repositories[name]
            repository.refs.setdefault(revision, repository.refs.get("main", repository.commit({})))
            return self._json({})
        sha = self._commit_of(name, revision)
        if sha is None:
            return None
        files = hub.repositories[name].commits.get(sha, {})
        if what == "preupload":
            wanted = [entry["path"] for entry in json.loads(body)["files"]]
            modes = {path: "lfs" if path.endswith(LFS) else "regular" for path in wanted}
            return self._json(
                {"files": [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes.items()]}
            )
        if what == "commit":
            made: dict[str, bytes] = {}
            for line in body.splitlines():
                entry = json.loads(line)
                value = entry["value"]
                if entry["key"] == "file":
                    made[value["path"]] = base64.b64decode(value["content"])
                elif entry["key"] == "lfsFile":
                    made[value["path"]] = hub.large[value["oid"]]
            sha = hub.repositories[name].commit(made, revision)
            return self._json({"commitUrl": f"{hub.url}/{name}/commit/{sha}", "commitOid": sha, "success": True})
        if what == "tree":
            return self._json([_entry(path, content) for path, content in files.items()])
        return self._json({"id": name, "sha": sha, "private": False, "siblings": [{"rfilename": p} for p in files]})

    def _resolve(self, name: str, revision: str, path: str) -> None:
        sha = self._commit_of(name, revision)
        if sha is None:
            return None
        content = self.hub.repositories[name].commits[sha].get(path)
        if content is None:
            return self._say(404, b"", {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"})
        headers = {"X-Repo-Commit": sha}
        digest = hashlib.sha256(content).hexdigest()
        if path.endswith(LFS):
            self.hub.large[digest] = content
            headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}
            return self._say(302, b"", headers | {"Location": f"{self.hub.url_of_large}/{digest}"})
        return self._file(path, content, headers | {"ETag": f'"{digest[:40]}"'})

    def _file(self, path: str, content: bytes, headers: dict[str, str] | None = None) -> None:
        """A file, or what its Range asks for; broken off where `cut` says so."""
        hub, status, whole = self.hub, 200, len(content)
        headers = {**(headers or {}), "Accept-Ranges": "bytes"}
        if match := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            hub.ranges.append(self.headers["Range"])
            start = int(match[1])
            if start >= whole:
                return self._say(416)
            status, content = 206, content[start:]
            headers["Content-Range"] = f"bytes {start}-{whole - 1}/{whole}"
        sent = content
        cuts = hub.cut.get(path, hub.cut.get("*", []))
        if cuts and self.command == "GET":
            sent = content[: cuts.pop(0)]
        self._say(status, sent, headers, len(content))
        return None

    def _json(self, document: Any) -> None:
        self._say(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _say(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, length: int = -1) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length if length >= 0 else len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _entry(path: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": digest[:40]}
    if path.endswith(LFS):
        entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
    return entry


@contextmanager
def serving() -> Iterator[Hub]:
    """A server, for as long as the block lasts."""
    hub = Hub()
    with local_server(_Handler, hub=hub) as hub.url:
        yield hub
