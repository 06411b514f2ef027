"""Receipts: every fact is the books', a changed byte anywhere fails, and an export carries them on."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import json_format
from huggingface_hub import ModelCard
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from rocrate.rocrate import ROCrate

from tests.world import COMMIT, commit, environment, run
from unpaint import corpus
from unpaint.audit.lock import blob_of
from unpaint.errors import UserError
from unpaint.export import export
from unpaint.lineage import manifest
from unpaint.lineage.manifest import sha256
from unpaint.receipt import signature, statement
from unpaint.reproduce.target import targets

NAME = "seven/rgd/seed0"
PLACE = f"results/{NAME}"
MODEL = f"{PLACE}/model.safetensors"
FILES = ("receipt.html", "receipt.json", "receipt.sig")
VALIDATOR = Path(sys.prefix) / "validator/bin"
CONTEXT = Path(__file__).parents[1] / "validator.py"


class Keys(NamedTuple):
    private: Path
    public: Path


def keys(folder: Path) -> Keys:
    key = ec.generate_private_key(ec.SECP256R1())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    made = Keys(folder / "private.pem", folder / "public.pem")
    made.private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    made.public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return made


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return keys(tmp_path_factory.mktemp("owner"))


@pytest.fixture(scope="module")
def receipt(finished: Path, owner: Keys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed receipt; tests change copies of it."""
    folder = tmp_path_factory.mktemp("receipts") / "seven rgd ✓"
    printed = run(finished, "unpaint", "receipt", NAME, "--to", str(folder), "--key", str(owner.private))
    assert sha256(folder / "receipt.json") in printed
    return folder


@pytest.fixture
def copied(receipt: Path, tmp_path: Path) -> Path:
    return shutil.copytree(receipt, tmp_path / "copy")


def told(folder: Path) -> dict[str, Any]:
    held: dict[str, Any] = json.loads((folder / "receipt.json").read_text(encoding="utf-8"))
    return held


