"""One import for many jobs: a process that has imported the heavy libraries, of which every job is a fork.

Importing torch, diffusers, transformers and open_clip takes a job as long as a small model's pictures do. `unpaint
warm snakemake --cores all` keeps one such process while the command runs. It is started by the path of this file, so it
knows nothing of this package: a job imports the project's own sources as they are then. Where a fork would not be as
good as a process of one's own, a job starts as ever, and says why: another interpreter, other threads or limits, a
cluster's job (which is limited and accounted for as one).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

PRELOADED = ("diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion", "open_clip", "scipy.stats", "datasets")
"""Each brings torch or transformers along; packages that load their parts late are named by the part."""
VARIABLE = "UNPAINT_WARM"
"""The environment variable that names the socket."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""What numerical libraries read once, when they are imported; Snakemake sets each to a job's threads."""
READ_EARLY = ("HF_", "TRANSFORMERS_", "DIFFUSERS_", "TORCH_", "PYTORCH_", "OMP_", "MKL_", "OPENBLAS_", "KMP_", "GOMP_")
"""How the variables begin that libraries read when they are imported."""
NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"
"""Lets libraries look for a GPU without its driver, which forks could not use any more."""
VERSION = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
SCHEDULERS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")
"""Where clusters name the job that a process belongs to."""
TERMINATE = b"T"


def run(command: list[str], threads: int) -> int:
    """Run a command with a warm process beside it for its jobs of so many threads; the command's exit code.

    Raises:
        OSError: the command cannot be started.
    """
    if sys.platform == "darwin":  # a fork may not use Metal
        return wait(command, dict(os.environ))
    counted = dict.fromkeys(THREADS, str(threads))
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "socket"))
        start = [sys.executable, "-P", __file__, path, *PRELOADED]
        # it ends when its input does: whatever ends this process
        with subprocess.Popen(start, stdin=subprocess.PIPE, env={**os.environ, **counted}) as server:  # noqa: S603
            try:
                return wait(command, {**os.environ, VARIABLE: path})
            finally:
                server.kill()


def wait(
    command: list[str], environment: dict[str, str], folder: Path | None = None, output: TextIO | None = None
) -> int:
    """Run a command to its own end, whoever asks this process to stop; its exit code, as shells give it.

    Args:
        folder: to run it in; the current one, if none is given.
        output: takes the place of its standard output.

    Raises:
        OSError: the command cannot be started.
    """
    with subprocess.Popen(command, env=environment, cwd=folder, stdout=output) as running:  # noqa: S603
        # Ctrl-C reaches the command as well, and it is the command that decides when to end
        kept = {
            signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
            signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: running.terminate()),
        }
        try:
            code = running.wait()
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)
    return _shell(code)


def hand_over(module: str, arguments: list[str]) -> int | None:
    """Let the warm process run `python -m module` with `arguments`; its exit code, or None: none has taken the job."""
    path = os.environ.get(VARIABLE)
    if not path:
        return None
    try:
        for number in range(3):
            os.fstat(number)
    except OSError:  # a closed stream cannot be handed over
        return None
    request: dict[str, Any] = {
        "module": module,
        "arguments": arguments,
        "path": sys.path,
        "cwd": str(Path.cwd()),
        "environment": dict(os.environ),
        "place": _place(os.environ),
        "deaf": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
    }
    text = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(path)
            line.sendall(len(text).to_bytes(8, "big"))
            socket.send_fds(line, [b"."], [0, 1, 2])
            line.sendall(text)
            answers = line.makefile()
            answer = answers.readline().strip()
        except OSError as error:
            answer = str(error)
        if answer != "taken":
            print(f"no warm process has taken this job ({answer or 'it ended'}); it starts as ever", file=sys.stderr)
            return None
        return _until_done(line, answers)


def _until_done(line: socket.socket, answers: Any) -> int:
    """The exit code of a job that was taken. It hears Ctrl-C by itself; SIGTERM is passed on, and we wait for it."""
    told = False

    def tell(*_: object) -> None:
        nonlocal told
        told = True
        with contextlib.suppress(OSError):  # it may have ended
            line.sendall(TERMINATE)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, tell)
    try:
        answer = answers.readline().strip()
    except OSError:
        answer = ""
    if answer:
        return int(answer)
    if not told:
        print("the warm process ended before this job did; run the command again", file=sys.stderr)
    return 143 if told else 1


