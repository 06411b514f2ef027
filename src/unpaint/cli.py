"""`unpaint`: the verbs around the two engines. The stages themselves are rules; see `python -m unpaint.stages NAME`."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from pathlib import Path

import click

from unpaint.errors import UserError

DEFECT, UNWRITTEN, STOPPED, UNREAD = 70, 74, 130, 141
"""Exit codes, by sysexits.h and as shells have them for SIGINT and SIGPIPE."""
FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="unpaint")
def cli() -> None:
    """Take a concept out of a text-to-image model, and show which data did it."""


@cli.command()
@click.option("--params", "params_only", is_flag=True, help="Check params.yaml alone.")
def check(params_only: bool) -> None:
    """Check params.yaml, the repository, and that both engines have the same graph."""
    from unpaint.lineage import engines
    from unpaint.params import JudgeTraining, load
    from unpaint.params.notes import notes
    from unpaint.train import tower

    params = load(Path("params.yaml"))
    if params_only:
        return
    for note in notes(params):
        click.echo(f"note: {note}", err=True)
    if isinstance(params.judge, JudgeTraining):
        tower.refuse_unknown(params.judge.image_tower)
    rules, stages = engines.rules(), engines.stages()
    if found := engines.differences(rules, stages):
        raise UserError("the graphs of Snakemake and DVC differ:\n" + "\n".join(found))
    click.echo(f"params.yaml is sound; Snakemake and DVC have the same {len(rules)} jobs.")


@cli.command()
@click.option("--json", "machine", is_flag=True, help="For machines: a list of objects.")
def families(machine: bool) -> None:
    """List the families of base models that a checkpoint may be of."""
    import json

    from unpaint.models.families import FAMILIES

    if machine:
        told = [{"name": one.name, "pipeline": one.pipeline, "network": one.network} for one in FAMILIES]
        click.echo(json.dumps(told, indent=2))
        return
    for one in FAMILIES:
        click.echo(f"{one.name} ({one.pipeline}): its {one.network} unlearns")


@cli.command()
@click.argument("source")
@click.option("--revision", help="Of a repository of the Hub: the commit, branch or tag. The current one, if left out.")
@click.option("--name", help="Of the pin, data/checkpoints/NAME.json.")
@click.option("--side", type=click.IntRange(min=8), help="Of its pictures, in pixels. As trained, if left out.")
@click.option("--judge", is_flag=True, help="As the judge: an open_clip model, also MODEL/TAG of open_clip's list.")
@click.option("--language", is_flag=True, help="As a language model that proposes values.")
@click.option("--dataset", is_flag=True, help="A labelled data set in Parquet, as a world.")
def pin(
    source: str, revision: str | None, name: str | None, side: int | None, judge: bool, language: bool, dataset: bool
) -> None:
    """Pin SOURCE, a checkpoint in a folder here or OWNER/NAME of the Hub, as a base model: its files, hash by hash."""
    from unpaint import pin, published

    if (judge or language or dataset) and side:
        raise UserError("--side: is for base models; leave it out")
    if judge + language + dataset > 1:
        raise UserError("--judge, --language, --dataset: give one of them")
    if dataset:
        from unpaint.worlds import dataset as datasets

        path = datasets.pin(source, revision, name)
        click.echo(
            f"pinned: {path}. Commit it, and write into params.yaml:\n"
            f'world: {{ kind: dataset, source: {path}, side: 32, caption: "a {{COLUMN}}", images: ... }}'
        )
        return
    if judge:
        path = published.pin(source, revision, name)
        click.echo(f"pinned: {path}. Commit it, and write into params.yaml:\njudge: {{ source: {path} }}")
        return
    if language:
        from unpaint import language as languages

        path = languages.pin(source, revision, name)
        click.echo(f"pinned: {path}. Commit it, and name it in params.yaml: proposals (docs/params.md)")
        return
    path = pin.pin(source, revision, name, side)
    click.echo(
        f"pinned: {path}. Commit it. If params.yaml does not name it yet, write there:\n"
        f"base: {{ source: {path}, precision: float32 }} # or bfloat16, float16; "
        "under models it is another's, to be scored\n"
        "oracles: { concepts: [], seeds: [] }"
    )


@cli.command()
def fetch() -> None:
    """Bring the models and the data set that params.yaml names into the Hub's cache here; jobs need no network then."""
    from unpaint.params import Dataset, Pinned, Published, load
    from unpaint.sources import CHECKPOINTS, DATASETS, JUDGES, LANGUAGE_MODELS

    params = load(Path("params.yaml"))
    if isinstance(params.world, Dataset):
        click.echo(f"the world is in {DATASETS.fetch(Path(params.world.source))}")
    if isinstance(params.base, Pinned):
        click.echo(f"the checkpoint is in {CHECKPOINTS.fetch(Path(params.base.source))}")
    if isinstance(params.judge, Published):
        click.echo(f"the judge is in {JUDGES.fetch(Path(params.judge.source))}")
    for name, proposal in params.proposals.items():
        click.echo(f"what proposes for {name} is in {LANGUAGE_MODELS.fetch(Path(proposal.model))}")
    for name, model in params.models.items():
        click.echo(f"the model {name} is in {CHECKPOINTS.fetch(Path(model.source))}")
    if not params.brought:
        click.echo("what is trained here needs no fetching.")


