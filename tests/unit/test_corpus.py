"""A corpus has the bytes of its rows, opens as a data set, and names what is broken."""

import hashlib

import numpy as np
import pytest
from pyarrow import parquet

from unpaint import corpus
from unpaint.corpus import Row
from unpaint.errors import UserError
from unpaint.lineage import manifest as manifests
from unpaint.lineage.manifest import Manifest

MANIFEST = Manifest("images", {"seed": 3, "word": "né"}, {"base": "ab"})


def rows(count=4, seed=0):
    random = np.random.default_rng(seed)
    return [
        Row(
            corpus.encode(random.integers(256, size=(16, 16, 3)).astype(np.uint8)),
            f"a né {number}",
            f"train-{number:04d}.0",
            2**47 + number,
            {"digit": "two", "ink": ""},
        )
        for number in range(count)
    ]


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "c.parquet"
    corpus.write(path, rows(), MANIFEST, tmp_path / "c.rows.tsv")
    return path


def test_writing_twice_gives_the_same_bytes(written, tmp_path):
    corpus.write(tmp_path / "other.parquet", iter(rows()), MANIFEST, tmp_path / "other.tsv")
    assert (tmp_path / "other.parquet").read_bytes() == written.read_bytes()
    assert (tmp_path / "other.tsv").read_bytes() == (tmp_path / "c.rows.tsv").read_bytes()


def test_other_rows_or_another_manifest_give_other_bytes(written, tmp_path):
    other = tmp_path / "other.parquet"
    for changed in ((rows(seed=1), MANIFEST), (rows(), Manifest("images", {"seed": 4, "word": "né"}, {"base": "ab"}))):
        corpus.write(other, *changed)
        assert other.read_bytes() != written.read_bytes()


def test_rows_come_back_as_they_were(written):
    assert corpus.read(written) == rows()
    assert corpus.stack(corpus.read(written)).shape == (4, 16, 16, 3)


def test_pixels_survive_encoding():
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert np.array_equal(corpus.decode(corpus.encode(pixels)), pixels)


def test_load_dataset_opens_it_with_pictures(written, tmp_path):
    from datasets import Image, load_dataset

    found = load_dataset("parquet", data_files=str(written), split="train", cache_dir=str(tmp_path / "cache"))
    assert isinstance(found.features["image"], Image)
    assert np.array_equal(np.asarray(found[1]["image"]), rows()[1].pixels)
    assert found[1]["attributes"] == {"digit": "two", "ink": ""}
    assert found[1]["sha256"] == rows()[1].sha256


def test_rows_tsv_names_row_pair_and_hashes(written, tmp_path):
    head, *lines = (tmp_path / "c.rows.tsv").read_text(encoding="utf-8").splitlines()
    assert head == "row\tpair\timage_sha256\tprompt_sha256"
    for number, (line, row) in enumerate(zip(lines, rows(), strict=True)):
        hashes = [hashlib.sha256(data).hexdigest() for data in (row.image, row.prompt.encode())]
        assert line.split("\t") == [str(number), row.pair, *hashes]


def test_the_manifest_is_inside(written):
    assert manifests.read(written) == MANIFEST


def test_the_same_picture_twice_is_refused_with_both_rows(tmp_path):
    twice = rows()
    twice[3] = Row(twice[1].image, "b", "p", 9, twice[1].attributes)
    message = (
        rf"^1 of 4 pictures are the same as an earlier one \('a né 1', seed {2**47 + 1} and 'b', seed 9\): 4 rows must"
    )
    with pytest.raises(UserError, match=message):
        corpus.write(tmp_path / "c.parquet", twice, MANIFEST)
    assert not list(tmp_path.iterdir())


def test_a_corpus_without_rows_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a corpus without rows; draw at least one prompt$"):
        corpus.write(tmp_path / "c.parquet", [], MANIFEST)


