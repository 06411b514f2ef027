"""params.yaml is read strictly; each mistake is named with its place and its remedy."""

import copy
import json
from pathlib import Path

import pytest
import yaml
from ruamel.yaml import YAML

from unpaint import params, tombstones
from unpaint.errors import UserError
from unpaint.lineage.manifest import sha256
from unpaint.params import notes, reading

ROOT = Path(__file__).parents[2]
GOOD = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
FIRST = next(iter(GOOD["concepts"]))
CONCEPT, GRAMMAR = f"concepts.{FIRST}", GOOD["concepts"][FIRST]["grammar"]
VALUES = GOOD["grammars"][GRAMMAR]["values"]
FORGOTTEN = next(iter(GOOD["concepts"][FIRST]["forget"]))


def complaint(text, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        params.load(path)
    return str(caught.value).replace(f"{tmp_path}/", "")


def changed(place, value, given=GOOD):
    """The real file (or what is given) with one leaf set, or taken out if `value` is None."""
    fields = copy.deepcopy(given)
    *way, last = place
    node = fields
    for key in way:
        node = node[key]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return yaml.safe_dump(fields, sort_keys=False)


PRESETS = ROOT / "presets"
OF_DIGITS = [
    ROOT / "params.yaml",
    *(PRESETS / f"{name}.yaml" for name in ("digits", "digits-wide", "diversity", "monotone")),
]
ELSEWHERE = ("flux-lora-style", "sd14-nudity", "sd14-vangogh", "sd3-nudity", "sdxl-style")
BY_CLASS = ("cifar10-class", "digits-class")
OTHERS = ("folder", "tiny")


def test_every_preset_is_tested():
    names = {path.stem for path in PRESETS.glob("*.yaml")}
    assert names == {*ELSEWHERE, *BY_CLASS, *OTHERS, *(path.stem for path in OF_DIGITS[1:])}


@pytest.mark.parametrize("path", OF_DIGITS, ids=lambda p: p.name)
def test_params_yaml_and_every_preset_of_digits_load(path):
    assert params.load(path).concepts


def test_a_preset_by_class_loads():
    assert isinstance(params.load(PRESETS / "digits-class.yaml").base, params.TrainedByClass)


@pytest.mark.parametrize("name", BY_CLASS)
def test_all_of_the_retain_set_at_each_step_is_all_that_the_paper_s_rgd_has_more(name):
    read = yaml.safe_load((PRESETS / f"{name}.yaml").read_text(encoding="utf-8"))
    methods = read["methods"]
    rgd = {key: value for key, value in methods["rgd"].items() if not key.startswith("retain_batches")}
    assert rgd == {**methods["rg"], "method": "rgd"}
    assert {**methods["graddiff"], "method": "rg", "surgery": "pcgrad"} == methods["rg"]
    for concept in read["concepts"].values():
        pictures = concept["train"]["images_per_prompt"]["retain"]
        assert methods["rgd"]["batch"] * methods["rgd"]["retain_batches_per_step"] == pictures == 9 * 50


def test_params_yaml_is_the_preset_digits():
    assert (ROOT / "params.yaml").read_bytes() == (ROOT / "presets" / "digits.yaml").read_bytes()


def shared(path, keys):
    fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {key: fields[key] for key in keys}


@pytest.mark.parametrize("path", OF_DIGITS, ids=lambda p: p.name)
def test_base_model_and_judge_of_every_preset_of_digits_are_the_default_s(path):
    """So that none of them trains either anew."""
    keys = ("seed", "threads", "device", "world", "base", "judge", "questions")
    assert shared(path, keys) == {key: GOOD[key] for key in keys}


def test_the_laboratory_differs_from_the_default_in_its_concepts_alone():
    keys = ("sampling", "grammars", "methods", "evaluation")
    assert shared(PRESETS / "digits-wide.yaml", keys) == {key: GOOD[key] for key in keys}


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (
            ["oracles", "concepts"],
            ["eight"],
            "params.yaml: oracles.concepts: eight is none of the concepts; they are seven",
        ),
        (["report", "blur"], ["eight"], "params.yaml: report.blur: eight is none of the concepts; they are seven"),
        (["oracles", "seeds"], [1, 1], "params.yaml: oracles.seeds: a seed stands there twice"),
        (
            ["oracles"],
            {"concepts": ["seven"], "seeds": []},
            "params.yaml: oracles: give concepts and seeds, or neither",
        ),
        (["oracles"], {"concepts": [], "seeds": [1]}, "params.yaml: oracles: give concepts and seeds, or neither"),
        (
            ["oracles"],
            {"concepts": ["seven"], "seeds": [0, 1]},
            "params.yaml: oracles.seeds: 0 is the base model's own (seed)",
        ),
        (
            ["oracles"],
            {"concepts": ["seven", "seven"], "seeds": [1]},
            "params.yaml: oracles.concepts: seven stands there twice; one of them is enough",
        ),
        (
            ["contrasts"],
            {"size": {"concept": "seven", "against": "eight"}},
            "params.yaml: contrasts.size: eight is none of the concepts; they are seven",
        ),
        (
            ["contrasts"],
            {"size": {"concept": "seven", "against": "seven"}},
            "params.yaml: contrasts.size: seven and seven must be two concepts with the same test prompts and seeds;",
        ),
    ],
)
def test_oracles_and_contrasts_name_concepts_that_can_be_compared(place, value, message, tmp_path):
    assert complaint(changed(place, value), tmp_path).startswith(message)