def _place(environment: Mapping[str, str]) -> dict[str, Any]:
    """What must be alike for a fork to be as good as a process of one's own, in words that name it."""
    import resource

    try:
        group = Path("/proc/self/cgroup").read_text(encoding="utf-8")
    except OSError:
        group = ""
    mask = os.umask(0)
    os.umask(mask)
    limits = sorted(name for name in dir(resource) if name.startswith("RLIMIT_"))
    return {
        "version of unpaint.warm": VERSION,
        "interpreter": [sys.prefix, sys.version],
        "cluster's job": [group, *(environment.get(name, "") for name in SCHEDULERS)],
        "number of threads": [environment.get(name, "") for name in THREADS],
        "process group": os.getpgrp(),  # Ctrl-C reaches a group
        "permission mask": mask,
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "limits": [list(resource.getrlimit(getattr(resource, name))) for name in limits],
        "processors": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
        **{
            name: value
            for name, value in environment.items()
            if name.startswith(READ_EARLY) and name not in (*THREADS, NVML)
        },
    }


def serve(path: str, modules: list[str]) -> None:
    """Import `modules`, and fork for every connection to the socket `path`, until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault(NVML, "1")
    given = dict(os.environ)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(64)
        for name in modules:
            __import__(name)
        if "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
            sys.exit(
                "a library has begun to use the GPU when it was imported; forks could not: every job starts as ever"
            )
        # libraries write to the environment as well, as they would in a process of the job's own
        written = {name: value for name, value in os.environ.items() if value != given.get(name)}
        # what a library has said while it was imported is no job's to say
        sys.stdout.flush()
        sys.stderr.flush()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while door in select.select([door, sys.stdin], [], [])[0]:
            line, _ = door.accept()
            if os.fork() == 0:
                door.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os._exit(_attend(line, given, written))
            line.close()


def _attend(line: socket.socket, environment: dict[str, str], written: dict[str, str]) -> int:
    """Fork the job of a connection, end it when it is asked for or the connection breaks, and send its exit code."""
    try:
        size = int.from_bytes(_receive(line, 8), "big")
        _, given, _, _ = socket.recv_fds(line, 1, 3)
        request = json.loads(_receive(line, size))
        here, there = _place(environment), request["place"]
        if other := [name for name in {**there, **here} if there.get(name) != here.get(name)]:
            line.sendall(f"another {', '.join(other)}\n".encode())
            return 0
        line.sendall(b"taken\n")
    except (EOFError, OSError):  # the asker has gone while it waited
        return 0
    asked = request["environment"]
    asked |= {name: value for name, value in written.items() if asked.get(name) == environment.get(name)}
    pulse, heart = os.pipe()
    job = os.fork()
    if job == 0:
        line.close()
        os.close(heart)
        threading.Thread(target=_end_with, args=(pulse,), daemon=True).start()
        os._exit(_work(request, given))
    for number in (*given, pulse):
        os.close(number)
    done, lock = threading.Event(), threading.Lock()

    def end() -> None:
        with lock:
            if not done.is_set():
                os.kill(job, signal.SIGTERM)

    def watch() -> None:
        with contextlib.suppress(OSError):
            while line.recv(1) == TERMINATE:
                end()
        end()  # the one who asked is gone

    # told with the whole group: the job's own handler tidies up, and we wait for it
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()
    os.waitid(os.P_PID, job, os.WEXITED | os.WNOWAIT)
    with lock:
        done.set()
    code = _shell(os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]))
    with contextlib.suppress(OSError):  # nobody may wait for it any more
        line.sendall(f"{code}\n".encode())
    return 0


def _end_with(pulse: int) -> None:
    """End this job when the process that attends to it is gone: nobody else would."""
    os.read(pulse, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _work(request: dict[str, Any], given: list[int]) -> int:
    """Become the process that was asked for: its files, folder, environment, search path; run its module."""
    signal.signal(signal.SIGINT, signal.SIG_IGN if request["deaf"] else signal.default_int_handler)
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


def _shell(code: int) -> int:
    """An exit code as shells give it: 128 and the number of the signal that ended a process."""
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:])
