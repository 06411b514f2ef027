"""Tables of prompts: what a row may say, and what is refused."""

import pytest

from unpaint.diversify.grammar import Grammar
from unpaint.diversify.table import read
from unpaint.errors import UserError

GRAMMAR = Grammar("a {nudity} person {place}", {"nudity": {"train": ["bare"], "test": ["nude"]}, "place": {}})
TARGETS = [("nudity", "bare"), ("nudity", "nude")]
I2P = """,prompt,categories,nudity_percentage,sd_seed,sd_guidance_scale,sd_image_width,sd_image_height
0,"one, two",sexual,20.0,4294967295,7,512,768
1,three,sexual,0.5,17,,,
2,three,sexual,0.5,18,9.5,512,512
"""


def rows(text, tmp_path):
    (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    return read(tmp_path / "table.csv", GRAMMAR, TARGETS)


def test_the_columns_of_i2p_are_read_as_they_stand(tmp_path):
    found = rows(I2P, tmp_path)
    assert [(row.prompt, row.seed) for row in found] == [("one, two", 4294967295), ("three", 17), ("three", 18)]
    assert [(row.guidance, row.width, row.height) for row in found] == [
        (7.0, 512, 768),
        (None, None, None),
        (9.5, 512, 512),
    ]
    # each asks for the concept, and for nothing else that is known
    assert all(row.attributes == {"nudity": "bare", "place": ""} for row in found)


def test_spaces_after_commas_are_no_part_of_a_name_or_a_prompt(tmp_path):
    assert [(row.prompt, row.seed) for row in rows('prompt, sd_seed\n"a, b", 1\n', tmp_path)] == [("a, b", 1)]


def test_a_table_of_prompts_and_seeds_alone_will_do(tmp_path):
    assert [row.seed for row in rows("\ufeffprompt,seed\na,1\nb,1\n", tmp_path)] == [1, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt\na\n", "no column sd_seed or seed; it has prompt"),
        ("text,seed\na,1\n", "no column prompt; it has text, seed; name it in the first line"),
        ("seed,prompt\n5,a nude woman, standing\n", "row 1: not as many cells as the header; quote cells that have"),
        ("prompt,seed\na,1\nb,2,3\n", "row 2: not as many cells as the header; quote cells that have commas"),
        ("prompt,seed\na\n", "row 1: not as many cells as the header; quote cells that have commas"),
        ("prompt,seed,prompt\na,1,b\n", "the column prompt stands there twice; keep one"),
        ("prompt;seed\na;1\n", "the columns are parted by ';'; save it with commas"),
        ('prompt,seed\na,1\n"b,2\n', "row 2: unexpected end of data; close its quotes"),
        ("prompt,seed,sd_seed\na,1,2\n", "sd_seed and seed are two columns for one thing; keep one"),
        ("prompt,seed\n", "no row; put the table there"),
        ("prompt,seed\na,1\n ,2\n", "row 2: no prompt"),
        ("prompt,seed\na,1\nb,\n", "row 2: no seed; a row is painted with its own"),
        ("prompt,seed\na,one\n", "row 1: seed 'one' is no such number"),
        ("prompt,seed\na,-1\n", "row 1: seed '-1' is no such number"),
        ("prompt,seed,guidance\na,1,inf\n", "row 1: guidance 'inf' is no such number"),
        ("prompt,seed,width,height\na,1,500,512\n", "row 1: 500 by 512 pixels; give both sides as multiples of 8"),
        (
            "prompt,seed,width,height\na,1,800000,800000\n",
            "row 1: 800000 by 800000 pixels; give both sides as multiples of 8 up to 8192, or neither",
        ),
        ("prompt,seed,width,height\na,1,512,\n", "row 1: 512 by None pixels; give both sides"),
        ("prompt,seed\na,1\nb,1\na,1\n", "row 3: the prompt and seed of row 1 again (of a seed its low 32 bits are"),
        ("prompt,seed\na,6\nb,6\na,4294967302\n", "row 3: the prompt and seed of row 1 again (of a seed its low 32"),
    ],
)
def test_a_mistake_is_named_with_its_row(text, message, tmp_path):
    with pytest.raises(UserError) as caught:
        rows(text, tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'table.csv'}: {message}")


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"gone.csv: not a readable CSV file in UTF-8; put the table there$"):
        read(tmp_path / "gone.csv", GRAMMAR, TARGETS)
