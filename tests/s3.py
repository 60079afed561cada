"""An object store on 127.0.0.1 that speaks as much of S3 as its clients use to put, find and get files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from local_server import Quiet, local_server


@dataclass
class Bucket:
    """What the server holds, by bucket and key such as "bucket/store/index.json"; requests so far; failures to come."""

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failing: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """By which every client of S3 finds it."""
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
        # Bodies as they are, not in signed chunks.
        plain = {"AWS_REQUEST_CHECKSUM_CALCULATION": "when_required", "AWS_ALLOW_HTTP": "true"}
        return keys | plain | {"AWS_ENDPOINT_URL": self.url}


class _Handler(Quiet):
    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        name, bucket = unquote(urlsplit(self.path).path).removeprefix("/"), self.bucket
        bucket.asked.append(f"{self.command} {name}")
        if self.command == "GET" and bucket.failing:
            bucket.failing -= 1
            return self._say(503)
        if self.command == "PUT":
            bucket.objects[name] = body
            return self._say(200, tag=body)
        content = bucket.objects.get(name)
        if content is None:
            return self._say(404)
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(match[1]), min(int(match[2] or len(content)), len(content) - 1)
            where = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
            return self._say(206, content[first : last + 1], content, where)
        return self._say(200, content, content)

    do_GET = do_HEAD = do_PUT = _answer

    def _say(self, status: int, body: bytes = b"", tag: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        modified = {"ETag": f'"{hashlib.md5(tag).hexdigest()}"', "Last-Modified": "Sun, 29 Nov 2026 00:00:00 GMT"}
        for key, value in {"Content-Length": str(len(body)), **modified, **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serving() -> Iterator[Bucket]:
    """A server, for as long as the block lasts."""
    bucket = Bucket()
    with local_server(_Handler, bucket=bucket) as bucket.url:
        yield bucket
