"""Exit codes: no failure of the program is taken for an answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from unpaint import cli
from unpaint.errors import UserError

FAMILIES = [sys.executable, "-c", "from unpaint.cli import main; main()", "families"]


@pytest.mark.parametrize(
    ("failure", "code", "told"),
    [
        (UserError("no such thing"), 2, "unpaint: no such thing\n"),
        (click.UsageError("no such option"), 2, "Error: no such option\n"),
        (RuntimeError("a defect"), 70, "RuntimeError: a defect\nunpaint: internal error"),
        (KeyboardInterrupt(), 130, "unpaint: stopped\n"),
        (SystemExit(3), 3, ""),
    ],
)
def test_a_failure_is_no_answer(failure, code, told, monkeypatch, capsys):
    def fail(**_: object) -> None:
        raise failure

    monkeypatch.setattr(cli.families, "callback", fail)
    monkeypatch.setattr(sys, "argv", ["unpaint", "families"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code
    assert told in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_said_in_words():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(FAMILIES, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (74, "unpaint: the output: No space left on device\n")


def test_nobody_reading_on_is_no_answer_and_no_noise():
    with subprocess.Popen(FAMILIES, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        assert started.stdout
        assert started.stderr
        started.stdout.close()
        assert started.stderr.read() == b""
        assert started.wait() == 141


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["", "--why", "x"], "QUERY is blank"),
        ([" \n", "--why", "x"], "QUERY is blank"),
        (["train-0001.0"], "--why: give the reason"),
        (["train-0001.0", "--why", "  "], "--why: give the reason"),
        (["train-0001.0", "--why", "\udcff"], "no text in UTF-8"),
    ],
)
def test_a_withdrawal_without_words_is_refused(arguments, told):
    failed = CliRunner().invoke(cli.cli, ["withdraw", *arguments]).exception
    assert isinstance(failed, UserError)
    assert told in str(failed)
