"""A Hub of one repository on this machine, for the Hub's own client: the calls that it makes, and their errors."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@contextmanager
def hub(folder: Path, repository: str, revision: str, kind: str = "model") -> Iterator[tuple[str, list[str]]]:
    """Serve the files of `folder` as `repository` at `revision`; its address, and the files that were asked for.

    `kind` is what the Hub calls it, model or dataset.

    A repository `gated/...` is gated; every other name is unknown.
    """
    loaded: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            path = unquote(urlsplit(self.path).path).strip("/")
            tree = f"api/{kind}s/{repository}/tree/"
            file = f"{'' if kind == 'model' else f'{kind}s/'}{repository}/resolve/{revision}/"
            if path.startswith(("api/models/gated/", "gated/")):
                self.refuse(403, "GatedRepo")
            elif path == f"api/{kind}s/{repository}":
                self.told({"id": repository, "sha": revision, "siblings": []}, body)
            elif path == tree + revision:
                self.told([self.entry(name) for name in sorted(folder.rglob("*")) if name.is_file()], body)
            elif path.startswith(tree):
                self.refuse(404, "RevisionNotFound")
            elif path.startswith(file) and (folder / path.removeprefix(file)).is_file():
                self.give(path.removeprefix(file), body)
            else:
                self.refuse(404, "EntryNotFound" if path.startswith(file) else "RepoNotFound")

        def give(self, name: str, body: bool) -> None:
            content = (folder / name).read_bytes()
            if body:
                loaded.append(name)
            tag = hashlib.sha256(content).hexdigest()
            self.say(200, {"X-Repo-Commit": revision, "ETag": f'"{tag}"'}, content, body)

        def refuse(self, code: int, error: str) -> None:
            self.say(code, {"X-Error-Code": error})

        def entry(self, path: Path) -> dict[str, object]:
            content = path.read_bytes()
            oid = hashlib.sha256(content).hexdigest()
            return {"type": "file", "path": path.relative_to(folder).as_posix(), "size": len(content), "oid": oid}

        def told(self, value: object, body: bool) -> None:
            self.say(200, {"Content-Type": "application/json"}, json.dumps(value).encode(), body)

        def say(self, code: int, headers: dict[str, str], content: bytes = b"", body: bool = True) -> None:
            self.send_response(code)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", loaded
    finally:
        server.shutdown()
        server.server_close()