@cli.command()
@click.argument("params", type=FILE, default="params.yaml")
def plan(params: Path) -> None:
    """Say what PARAMS (params.yaml, or a preset) asks for: models to load, pictures, steps, GPU time, disk."""
    from unpaint.plan import plan

    click.echo(plan(params))


@cli.command()
@click.argument("file", type=FILE)
def overlay(file: Path) -> None:
    """Merge the settings of FILE into params.yaml, such as presets/tiny.yaml; "*" is every entry, <=6 at most 6."""
    from unpaint.overlay import overlay

    overlay(Path("params.yaml"), file)
    click.echo(f"merged {file} into params.yaml.")


@cli.command()
@click.option("--cores", type=click.IntRange(min=1), default=os.cpu_count() or 1, show_default=True)
def progress(cores: int) -> None:
    """Say how many jobs of the campaign are done, and about how long the rest will take; also while it runs."""
    from unpaint.lineage.progress import line

    click.echo(line(cores))


@cli.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def warm(command: tuple[str, ...]) -> None:
    """Run COMMAND (such as `snakemake --cores all`), importing torch and diffusers once for all its jobs here."""
    from unpaint.params import load
    from unpaint.warm import run

    threads = load(Path("params.yaml")).threads
    try:
        sys.exit(run(list(command), threads))
    except OSError as error:
        raise UserError(f"{command[0]} cannot be started: {error.strerror}") from None


@cli.command()
def record() -> None:
    """Write what Snakemake has made into DVC's books; refuses while anything is out of date."""
    from unpaint.lineage.bridge import record

    click.echo(f"recorded: dvc.lock names the hashes of {record()} stages.")
    click.echo(
        "Now `git add dvc.lock results` (git keeps the small text files) and commit, then `dvc push` to a remote."
    )


@cli.command()
def restore() -> None:
    """Bring back what dvc.lock names (after git checkout, clone and pull), for both engines."""
    from unpaint.lineage.bridge import restore

    stages, missing = restore()
    click.echo(f"restored: {stages} stages are as dvc.lock names them.")
    if missing:
        click.echo(f"{len(missing)} files are not in the cache and stay missing; `dvc pull` brings them.")


@cli.command()
def merge() -> None:
    """Resolve dvc.lock after a git merge that stopped at it: each stage from the side that changed it."""
    from unpaint.lineage.merge import merge

    both = merge()
    click.echo("merged: dvc.lock has each stage from the side that changed it.")
    if both:
        click.echo(f"Both sides changed {', '.join(both)}: ours are taken.")
    click.echo(
        "Now resolve params.yaml; then `dvc pull`, `dvc repro` (it makes what fits neither side), `unpaint restore`, "
        "`git add -A` and commit."
    )