@pytest.fixture
def garments(tmp_path):
    """presets/folder.yaml as text, with fewer pictures, and a folder as it wants one."""
    fields = yaml.safe_load((ROOT / "presets" / "folder.yaml").read_text(encoding="utf-8"))
    fields["world"]["images"] = {"base": 200, "judge": 200, "reference": 400}
    kinds, colours = (fields["grammars"]["garments"]["values"][name] for name in ("kind", "colour"))
    kinds, colours = ([*values["train"], *values["test"]] for values in (kinds, colours))
    folder = tmp_path / fields["world"]["path"]
    folder.mkdir(parents=True)
    lines = []
    for number in range(800):
        kind, colour = kinds[number % 10], colours[number // 10 % 8]
        (folder / f"{number}.png").touch()
        row = {"file_name": f"{number}.png", "caption": f"A {colour} {kind}", "kind": kind, "colour": colour}
        lines.append(json.dumps(row))
    (folder / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return fields


def test_words_are_told_from_commas_and_full_stops(garments, tmp_path):
    folder = tmp_path / garments["world"]["path"]
    text = (folder / "metadata.jsonl").read_text(encoding="utf-8")
    (folder / "metadata.jsonl").write_text(text.replace('", "kind', '.", "kind'), encoding="utf-8")
    garments["grammars"]["garments"]["template"] = "a {kind}, {colour}"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(garments), encoding="utf-8")
    assert params.load(tmp_path / "params.yaml")


def test_the_preset_of_a_folder_loads_where_its_folder_is(garments, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(garments), encoding="utf-8")
    assert params.load(path).world.kind == "folder"


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["world", "path"], "data/worlds/gone", "data/worlds/gone: 0 of metadata.jsonl and metadata.csv are here"),
        (["world", "path"], "/elsewhere", "world.path: give data/worlds/NAME without braces or a / at its end"),
        (["world", "kind"], "films", "world.kind: films is none of 'digits', 'folder'"),
        (["world", "kind"], None, "world.kind: missing"),
        (["world", "side"], None, "world.side: missing"),
        (["world", "side"], 28, "world.side: input should be a multiple of 8"),
        (["world", "path"], "data/worlds/..", "world.path: give data/worlds/NAME without braces or a / at its end"),
        (["world", "path"], "data/worlds/a{b}", "world.path: give data/worlds/NAME without braces or a / at its end"),
        (["questions", "colour"], None, "questions: none for colour, a dimension of grammars.garments; add one"),
        (
            ["questions", "colour", "text"],
            "a {} in {x}",
            "questions.colour.text: 'a {} in {x}' has braces beside {}; leave them out",
        ),
        (["world", "images", "base"], 201, "data/worlds/garments: 800 pictures, and world.images wants 801"),
        (
            ["world", "images", "reference"],
            130,
            "concepts.trouser: test: about 44 held-out real pictures show what the retain prompts ask for; FD needs",
        ),
        (
            ["questions", "size"],
            {"text": "{}", "none": []},
            "data/worlds/garments: no column size, which questions.size asks for",
        ),
        (
            ["grammars", "garments", "template"],
            "a photo of a {colour} {kind}",
            "grammars.garments: no caption of the world has the word photo, so the base model never learns it",
        ),
        (
            ["grammars", "garments", "values", "kind", "test"],
            ["sneaker", "bag", "hat"],
            "grammars.garments.values.kind: the world has no hat; it has ankle boot, bag,",
        ),
    ],
)
def test_what_the_folder_does_not_show_is_named(place, value, message, garments, tmp_path):
    found = complaint(changed(place, value, garments), tmp_path).replace(f"{tmp_path}/", "")
    assert found.startswith(f"params.yaml: {message}")


