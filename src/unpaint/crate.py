"""A Workflow Run RO-Crate of an exported pipeline: the run that made its weights, for whoever archives it.

It follows the profiles Process Run Crate and Workflow Run Crate 0.5 and Workflow RO-Crate 1.0, on RO-Crate 1.1. Data
that is not in the folder stands in it by a name made of its sha256 (RFC 6920).
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unpaint.errors import UserError
from unpaint.lineage.git import content, git
from unpaint.lineage.manifest import sha256
from unpaint.receipt.statement import subject_of

if TYPE_CHECKING:
    from rocrate.model.contextentity import ContextEntity
    from rocrate.model.entity import Entity
    from rocrate.rocrate import ROCrate

RUN = "run"
"""The folder of what was run, as the commit has it whose dvc.lock names the model."""
SCORES = "metrics.json"
WORKFLOW = ("Snakefile", "params.yaml", "dvc.yaml", "dvc.lock", "requirements.lock", "workflow")
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
KINDS = {
    ".json": "application/json",
    ".html": "text/html",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".safetensors": "application/octet-stream",
    ".sig": "application/json",
    ".yaml": "application/yaml",
}
LICENSE = "The weights: as their base model and its data. The workflow: Apache-2.0"


def describe(folder: Path, statement: Mapping[str, Any], network: str) -> None:
    """Make an exported folder a crate: bring what was run, and write ro-crate-metadata.json.

    Args:
        statement: of the model, as a receipt has it.
        network: the subfolder of the unlearned network.

    Raises:
        UserError: the package is not installed; the commit is not in this clone.
    """
    try:
        from rocrate.rocrate import ROCrate
    except ImportError:
        raise UserError("--ro-crate needs a package more: pip install '.[receipt]'") from None
    told = statement["predicate"]
    _bring(folder / RUN, statement)
    crate = ROCrate(version="1.1")
    crate.metadata.extra_terms.update(TERMS)
    files = _files(crate, folder)
    workflow = _workflow(crate, files, told["reproduce"]["commit"])
    made = _run(crate, workflow, statement, files[f"{RUN}/{SCORES}"])
    export = _export(crate, made, [one for name, one in files.items() if name.startswith(f"{network}/")])
    _root(crate, told, workflow, [made, export])
    crate.metadata.write(folder)


def _bring(folder: Path, statement: Mapping[str, Any]) -> None:
    """The workflow as the commit has it, and the scores.

    Raises:
        UserError: the commit, or the scores that the statement names, are not here.
    """
    told = statement["predicate"]
    commit = told["reproduce"]["commit"]
    for name in git("ls-tree", "-r", "-z", "--name-only", commit, "--", *WORKFLOW).split("\0"):
        if name:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content("show", f"{commit}:./{name}"))
    scores = Path(subject_of(statement)[0]).with_name(SCORES)
    if not scores.is_file() or sha256(scores) != told["scores"]["files"][str(scores)]:
        raise UserError(f"{scores}: not here as the receipt names it; a crate is made in the project, as it was then")
    shutil.copyfile(scores, folder / SCORES)


def _files(crate: ROCrate, folder: Path) -> dict[str, Entity]:
    """Every file of the folder, with its size and sha256, by path."""
    from rocrate.model.computationalworkflow import ComputationalWorkflow
    from rocrate.model.file import File

    found = {}
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        name = path.relative_to(folder).as_posix()
        fields = {
            "name": name,
            "contentSize": str(path.stat().st_size),
            "sha256": sha256(path),
            "encodingFormat": KINDS.get(path.suffix, "text/plain"),
        }
        of = ComputationalWorkflow if name == f"{RUN}/Snakefile" else File
        found[name] = crate.add(of(crate, dest_path=name, properties=fields))
    found["README.md"]["about"] = crate.root_dataset
    return found


def _workflow(crate: ROCrate, files: Mapping[str, Entity], commit: str) -> Entity:
    from rocrate.model.computerlanguage import snakemake

    workflow = files[f"{RUN}/Snakefile"]
    workflow["name"] = "Unpaint"
    workflow["description"] = "Takes a concept out of a text-to-image model; the stages are rules in workflow/rules"
    workflow["programmingLanguage"] = crate.add(snakemake(crate))
    workflow["version"] = commit
    workflow["license"] = "https://spdx.org/licenses/Apache-2.0"
    workflow["conformsTo"] = {"@id": BIOSCHEMAS}
    return workflow


def _run(crate: ROCrate, workflow: Entity, statement: Mapping[str, Any], metrics: Entity) -> Entity:
    """The run that made the weights: what it read, at which settings, and what came out."""
    told = statement["predicate"]
    name, digest = subject_of(statement)
    asked, run = told["asked"], told["run"]
    read = {f"{one['set']}-set": _data(crate, one["path"], one["sha256"]) for one in told["data"]["sets"]}
    read["base"] = _data(crate, told["data"]["base"]["path"], told["data"]["base"]["sha256"])
    settings = {"concept": asked["concept"], "forget": asked["forget"], "seed": asked["seed"]}
    for key, value in (settings | asked["method"]["settings"]).items():
        read[key] = _add(crate, f"#setting-{key}", "PropertyValue", name=key, value=_text(value))
    result = {"model": _data(crate, name, digest), "metrics": metrics}
    workflow["input"] = [_parameter(crate, "input", key, value) for key, value in read.items()]
    workflow["output"] = [_parameter(crate, "output", key, value) for key, value in result.items()]
    finished = datetime.fromisoformat(run["finished"]).astimezone(UTC)
    return _add(
        crate,
        "#unlearn",
        "CreateAction",
        name=f"Unlearning of {asked['concept']} by {asked['method']['name']}, seed {asked['seed']}",
        description=f"On {run['environment']['device']}; code of commit {run['commit']}. To make it again: "
        f"{told['reproduce']['command']}",
        instrument=workflow,
        object=list(read.values()),
        result=list(result.values()),
        startTime=(finished - timedelta(seconds=run["seconds"])).isoformat(timespec="seconds"),
        endTime=finished.isoformat(timespec="seconds"),
        actionStatus="http://schema.org/CompletedActionStatus",
    )


def _export(crate: ROCrate, made: Entity, network: list[Entity]) -> Entity:
    """How the weights became the pipeline of this folder."""
    tool = _add(crate, "#unpaint", "SoftwareApplication", name="unpaint export", softwareVersion=version("unpaint"))
    return _add(
        crate,
        "#export",
        "CreateAction",
        name="Export as a pipeline",
        description="The unlearned weights in the base model's network, in float32",
        instrument=tool,
        object=made["result"][0],
        result=network if len(network) > 1 else network[0],
    )


def _root(crate: ROCrate, told: Mapping[str, Any], workflow: Entity, actions: list[Entity]) -> None:
    asked, root = told["asked"], crate.root_dataset
    root["name"] = f"{asked['concept']}, unlearned by {asked['method']['name']}"
    root["description"] = (
        "A text-to-image pipeline from which a concept was taken, and the run that did it. Pictures that it learnt "
        "from are not here; they stand by their hashes."
    )
    # else it is now, and no two exports are the same
    root["datePublished"] = told["run"]["finished"]
    root["license"] = _add(crate, "#license", "CreativeWork", name="Licences", description=LICENSE)
    root["mainEntity"] = workflow
    root["mentions"] = actions
    root["conformsTo"] = [
        _add(crate, profile, "CreativeWork", name=name, version=edition)
        for profile, (name, edition) in PROFILES.items()
    ]
    crate.metadata["conformsTo"] = [{"@id": "https://w3id.org/ro/crate/1.1"}, {"@id": [*PROFILES][-1]}]


def _data(crate: ROCrate, path: str, digest: str) -> Entity:
    """A file that is not in the crate."""
    from rocrate.model.file import File

    fields = {"name": path, "sha256": digest, "encodingFormat": KINDS[Path(path).suffix]}
    name = base64.urlsafe_b64encode(bytes.fromhex(digest)).decode().rstrip("=")
    return crate.add(File(crate, f"ni:///sha-256;{name}", properties=fields))


def _parameter(crate: ROCrate, kind: str, key: str, value: Entity) -> Entity:
    """The workflow's parameter that a value of the run stands for."""
    fields = {"name": key, "additionalType": value["@type"], "workExample": value}
    parameter = _add(crate, f"#{kind}-{key}", "FormalParameter", **fields)
    value["exampleOfWork"] = parameter
    return parameter


def _text(value: Any) -> str:
    return " ".join(map(str, value.values())) if isinstance(value, dict) else str(value)


def _add(crate: ROCrate, identifier: str, kind: str, **fields: Any) -> ContextEntity:
    from rocrate.model.contextentity import ContextEntity

    return crate.add(ContextEntity(crate, identifier, properties={"@type": kind, **fields}))
