"""Jobs in a warm process are as good as processes of their own."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unpaint import warm

# there is no warm process on macOS, and the tests look into /proc
pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="no warm process there")
JOB = """
import os, signal, sys, time
from pathlib import Path
kind, *others = sys.argv[1:]
signal.signal(signal.SIGTERM, lambda *_: (Path("tidied").touch(), sys.exit(143)))
print(kind, *others, os.environ.get("WORD"), Path.cwd().name, "colorsys" in sys.modules, os.environ.get("UNPAINT_WARM"))
print("aside", file=sys.stderr)
Path("parent").write_text(str(os.getppid()))
if kind == "fail": sys.exit(7)
if kind == "say": sys.exit("a word")
if kind == "raise": raise ValueError("a defect")
if kind == "wait": Path("ready").touch(); time.sleep(60)
"""
SOURCE = str(Path(warm.__file__).parents[1])
SERVE = "from unpaint import warm; warm.serve(sys.argv[0], sys.argv[1:])"
ASK = """
import sys
from unpaint import warm
code = warm.hand_over("job", sys.argv[1:])
sys.exit("none" if code is None else code)
"""


LIKE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMEXPR_NUM_THREADS": "1"}


@pytest.fixture
def door(tmp_path, monkeypatch):
    """A warm process that has imported next to nothing, and a folder with a module `job`."""
    Path(tmp_path, "job.py").write_text(JOB, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, value in LIKE.items():
        monkeypatch.setenv(name, value)
    path = str(tmp_path / "socket")
    with subprocess.Popen([sys.executable, "-P", warm.__file__, path, "colorsys"], stdin=subprocess.PIPE) as server:
        while not Path(path).exists():
            assert server.poll() is None
            time.sleep(0.01)
        yield path
        server.kill()


def ask(door, *arguments, before=None, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", ASK, *arguments],
        env={**os.environ, "PYTHONPATH": SOURCE, warm.VARIABLE: door, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,  # noqa: PLW1509
    )


def test_a_job_has_its_asker_s_arguments_environment_folder_and_streams(door, tmp_path):
    asked = ask(door, "good", "a b", "ü", WORD="with space")
    printed, aside = asked.communicate(timeout=30)
    assert printed == f"good a b ü with space {tmp_path.name} True None\n"
    assert aside == "aside\n"
    assert asked.returncode == 0
    assert int(Path("parent").read_text(encoding="utf-8")) not in (asked.pid, os.getpid())


@pytest.mark.parametrize(
    ("kind", "code", "said"), [("fail", 7, ""), ("say", 1, "a word"), ("raise", 1, "ValueError: a defect")]
)
def test_a_job_that_fails_fails_for_its_asker(door, kind, code, said):
    asked = ask(door, kind)
    _, aside = asked.communicate(timeout=30)
    assert asked.returncode == code
    assert said in aside


def test_jobs_run_side_by_side(door):
    first = ask(door, "wait")
    wait_for(Path("ready"))
    assert ask(door, "good").wait(timeout=30) == 0
    first.terminate()
    first.communicate(timeout=30)


def test_an_asker_that_is_told_to_end_waits_until_its_job_has_tidied_up(door):
    asked = ask(door, "wait")
    wait_for(Path("ready"))
    asked.terminate()
    asked.communicate(timeout=30)
    assert Path("tidied").exists()
    assert asked.returncode == 143


def test_a_job_whose_asker_was_killed_ends(door):
    asked = ask(door, "wait")
    wait_for(Path("ready"))
    asked.kill()
    asked.communicate(timeout=30)
    wait_for(Path("tidied"))


@pytest.mark.parametrize(
    ("environment", "before", "named"),
    [
        ({"SLURM_JOB_ID": "17"}, None, "another cluster's job"),
        ({"OMP_NUM_THREADS": "2"}, None, "another number of threads"),
        ({"HF_HOME": "elsewhere"}, None, "another HF_HOME"),
        ({}, os.setpgrp, "another process group"),
        ({}, lambda: os.umask(0o077), "another permission mask"),
        ({}, lambda: os.nice(3), "another priority"),
        ({}, lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)), "another limits"),
    ],
)
def test_a_job_whose_fork_would_be_another_starts_as_ever(door, environment, before, named):
    said = ask(door, "good", before=before, **environment).communicate(timeout=30)[1]
    assert f"no warm process has taken this job ({named})" in said
    assert said.endswith("none\n")


def test_an_asker_that_is_gone_before_its_turn_leaves_no_job(tmp_path, monkeypatch):
    Path(tmp_path, "job.py").write_text(JOB, encoding="utf-8")
    Path(tmp_path, "slow.py").write_text("import time; time.sleep(3)", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / "socket")
    start = [sys.executable, "-c", f"import sys; sys.path.append('.'); sys.argv[0:1] = []; {SERVE}", path, "slow"]
    with subprocess.Popen(start, stdin=subprocess.PIPE, env={**os.environ, "PYTHONPATH": SOURCE}) as server:
        wait_for(Path(path))
        asked = ask(path, "wait")
        time.sleep(0.5)
        asked.terminate()
        asked.communicate(timeout=30)
        assert asked.returncode == -signal.SIGTERM
        assert ask(path, "good").wait(timeout=30) == 0
        assert not Path("ready").exists()
        server.kill()


def test_what_a_library_writes_to_the_environment_is_as_in_a_process_of_the_job_s_own(tmp_path, monkeypatch):
    """Some write when they are imported what others read, and only where there is a GPU."""
    Path(tmp_path, "job.py").write_text(
        "import os; print(os.environ.get('KMP_X'), os.environ['WORD'])", encoding="utf-8"
    )
    Path(tmp_path, "writer.py").write_text(
        "import os; os.environ['KMP_X'] = os.environ['WORD'] = 'written'", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / "socket")
    start = [sys.executable, "-c", f"import sys; sys.path.append('.'); sys.argv[0:1] = []; {SERVE}", path, "writer"]
    environment = {**os.environ, "PYTHONPATH": SOURCE, "WORD": "as given"}
    with subprocess.Popen(start, stdin=subprocess.PIPE, env=environment) as server:
        wait_for(Path(path))
        assert ask(path, WORD="as given").communicate(timeout=30) == ("written written\n", "")
        assert ask(path, WORD="the job's").communicate(timeout=30) == ("written the job's\n", "")
        server.kill()


def test_without_a_warm_process_there_is_no_answer(door, tmp_path):
    for path in ("", str(tmp_path / "gone")):
        assert "none" in ask(path, "good").communicate(timeout=30)[1]


def test_a_warm_process_that_dies_fails_the_job(door):
    asked = ask(door, "wait")
    wait_for(Path("ready"))
    os.kill(int(Path("parent").read_text(encoding="utf-8")), signal.SIGKILL)
    assert "the warm process ended before this job did" in asked.communicate(timeout=30)[1]
    assert asked.returncode == 1


def test_an_asker_that_goes_before_it_has_heard_leaves_no_job(door):
    """A socket closed with unread words breaks at the other end."""
    deaf = ASK.replace(
        "code = warm", "warm.socket.socket.makefile = lambda line: (time.sleep(1), os._exit(9))\ncode = warm"
    )
    asked = subprocess.Popen(
        [sys.executable, "-c", f"import os, time\n{deaf}", "wait"],
        env={**os.environ, "PYTHONPATH": SOURCE, warm.VARIABLE: door},
    )
    wait_for(Path("ready"))
    assert asked.wait(timeout=30) == 9
    wait_for(Path("tidied"))


def test_a_group_that_is_told_to_end_tidies_up_and_runs_nothing_twice(door):
    asked = ask(door, "wait")
    wait_for(Path("ready"))
    supervisor = int(Path("parent").read_text(encoding="utf-8"))
    job = int(subprocess.check_output(["ps", "-o", "pid=", "--ppid", str(supervisor)], text=True))
    for process in (supervisor, job, asked.pid):
        os.kill(process, signal.SIGTERM)
    asked.communicate(timeout=30)
    assert asked.returncode == 143
    assert Path("tidied").exists()


def test_many_quick_jobs_leave_no_word_behind(door, capfd):
    for _ in range(10):
        assert ask(door, "good").wait(timeout=30) == 0
    assert "Traceback" not in capfd.readouterr().err


@pytest.fixture
def idle(monkeypatch):
    monkeypatch.setattr(warm, "PRELOADED", ("colorsys",))


@pytest.mark.parametrize(("command", "code"), [("exit 5", 5), ("kill -15 $$", 143)])
def test_the_exit_code_is_the_command_s(idle, command, code):
    before = signal.getsignal(signal.SIGTERM)
    assert warm.run(["sh", "-c", command], 1) == code
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_warm_process_ends_with_its_command(idle, tmp_path):
    said = tmp_path / "said"
    warm.run(["sh", "-c", f"ps -o pid= --ppid $PPID > {said}"], 1)
    started = [int(word) for word in said.read_text(encoding="utf-8").split()]
    assert len(started) >= 2
    assert not any(Path(f"/proc/{process}").exists() for process in started)


def test_the_warm_process_ends_when_what_started_it_is_killed(tmp_path):
    command = ["sh", "-c", "ps -o pid= --ppid $PPID > said; sleep 60"]
    code = f"from unpaint import warm; warm.PRELOADED = (); warm.run({command}, 1)"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": SOURCE}
    ) as started:
        wait_for(tmp_path / "said")
        time.sleep(0.2)
        server = int((tmp_path / "said").read_text(encoding="utf-8").split()[0])
        assert Path(f"/proc/{server}").exists()
        started.kill()
    deadline = time.monotonic() + 30
    while _runs(server):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(process):
    """Whether it is there, and no zombie."""
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


def wait_for(path):
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)