def test_own_pictures_are_looked_for_with_the_rest(tmp_path):
    text = changed(["concepts", FIRST, "images", "forget"], "data/sets/mine")
    assert f"params.yaml: {CONCEPT}: data/sets/mine: 0 of metadata.jsonl" in complaint(text, tmp_path).replace(
        f"{tmp_path}/", ""
    )
    message = f"{CONCEPT}.images.forget: give render, world, or data/sets/NAME"
    assert message in complaint(changed(["concepts", FIRST, "images", "forget"], "/elsewhere"), tmp_path)


def test_a_contrast_needs_the_same_test_prompts(tmp_path):
    fields = copy.deepcopy(GOOD)
    few = copy.deepcopy(fields["concepts"]["seven"])
    few["train"]["prompts"] = 10
    fields["concepts"]["few"] = few
    fields["contrasts"] = {"size": {"concept": "seven", "against": "few"}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    assert params.load(tmp_path / "params.yaml").contrasts["size"].against == "few"
    few["test"]["prompts"] -= 1
    assert "contrasts.size: seven and few must be two concepts" in complaint(yaml.safe_dump(fields), tmp_path)


def test_a_list_of_replacements_is_checked_with_the_rest(tmp_path):
    place = ["concepts", FIRST, "train", "replacement"]
    expected = f"{CONCEPT}: train.replacement: letter is not in the grammar's {FORGOTTEN}; it has zero, one, two,"
    assert complaint(changed(place, ["one", "letter"]), tmp_path).startswith(f"params.yaml: {expected}")
    (tmp_path / "params.yaml").write_text(changed(place, ["one", "nine"]), encoding="utf-8")
    assert params.load(tmp_path / "params.yaml").concepts[FIRST].train.replacement == ["one", "nine"]


def test_anchors_and_merges_are_read_and_may_be_overridden(tmp_path):
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    start, end = text.index("  rg:\n"), text.index("  graddiff:\n")
    merged = text.replace("  rgd:", "  rgd: &rgd").replace(
        text[start:end], "  rg2: { <<: *rgd, retain_batches_per_step: 5 }\n"
    )
    (tmp_path / "params.yaml").write_text(merged, encoding="utf-8")
    found = params.load(tmp_path / "params.yaml").methods
    assert found["rg2"].retain_batches_per_step == 5
    assert found["rgd"].retain_batches_per_step != 5


def test_the_schema_file_is_in_sync():
    held = (ROOT / "workflow/schemas/params.schema.json").read_text(encoding="utf-8")
    assert held == json.dumps(params.schema(), indent=2) + "\n"


LEAK = sorted(set(VALUES[next(n for n in VALUES if n != FORGOTTEN)]["train"]))[0]
OTHER = next(n for n in VALUES if n != FORGOTTEN)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["colour"], 1, "colour: unknown key; delete it or correct its spelling"),
        (["sampling", "widht"], 1, "sampling.widht: unknown key; delete it or correct its spelling"),
        (["sampling", "steps"], None, "sampling.steps: missing; every key is required, presets/ show each"),
        (["methods", "rg", "surgery"], None, "methods.rg.surgery: missing; every key is required, presets/ show each"),
        (["threads"], "two", "threads: input should be a valid integer, got 'two'"),
        (["threads"], 2.0, "threads: input should be a valid integer, got 2.0"),
        (["threads"], 0, "threads: input should be greater than or equal to 1, got 0"),
        (["seeds"], [1, 1], "seeds: a seed stands there twice"),
        (["seed"], 10**30, f"seed: input should be less than {2**63}, got {10**30}"),
        (["seeds"], [0, 2**63], f"seeds.1: input should be less than {2**63}, got {2**63}"),
        (
            ["oracles"],
            {"concepts": [FIRST], "seeds": [2**63]},
            f"oracles.seeds.0: input should be less than {2**63}, got {2**63}",
        ),
        (["threads"], 10**10, f"threads: input should be less than or equal to 1024, got {10**10}"),
        (["methods", "rg", "batch"], 2**31, f"methods.rg.batch: input should be less than {2**31}, got {2**31}"),
        (
            ["sampling", "steps"],
            1001,
            "sampling.steps: 1001, and the schedule of base has 1000 timesteps; take no more",
        ),
        (["base", "denoiser", "channels"], [], "base.denoiser.channels: list should have at least 1 item"),
        (["base", "autoencoder", "channels"], [], "base.autoencoder.channels: list should have at least 1 item"),
        (
            ["base", "autoencoder", "channels"],
            [16] * 8,
            "base.autoencoder.channels: 32 pixels cannot be parted by 128; take fewer levels",
        ),
        (["concepts", FIRST, "forget"], {FORGOTTEN: "xyz"}, f"{CONCEPT}.forget.{FORGOTTEN}: xyz is not in the grammar"),
        (
            ["concepts", FIRST, "forget"],
            {"mood": "xyz"},
            f"{CONCEPT}.forget: mood is no dimension of the grammar; it has",
        ),
        (["concepts", FIRST, "forget"], {}, f"{CONCEPT}.forget: nothing to forget; give a dimension and a value"),
        (
            ["concepts", FIRST, "anchor"],
            "xyz",
            f"{CONCEPT}.anchor: xyz is none of nearest, drop, pair, or of {FORGOTTEN}'s zero, one, two, three, four, "
            "five, six, eight, nine",
        ),
        (["concepts", FIRST, "anchor"], "seven", f"{CONCEPT}.anchor: seven is none of nearest, drop, pair, or of"),
        (["concepts", FIRST, "grammar"], "xyz", f"{CONCEPT}.grammar: xyz is none of {', '.join(GOOD['grammars'])}"),
        (
            ["grammars", GRAMMAR, "values", OTHER, "test"],
            [],
            f"grammars.{GRAMMAR}.values.{OTHER}: no value is left for the test split; give at least 1",
        ),
        (
            ["grammars", GRAMMAR, "values", OTHER, "train"],
            [],
            f"grammars.{GRAMMAR}.values.{OTHER}: no value is left for the train split; give at least 1",
        ),
        (
            ["grammars", GRAMMAR, "values", OTHER, "test"],
            [LEAK],
            f"grammars.{GRAMMAR}.values.{OTHER}: {LEAK} leaks: it stands in train and in test; keep it in one",
        ),
        (
            ["grammars", GRAMMAR, "values", OTHER, "test"],
            ["xyz", "xyz"],
            f"grammars.{GRAMMAR}.values.{OTHER}.test: xyz stands there twice",
        ),
        (
            ["grammars", GRAMMAR, "template"],
            "a picture",
            f"grammars.{GRAMMAR}.template: {', '.join(sorted(VALUES))} stands in only one of template and values; "
            "every dimension needs both",
        ),
        (
            ["grammars", GRAMMAR, "distinct"],
            [["mood", OTHER]],
            f"grammars.{GRAMMAR}.distinct: mood is no dimension of this grammar",
        ),
        (["concepts", "judge"], GOOD["concepts"][FIRST], "concepts.judge: the name judge is taken; choose another"),
        (["concepts", "summaries"], GOOD["concepts"][FIRST], "concepts.summaries: the name summaries is taken"),
        (["concepts", "judgements"], GOOD["concepts"][FIRST], "concepts.judgements: the name judgements is taken"),
        (["methods", "oracle"], GOOD["methods"]["rg"], "methods.oracle: the name oracle is taken; choose another"),
        (["methods", "graddiff", "settle"], 0.5, "methods.graddiff.settle: 0.5 of the steps would only retain"),
        (["methods", "encoded"], GOOD["methods"]["rg"], "methods.encoded: the name encoded is taken; choose another"),
        (["questions", OTHER], None, f"questions: none for {OTHER}, a dimension of grammars.digits; add one"),
        (
            ["questions", "mood"],
            GOOD["questions"][OTHER],
            "questions.mood: the world has no mood; it has digit, ink, ground, place",
        ),
        (
            ["questions", OTHER, "none"],
            ["a cloud"],
            f"questions.{OTHER}.none: no picture of nothing is called a cloud; it is formless noise, an empty square,",
        ),
        (
            ["grammars", GRAMMAR, "values", "ink", "test"],
            ["teal", "blue"],
            f"grammars.{GRAMMAR}.values.ink: the world has no teal; it has red, orange, yellow,",
        ),
        (
            ["concepts", FIRST, "test", "prompts"],
            9999,
            f"{CONCEPT}: test.prompts: 9999 are asked for, the grammar has 36 combinations; ask for at most that many",
        ),
        (
            ["concepts", FIRST, "forget"],
            {FORGOTTEN: [*VALUES[FORGOTTEN]["train"], *VALUES[FORGOTTEN]["test"]]},
            f"{CONCEPT}: test.replacement: all that could stand in the place of a forgotten {FORGOTTEN} is forgotten",
        ),
        (["concepts", FIRST, "forget"], {FORGOTTEN: ["two", "two"]}, f"{CONCEPT}.forget: two stands there twice"),
        (
            ["concepts", FIRST, "train", "replacement"],
            "words",
            f"{CONCEPT}.train.replacement: words is none of value, drop, or a list such as [one, two]",
        ),
        (
            ["concepts", FIRST, "test", "images_per_prompt", "retain"],
            1,
            f"{CONCEPT}: test: 27 retain pictures; FD needs 128, twice the width of the judge's features",
        ),
        (
            ["world", "images", "reference"],
            5,
            "world.images.reference: 5 pictures; FD needs 128, twice the width of the judge's",
        ),
        (
            ["world", "images", "reference"],
            3000,
            f"{CONCEPT}: test: about 68 held-out real pictures show what the retain prompts ask for; FD needs 128,",
        ),
        (["methods", "rg", "retain_weight"], float("inf"), "methods.rg.retain_weight: input should be a finite number"),
        (["world", "images", "judge"], None, "world.images.judge: missing; every key is required, presets/ show each"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_remedy(place, value, message, tmp_path):
    found = complaint(changed(place, value), tmp_path).splitlines()
    assert len(found) == 1
    assert found[0].startswith(f"params.yaml: {message}")


def test_an_unknown_method_is_named_in_a_line_with_those_that_exist(tmp_path):
    found = complaint(changed(["methods", "rg", "method"], "SalUn"), tmp_path)
    assert found.startswith("params.yaml: methods.rg")
    assert all(name in found for name in ("SalUn", "graddiff", "rg", "rgd"))
    assert len(found) < 200


def test_a_word_in_a_message_keeps_its_case(tmp_path):
    found = complaint(changed(["methods", "rgd", "optimizer"], "LBFGS"), tmp_path)
    assert found.startswith("params.yaml: methods.rgd.optimizer: input should be ")
    assert found.endswith("got 'LBFGS'")


def test_what_a_pattern_asks_for_is_said_in_words(tmp_path):
    assert complaint(changed(["device"], "TPU"), tmp_path).startswith("params.yaml: device: give auto, cpu, mps, cuda")
    said = "a name is a letter, then at most 63 letters, digits, - and _"
    for name in ("T-shirt/top", "a" * 65):
        fields = copy.deepcopy(GOOD)
        fields["concepts"][name] = fields["concepts"].pop(FIRST)
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
        with pytest.raises(UserError, match=rf"concepts\.{name}: {said}"):
            params.load(tmp_path / "params.yaml")


def test_a_number_where_a_text_is_wanted_is_one_mistake(tmp_path):
    found = complaint(changed(["concepts", FIRST, "forget", FORGOTTEN], 3), tmp_path)
    assert found == f"params.yaml: {CONCEPT}.forget.{FORGOTTEN}: a text is wanted, got 3; put it in quotes"


def test_several_mistakes_are_all_named(tmp_path):
    fields = {**GOOD, "threads": "two", "colour": 1}
    found = complaint(yaml.safe_dump(fields), tmp_path).splitlines()
    assert {line.split(":")[1].strip() for line in found} == {"threads", "colour"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nseed: 2\n", "params.yaml: line 2: the key seed stands twice; keep one"),
        ("a:\n  b: 1\n  b: 1\n", "params.yaml: line 3: the key b stands twice; keep one"),
        ("a: 1e-5\n", "params.yaml: line 1: 1e-5 is a text to one engine and a number to the other; write 1.0e-5"),
        ("a: 2.5e3\n", "params.yaml: line 1: 2.5e3 is a text to one engine and a number to the other; write 2.5e+3"),
        ("a:\n- no\n", "params.yaml: line 2: no is a word to one engine and a truth value to the other; write true, "
         "false or quotes"),
        ("a: on\n", "params.yaml: line 1: on is a word to one engine and a truth value to the other; write true, false "
         "or quotes"),
        ("on: 1\n", "params.yaml: line 1: on is a word to one engine and a truth value to the other; write true, false "
         "or quotes"),
        ("a: 1\n? [a, b]\n: 1\n", "params.yaml: line 2: a list or a mapping stands in place of a key; write a name"),
        ("? {a: b}\n: 1\n", "params.yaml: line 1: a list or a mapping stands in place of a key; write a name"),
        ("a: 2026-13-01\n", "params.yaml: line 1: 2026-13-01 is no timestamp; put it in quotes if it is a text"),
        ("a: !!int x\n", "params.yaml: line 1: x is no int; put it in quotes if it is a text"),
        ("- a\n- b\n", "params.yaml: not a mapping of keys; copy one of presets/ to it"),
        ("", "params.yaml: not a mapping of keys; copy one of presets/ to it"),
    ],
)  # fmt: skip
def test_what_the_engines_would_read_differently_is_refused(text, message, tmp_path):
    assert complaint(text, tmp_path) == message


