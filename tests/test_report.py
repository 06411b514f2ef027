"""The summary of a model and the report of a campaign, made from files that the real writers wrote."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

import unpaint
from unpaint import corpus
from unpaint.corpus import Row
from unpaint.diversify.grammar import Grammar, Prompt, expand
from unpaint.errors import UserError
from unpaint.evaluate import judgements, statistics
from unpaint.evaluate.judgements import Judgements
from unpaint.evaluate.scores import score
from unpaint.lineage import stage
from unpaint.lineage.manifest import KEY, Manifest, write_json, write_text
from unpaint.report.campaign import DASH, METRICS, MINUS
from unpaint.stages import summary as summary_stage
from unpaint.stages.report import report
from unpaint.stages.summary import COLUMNS, summary

GRAMMAR: dict[str, Any] = {
    "template": "a {ink} {digit} at the {place} of a {ground} square",
    "values": {
        "digit": {"train": ["zero", "one", "two", "three", "four"], "test": ["five", "six", "seven", "eight", "nine"]},
        "ink": {"train": ["red", "white"], "test": ["orange", "green", "blue", "pink", "black", "gray"]},
        "ground": {"train": ["blue", "gray"], "test": ["red", "yellow", "cyan", "purple", "brown", "white"]},
        "place": {"train": ["centre", "top"], "test": ["bottom", "left", "right"]},
    },
    "distinct": [["ink", "ground"]],
}
SHOWS = {"base": 0.985, "rgd": 0.02, "rg": 0.13, "graddiff": 0.01, "retrain": 0.0}
RIGHT = {"base": 0.985, "rgd": 0.97, "rg": 0.975, "graddiff": 0.84, "retrain": 0.98}
Paint = Callable[[dict[str, str], dict[str, str | None], int], Any]


def plain(asked: dict[str, str], answers: dict[str, str | None], seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def counts(prompts: int, forget: int, retain: int) -> dict[str, Any]:
    images = {"forget": forget, "retain": retain}
    return {"prompts": prompts, "replacement": "value", "images_per_prompt": images}


class World:
    """A campaign's files under `root`, as the stages before the summary would have left them."""

    def __init__(
        self, root: Path, *, prompts: int = 6, forget: int = 3, retain: int = 4, steps: int = 50, paint: Paint = plain
    ) -> None:
        self.root, self.prompts, self.counts, self.steps, self.paint = root, prompts, (forget, retain), steps, paint
        self.hashes: dict[str, str] = {}
        self.inks: dict[str, str] = {}
        self.before: dict[str, Judgements] = {}
        self.commit = "0123456789abcdef0123456789abcdef01234567"

    def note(self, path: str, name: str, outputs: Sequence[str], settings: dict[str, Any], **inputs: str) -> Path:
        """The run note of a stage; artefacts get invented hashes, inputs those of earlier stages."""
        random = Random(path)
        made = {role: hashlib.sha256(f"{path}/{role}".encode()).hexdigest() for role in outputs}
        self.hashes |= {f"{path}/{role}": sha for role, sha in made.items()}
        manifest = Manifest(name, settings, {role: self.hashes[key] for role, key in inputs.items()})
        note = {
            "outputs": made,
            "manifest": manifest.as_dict(),
            "finished": f"2026-11-24T0{random.randrange(10)}:{random.randrange(10, 60)}:00+00:00",
            "seconds": round(random.uniform(5, 400), 2),
            "peak_memory_mb": random.randrange(400, 2400),
            "device": "cpu",
            "commit": self.commit,
            "dirty": False,
            "python": "3.11.2",
            "platform": "Linux x86_64",
            "packages": {"torch": "2.14.1", "diffusers": "0.42.1"},
        }
        target = self.root / f"{path}.run.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_json(target, note)
        return target

    def summaries(self, concepts: dict[str, str], methods: Sequence[str], seeds: Sequence[int]) -> list[Path]:
        shared = [
            self.note("world.parquet", "world", ["corpus"], {"seed": 0}),
            self.note(
                "base/base.json",
                "base",
                ["base"],
                {"seed": 0, "base": {"source": "results/world.parquet"}},
                source="world.parquet/corpus",
            ),
            self.note(
                "judge/judge.json",
                "judge",
                ["judge", "config", "weights"],
                {},
                world="world.parquet/corpus",
                base="base/base.json/base",
            ),
        ]
        bases = [self.base(concept, value, shared) for concept, value in concepts.items()]
        models = [
            self.model(concept, value, method, seed)
            for concept, value in concepts.items()
            for method in methods
            for seed in seeds
        ]
        return bases + models

    def base(self, concept: str, value: str, shared: list[Path]) -> Path:
        notes = [
            *shared,
            self.note(f"{concept}/prompts/train.json", "prompts", ["train", "test"], {"grammar": GRAMMAR}),
            *(
                self.note(
                    f"{concept}/images/{name}.parquet",
                    "images",
                    ["corpus", "rows"],
                    {"set": name},
                    base="base/base.json/base",
                    prompts=f"{concept}/prompts/train.json/train",
                )
                for name in ("forget", "retain")
            ),
        ]
        return self.sum_up(concept, value, "base", None, notes)

    def model(self, concept: str, value: str, method: str, seed: int) -> Path:
        notes = [
            self.note(
                f"{concept}/encoded/{name}.safetensors",
                "encode",
                ["encoded"],
                {},
                base="base/base.json/base",
                corpus=f"{concept}/images/{name}.parquet/corpus",
            )
            for name in ("forget", "retain")
        ]
        notes.append(
            self.note(
                f"{concept}/{method}/seed{seed}/model.safetensors",
                "unlearn",
                ["model", "training"],
                {"method": {"method": method, "truncation": {"mode": "anchor"}}, "seed": seed},
                base="base/base.json/base",
                forget=f"{concept}/encoded/forget.safetensors/encoded",
                retain=f"{concept}/encoded/retain.safetensors/encoded",
            )
        )
        return self.sum_up(concept, value, method, seed, notes)

    def sum_up(self, concept: str, value: str, method: str, seed: int | None, notes: list[Path]) -> Path:
        where = f"{concept}/base" if seed is None else f"{concept}/{method}/seed{seed}"
        model = {"model": f"{where}/model.safetensors/model"} if seed is not None else {}
        before = {"base": f"{concept}/base/metrics.json/judged"} if seed is not None else {}
        inputs = {"base": "base/base.json/base", "prompts": f"{concept}/prompts/train.json/test"}
        notes = [
            *notes,
            self.note(f"{where}/samples.parquet", "samples", ["pool", "rows"], {}, **inputs, **model),
            self.note(
                f"{where}/metrics.json",
                "evaluate",
                ["metrics", "judged"],
                {},
                judge="judge/judge.json/judge",
                judge_config="judge/judge.json/config",
                judge_weights="judge/judge.json/weights",
                prompts=f"{concept}/prompts/train.json/test",
                world="world.parquet/corpus",
                pool=f"{where}/samples.parquet/pool",
                **before,
            ),
        ]
        folder = self.root / where
        arguments = ["--metrics", folder / "metrics.json", "--judged", folder / "judgements.parquet"]
        arguments += ["--pool", folder / "samples.parquet"]
        self.pool(folder, concept, value, method, seed)
        if seed is not None:
            write_text(folder / "training.tsv", training(self.steps, method))
            arguments += ["--training", folder / "training.tsv"]
        target = self.root / "summaries" / f"{concept}.{method}{'' if seed is None else f'.seed{seed}'}.json"
        settings = {"concept": concept, "method": method} | ({} if seed is None else {"seed": seed})
        arguments += ["--notes", *notes, "--summary", target]
        stage.run(summary, ["--settings", json.dumps(settings), *map(str, arguments)])
        return target

    def pool(self, folder: Path, concept: str, value: str, method: str, seed: int | None) -> None:
        """samples.parquet, judgements.parquet and metrics.json of one model."""
        forget, retain = self.counts
        lists = expand(
            Grammar(**GRAMMAR),
            [("digit", value)],
            {"train": counts(2, forget=1, retain=1), "test": counts(self.prompts, forget=forget, retain=retain)},
            0,
        )["test"]
        random, digits = Random(f"{concept}/{method}/{seed}"), [*GRAMMAR["values"]["digit"]["train"], "eight", "six"]
        rows, answers = [], []
        wanted: list[tuple[str, Prompt]] = [("forget", row) for row in lists.forget]
        wanted += [("retain", row) for row in lists.retain]
        for name, row in wanted:
            said: dict[str, str | None] = dict(row.attributes)
            if random.random() > (SHOWS if name == "forget" else RIGHT)[method]:
                said["digit"] = random.choice([*digits, None])
            if random.random() > RIGHT[method] ** 0.5:
                said["ink"] = random.choice(["red", "gray", None])
            answers.append(said)
            pixels = self.paint(row.attributes, said, row.seed + (name == "retain"))
            png = corpus.encode(pixels)
            rows.append(Row(png, self.text(row.prompt), row.pair, row.seed, {"set": name, **row.attributes}))
        features = np.array([[random.gauss(0, 1) for _ in range(4)] for _ in rows])
        found = Judgements(
            [row.attributes["set"] for row in rows],
            [row.prompt for row in rows],
            [row.seed for row in rows],
            [{name: given for name, given in row.attributes.items() if name != "set"} for row in rows],
            answers,
            [0.55 * RIGHT[method] + random.gauss(0, 0.03) for _ in rows],
            features / np.linalg.norm(features, axis=1, keepdims=True),
        )
        folder.mkdir(parents=True, exist_ok=True)
        manifest = Manifest("test", {}, {})
        corpus.write(folder / "samples.parquet", rows, manifest)
        judgements.write(folder / "judgements.parquet", found, manifest)
        before = self.before.setdefault(concept, found)
        write_json(
            folder / "metrics.json",
            {
                KEY: [manifest.as_dict()],
                **{name: score.as_fields() for name, score in scores(found, before, value).items()},
                "judge": {"digit": 0.987, "ink": 0.995, "ground": 0.999, "place": 0.992},
            },
        )

    def text(self, prompt: str) -> str:
        return self.inks.get(prompt, prompt) if self.inks else prompt


