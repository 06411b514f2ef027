"""Jobs in a warm process are as good as processes of their own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unpaint import warm

JOB = """
import os, signal, sys, time
from pathlib import Path
kind, *others = sys.argv[1:]
signal.signal(signal.SIGTERM, lambda *_: (Path("tidied").touch(), sys.exit(143)))
print(kind, *others, os.environ.get("WORD"), Path.cwd().name, "json" in sys.modules, os.environ.get("UNPAINT_WARM"))
print("aside", file=sys.stderr)
Path("parent").write_text(str(os.getppid()))
if kind == "fail": sys.exit(7)
if kind == "say": sys.exit("a word")
if kind == "raise": raise ValueError("a defect")
if kind == "wait": Path("ready").touch(); time.sleep(60)
"""
ASK = """
import sys
from unpaint import warm
code = warm.hand_over("job", sys.argv[1:])
sys.exit("none" if code is None else code)
"""


@pytest.fixture
def door(tmp_path, monkeypatch):
    """A warm process that has imported next to nothing, and a folder with a module `job`."""
    Path(tmp_path, "job.py").write_text(JOB, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / "socket")
    with subprocess.Popen([sys.executable, "-P", warm.__file__, path, "json"]) as server:
        while not Path(path).exists():
            assert server.poll() is None
            time.sleep(0.01)
        yield path
        server.kill()


def ask(door, *arguments, **environment):
    source = str(Path(warm.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", ASK, *arguments],
        env={**os.environ, "PYTHONPATH": source, warm.VARIABLE: door, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
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


def test_a_cluster_s_job_is_not_forked_out_of_it(door):
    asked = ask(door, "good", SLURM_JOB_ID="17")
    assert "none" in asked.communicate(timeout=30)[1]


def test_without_a_warm_process_there_is_no_answer(door, tmp_path):
    for path in ("", str(tmp_path / "gone")):
        assert "none" in ask(path, "good").communicate(timeout=30)[1]


def test_a_warm_process_that_dies_fails_the_job(door):
    asked = ask(door, "wait")
    wait_for(Path("ready"))
    os.kill(int(Path("parent").read_text(encoding="utf-8")), signal.SIGKILL)
    assert "the warm process ended before this job did" in asked.communicate(timeout=30)[1]
    assert asked.returncode == 1


@pytest.mark.parametrize(("command", "code"), [("exit 5", 5), ("kill -15 $$", 143)])
def test_the_exit_code_is_the_command_s(command, code):
    assert warm.run(["sh", "-c", command]) == code


def test_the_warm_process_ends_with_its_command(tmp_path):
    said = tmp_path / "said"
    warm.run(["sh", "-c", f"echo ${warm.VARIABLE} > {said}"])
    assert said.read_text(encoding="utf-8").strip().endswith("socket")
    assert not Path(said.read_text(encoding="utf-8").strip()).exists()


def wait_for(path):
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)