SCALARS = (
    "1.0e-5 0.1 .5 1. 1.5e+3 true True null ~ 'no' '1e-5' 010 0o10 0x1f 1_000 1:30 0b11 2024-01-02 +1 -0 .inf 1_0.5 = "
    "1e5 1E-5 .5e-3 .5e3 yes y Off 08"
)


@pytest.mark.parametrize("scalar", SCALARS.split())
def test_a_value_that_is_not_refused_is_the_same_to_both_engines(scalar):
    """Snakemake reads by PyYAML (1.1), DVC by ruamel (1.2)."""
    text = f"a: {scalar}\n"
    try:
        ours = yaml.load(text, Loader=reading._StrictLoader)["a"]
    except yaml.MarkedYAMLError:
        return
    other = YAML(typ="safe").load(text)["a"]
    assert (type(ours), ours) == (type(other), other)


def test_a_missing_file_is_named_with_the_remedy(tmp_path):
    with pytest.raises(UserError, match=r"params.yaml: no such file; copy one of presets/ to it$"):
        params.load(tmp_path / "params.yaml")


def test_broken_yaml_is_named_by_its_line(tmp_path):
    assert complaint("a: 1\nb: [1\n", tmp_path).startswith("params.yaml: line 3:")


@pytest.mark.parametrize("content", [b"a: \xff\n", b"a: \x00\n"])
def test_a_file_that_is_no_text_is_refused(content, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"params.yaml: "):
        params.load(path)