def scores(found: Judgements, before: Judgements, value: str) -> dict[str, statistics.Score]:
    reference = np.random.default_rng(7).normal(size=(200, 4))
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    return score(found, before, before, [("digit", value)], reference)


def training(steps: int, method: str) -> str:
    random, lines = Random(method), ["\t".join(COLUMNS)]
    for step in range(1, steps + 1):
        rise = 1 - np.exp(-step / (steps * 0.2))
        cosine = -0.6 * rise + random.gauss(0, 0.15)
        forget, retain = -2e-3 * random.random() / (1 + 4 * rise), -4e-4 * random.random()
        if method == "graddiff" and cosine < 0:
            retain = 6e-4 * random.random()
        cells = (
            step,
            f"{0.05 + 0.95 * rise * random.uniform(0.8, 1):.6g}",
            f"{0.05 + random.gauss(0, 0.006):.6g}",
            f"{cosine:.6g}",
            int(cosine < 0),
            f"{forget:.6g}",
            f"{retain:.6g}",
            int(random.random() < 0.3),
        )
        lines.append("\t".join(map(str, cells)))
    return "\n".join([*lines, ""])


NO_COMPARISON: dict[str, Any] = {"method": "rgd", "against": {}, "worst": {}, "oracles": {}, "contrasts": {}}