def test_rows_of_other_dimensions_are_refused(tmp_path):
    mixed = rows()
    mixed[2] = Row(mixed[2].image, "p", "p", 1, {"digit": "two", "place": "top"})
    with pytest.raises(UserError, match=r"row 2"):
        corpus.write(tmp_path / "c.parquet", mixed, MANIFEST)


def rewrite(path, column, values):
    table = parquet.read_table(path)
    place = table.column_names.index(column)
    import pyarrow as arrow

    table = table.set_column(place, table.schema.field(place), arrow.array(values, type=table.schema.field(place).type))
    parquet.write_table(table, path)


def test_a_changed_picture_is_refused_with_its_row(written):
    pictures = [{"bytes": row.image, "path": None} for row in rows()]
    pictures[2] = {"bytes": rows(seed=5)[2].image, "path": None}
    rewrite(written, "image", pictures)
    message = r"c.parquet: row 2: the picture is not the one that was written \(sha256 differs\)$"
    with pytest.raises(UserError, match=message):
        corpus.read(written)


def test_a_broken_picture_is_refused_with_its_row(tmp_path):
    broken = rows()
    broken[1] = Row(broken[1].image[:-30], "p", "p", 1, broken[1].attributes)
    corpus.write(tmp_path / "c.parquet", broken, MANIFEST)
    with pytest.raises(
        UserError, match=r"c.parquet: row 1: the picture is broken; restore the corpus or drop the row$"
    ):
        corpus.read(tmp_path / "c.parquet")


def test_a_list_is_held_against_its_corpus(written):
    listing = written.with_name("c.rows.tsv")
    assert corpus.unlike(written, listing) == ""
    whole = listing.read_bytes()
    listing.write_bytes(whole.replace(rows()[2].sha256.encode(), b"0" * 64))
    assert corpus.unlike(written, listing) == "row 2"
    listing.write_bytes(whole[:-1])
    assert corpus.unlike(written, listing) == f"row {len(rows())}"
    listing.write_bytes(b"")
    assert corpus.unlike(written, listing) == "its head"


def test_a_row_that_no_corpus_has_is_refused(written):
    rewrite(written, "prompt", [*[row.prompt for row in rows()][:-1], None])
    with pytest.raises(UserError, match=r"c.parquet: row 3: not a row of a corpus; restore it or make it again$"):
        corpus.unlike(written, written.with_name("c.rows.tsv"))


def test_a_list_of_a_corpus_without_rows_has_its_head(tmp_path):
    path, listing = tmp_path / "c.parquet", tmp_path / "c.rows.tsv"
    corpus.write(path, [], MANIFEST, listing, empty=True)
    assert corpus.unlike(path, listing) == ""


def test_no_flipped_byte_passes_unnoticed(written):
    """Each seventh byte of the data pages: the file is refused, or reads as it was written."""
    whole, expected = written.read_bytes(), rows()
    end = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for place in range(4, end, 7):
        written.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            found = corpus.read(written)
        except UserError as error:
            assert "c.parquet: " in str(error)
        else:
            assert found == expected, f"byte {place} of {len(whole)}"


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_a_truncated_file_is_refused(written, keep):
    written.write_bytes(written.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"c.parquet: not a readable Parquet file; restore it or make it again$"):
        corpus.read(written)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"not a readable Parquet file"):
        corpus.read(tmp_path / "none.parquet")


def test_a_foreign_table_is_refused_with_the_missing_columns(tmp_path):
    import pyarrow as arrow

    parquet.write_table(arrow.table({"prompt": ["a"], "seed": [1]}), tmp_path / "c.parquet")
    with pytest.raises(
        UserError, match=r"no column attributes, image, pair, sha256, so it is not a corpus of Unpaint$"
    ):
        corpus.read(tmp_path / "c.parquet")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe"])
def test_a_broken_json_artefact_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a.json: not a readable JSON file; restore it or make it again$"):
        corpus.read_json(tmp_path / "a.json")