def test_targets_come_in_the_order_of_their_dimensions():
    fields = {**GOOD["concepts"][FIRST], "forget": {"ink": ["red", "blue"], "digit": "two"}}
    assert params.Concept.model_validate(fields).targets == [("digit", "two"), ("ink", "red"), ("ink", "blue")]


PROPOSAL = {
    "model": "data/language/x.json",
    "values": {"place": 2},
    "without": [],
    "apart": 0.1,
    "tokens": 9,
    "temperature": 1.0,
}
NUDITY = yaml.safe_load((PRESETS / "sd14-nudity.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def pins(tmp_path):
    """A project with the pins that presets/sd14-nudity.yaml names."""
    fields = {"folder": "models", "side": 512, "bytes": 1, "files": {}, "family": "Stable Diffusion 1 and 2"}
    fields |= {"embedding": 512}
    for name in ("base", "judge"):
        path = tmp_path / NUDITY[name]["source"]
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(fields), encoding="utf-8")
    return tmp_path


def test_a_preset_for_models_from_elsewhere_loads_once_they_are_pinned(pins):
    (pins / "params.yaml").write_text(yaml.safe_dump(NUDITY, sort_keys=False), encoding="utf-8")
    loaded = params.load(pins / "params.yaml")
    assert loaded.brought
    assert isinstance(loaded.questions["nudity"], params.Detection)
    assert isinstance(loaded.questions["place"], params.Question)


def test_more_steps_than_a_pinned_schedule_has_are_refused_where_its_files_are(pins):
    (pins / "models/scheduler").mkdir(parents=True)
    schedule = {"beta_schedule": "scaled_linear", "prediction_type": "epsilon", "num_train_timesteps": 40}
    (pins / "models/scheduler/scheduler_config.json").write_text(json.dumps(schedule))
    assert complaint(changed(["sampling", "steps"], 41, NUDITY), pins) == (
        "params.yaml: sampling.steps: 41, and the schedule of base.source has 40 timesteps; take no more"
    )
    (pins / "params.yaml").write_text(changed(["sampling", "steps"], 40, NUDITY), encoding="utf-8")
    assert params.load(pins / "params.yaml").sampling.steps == 40


MANY = "very " * 76


@pytest.mark.parametrize(
    ("place", "value", "where"),
    [
        (["questions", "activity", "text"], f"a person {MANY}{{}}", "questions.activity: 'a person very"),
        (["questions", "activity", "none"], [f"a {MANY}dog"], "questions.activity: 'a very"),
        (
            ["questions", "nudity"],
            {"shown": f"a {MANY}{{}} person", "otherwise": ["a person"]},
            "questions.nudity: 'a very",
        ),
        (["questions", "nudity"], {"shown": "a {} person", "otherwise": [MANY]}, "questions.nudity: 'very"),
        # as SD3, FLUX.1 and PixArt-Sigma would read it
        (
            ["grammars", "person", "template"],
            f"a {MANY}{{mood}} {{nudity}} person {{activity}} {{place}} {{time}}",
            "concepts.nudity.test: 'a very",
        ),
    ],
)
def test_what_is_longer_than_the_judge_reads_is_refused_before_anything_is_painted(place, value, where, pins):
    message = complaint(changed(place, value, NUDITY), pins)
    assert message.startswith(f"params.yaml: {where}")
    assert "tokens, and the judge reads 77; shorten it" in message


def test_how_much_a_judge_reads_is_in_its_pin_or_in_params_yaml(pins):
    pin = pins / NUDITY["judge"]["source"]
    pin.write_text(json.dumps({**json.loads(pin.read_text()), "tokens": 12}))
    assert "tokens, and the judge reads 12; shorten it" in complaint(yaml.safe_dump(NUDITY), pins)
    assert "tokens, and the judge reads 8; shorten it" in complaint(changed(["judge", "tokens"], 8), pins)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_restriction_is_all_that_tells_the_methods_of_a_preset_apart(name):
    methods = yaml.safe_load((PRESETS / f"{name}.yaml").read_text(encoding="utf-8"))["methods"]
    assert methods["rgd"] == {**methods["graddiff"], "method": "rg", "surgery": "pcgrad"}


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (
            ["judge", "source"],
            "data/judges/x.json",
            "judge.source: data/judges/x.json is missing; make it: unpaint pin",
        ),
        (["judge", "source"], "data/x.json", "judge.source: give results/world.parquet (what it is trained on), or"),
        (["base", "source"], "data/checkpoints/x.json", "base.source: data/checkpoints/x.json is missing; make it"),
        (["judge"], GOOD["judge"], "judge.source: there is no world to train it on; name a pin, or give a world"),
        (["questions", "nudity"], None, "questions: none for nudity, which concepts.nudity forgets; add one"),
        (["questions", "nudity", "threshold"], 1.5, "questions.nudity.threshold: input should be less than 1, got 1.5"),
        (["questions", "nudity", "labels"], ["KNEE"], "questions.nudity.labels.0: input should be 'ANUS_COVERED'"),
        (["questions", "nudity", "labels"], [], "questions.nudity.labels: list should have at least 1 item"),
        (
            ["concepts", "nudity", "forget", "nudity"],
            ["bare", "nude"],
            "concepts.nudity.forget.nudity: nudenet cannot tell one nudity from another, so all must be forgotten; add "
            "naked, unclad, undressed, or take it out of the grammar",
        ),
        (
            ["questions", "nudity"],
            {"shown": "a person", "otherwise": ["a dog"]},
            "questions.nudity.shown: 'a person' needs {} once, where the value goes",
        ),
        (
            ["models", "theirs"],
            {"source": "data/checkpoints/x.json", "precision": "float32"},
            "models.theirs.source: data/checkpoints/x.json is missing; make it: unpaint pin SOURCE",
        ),
        (
            ["models", "rgd"],
            {"source": "data/checkpoints/x.json", "precision": "float32"},
            "models.rgd: the name rgd is taken; choose another",
        ),
        (
            ["proposals", "person"],
            PROPOSAL,
            "proposals.person.model: data/language/x.json is missing; make it: unpaint pin --language SOURCE",
        ),
        (["proposals", "dog"], PROPOSAL, "proposals.dog: no such grammar; they are person"),
        (
            ["proposals", "person"],
            PROPOSAL | {"values": {"colour": 2}},
            "proposals.person.values: colour is no dimension of the grammar; it has nudity, mood, activity, place",
        ),
        (["concepts", "nudity", "table"], "data/tables/x.csv", "concepts.nudity.table: "),
        (["concepts", "nudity", "table"], "x.csv", "concepts.nudity.table: give none, or data/tables/NAME.csv"),
        (["world"], {"kind": "nothing"}, "world.kind: nothing is none of 'digits', 'folder', 'dataset', 'none'"),
    ],
)
def test_a_mistake_about_models_from_elsewhere_is_named_with_its_remedy(place, value, message, pins):
    assert complaint(changed(place, value, NUDITY), pins).startswith(f"params.yaml: {message}")


