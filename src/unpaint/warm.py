"""One import for many jobs: a process that has imported the heavy libraries, of which every job is a fork.

Importing torch, diffusers, transformers and open_clip takes a job as long as a small model's pictures do. `unpaint
warm snakemake --cores all` keeps one such process while the command runs. It is started by the path of this file, so it
knows nothing of this package: a job imports the project's own sources as they are then. Where a fork would not be as
good as a process of one's own (another interpreter; a cluster's job, which is limited and accounted for as one), a job
starts as ever.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Any

PRELOADED = ("torch", "diffusers", "diffusers.pipelines.stable_diffusion", "transformers", "open_clip", "scipy.stats")
VARIABLE = "UNPAINT_WARM"
"""The environment variable that names the socket."""
SCHEDULERS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")
"""Where clusters name the job that a process belongs to."""
TERMINATE, REFUSED = b"T", "refused"


def run(command: list[str]) -> int:
    """Run a command with a warm process beside it, which ends with it; the command's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "socket"))
        start = [sys.executable, "-P", __file__, path, *PRELOADED]
        server = subprocess.Popen(start, stdin=subprocess.DEVNULL)  # noqa: S603
        try:
            with subprocess.Popen(command, env={**os.environ, VARIABLE: path}) as running:  # noqa: S603
                # Ctrl-C reaches the command as well, and it is the command that decides when to end
                previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
                signal.signal(signal.SIGTERM, lambda *_: running.terminate())
                code = running.wait()
                signal.signal(signal.SIGINT, previous)
            return code if code >= 0 else 128 - code
        finally:
            server.kill()
            server.wait()


def hand_over(module: str, arguments: list[str]) -> int | None:
    """Let the warm process run `python -m module` with `arguments`; its exit code, or None: there is none to do it."""
    path = os.environ.get(VARIABLE)
    if not path:
        return None
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(path)
            request = {"module": module, "arguments": arguments, "path": sys.path, "cwd": str(Path.cwd())}
            text = json.dumps({**request, "environment": dict(os.environ), "place": _place()}).encode()
            line.sendall(len(text).to_bytes(8, "big"))
            socket.send_fds(line, [b"."], [0, 1, 2])
            line.sendall(text)
            # the job is told by its terminal, or by us; it tidies up, and we wait for it
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, lambda *_: line.sendall(TERMINATE))
            answer = line.makefile().readline().strip()
        except OSError:
            return None
    if answer == REFUSED:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        return None
    if not answer:
        print("the warm process ended before this job did; run the command again", file=sys.stderr)
    return int(answer or 1)


def _place() -> list[str]:
    """What must be alike for a fork to be as good as a process of one's own."""
    try:
        group = Path("/proc/self/cgroup").read_text(encoding="utf-8")
    except OSError:
        group = ""
    return [sys.prefix, sys.version, group, *(os.environ.get(name, "") for name in SCHEDULERS)]


def serve(path: str, modules: list[str]) -> None:
    """Import `modules`, and fork for every connection to the socket `path`; never returns."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # finding a GPU by its driver would leave the forks without one
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(64)
        for name in modules:
            __import__(name)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            line, _ = door.accept()
            if os.fork() == 0:
                door.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os._exit(_attend(line))
            line.close()


def _attend(line: socket.socket) -> int:
    """Fork the job of a connection, end it when it is asked for or the connection breaks, and send its exit code."""
    size = int.from_bytes(_receive(line, 8), "big")
    _, given, _, _ = socket.recv_fds(line, 1, 3)
    request = json.loads(_receive(line, size))
    if request["place"] != _place():
        line.sendall(f"{REFUSED}\n".encode())
        return 0
    pulse, heart = os.pipe()
    job = os.fork()
    if job == 0:
        line.close()
        os.close(heart)
        threading.Thread(target=_end_with, args=(pulse,), daemon=True).start()
        os._exit(_work(request, given))
    for number in (*given, pulse):
        os.close(number)
    threading.Thread(target=_watch, args=(line, job), daemon=True).start()
    code = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
    line.sendall(f"{code if code >= 0 else 128 - code}\n".encode())
    return 0


def _watch(line: socket.socket, job: int) -> None:
    while line.recv(1) == TERMINATE:
        os.kill(job, signal.SIGTERM)
    # the one who asked is gone
    os.kill(job, signal.SIGTERM)


def _end_with(pulse: int) -> None:
    """End this job when the process that attends to it is gone: nobody else would."""
    os.read(pulse, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _work(request: dict[str, Any], given: list[int]) -> int:
    """Become the process that was asked for: its files, folder, environment, search path; run its module."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(given):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update({name: value for name, value in request["environment"].items() if name != VARIABLE})
    os.chdir(request["cwd"])
    sys.path[:] = request["path"]
    sys.argv = [request["module"], *request["arguments"]]
    code: Any = 0
    try:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code or 0


def _receive(line: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        if not (part := line.recv(size - len(parts))):
            raise EOFError
        parts += part
    return bytes(parts)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:])
