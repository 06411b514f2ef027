"""A user's captioned pictures, and what can be wrong with them."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from unpaint.errors import UserError
from unpaint.folder import listing, pixels


def picture(path, size=(8, 8), colour="red", mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "sub/b.png"):
        picture(tmp_path / name)
    return tmp_path


def rows(*given):
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in given) + "\n"


A = {"file_name": "a.png", "caption": "ein Schuh, grün", "kind": "shoe"}
B = {"file_name": "sub/b.png", "caption": "a red bag", "kind": "bag"}


def as_csv(*given):
    text = io.StringIO()
    table = csv.DictWriter(text, list(given[0]))
    table.writeheader()
    table.writerows(given)
    return text.getvalue()


@pytest.mark.parametrize(("name", "write"), [("metadata.jsonl", rows), ("metadata.csv", as_csv)])
def test_both_kinds_of_metadata_say_the_same(folder, name, write):
    (folder / name).write_text(write(A, B), encoding="utf-8")
    found = listing(folder)
    assert [(one.path, one.caption, one.attributes) for one in found] == [
        (folder / "a.png", "ein Schuh, grün", {"kind": "shoe"}),
        (folder / "sub/b.png", "a red bag", {"kind": "bag"}),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "0 of metadata.jsonl and metadata.csv are here; it needs one"),
        ("", "metadata.jsonl: names no picture"),
        ("{", "metadata.jsonl: row 1: not a JSON object"),
        (rows({"file_name": "a.png"}), "row 1: no caption; every picture needs both"),
        (rows({"kind": "x"}), "row 1: no file_name and no caption"),
        (rows(A, {**B, "file_name": "c.png"}), "row 2: there is no picture c.png; add it or delete the row"),
        (rows(A, A), "row 2: a.png stands there twice"),
        (rows(A, {"file_name": "sub/b.png", "caption": "x"}), "row 2: its columns are not those of row 1 (kind)"),
        (rows({**A, "file_name": "../a.png"}), "row 1: ../a.png lies outside the folder"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(folder, text, message):
    if text is not None:
        (folder / "metadata.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        listing(folder)
    assert message in str(caught.value)


def test_a_row_with_a_cell_too_many_is_named(folder):
    (folder / "metadata.csv").write_text("file_name,caption\na.png,a shoe, green\n", encoding="utf-8")
    with pytest.raises(UserError, match="row 1: not as many cells as the header; quote cells that have commas"):
        listing(folder)


def test_spaces_around_the_cells_of_a_table_do_not_count(folder):
    text = 'file_name, caption, kind\na.png, "a shoe, green", shoe \nsub/b.png,a red bag,bag\n'
    (folder / "metadata.csv").write_text(text, encoding="utf-8")
    assert [(one.caption, one.attributes) for one in listing(folder)] == [
        ("a shoe, green", {"kind": "shoe"}),
        ("a red bag", {"kind": "bag"}),
    ]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("file_name;caption", r"the columns are parted by ';'; save it with commas"),
        (",file_name,caption", "column 1 has no name; name it or leave it out"),
        ("File_Name,Caption", "row 1: no file_name and no caption; .* the columns are File_Name, Caption"),
    ],
)
def test_a_table_that_was_saved_otherwise_says_how(folder, header, message):
    row = ",".join(["a"] * len(header.split(",")))
    (folder / "metadata.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")
    with pytest.raises(UserError, match=message):
        listing(folder)


def test_a_picture_is_cut_to_its_central_square_and_scaled(tmp_path):
    image = Image.new("RGB", (40, 20), "blue")
    image.paste("red", (10, 0, 30, 20))
    image.save(tmp_path / "wide.png")
    found = pixels(tmp_path / "wide.png", 10, "wide.png")
    assert found.shape == (10, 10, 3)
    assert (np.abs(found[:, 2:-2].astype(int) - (255, 0, 0)) <= 2).all()  # the filter reaches past the cut


def test_a_picture_of_the_right_size_is_left_as_it_is(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    assert (pixels(tmp_path / "noise.png", 16, "noise.png") == noise).all()


def test_grey_and_transparent_pictures_become_rgb(tmp_path):
    picture(tmp_path / "grey.png", colour=77, mode="L")
    assert (pixels(tmp_path / "grey.png", 8, "grey.png") == 77).all()
    picture(tmp_path / "clear.png", colour=(255, 0, 0, 0), mode="RGBA")
    assert (pixels(tmp_path / "clear.png", 8, "clear.png") == 255).all()


def test_a_file_that_is_no_picture_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"a\.png: not a readable picture; replace it"):
        pixels(tmp_path / "a.png", 8, "a.png")


def test_attributes_may_stand_together(folder):
    (folder / "metadata.jsonl").write_text(rows({**A, "attributes": {"colour": "grün", "pages": 3}}), encoding="utf-8")
    assert listing(folder)[0].attributes == {"kind": "shoe", "colour": "grün", "pages": "3"}


def test_sixteen_bits_are_scaled_and_numbers_of_no_known_range_refused(tmp_path):
    shades = np.array([[0, 0x1234], [0x8000, 0xFFFF]], dtype=np.uint16)
    Image.fromarray(shades).save(tmp_path / "deep.png")
    assert pixels(tmp_path / "deep.png", 2, "deep.png")[..., 0].tolist() == [[0, 0x12], [0x80, 0xFF]]
    Image.fromarray(np.eye(4, dtype=np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(
        UserError, match=r"float\.tiff: pixels of 32 bits, whose range is unknown; save it with 8 or 16"
    ):
        pixels(tmp_path / "float.tiff", 2, "float.tiff")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("metadata.jsonl", rows({**A, "caption": None}), "row 1: no caption; every picture needs both, as text"),
        ("metadata.jsonl", rows({**A, "caption": ["a", "b"]}), "row 1: no caption"),
        ("metadata.jsonl", rows({**A, "caption": "  "}), "row 1: no caption"),
        ("metadata.jsonl", '{"file_name": "a.png", "caption": "\\ud83d"}', "row 1: not a JSON object"),
        ("metadata.jsonl", rows(A, {**A, "file_name": "./a.png"}), "row 2: a.png stands there twice"),
        ("metadata.jsonl", rows({**A, "file_name": "a\0.png"}), "row 1: there is no picture a"),
        ("metadata.jsonl", rows({**A, "attributes": {"kind": "b"}}), "row 1: kind stands there and in its attributes"),
        ("metadata.jsonl", rows({**A, "file_sha256": "1"}), "row 1: the column file_sha256 is taken by Unpaint"),
        ("metadata.csv", "file_name,caption,kind,kind\na.png,b,c,d\n", "the column kind stands there twice"),
        ("metadata.csv", 'file_name,caption\na.png,"a red\nsub/b.png,y\n', "row 1: unexpected end of data; close"),
    ],
)
def test_rows_that_would_be_misread_are_refused(folder, name, text, message):
    (folder / name).write_text(text, encoding="utf-8", newline="")
    with pytest.raises(UserError, match=message):
        listing(folder)


def test_a_line_break_inside_a_caption_stays(folder):
    (folder / "metadata.csv").write_text('file_name,caption\na.png,"a red\ncoat"\n', encoding="utf-8", newline="")
    assert listing(folder)[0].caption == "a red\ncoat"
    (folder / "metadata.csv").unlink()
    (folder / "metadata.jsonl").write_text(rows({**A, "caption": "a\u2028b"}), encoding="utf-8")
    assert listing(folder)[0].caption == "a\u2028b"


def test_what_an_engine_could_not_follow_is_refused(folder, tmp_path):
    (folder / "metadata.jsonl").write_text(rows(A), encoding="utf-8")
    (folder / "sub" / "photo {1}.txt").touch()
    with pytest.raises(UserError, match=r"photo \{1\}.txt: braces are Snakemake's wildcards"):
        listing(folder)
    (folder / "sub" / "photo {1}.txt").unlink()
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(UserError, match="a link, which DVC does not follow"):
        listing(tmp_path / "link")