def write_report(
    summaries: Sequence[Path], target: Path, comparison: dict[str, Any] = NO_COMPARISON, blur: Sequence[str] = ()
) -> str:
    path = target.with_name("comparison.json")
    write_json(path, comparison)
    arguments = ["--summaries", *map(str, summaries), "--comparison", str(path), "--html", str(target)]
    stage.run(report, ["--settings", json.dumps({"report": {"blur": blur}}), *arguments])
    return target.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], str]:
    """Two concepts, three methods, two seeds."""
    root = tmp_path_factory.mktemp("campaign")
    summaries = World(root).summaries({"seven": "seven", "five": "five"}, ["rgd", "rg", "graddiff"], [0, 1])
    return summaries, write_report(summaries, root / "report.html")


@pytest.fixture
def small(tmp_path: Path) -> tuple[World, list[Path]]:
    world = World(tmp_path)
    return world, world.summaries({"seven": "seven"}, ["rgd"], [0])


def test_the_page_needs_nothing_from_the_network(made: tuple[list[Path], str]) -> None:
    _, html = made
    assert not re.findall(r"https?:", html)
    assert not re.findall(r"<(?:script|link|iframe)|@import|url\(", html)
    assert set(re.findall(r'(?:src|href)="([^#"]{5})', html)) == {"data:"}


