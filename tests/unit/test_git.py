"""Questions to git are about the current folder's repository."""

import subprocess

import pytest

from unpaint.audit.data import contents
from unpaint.audit.lock import blob_of
from unpaint.errors import UserError
from unpaint.lineage.git import commits, content, git, newest
from unpaint.lineage.note import _dirty
from unpaint.reproduce.clone import clone


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name in ("mine", "other"):
        subprocess.run(["git", "init", "-q", str(tmp_path / name)], check=True)
    monkeypatch.chdir(tmp_path / "mine")
    return tmp_path / "mine"


def test_a_hook_of_another_repository_does_not_send_it_there(repository, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(repository.with_name("other") / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repository.with_name("other")))
    assert git("rev-parse", "--show-toplevel").strip() == str(repository)


def test_content_is_given_byte_by_byte(repository):
    (repository / "a").write_bytes(b"one\r\n\xff")
    git("add", "a")
    assert content("show", ":a") == b"one\r\n\xff"


def test_an_object_that_was_replaced_is_the_one_that_was_committed(repository):
    (repository / "a").write_text("as it was")
    git("add", "a")
    git("-c", "user.name=me", "-c", "user.email=me@here", "commit", "-qm", "one")
    (repository / "b").write_text("forged")
    git("replace", git("rev-parse", "HEAD:a").strip(), git("hash-object", "-w", "b").strip())
    assert content("show", "HEAD:a") == b"as it was"
    blob = blob_of(b"as it was")
    assert list(contents([blob], {})) == [(blob, b"as it was")]


@pytest.mark.parametrize(
    "flags", [["--skip-worktree"], ["--assume-unchanged"], ["--skip-worktree", "--assume-unchanged"]]
)
def test_a_source_that_git_was_told_not_to_look_at_makes_a_run_dirty(repository, flags):
    (repository / "src").mkdir()
    (repository / "src/code.py").write_text("1")
    git("add", "src")
    git("-c", "user.name=me", "-c", "user.email=me@here", "commit", "-qm", "one")
    assert _dirty() is False
    for flag in flags:
        git("update-index", flag, "src/code.py")
    (repository / "src/code.py").write_text("2")
    assert _dirty() is True
    # a sparse checkout has it not at all
    (repository / "src/code.py").unlink()
    assert _dirty() is False


def test_a_source_that_git_ignores_makes_a_run_dirty_and_so_it_is_in_a_larger_repository(repository, monkeypatch):
    project = repository / "project"
    (project / "src").mkdir(parents=True)
    for path in (project / "src/code.py", project / "params.yaml", repository / "elsewhere"):
        path.write_text("1")
    git("add", ".")
    git("-c", "user.name=me", "-c", "user.email=me@here", "commit", "-qm", "one")
    monkeypatch.chdir(project)
    (repository / "elsewhere").write_text("2")
    assert _dirty() is False
    git("update-index", "--assume-unchanged", "params.yaml")
    assert _dirty() is True
    git("update-index", "--no-assume-unchanged", "params.yaml")
    (repository / ".git/info/exclude").write_text("more.py\n__pycache__/\n")
    (project / "src/__pycache__").mkdir()
    (project / "src/__pycache__/code.pyc").write_text("1")
    assert _dirty() is False
    (project / "src/more.py").write_text("1")
    assert _dirty() is True


def test_what_git_refuses_is_said_in_its_words(repository):
    with pytest.raises(UserError, match="git show: fatal: "):
        git("show", "nothing")


def test_a_repository_without_a_commit_is_told_what_to_type(repository, monkeypatch):
    with pytest.raises(UserError, match=r"^nothing is committed here yet; git add -A && git commit -m 'start'$"):
        commits()
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    git(*identity, "commit", "-q", "--allow-empty", "-m", "start")
    assert commits() == git("rev-parse", "HEAD").split()
    monkeypatch.chdir(repository.parent)
    with pytest.raises(UserError, match=r"git [a-z-]+: fatal: not a git repository"):
        commits()


def test_a_project_within_a_larger_repository_is_not_made_again(repository, monkeypatch):
    (repository / "inside").mkdir()
    monkeypatch.chdir(repository / "inside")
    with pytest.raises(UserError, match="inside/ is a folder of a larger git repository"), clone(None):
        pass


def test_no_file_hides_history(repository, monkeypatch, tmp_path):
    for name in ("one", "two"):
        git("-c", "user.name=me", "-c", "user.email=me@here", "commit", "-q", "--allow-empty", "-m", name)
    grafts = f"{git('rev-parse', 'HEAD').strip()}\n"
    (repository / ".git/info/grafts").write_text(grafts)
    assert len(commits()) == 2
    (tmp_path / "grafts").write_text(grafts)
    monkeypatch.setenv("GIT_GRAFT_FILE", str(tmp_path / "grafts"))
    assert len(commits()) == 2


def test_a_branch_without_a_commit_has_the_history_of_the_others(repository):
    (repository / "a").write_text("1")
    git("add", "a")
    git("-c", "user.name=me", "-c", "user.email=me@here", "commit", "-qm", "one")
    found = commits()
    assert newest("a", "b") == ["a"]
    git("checkout", "-q", "--orphan", "empty")
    assert commits() == found
    assert newest("a") == []


def test_a_name_that_is_no_text_is_told(repository):
    (repository / "\udcff").write_text("1")
    git("add", "-A")
    assert git("ls-files", "-z") == "\udcff\0"