@cli.group()
def audit() -> None:
    """Ask which data made a model, or which models a piece of data made. Nothing is run or changed."""


@audit.command("model")
@click.argument("name", required=False)
@click.option("--full", is_flag=True, help="Read every file again, whether it has changed or not.")
@click.option("--json", "machine", is_flag=True, help="For machines.")
def audit_model(name: str | None, full: bool, machine: bool) -> None:
    """Hold a model and all that it was made from against every book that names them.

    NAME is CONCEPT/METHOD/seedN, or a folder above (CONCEPT, CONCEPT/METHOD); a stage; a file of results/, or a copy of
    one; all that dvc.lock names, if it is left out. Exit code: 0 verified, 3 something is missing, 1 contradicted.
    """
    import json

    from unpaint.audit import hashes, text
    from unpaint.audit.model import audit
    from unpaint.audit.verdict import EXIT

    with hashes.index(anew=full) as database:
        found = audit(name, database)
    click.echo(json.dumps(text.as_fields(found), indent=2) if machine else text.as_text(found))
    sys.exit(EXIT[text.verdict(found)])


@audit.command("data")
@click.argument("query")
@click.option("--full", is_flag=True, help="Read all of git's history again.")
@click.option("--json", "machine", is_flag=True, help="For machines.")
def audit_data(query: str, full: bool, machine: bool) -> None:
    """Find what QUERY is in every corpus, now and in history, and all that was made of it.

    QUERY is the sha256 of a picture, a picture's file, the text of a prompt, or the id of a pair. Exit code: 0 it is
    somewhere, 1 nowhere, 3 nowhere in what could be searched.
    """
    import json
    from dataclasses import asdict

    from unpaint.audit import hashes, text, withdrawn
    from unpaint.audit.data import audit
    from unpaint.audit.verdict import EXIT

    with hashes.index(anew=full) as database:
        found, remarks = audit(query, database)
    found = withdrawn.told(query, found)
    for remark in remarks:
        click.echo(f"note: {remark}", err=True)
    whole = not remarks
    told = [asdict(one) for one in found]
    click.echo(json.dumps(told, indent=2) if machine else text.told_of_data(query, found, whole=whole))
    sys.exit(0 if found else EXIT["contradicted" if whole else "missing"])


@cli.command()
@click.argument("query", required=False)
@click.option("--why", default="", help="The reason that its tombstone names, such as the number of a request.")
@click.option("--concept", help="The one concept to withdraw it from; from all, if left out.")
@click.option("--json", "machine", is_flag=True, help="For machines.")
def withdraw(query: str | None, why: str, concept: str | None, machine: bool) -> None:
    """Withdraw QUERY from every corpus: a picture, a prompt, a pattern of prompts with *, or a pair. Nothing is run.

    QUERY is what `unpaint audit data` takes, or such a pattern. Without it, say what is out of date already, and keep
    its pictures: in a clone that got its tombstones by git.
    """
    import json

    from unpaint.audit import hashes
    from unpaint.audit.data import refuse_bytes
    from unpaint.withdraw import text, withdraw

    if query is not None:
        if not query.strip():
            raise UserError("QUERY is blank (a shell variable without a value?); without one, leave it out")
        if not why.strip():
            raise UserError("--why: give the reason, such as the number of a request")
        refuse_bytes(why)
    with hashes.index() as database:
        done = withdraw(query, why, concept, database)
    click.echo(json.dumps(text.as_fields(done), indent=2) if machine else text.as_text(done))