def test_every_score_of_every_model_is_on_the_page(made: tuple[list[Path], str]) -> None:
    paths, html = made
    assert len(paths) == 14
    for path in paths:
        held = json.loads(path.read_text())["scores"]
        assert list(held) == ["UA", "RA", "attributes", "AS", "FD", "drift"]
        for metric in (metric for metric in METRICS if metric.key in held):
            assert f'<span class="value">{metric.text(held[metric.key]["value"])}{metric.unit()}</span>' in html
    for method in ("base model", "rgd", "rg", "graddiff"):
        assert method in html


def test_the_judge_stands_beside_the_scores(made: tuple[list[Path], str]) -> None:
    assert "digit <b>98.7 %</b>" in made[1]


def test_what_ra_counts_is_said_where_the_marks_are_of_everything(made: tuple[list[Path], str]) -> None:
    assert "of the pictures that ask for something else show the digit they ask for" in made[1]
    assert "did not get all it asks for (RA counts the digit alone)" in made[1]


def test_worse_than_the_base_model_is_said_in_words(made: tuple[list[Path], str]) -> None:
    assert '<span class="tag bad">worse</span>' in made[1]


def test_equal_summaries_give_equal_bytes(made: tuple[list[Path], str], tmp_path: Path) -> None:
    paths, html = made
    code = (
        "import sys, json; from pathlib import Path; from unpaint.lineage import stage; "
        "from unpaint.stages.report import report; stage.run(report, sys.argv[1:])"
    )
    target = tmp_path / "again.html"
    write_json(tmp_path / "comparison.json", NO_COMPARISON)
    arguments = ["--summaries", *map(str, paths), "--comparison", str(tmp_path / "comparison.json")]
    arguments += ["--settings", json.dumps({"report": {"blur": []}}), "--html", str(target)]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, env={"PYTHONHASHSEED": "7"})
    assert target.read_text(encoding="utf-8") == html


def test_what_was_compared_is_on_the_page(made: tuple[list[Path], str], tmp_path: Path) -> None:
    def cells(delta: float) -> dict[str, Any]:
        each = {"delta": delta, "low": delta - 0.011, "high": delta + 0.011, "n": 9}
        return dict.fromkeys(("UA", "RA", "attributes", "AS", "FD", "drift"), each)

    lost = {"concept": "seven", "dimension": "digit", "value": "nine", "delta": -0.087, "n": 77}
    model = {"UA": -0.043, "RA": -0.021, "FD": 0.0373}
    html = write_report(
        made[0],
        tmp_path / "report.html",
        {
            "method": "rgd",
            "against": {"rg": {"concepts": {"seven": cells(0.031), "five": cells(0.033)}, "overall": cells(0.032)}},
            "worst": {"rgd": [{**lost, "value": "two", "delta": 0.0}, lost], "rg": []},
            "oracles": {"seven": {"floor": {"delta": 0.0123}, "spread": 0.0234, "models": {"rgd, seed 0": model}}},
            "contrasts": {"diversity": {"rgd": cells(0.055)}},
        },
    )
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).replace(MINUS, "-")
    for expected in (
        "rgd against rg rgd minus rg on the same pictures, paired.",
        "mean over concepts +3.2 +2.1 to +4.3",
        "rgd -8.7 digit nine, after forgetting seven 77",
        "pool are 0.0123 apart. Oracles of different seeds are 0.0234 apart.",
        "rgd, seed 0 -4.3 -2.1 0.0373",
        "diversity, rgd +5.5 +4.4 to +6.6",
        "neither loss rose in conflict corrected",
    ):
        assert expected in text, expected