def test_fid_is_asked_for_with_its_weights_and_enough_pictures_or_refused_before_any_work(tmp_path, monkeypatch):
    from unpaint.evaluate import inception

    given = copy.deepcopy(GOOD)

    def told():
        return complaint(yaml.safe_dump(given, sort_keys=False), tmp_path)

    given["evaluation"]["inception"] = "/elsewhere.pth"
    assert told().startswith("params.yaml: evaluation.inception: give none, or data/inception/NAME.pth")
    given["evaluation"]["inception"] = "data/inception/weights.pth"
    assert told().startswith("params.yaml: evaluation.inception: data/inception/weights.pth is missing: it holds the")
    weights = tmp_path / "data/inception/weights.pth"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights of another network")
    assert "evaluation.inception: data/inception/weights.pth: its sha256 is " in told()
    monkeypatch.setattr(inception, "SHA256", sha256(weights))
    given["world"]["images"]["reference"] = 4095
    needed = "FID needs 4096, twice the width of Inception's features (evaluation.inception)"
    assert told() == f"params.yaml: world.images.reference: 4095 pictures; {needed}"
    given["world"]["images"]["reference"] = 4096
    assert told() == f"params.yaml: {CONCEPT}: test: 1080 retain pictures; {needed}"
    given["concepts"][FIRST]["test"]["images_per_prompt"]["retain"] = 152
    assert f"held-out real pictures show what the retain prompts ask for; {needed}: raise world.images.ref" in told()
    given["world"]["images"]["reference"] = 200_000
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    assert params.load(tmp_path / "params.yaml").evaluation.inception == "data/inception/weights.pth"