@cli.command()
@click.argument("one")
@click.argument("other")
@click.option("--json", "machine", is_flag=True, help="For machines.")
def diff(one: str, other: str, machine: bool) -> None:
    """Say what two models (CONCEPT/METHOD/seedN) differ in: data, settings, code, environment, scores.

    Exit code: 0, or 1 if an audit of either is contradicted, which comes first.
    """
    import json
    from dataclasses import asdict

    from unpaint.audit import hashes
    from unpaint.audit.difference import CONTRADICTED, as_text, difference

    with hashes.index() as database:
        found = difference(one, other, database)
    click.echo(json.dumps([asdict(each) for each in found], indent=2) if machine else as_text(found))
    sys.exit(1 if any(each.of == CONTRADICTED for each in found) else 0)


@cli.command()
@click.argument("name")
@click.option("--last", is_flag=True, help="Only its own stages, from what DVC's cache has of those before.")
@click.option("--keep", type=click.Path(path_type=Path), help="A new folder for the clone, which then stays.")
@click.option("--cores", type=click.IntRange(min=1), default=os.cpu_count() or 1, show_default=True)
@click.option("--json", "machine", is_flag=True, help="For machines.")
def reproduce(name: str, last: bool, keep: Path | None, cores: int, machine: bool) -> None:
    """Make a model again in a clone of the commit whose dvc.lock names it, and compare every file, bit by bit.

    NAME is CONCEPT/METHOD/seedN; a file of results/ or a stage, then without its scores; or a copy of a model, from any
    commit. Exit code: 0 the bits are the same, 3 every score is within its interval though bits differ, 1 neither.
    """
    import json
    import signal

    from unpaint.reproduce import comparison, reproduce, text

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the clone is deleted
    found = reproduce(name, cores, last=last, keep=keep)
    click.echo(json.dumps(text.as_fields(found), indent=2) if machine else text.after(found))
    sys.exit({comparison.BITS: 0, comparison.SCORES: 3, comparison.NOT: 1}[found.verdict])


@cli.command()
@click.argument("name")
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="The folder to write.")
@click.option("--key", type=FILE, help="A private key in PEM, kept outside the project, to sign with.")
@click.option("--json", "machine", is_flag=True, help="For machines.")
def receipt(name: str, folder: Path, key: Path | None, machine: bool) -> None:
    """Write the receipt of NAME, an unlearned model (CONCEPT/METHOD/seedN).

    It says what was asked, on which data (by hash and count), and how that scored; `unpaint audit model NAME` must say
    that all is verified, and `unpaint reproduce NAME` find a commit to make it from.
    """
    import json

    from unpaint import receipt
    from unpaint.lineage.manifest import sha256
    from unpaint.receipt.folder import PAGE
    from unpaint.receipt.statement import NAME, read, subject_of

    if key and key.resolve().is_relative_to(Path.cwd()):
        click.echo(f"note: {key} lies in this project; keep a private key where git cannot take it", err=True)
    receipt.write(name, folder, key)
    if machine:
        model, digest = subject_of(read(folder))
        told = {"model": model, "sha256": digest, "folder": str(folder), "receipt_sha256": sha256(folder / NAME)}
        click.echo(json.dumps({**told, "signed": key is not None}, indent=2))
        return
    click.echo(f"receipt: {folder}/{PAGE}; sha256 of {NAME}: {sha256(folder / NAME)}")
    click.echo("signed; `unpaint verify` holds it against the public key." if key else "not signed: give a --key.")


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--key", type=FILE, required=True, help="The public key in PEM of whoever signed it.")
@click.option("--model", type=FILE, help="The model's file; where the receipt says, if left out.")
@click.option("--json", "machine", is_flag=True, help="For machines.")
def verify(folder: Path, key: Path, model: Path | None, machine: bool) -> None:
    """Verify a receipt: its signature, each of its files, and the model that it is of.

    Exit code: 0 verified, 3 the model is not here, 1 contradicted.
    """
    import json
    from dataclasses import asdict

    from unpaint.audit.verdict import EXIT
    from unpaint.receipt.verify import verify

    found = verify(folder, key, model)
    if machine:
        click.echo(json.dumps({"verdict": found.verdict, **asdict(found)}, indent=2))
        sys.exit(EXIT[found.verdict])
    for text in found.contradictions:
        click.echo(f"contradicted: {text}")
    for text in found.missing:
        click.echo(f"missing: {text}")
    click.echo(f"{found.verdict}{found.of}")
    sys.exit(EXIT[found.verdict])