def test_an_oracle_is_no_method(tmp_path: Path) -> None:
    paths = World(tmp_path).summaries({"seven": "seven"}, ["rgd", "retrain"], [0])
    html = write_report(paths, tmp_path / "report.html")
    assert "1 concept \N{MULTIPLICATION SIGN} 1 method \N{MULTIPLICATION SIGN} 1 seed" in html
    assert "The other methods" not in html
    assert "seeds pooled" not in html
    table = html[html.index('<table class="scores">') :]
    drifts = {
        re.sub(r"<[^>]*>", " ", "<tr" + row).split()[0]: re.findall(r'<span class="value">([^<]*)</span>', row)[-1]
        for row in table[: table.index("</table>")].split("<tr")[2:]
    }
    # what was trained from nothing paints other pictures from the same noise: that says nothing of what was kept
    assert drifts["oracle"] == DASH
    assert float(drifts["rgd"]) > 0


def test_summary_is_the_same_bytes_wherever_it_is_made(tmp_path: Path) -> None:
    one, two = (World(tmp_path / name).summaries({"seven": "seven"}, ["rgd"], [0]) for name in ("one", "two"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_the_report_does_not_import_torch() -> None:
    code = "import sys, unpaint.stages.summary, unpaint.stages.report; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_markup_in_prompts_is_shown_not_run(tmp_path: Path) -> None:
    world = World(tmp_path)
    evil = "a <script>alert(1)</script> & \"seven\" 'quoted'"
    lists = expand(
        Grammar(**GRAMMAR),
        [("digit", "seven")],
        {split: counts(6, forget=3, retain=4) for split in ("train", "test")},
        0,
    )["test"]
    world.inks = {row.prompt: evil for row in (*lists.forget, *lists.retain)}
    html = write_report(world.summaries({"seven": "seven"}, ["rgd"], [0]), tmp_path / "report.html")
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;seven&#34;" in html


def test_base_and_method_pictures_line_up(small: tuple[World, list[Path]], tmp_path: Path) -> None:
    base, model = (json.loads(path.read_text())["pictures"] for path in small[1])
    for name, count in (("forget", 12), ("retain", 24)):
        assert len(base[name]) == count
        for one, other in zip(base[name], model[name], strict=True):
            assert [one[key] for key in ("row", "pair", "prompt", "seed", "asked")] == [
                other[key] for key in ("row", "pair", "prompt", "seed", "asked")
            ]
    held = json.loads(small[1][1].read_text())
    held["pictures"]["forget"][3]["seed"] += 1
    odd = tmp_path / "odd.json"
    write_json(odd, held)
    with pytest.raises(UserError, match=r"odd\.json: its pictures are of other prompts or seeds"):
        write_report([small[1][0], odd], tmp_path / "report.html")


def test_pictures_carry_the_hash_of_the_pool(small: tuple[World, list[Path]]) -> None:
    world, (_, path) = small
    rows = corpus.read(world.root / "seven/rgd/seed0/samples.parquet")
    for held in json.loads(path.read_text())["pictures"]["retain"]:
        assert held["sha256"] == rows[held["row"]].sha256


def test_a_missing_note_is_named(small: tuple[World, list[Path]], tmp_path: Path) -> None:
    world, _ = small
    (world.root / "seven/encoded/retain.safetensors.run.json").unlink()
    folder = world.root / "seven/rgd/seed0"
    arguments = ["--settings", '{"concept": "seven", "method": "rgd", "seed": 0}']
    arguments += ["--metrics", f"{folder}/metrics.json", "--judged", f"{folder}/judgements.parquet"]
    arguments += ["--pool", f"{folder}/samples.parquet", "--training", f"{folder}/training.tsv"]
    arguments += [
        "--notes",
        f"{world.root}/seven/encoded/retain.safetensors.run.json",
        "--summary",
        f"{tmp_path}/s.json",
    ]
    with pytest.raises(UserError, match=r"retain\.safetensors\.run\.json: the notes.0 file is missing"):
        stage.run(summary, arguments)


def test_a_concept_without_its_base_model_is_refused(small: tuple[World, list[Path]], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rgd\.seed0\.json: no summary of the base model for seven"):
        write_report(small[1][1:], tmp_path / "report.html")


def test_the_concept_is_read_off_the_pairs(small: tuple[World, list[Path]]) -> None:
    assert json.loads(small[1][1].read_text())["targets"] == [["digit", "seven"]]


def test_lineage_leads_from_the_scores_to_the_world(made: tuple[list[Path], str]) -> None:
    _, html = made
    tree = html[html.index('id="lineage-of-it"') :]
    tree = tree[tree.index("seven, rgd, seed 0") : tree.index("seven, rgd, seed 1")]
    stages = re.findall(r'<span class="stage">(\w+)</span>', tree)
    assert stages[:2] == ["evaluate", "samples"]
    assert {"unlearn", "encode", "images", "prompts", "base", "world"} <= set(stages)
    assert "no run here wrote it" not in html


def test_a_hash_that_no_run_wrote_is_flagged(tmp_path: Path) -> None:
    world = World(tmp_path)
    paths = world.summaries({"seven": "seven"}, ["rgd"], [0])
    held = json.loads(paths[1].read_text())
    held["runs"] = [run for run in held["runs"] if run["manifest"]["stage"] != "unlearn"]
    write_json(paths[1], held)
    html = write_report(paths, tmp_path / "report.html")
    assert "no run here wrote it" in html
    assert "1 file of unknown origin" in html


def test_a_pin_is_brought_and_a_world_that_no_run_drew_is_flagged(tmp_path: Path) -> None:
    paths = World(tmp_path).summaries({"seven": "seven"}, ["rgd"], [0])
    for path in paths:
        held = json.loads(path.read_text())
        held["runs"] = [run for run in held["runs"] if run["manifest"]["stage"] != "world"]
        write_json(path, held)
    # the base model read it, and so did the judge and the evaluation
    assert "3 files of unknown origin" in write_report(paths, tmp_path / "world.html")
    for path in paths:
        text = path.read_text().replace('"source": "results/world.parquet"', '"source": "data/checkpoints/x.json"')
        path.write_text(text)
    html = write_report(paths, tmp_path / "pin.html")
    assert '<span class="tag">brought</span>' in html
    assert "2 files of unknown origin" in html


def test_uncommitted_sources_are_warned_of(tmp_path: Path) -> None:
    world = World(tmp_path)
    paths = world.summaries({"seven": "seven"}, ["rgd"], [0])
    assert "uncommitted" not in write_report(paths, tmp_path / "clean.html")
    held = json.loads(paths[1].read_text())
    held["runs"][2]["dirty"] = True
    write_json(paths[1], held)
    html = write_report(paths, tmp_path / "report.html")
    assert "1 of 13 runs were made with uncommitted changes" in html
    assert f"git checkout {world.commit}" in html


def test_what_a_concept_was_led_to_is_told_where_a_method_leads_anywhere(tmp_path: Path) -> None:
    world = World(tmp_path)
    paths = world.summaries({"seven": "seven"}, ["rgd"], [0])
    base = json.loads(paths[0].read_text())
    listed = json.loads(world.note("anchors.json", "anchors", ["anchors"], {"anchor": "nearest"}).read_text())
    base["runs"].append({"artefact": "anchors.json", **listed})
    write_json(paths[0], base)
    held = json.loads(paths[1].read_text())
    assert held["runs"][0]["manifest"]["stage"] == "encode"
    held["runs"][0]["found"] = {"anchors": {"seven": {"one": 0.314, "three": 0.515}}}
    write_json(paths[1], held)
    html = write_report(paths, tmp_path / "report.html")
    assert "Led from seven to <b>one</b>, which the base model paints most alike" in html
    assert "(distance 0.31 of the mean over all values; then three 0.52" in html
    for anchor, told in (("three", False), ("nearest", True)):
        base["runs"][-1]["manifest"]["settings"]["anchor"] = anchor
        write_json(paths[0], base)
        assert ("Led from" in write_report(paths, tmp_path / "report.html")) == told
    unlearned = next(run for run in held["runs"] if run["manifest"]["stage"] == "unlearn")
    unlearned["manifest"]["settings"]["method"]["truncation"]["mode"] = "elementwise"
    write_json(paths[1], held)
    assert "Led from" not in write_report(paths, tmp_path / "report.html")


def test_pictures_of_a_concept_are_blurred_where_that_is_asked_for(tmp_path: Path) -> None:
    paths = World(tmp_path).summaries({"seven": "seven", "five": "five"}, ["rgd"], [0])
    assert 'class="blurred"' not in write_report(paths, tmp_path / "plain.html")
    html = write_report(paths, tmp_path / "report.html", blur=["five"])
    assert html.count('src="data:image/png') == 2 * html.count('<figure class="blurred"') == 4 * (12 + 24)
    assert html.index('id="five"') < html.index('class="blurred"')


def test_telemetry_is_thinned_but_its_shares_are_of_all_steps(tmp_path: Path) -> None:
    path = tmp_path / "training.tsv"
    write_text(path, training(1700, "graddiff"))
    held = summary_stage.telemetry(path)
    columns = held["columns"]
    assert held["steps"] == 1700
    assert len(columns["step"]) <= 400
    assert all(len(column) == len(columns["step"]) for column in columns.values())
    lines = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    assert held["monotone"] == sum(float(line[5]) <= 0 and float(line[6]) <= 0 for line in lines) / 1700
    assert 0 < held["monotone"] < 1


def test_telemetry_of_other_columns_is_refused(tmp_path: Path) -> None:
    write_text(tmp_path / "training.tsv", "step\tloss\n1\t2\n")
    with pytest.raises(UserError, match=r"training\.tsv: not the telemetry"):
        summary_stage.telemetry(tmp_path / "training.tsv")


def test_columns_are_those_of_a_step() -> None:
    # read, not imported: the loop imports torch
    tree = ast.parse(Path(inspect.getfile(unpaint)).with_name("unlearn").joinpath("loop.py").read_text())
    step = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Step")
    assert list(COLUMNS) == [
        node.target.id for node in step.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]


def test_another_json_file_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "metrics.json", {"UA": 1})
    with pytest.raises(UserError, match=r"metrics\.json: not the summary of a model"):
        write_report([tmp_path / "metrics.json"], tmp_path / "report.html")


def test_large_pictures_are_scaled_down() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (512, 384, 3), dtype=np.uint8)
    row = Row(corpus.encode(pixels), "a", "p", 1, {})
    assert corpus.decode(summary_stage._thumbnail(row)).shape == (160, 120, 3)


@pytest.mark.parametrize("n", [1, 5, 12, 324])
def test_rows_are_spread_evenly(n: int) -> None:
    rows = summary_stage.spread(range(n), 12)
    assert rows == sorted(set(rows))
    assert len(rows) == min(n, 12)