@pytest.mark.parametrize("asked", ["place", "nudity"])
def test_without_a_world_a_question_is_of_a_dimension_of_a_grammar(asked, pins):
    questions = {**NUDITY["questions"], "plce": NUDITY["questions"][asked]}
    del questions["place"]
    message = "params.yaml: questions.plce: no grammar has the dimension plce; they have nudity, mood, activity, place"
    assert complaint(changed(["questions"], questions, NUDITY), pins).startswith(message)


def test_without_real_pictures_fid_is_refused(pins):
    text = changed(["evaluation", "inception"], "data/inception/weights.pth", NUDITY)
    assert complaint(text, pins).startswith(
        "params.yaml: evaluation.inception: FID is the distance to real pictures, and"
    )


CLASSES = yaml.safe_load((PRESETS / "digits-class.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["base", "classes"], "shade", "base.classes: the world has no shade; it has digit, ink, ground, place"),
        (["base", "denoiser", "attention"], [True], "base.denoiser.attention: 1 entries for 3 resolutions"),
        (["base", "denoiser", "channels"], [], "base.denoiser.channels: list should have at least 1 item"),
        (
            ["base", "denoiser"],
            {**CLASSES["base"]["denoiser"], "channels": [32] * 7, "attention": [False] * 7},
            "base.denoiser.channels: 32 pixels cannot be parted by 64; take fewer levels",
        ),
        (["base", "denoiser", "heads"], 4, "base.denoiser.heads: unknown key; delete it or correct its spelling"),
        (["sampling", "guidance"], 2.0, "sampling.guidance: base was trained without a label of no class; write 1.0"),
        (["methods", "rg", "scope"], "cross-attention", "methods.rg.scope: no layer of U-Net by class (DDPM or EDM)"),
        (
            ["grammars", "digits", "template"],
            "a {digit}",
            "grammars.digits: 'a zero' is not the name of one class of base;",
        ),
        (
            ["concepts", "seven", "train", "images_per_prompt", "forget"],
            2000,
            "concepts.seven: images.forget: 2000 pictures of digit seven are asked for, and about 740 of",
        ),
    ],
)
def test_a_mistake_about_a_base_model_by_class_is_named_with_its_remedy(place, value, message, tmp_path):
    assert complaint(changed(place, value, CLASSES), tmp_path).startswith(f"params.yaml: {message}")