@cli.command()
@click.argument("name")
@click.option(
    "--base", type=FILE, default="results/base/base.json", show_default=True, help="The base model's base.json."
)
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="The folder to write.")
@click.option(
    "--receipt", type=click.Path(path_type=Path, exists=True, file_okay=False), help="A receipt to go with it."
)
@click.option("--ro-crate", "as_crate", is_flag=True, help="Make the folder a Workflow Run RO-Crate.")
@click.option("--json", "machine", is_flag=True, help="For machines.")
def export(name: str, base: Path, folder: Path, receipt: Path | None, as_crate: bool, machine: bool) -> None:
    """Write NAME, a model's file or CONCEPT/METHOD/seedN, as a folder that diffusers loads.

    Its card has data and scores where a receipt could be; one that goes along must be what the books give, and nothing
    else in its folder.
    """
    import json

    from unpaint.audit.model import MODEL
    from unpaint.lineage.manifest import sha256
    from unpaint.receipt import statement
    from unpaint.receipt.folder import hold

    model = next((path for path in (Path(name), Path(f"results/{name}{MODEL}")) if path.is_file()), None)
    if model is None:
        raise UserError(f"{name}: no file of a model, and no model of results/ (CONCEPT/METHOD/seedN)")
    told = None
    try:
        told = statement.state(str(model))
    except UserError as error:
        if as_crate or receipt:
            raise
        click.echo(f"note: the card names neither data nor scores: {error}", err=True)
    if told and receipt:
        hold(receipt, told)
    # it imports torch
    from unpaint.export import export

    how = export(model, base, folder, told, receipt=receipt, as_crate=as_crate)
    if machine:
        made = {
            "model": str(model),
            "sha256": sha256(model),
            "folder": str(folder),
            "load": how,
            "card": told is not None,
        }
        click.echo(json.dumps(made, indent=2))
        return
    click.echo(f"exported to {folder}; load it with {how}")


def main() -> None:
    """Run the command line; an error meant for the user is a paragraph and exit code 2.

    No other failure ends with a code that is an answer: 70 for one of the program, 74 for an output that cannot be
    written, 130 and 141 when it was stopped, or nobody reads on.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files need not be texts
    output, code = sys.stdout, 0
    try:
        answered = cli.main(standalone_mode=False)
        code = answered if isinstance(answered, int) else 0  # of --help and --version
        output.flush()
    except SystemExit:
        if not type(sys.stdout).__name__.endswith("PacifyFlushWrapper"):
            raise
        code = _unwritten(BrokenPipeError(errno.EPIPE, ""))  # click has put another in its place, and says 1
    except UserError as error:
        print(f"unpaint: {error}", file=sys.stderr)
        code = 2
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("unpaint: stopped", file=sys.stderr)
        code = STOPPED
    except Exception as error:
        code = _failed(error)
    sys.exit(code)


def _failed(error: Exception) -> int:
    """The exit code of what no user did."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EPIPE):
        return _unwritten(error)
    traceback.print_exc()
    print("unpaint: internal error: the program is at fault; show its makers the lines above", file=sys.stderr)
    return DEFECT


def _unwritten(error: OSError) -> int:
    """The exit code of an output that cannot be written, which is said unless nobody reads it."""
    if sys.__stdout__:  # what is left in its buffer goes nowhere, in silence
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
    if error.errno == errno.EPIPE:
        return UNREAD
    print(f"unpaint: {error.filename or 'the output'}: {error.strerror}", file=sys.stderr)
    return UNWRITTEN
