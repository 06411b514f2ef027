"""A toy stage through the runner."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unpaint.errors import UserError
from unpaint.lineage import manifest as manifests
from unpaint.lineage.manifest import KEY, sha256, write_json
from unpaint.lineage.stage import In, Ins, Listing, Maybe, Out, OutDir, find_device, main, progress, run, scratch

ERRORS = {"user": UserError("no"), "defect": ValueError("no"), "key": KeyboardInterrupt(), "exit": SystemExit(1)}


def toy(settings, manifest, *, source: In, words: Ins, extra: In | None = None, made: Out, other: Out, folder: OutDir):
    """Copy the source, list the words."""
    assert extra is None or extra.is_file()
    if settings.get("wait"):
        made.write_text("half", encoding="utf-8")
        Path("ready").touch()
        time.sleep(60)
    write_json(made, {KEY: manifest.as_dict(), "source": source.read_text(encoding="utf-8")})
    if settings.get("fail"):
        raise ERRORS[settings["fail"]]
    if not settings.get("forget"):
        other.write_text("".join(path.read_text(encoding="utf-8") for path in words), encoding="utf-8")
    (folder / "sub").mkdir()
    (folder / "sub" / "a.txt").write_text("a", encoding="utf-8")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("source", "w1", "w2"):
        Path(name).write_text(name, encoding="utf-8")
    return tmp_path


def arguments(*words, settings="{}"):
    out = ["--made", "out/made.json", "--other", "out/other.txt", "--folder", "out/folder"]
    return ["--settings", settings, "--source", "source", *out, "--words", *words]


def files(place):
    return {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()} - {"source", "w1", "w2"}


FINAL = {"out/made.json", "out/other.txt", "out/folder/sub/a.txt", "out/made.json.run.json"}


@pytest.mark.parametrize("words", [[], ["w1"], ["w2", "w1"]])
def test_a_stage_makes_its_outputs_and_nothing_else(place, words):
    run(toy, arguments(*words, settings='{"seed": 4}'))
    assert files(place) == FINAL
    assert Path("out/other.txt").read_text(encoding="utf-8") == "".join(words)
    manifest = manifests.read(Path("out/made.json"))
    hashes = {f"words.{number}": sha256(Path(word)) for number, word in enumerate(words)}
    assert (manifest.stage, manifest.settings) == ("toy", {"seed": 4})
    assert manifest.inputs == {"source": sha256(Path("source")), **hashes}


def own(settings, manifest, *, made: Out, pictures: Listing = None):
    """Write the manifest alone."""
    write_json(made, {KEY: manifest.as_dict(), "listing": pictures and pictures.name})


def test_one_hash_stands_for_a_listing_and_every_file_beside_it(place):
    def made(*listing):
        run(own, ["--settings", "{}", "--pictures", *listing, "--made", "out/made.json"])
        return manifests.read(Path("out/made.json")).inputs

    def write(name, text):
        path = Path("mine", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    write("metadata.csv", "rows")
    write("sub/a.png", "a")
    write("b.png", "b")
    first = made("mine/metadata.csv")
    assert list(first) == ["pictures"]
    assert made("mine/metadata.csv") == first
    seen = [first]
    for name, text in (("sub/a.png", "other"), ("metadata.csv", "other"), ("c.png", "new")):
        write(name, text)
        seen.append(made("mine/metadata.csv"))
    Path("mine/c.png").rename("mine/d.png")
    seen.append(made("mine/metadata.csv"))
    assert len({found["pictures"] for found in seen}) == 5
    assert made() == {}
    with pytest.raises(UserError, match=r"^gone/metadata.csv: the pictures file is missing"):
        made("gone/metadata.csv")


def test_an_optional_input_counts_only_if_given(place):
    run(toy, [*arguments(), "--extra", "w1"])
    assert manifests.read(Path("out/made.json")).inputs["extra"] == sha256(Path("w1"))


def test_the_run_note_holds_what_the_manifest_leaves_out(place):
    run(toy, arguments("w1"))
    note = json.loads(Path("out/made.json.run.json").read_text(encoding="utf-8"))
    made = {name: Path("out", file) for name, file in (("made", "made.json"), ("other", "other.txt"))}
    made["folder/sub/a.txt"] = Path("out/folder/sub/a.txt")
    assert note["outputs"] == {role: sha256(path) for role, path in made.items()}
    assert note["manifest"] == manifests.read(Path("out/made.json")).as_dict()
    assert (note["device"], note["python"]) == ("cpu", ".".join(map(str, sys.version_info[:3])))
    assert note["packages"]["torch"]
    assert note["peak_memory_mb"] > 0
    assert len(note["sources"]) == 64
    assert "finished" not in Path("out/made.json").read_text(encoding="utf-8")


def test_two_runs_give_the_same_bytes(place):
    run(toy, arguments("w1"))
    first = Path("out/made.json").read_bytes()
    run(toy, arguments("w1"))
    assert Path("out/made.json").read_bytes() == first


@pytest.mark.parametrize("name", ["source", "w1"])
def test_a_missing_input_is_named_with_its_role_before_anything_runs(place, name):
    Path(name).unlink()
    role = {"source": "source", "w1": "words.0"}[name]
    with pytest.raises(UserError, match=rf"^{name}: the {role} file is missing; make or restore it first$"):
        run(toy, arguments("w1"))
    assert not Path("out").exists()


@pytest.mark.parametrize("error", ERRORS)
def test_a_stage_that_fails_leaves_nothing(place, error):
    with pytest.raises(type(ERRORS[error])):
        run(toy, arguments(settings=json.dumps({"fail": error})))
    assert files(place) == set()


def test_a_stage_that_fails_leaves_the_old_outputs_as_they_were(place):
    run(toy, arguments())
    before = {name: Path(name).read_bytes() for name in FINAL}
    with pytest.raises(UserError):
        run(toy, arguments(settings='{"fail": "user"}'))
    assert {name: Path(name).read_bytes() for name in files(place)} == before


@pytest.mark.parametrize("role", ["source", "words", "extra"])
def test_an_input_that_changes_while_a_stage_runs_is_named_and_nothing_written(place, role):
    """DVC hashes dependencies after the run: it would say that what is there then was read."""

    def slow(settings, manifest, *, source: In, words: Ins, extra: Maybe = None, made: Out):
        made.write_text("made")
        (place / name).write_text("another by now")

    name = {"source": "source", "words": "w1", "extra": "more"}[role]
    (place / "more").write_text("more")
    given = ["--settings", "{}", "--source", "source", "--words", "w1", "w2", "--extra", "more"]
    with pytest.raises(UserError, match=f"^{name} changed while this ran, so nothing is written; run it again$"):
        run(slow, [*given, "--made", "made.txt"])
    assert not (place / "made.txt").exists()


def test_an_input_that_is_only_touched_while_a_stage_runs_is_no_other(place):
    def touching(settings, manifest, *, source: In, made: Out):
        made.write_text("made")
        os.utime(source, (1, 1))

    run(touching, ["--settings", "{}", "--source", "source", "--made", "made.txt"])
    assert (place / "made.txt").exists()


def test_a_stage_that_forgets_an_output_leaves_none_of_them(place):
    with pytest.raises(UserError, match=r"out/other.txt: the stage ended without writing it; this is a defect"):
        run(toy, arguments(settings='{"forget": true}'))
    assert files(place) == set()


def test_resume_states_of_the_job_are_deleted_and_those_of_others_kept(place):
    manifest = manifests.Manifest("toy", {}, {"source": sha256(Path("source"))})
    mine, other = scratch(manifest), Path("scratch/toy-other.safetensors")
    mine.parent.mkdir()
    for path in (mine, mine.with_stem(f"{mine.stem}-vae"), other):
        path.touch()
    run(toy, arguments())
    assert [path.name for path in Path("scratch").iterdir()] == [other.name]


def test_a_killed_stage_leaves_no_partial_file(place):
    here = str(Path(__file__).parent)
    code = f"import sys; sys.path.insert(0, {here!r}); import test_stage as t; t.main(t.toy, sys.argv[1:])"
    job = subprocess.Popen([sys.executable, "-c", code, *arguments(settings='{"wait": true}')])
    try:
        for _ in range(600):
            if Path("ready").exists():
                break
            time.sleep(0.05)
        assert any(".partial" in name for name in files(place))
        job.send_signal(signal.SIGTERM)
        assert job.wait(20) == 143
    finally:
        job.kill()
        job.wait()
    assert files(place) == {"ready"}


def test_what_a_killed_run_left_of_the_same_output_is_swept_away(place):
    left = Path("out/.partial-1-folder/sub")
    left.mkdir(parents=True)
    for path in (left / "a.txt", Path("out/.partial-1-made.json"), Path("out/.partial-1-another.txt")):
        path.touch()
    run(toy, arguments())
    assert files(place) == FINAL | {"out/.partial-1-another.txt"}
    assert not left.parent.exists()


def test_an_error_for_the_user_is_one_line_and_exit_code_2(place, capsys):
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as caught:
            main(toy, arguments("none"))
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert caught.value.code == 2
    assert capsys.readouterr().err == "toy: none: the words.0 file is missing; make or restore it first\n"


def greedy(settings, manifest, *, made: Out):
    import torch

    if settings["of"] == "gpu":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 5 GiB.\nMore of it.")
    torch.empty(2**58)


@pytest.mark.parametrize("where", ["gpu", "machine"])
def test_out_of_memory_is_said_with_what_takes_less(place, where, capsys):
    with pytest.raises(SystemExit) as end:
        main(greedy, ["--settings", f'{{"of": "{where}"}}', "--made", "made.json"])
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("greedy: out of memory. What is made stays.")
    assert told.count("\n") == 1
    assert not list(place.glob("*made*"))


def test_a_device_that_is_not_there_is_refused():
    assert find_device("cpu") == "cpu"
    with pytest.raises(UserError, match=r"^device: mps is not available on this machine; write auto$"):
        find_device("mps")


def test_progress_is_a_line_at_each_tenth(capsys):
    for done in range(1, 251):
        progress("x", done, 250)
    assert capsys.readouterr().err.splitlines() == [f"x: {25 * n} of 250" for n in range(1, 11)]