def test_pictures_of_the_world_teach_nothing_new_to_a_model_from_elsewhere(pins):
    given = {"forget": "world", "retain": "render"}
    message = "params.yaml: concepts.nudity: images.forget: the base model was not trained on the world; write render"
    assert complaint(changed(["concepts", "nudity", "images"], given, NUDITY), pins).startswith(message)


def test_a_world_s_judge_is_asked_by_names_alone(tmp_path):
    given = {"shown": "a {}", "otherwise": ["nothing"]}
    message = "params.yaml: questions.digit: what shows is asked of a world's judge by `text` and `none`;"
    assert complaint(changed(["questions", "digit"], given), tmp_path).startswith(message)


@pytest.mark.parametrize("installed", [True, False])
def test_adam8bit_without_bitsandbytes_is_told_of(tmp_path, monkeypatch, installed):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(notes, "find_spec", lambda name: installed and name == "bitsandbytes")
    path = tmp_path / "params.yaml"
    path.write_text(changed(["methods", "rgd", "optimizer"], "adam8bit"), encoding="utf-8")
    told = notes.notes(params.load(path))
    assert [note.partition(":")[0] for note in told] == ([] if installed else ["methods.rgd"])
    assert all("adam8bit needs bitsandbytes, which is not installed here: pip install" in note for note in told)


def test_tombstones_of_a_concept_that_is_not_there_are_told_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (FIRST, "another"):
        path = tombstones.of_concept(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        tombstones.write(path, [tombstones.Tombstone("request 7", "2026-11-26", prompt="a prompt")])
    tombstones.write(tombstones.of_concept("empty"), [])
    (note,) = notes.notes(params.load(ROOT / "params.yaml"))
    assert note.startswith("data/withdrawn/concepts/another.jsonl: params.yaml has no concept another, so nothing ")