def verify(project: Path, folder: Path, key: Path, *more: str) -> tuple[int, str]:
    command = ["unpaint", "verify", str(folder), "--key", str(key), *more]
    done = subprocess.run(command, cwd=project, env=environment(), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def flipped(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 1
    return bytes(changed)


def scores(path: Path) -> dict[str, Any]:
    held = json.loads(path.read_text())
    return {name: score for name, score in held.items() if name not in ("unpaint", "judge", "detected")}


def test_it_is_a_statement_of_in_toto_about_the_model(finished: Path, receipt: Path) -> None:
    held = told(receipt)
    parsed = json_format.ParseDict(held, statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    assert [(one.name, one.digest["sha256"]) for one in parsed.subject] == [(MODEL, sha256(finished / MODEL))]
    assert held["predicateType"] == "urn:unpaint:unlearning:v1"


def test_every_number_is_the_books(finished: Path, receipt: Path) -> None:
    held = told(receipt)["predicate"]
    params = yaml.safe_load((finished / "params.yaml").read_text())
    assert held["asked"]["method"] == {"name": "rgd", "settings": params["methods"]["rgd"]}
    assert (held["asked"]["forget"], held["asked"]["seed"]) == ({"digit": "seven"}, 0)
    (ranked,) = (
        json.loads((finished / f"results/seven/encoded/{name}.safetensors.run.json").read_text())["found"]["anchors"]
        for name in ("forget",)
    )
    assert held["asked"]["led_to"] == {"seven": min(ranked["seven"], key=ranked["seven"].get)}

    assert held["scores"]["model"] == scores(finished / PLACE / "metrics.json")
    assert held["scores"]["base"] == scores(finished / "results/seven/base/metrics.json")
    judge = json.loads((finished / "results/judge/judge.json").read_text())
    assert held["scores"]["judge"]["accuracy"] == judge["accuracy"]
    assert held["scores"]["judge"]["held_out"] == params["world"]["images"]["reference"]
    assert held["scores"]["pictures"] == len(corpus.read(finished / PLACE / "samples.parquet"))

    for one in held["data"]["sets"]:
        path = finished / f"results/seven/images/{one['set']}.parquet"
        assert (one["pictures"], one["sha256"]) == (len(corpus.read(path)), sha256(path))
        assert (one["withdrawn"], one["own"]) == (0, None)
    assert {one["set"] for one in held["data"]["sets"]} == {"forget", "retain"}
    assert held["data"]["world"][0]["splits"] == params["world"]["images"]
    for one in held["data"]["prompts"]:
        lists = json.loads((finished / one["path"]).read_text())
        assert (one["forget"], one["retain"]) == (len(lists["forget"]), len(lists["retain"]))

    note = json.loads((finished / f"{MODEL}.run.json").read_text())
    assert held["run"]["environment"]["packages"] == note["packages"]
    assert [held["run"][key] for key in ("commit", "dirty", "sources")] == [
        note[key] for key in ("commit", "dirty", "sources")
    ]
    # that commit's dvc.lock has the model
    books = yaml.safe_load(run(finished, "git", "show", f"{held['reproduce']['commit']}:dvc.lock"))
    (out,) = (one for one in books["stages"]["unlearn@seven-rgd-0"]["outs"] if one["path"] == MODEL)
    assert out["md5"] == hashlib.md5((finished / MODEL).read_bytes()).hexdigest()


def test_the_root_is_that_of_all_that_the_model_was_made_from(finished: Path, receipt: Path) -> None:
    data = told(receipt)["predicate"]["data"]
    files = sorted(data["files"], key=str.encode)
    lines = subprocess.run(["sha256sum", *files], cwd=finished, capture_output=True, check=True).stdout
    assert hashlib.sha256(lines).hexdigest() == data["root"]
    # whatever a manifest names, from the model on, is among them; and what only scored it is not
    stones = finished / "data/withdrawn/world.jsonl"
    made = {sha256(path): path for path in (stones, *finished.glob("results/**/*")) if path.is_file()}
    pending, above = [made[sha256(finished / MODEL)]], set()
    while pending:
        for digest in manifest.read(pending.pop()).inputs.values():
            if digest not in above:
                above.add(digest)
                pending += [made[digest]] if made[digest] != stones else []
    assert above <= set(data["files"].values())
    beside = {
        digest for path, digest in data["files"].items() if path.endswith((".tsv", "test.json")) or "/pipeline/" in path
    }
    assert set(data["files"].values()) == above | beside
    # and a picture is in a list that is in the root
    picture = corpus.read(finished / "results/seven/images/forget.parquet")[3].sha256
    rows = [path for path in files if path.endswith(".rows.tsv") and picture in (finished / path).read_text()]
    assert rows == ["results/seven/images/forget.rows.tsv"]


def test_the_same_books_give_the_same_bytes_wherever_they_are(project: Path, receipt: Path, tmp_path: Path) -> None:
    run(project, "unpaint", "receipt", MODEL, "--to", str(tmp_path / "again"))
    for name in ("receipt.json", "receipt.html"):
        assert (tmp_path / "again" / name).read_bytes() == (receipt / name).read_bytes()
    assert not (tmp_path / "again/receipt.sig").exists()


def test_the_page_says_what_the_statement_says_and_needs_nothing(receipt: Path) -> None:
    page, held = (receipt / "receipt.html").read_text(encoding="utf-8"), told(receipt)["predicate"]
    for text in (held["data"]["root"], *held["data"]["files"].values(), held["reproduce"]["command"], "digit: seven"):
        assert text in page
    for score in held["scores"]["model"].values():
        assert f">{score['n']}</td>" in page
    assert not any(text in page for text in ("http", "<img", "<script"))


def test_it_is_verified_by_us_and_by_the_tool_itself(
    finished: Path, receipt: Path, owner: Keys, tmp_path: Path
) -> None:
    made = told(receipt)["predicate"]["run"]["finished"]
    of = f"verified; the receipt is of {MODEL}, sha256 {sha256(finished / MODEL)}, made {made}\n"
    assert verify(finished, receipt, owner.public) == (0, of)
    code, printed = verify(finished, receipt, owner.public, "--json")
    said = {"model": MODEL, "sha256": sha256(finished / MODEL), "finished": made}
    assert (code, json.loads(printed)) == (0, {"verdict": "verified", "contradictions": [], "missing": [], **said})
    # elsewhere, under another name, without a project
    moved = shutil.copytree(receipt, tmp_path / "moved")
    code, printed = verify(tmp_path, moved, owner.public)
    assert (code, printed.splitlines()[-1]) == (3, of.strip().replace("verified", "missing"))
    assert verify(tmp_path, moved, owner.public, "--model", str(finished / MODEL)) == (0, of)
    tool = ("model_signing", "verify", "key", str(moved), "--signature", str(moved / "receipt.sig"))
    assert "succeeded" in run(tmp_path, *tool, "--public_key", str(owner.public))
    (moved / "receipt.html").write_text("")
    run(tmp_path, *tool, "--public_key", str(owner.public), fails=True)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_of_the_receipt_is_named(name: str, finished: Path, copied: Path, owner: Keys) -> None:
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(flipped(content, len(content) // 2))
    code, printed = verify(finished, copied, owner.public)
    assert (code, printed.splitlines()[-1]) == (1, "contradicted")
    assert f"contradicted: {copied / name}: " in printed
    assert not any(f"{copied / other}: " in printed for other in FILES if other != name)


def test_a_changed_byte_of_the_model_is_named(finished: Path, receipt: Path, owner: Keys, tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    model.write_bytes(flipped((finished / MODEL).read_bytes(), -9))
    code, printed = verify(finished, receipt, owner.public, "--model", str(model))
    named, verdict = printed.splitlines()
    assert (code, named) == (1, f"contradicted: {model}: not the model that the receipt is of (sha256)")
    assert verdict.startswith(f"contradicted; the receipt is of {MODEL}, sha256 {sha256(finished / MODEL)}, made ")


def test_no_byte_of_the_signature_can_be_changed(copied: Path, owner: Keys) -> None:
    path, verifier = copied / "receipt.sig", signature.verifier(owner.public)
    content = path.read_bytes()
    assert signature.contradictions(copied, verifier) == []
    for place in range(len(content)):
        path.write_bytes(flipped(content, place))
        assert signature.contradictions(copied, verifier), content[max(0, place - 20) : place + 1]
    for other in (content + b"\n", b" " + content, b""):
        path.write_bytes(other)
        assert signature.contradictions(copied, verifier)


def test_another_key_or_another_set_of_files_fails(finished: Path, copied: Path, owner: Keys, tmp_path: Path) -> None:
    code, printed = verify(finished, copied, keys(tmp_path).public)
    assert (code, printed.count("receipt.sig: not a signature by the owner of this key, or changed since")) == (1, 1)
    (copied / "more.txt").write_text("more")
    (copied / "receipt.html").unlink()
    code, printed = verify(finished, copied, owner.public)
    assert code == 1
    assert f"{copied / 'more.txt'}: not among what was signed" in printed
    assert f"{copied / 'receipt.html'}: signed, and not here" in printed


def test_a_link_to_a_receipt_is_followed_and_one_inside_is_named(
    finished: Path, copied: Path, owner: Keys, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(copied)
    assert verify(finished, tmp_path / "link", owner.public)[0] == 0
    (copied / "receipt.html").rename(tmp_path / "page")
    (copied / "receipt.html").symlink_to(tmp_path / "page")
    os.mkfifo(copied / "more")
    code, printed = verify(finished, copied, owner.public)
    assert (code, printed.splitlines()) == (
        1,
        [
            f"contradicted: {copied / 'more'}: is a pipe or device, and no file of the receipt",
            f"contradicted: {copied / 'receipt.html'}: is a link to {tmp_path / 'page'}, and no file of the receipt",
            "contradicted",
        ],
    )


def test_what_is_not_verified_has_no_receipt(project: Path, owner: Keys, tmp_path: Path) -> None:
    def refused(name: str = NAME, *more: str) -> str:
        printed = run(project, "unpaint", "receipt", name, "--to", str(tmp_path / "none"), *more, fails=True)
        assert not (tmp_path / "none").exists()
        assert not list(tmp_path.glob(".partial*"))
        return printed

    assert "seven/base: not an unlearned model; name one as CONCEPT/METHOD/seedN" in refused("seven/base")
    assert "not an unlearned model" in refused("seven/retrain/seed2")
    assert "dvc.lock names no such model" in refused("seven/none/seed0")
    assert "public.pem: not a private key to sign with" in refused(NAME, "--key", str(owner.public))
    books = (project / "dvc.lock").read_text()
    (project / "dvc.lock").write_text(books.replace("unlearn@seven-rgd-0", "unlearn@seven-rgd-1"))
    commit(project, "other books")
    (project / "dvc.lock").write_text(books)
    assert "what it says of unlearn@seven-rgd-0 is not committed; a receipt names the commit" in refused()
    commit(project, "the books again")
    (project / "results/world.parquet").unlink()
    printed = refused()
    assert f"{NAME}: missing: results/world.parquet (dvc checkout results/world.parquet)" in printed
    assert f"unpaint audit model {NAME}" in printed
    path = project / PLACE / "metrics.json"
    path.write_text(path.read_text().replace('"value": 1.0', '"value": 0.99'))
    assert f"{NAME}: contradicted: {PLACE}/metrics.json: its content is not what dvc.lock names" in refused()
    (tmp_path / "unsigned").mkdir()
    code, printed = verify(project, tmp_path / "unsigned", owner.public)
    assert (code, "receipt.json: not here, so this is no signed receipt" in printed) == (2, True)


def swap(project: Path) -> None:
    """The files of two methods' models, and in dvc.lock all but the names of these."""
    for one, other in (
        (f"results/{place.format('rgd')}", f"results/{place.format('rg')}")
        for place in ("seven/{}/seed0", "judgements/seven.{}.seed0.parquet")
    ):
        (project / one).rename(project / "between")
        (project / other).rename(project / one)
        (project / "between").rename(project / other)
    book = project / "dvc.lock"
    held = yaml.safe_load(book.read_text())
    for rule in ("unlearn", "samples", "evaluate"):
        names = [f"{rule}@seven-{method}-0" for method in ("rgd", "rg")]
        texts = [yaml.safe_dump(held["stages"][name]) for name in names]
        held["stages"][names[0]] = yaml.safe_load(re.sub(r"(?<!method: )\brg\b", "rgd", texts[1]))
        held["stages"][names[1]] = yaml.safe_load(re.sub(r"(?<!method: )\brgd\b", "rg", texts[0]))
    book.write_text(yaml.safe_dump(held, sort_keys=False))


def test_two_models_that_were_swapped_have_no_receipt(project: Path, tmp_path: Path) -> None:
    swap(project)
    commit(project, "swapped")
    # the books of each file agree: it is the commit's own settings that do not
    run(project, "unpaint", "audit", "model", NAME)
    asked = ("unpaint", "receipt", NAME, "--to", str(tmp_path / "none"))
    printed = run(project, *asked, fails=True)
    assert f"{NAME}: no commit whose dvc.lock names it has the code, data and settings that made it" in printed
    assert "params.yaml: methods.rgd" in printed
    assert not (tmp_path / "none").exists()
    again = run(project, "unpaint", "reproduce", NAME, "--last", fails=True)
    assert again.partition("in the first")[0] == printed.partition("in the first")[0]


def test_the_commit_is_the_one_that_a_reproduction_takes(project: Path, tmp_path: Path) -> None:
    made = run(project, "git", "rev-parse", "HEAD").strip()
    book = project / "dvc.lock"
    book.write_text(book.read_text() + "# as if other models had come\n")
    params = project / "params.yaml"
    params.write_text(re.sub("(?m)^threads: 1", "threads: 2", params.read_text()))
    commit(project, "later")
    run(project, "unpaint", "receipt", NAME, "--to", str(tmp_path / "receipt"))
    with contextlib.chdir(project), sqlite3.connect(":memory:") as database:
        first = next(targets(NAME, database))
    assert told(tmp_path / "receipt")["predicate"]["reproduce"]["commit"] == first.commit == made


def test_a_commit_whose_books_say_otherwise_of_what_came_before_is_not_named(project: Path, tmp_path: Path) -> None:
    """An older commit that names the same model, made from another corpus, which reproduce would take."""
    book, whole = project / "dvc.lock", (project / "dvc.lock").read_text()
    held = yaml.safe_load(whole)
    for stage in held["stages"].values():
        for one in (*stage.get("deps", []), *stage.get("outs", [])):
            one["md5"] = "0" * 32 if one["path"] == "results/seven/images/forget.parquet" else one["md5"]
    book.write_text(yaml.safe_dump(held, sort_keys=False))
    run(project, "git", "add", "-A")
    run(project, *COMMIT, "--amend", "-m", "another corpus")
    book.write_text(whole)
    commit(project, "made")
    printed = run(project, "unpaint", "receipt", NAME, "--to", str(tmp_path / "none"), fails=True)
    assert "says otherwise of encode@seven-forget than dvc.lock here" in printed


def test_no_index_that_was_handed_over_is_believed(project: Path, tmp_path: Path) -> None:
    """One that says of a changed dvc.lock and of a changed model what was true of them before."""
    run(project, "unpaint", "audit", "model", NAME)
    model, index = project / MODEL, project / ".dvc/tmp/unpaint-audit-2.sqlite"
    content = model.read_bytes()
    model.unlink()  # a file of its own, whatever DVC's cache links
    model.write_bytes(flipped(content, -9))
    with sqlite3.connect(index) as database:
        found = model.stat()
        stat = f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino} {found.st_dev}"
        database.execute("UPDATE files SET stat = ? WHERE path = ?", (stat, MODEL.encode()))
    run(project, "unpaint", "audit", "model", NAME)
    kept = index.read_bytes()
    asked = ("unpaint", "receipt", NAME, "--to", str(tmp_path / "none"))
    assert f"{MODEL}: its content is not what dvc.lock names" in run(project, *asked, fails=True)
    exported = ("unpaint", "export", NAME, "--to", str(tmp_path / "none"), "--ro-crate")
    assert f"{MODEL}: its content is not what dvc.lock names" in run(project, *exported, fails=True)
    assert index.read_bytes() == kept
    # of a dvc.lock
    model.write_bytes(content)
    book = project / "dvc.lock"
    before = blob_of(book.read_bytes())
    held = yaml.safe_load(book.read_text())
    (out,) = (one for one in held["stages"]["unlearn@seven-rgd-0"]["outs"] if one["path"] == MODEL)
    out["md5"] = "0" * 32
    book.write_text(yaml.safe_dump(held, sort_keys=False))
    with sqlite3.connect(index) as database:
        asked_of = (blob_of(book.read_bytes()), before)
        database.execute("INSERT INTO locks SELECT ?, stages FROM locks WHERE blob = ?", asked_of)
    commit(project, "another hash")
    run(project, "unpaint", "audit", "model", NAME)
    assert f"{MODEL}: its content is not what dvc.lock names" in run(project, *asked, fails=True)
    again = run(project, "unpaint", "reproduce", NAME, "--last", fails=True)
    assert f"samples@seven-rgd-0 read another {MODEL} than any stage of dvc.lock made" in again


def test_a_shallow_clone_has_none(finished: Path, tmp_path: Path) -> None:
    project = tmp_path / "shallow"
    commit_of = run(finished, "git", "rev-parse", "HEAD").strip()
    shutil.copytree(finished, project, symlinks=True)
    (project / ".git/shallow").write_text(f"{commit_of}\n")
    printed = run(project, "unpaint", "receipt", NAME, "--to", str(tmp_path / "none"), fails=True)
    assert "this clone is shallow, and a receipt is of the whole history: git fetch --unshallow" in printed


@pytest.fixture(scope="module")
def exported(finished: Path, receipt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "a crate"
    run(finished, "unpaint", "export", MODEL, "--to", str(folder), "--receipt", str(receipt), "--ro-crate")
    return folder


def forge_scores(folder: Path) -> str:
    held = told(folder)
    held["predicate"]["scores"]["model"]["RA"]["value"] = 0.925
    (folder / "receipt.json").write_text(json.dumps(held))
    return "receipt.json: says otherwise than the books do"


def forge_page(folder: Path) -> str:
    path = folder / "receipt.html"
    path.write_text(path.read_text(encoding="utf-8").replace("digit: seven", "digit: three"), encoding="utf-8")
    return "receipt.html: says otherwise than the books do"


def add_file(folder: Path) -> str:
    (folder / "more.txt").write_text("more")
    return "more.txt: is no part of a receipt"


def add_link(folder: Path) -> str:
    (folder / "receipt.sig").unlink()
    (folder / "receipt.sig").symlink_to(__file__)
    return f"receipt.sig: is a link to {__file__}, and no file of the receipt"


def take_signature_of_another(folder: Path) -> str:
    path = folder / "receipt.sig"
    held = json.loads(path.read_text())
    payload = base64.b64decode(held["dsseEnvelope"]["payload"]).decode()
    payload = payload.replace(sha256(folder / "receipt.html"), "0" * 64)
    held["dsseEnvelope"]["payload"] = base64.b64encode(payload.encode()).decode()
    path.write_text(json.dumps(held))
    return "receipt.html: its content is not what was signed"


@pytest.mark.parametrize("forge", [forge_scores, forge_page, add_file, add_link, take_signature_of_another])
def test_an_export_takes_nothing_but_a_receipt_of_the_books(
    forge: Callable[[Path], str], finished: Path, copied: Path, tmp_path: Path
) -> None:
    said = forge(copied)
    asked = ("unpaint", "export", NAME, "--to", str(tmp_path / "exported"), "--receipt", str(copied))
    assert f"{copied}/{said}" in run(finished, *asked, fails=True)
    assert not (tmp_path / "exported").exists()


def test_an_export_of_no_model_is_refused(finished: Path, tmp_path: Path) -> None:
    printed = run(finished, "unpaint", "export", "seven/none/seed0", "--to", str(tmp_path / "exported"), fails=True)
    assert "seven/none/seed0: no file of a model, and no model of results/" in printed


def test_an_export_has_a_card_of_data_scores_and_receipt(finished: Path, exported: Path, receipt: Path) -> None:
    held = told(receipt)["predicate"]
    card = ModelCard.load(exported / "README.md", ignore_metadata_errors=False)
    assert card.data.base_model is None  # of no repository
    values = {one.metric_type: one.metric_value for one in card.data.eval_results}
    assert values == {name: score["value"] for name, score in scores(finished / PLACE / "metrics.json").items()}
    for text in (sha256(receipt / "receipt.json"), held["data"]["root"], sha256(finished / MODEL)):
        assert text in card.text
    assert "| to forget | 8 pictures, painted by the base model |" in card.text
    assert "`DiffusionPipeline.from_pretrained('FOLDER', torch_dtype=torch.float32)` loads it." in card.text
    assert {path.name for path in (exported / "receipt").iterdir()} == set(FILES)


def entity(crate: ROCrate, identifier: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = crate.dereference(identifier)
    return found


def test_an_export_is_a_crate_of_the_run(finished: Path, exported: Path, receipt: Path) -> None:
    held = told(receipt)["predicate"]
    crate = ROCrate(exported)
    assert crate.mainEntity.id == "run/Snakefile"
    assert (exported / "run/params.yaml").read_text() == (finished / "params.yaml").read_text()
    made = entity(crate, "#unlearn")
    assert made["instrument"].id == "run/Snakefile"
    settings = {one["name"]: one["value"] for one in made["object"] if one.type == "PropertyValue"}
    assert settings.keys() == {"concept", "forget", "seed", *held["asked"]["method"]["settings"]}
    assert settings["steps"] == "2"
    read = {one["sha256"] for one in made["object"] if one.type == "File"}
    assert read == {one["sha256"] for one in held["data"]["sets"]} | {held["data"]["base"]["sha256"]}
    assert {one["sha256"] for one in made["result"]} == {
        sha256(finished / MODEL),
        sha256(finished / PLACE / "metrics.json"),
    }
    note = json.loads((finished / f"{MODEL}.run.json").read_text())
    assert made["endTime"] == note["finished"]
    there = {one.id: one["sha256"] for one in crate.data_entities if not one.id.startswith("ni:")}
    files = [path for path in exported.rglob("*") if path.is_file() and path.name != "ro-crate-metadata.json"]
    assert there == {path.relative_to(exported).as_posix(): sha256(path) for path in files}


@pytest.mark.skipif(not VALIDATOR.is_dir(), reason="`make test` installs the validator of crates")
def test_the_crate_is_valid(exported: Path, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    run(tmp_path, str(VALIDATOR / "python"), str(CONTEXT), cache)
    asked = ("-y", "validate", "--offline", "--cache-path", cache, "-np", "-p", "workflow-run-crate-0.5")
    report = tmp_path / "report.json"
    validator = (str(VALIDATOR / "rocrate-validator"), *asked, "-f", "json", "-o", str(report))
    # of a path with a space it says that it holds no crate
    crate = shutil.copytree(exported, tmp_path / "crate")
    run(tmp_path, *validator, str(crate))
    found = json.loads(report.read_text())
    assert (found["passed"], found["issues"]) == (True, [])
    # it can tell
    path = crate / "ro-crate-metadata.json"
    path.write_text(path.read_text().replace('"instrument"', '"tool"'))
    run(tmp_path, *validator, str(crate), fails=True)


def test_an_export_without_books_is_as_ever(project: Path, tmp_path: Path) -> None:
    (project / "results/world.parquet").unlink()
    printed = run(project, "unpaint", "export", MODEL, "--to", str(tmp_path / "plain"))
    assert "note: the card names neither data nor scores: seven/rgd/seed0: missing: results/world.parquet" in printed
    assert f"load it with DiffusionPipeline.from_pretrained('{tmp_path}/plain', torch_dtype=torch.float32)" in printed
    assert (tmp_path / "plain/README.md").read_bytes() == (project / PLACE / "README.md").read_bytes()
    printed = run(project, "unpaint", "export", MODEL, "--to", str(tmp_path / "no"), "--ro-crate", fails=True)
    assert "missing: results/world.parquet" in printed
    assert not (tmp_path / "no").exists()


def test_what_is_written_is_told_to_machines(finished: Path, receipt: Path, tmp_path: Path) -> None:
    model = {"model": MODEL, "sha256": sha256(finished / MODEL)}
    folder = tmp_path / "receipt"
    said = json.loads(run(finished, "unpaint", "receipt", NAME, "--to", str(folder), "--json"))
    digest = sha256(receipt / "receipt.json")
    assert said == {**model, "folder": str(folder), "receipt_sha256": digest, "signed": False}
    folder = tmp_path / "exported"
    said = json.loads(run(finished, "unpaint", "export", NAME, "--to", str(folder), "--json"))
    assert said.pop("load").startswith(f"DiffusionPipeline.from_pretrained('{folder}'")
    assert said == {**model, "folder": str(folder), "card": True}


def test_an_export_refuses_the_receipt_of_another_model(finished: Path, receipt: Path, tmp_path: Path) -> None:
    other, base = finished / MODEL.replace("rgd", "graddiff"), finished / "results/base/base.json"
    with pytest.raises(UserError, match=r"graddiff/seed0/model.safetensors: not the model that the receipt is of"):
        export(other, base, tmp_path / "other", statement.read(receipt), receipt=receipt)
    assert not (tmp_path / "other").exists()
