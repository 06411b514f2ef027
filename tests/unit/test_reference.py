"""Held-out real pictures: kept as written, and chosen by what the prompts ask for."""

import numpy as np
import pytest

from unpaint.errors import UserError
from unpaint.evaluate import reference as module
from unpaint.evaluate.reference import Reference
from unpaint.lineage import manifest as manifests
from unpaint.lineage.manifest import Manifest

ROWS = [{"digit": digit, "ink": ink} for digit in ("one", "two", "three") for ink in ("red", "blue")]
REAL = Reference(ROWS, np.arange(12, dtype=np.float64).reshape(6, 2))


def chosen(*asked):
    return [int(first) // 2 for first, _ in REAL.showing(asked)]


def test_pictures_with_a_value_that_nothing_asks_for_are_left_out():
    assert chosen({"digit": "one", "ink": "red"}, {"digit": "three", "ink": "red"}) == [0, 4]
    assert chosen({"digit": "one", "ink": "red"}, {"digit": "two", "ink": "blue"}) == [0, 1, 2, 3]


def test_a_dropped_dimension_is_free():
    assert chosen({"digit": "", "ink": "blue"}) == [1, 3, 5]


def test_it_is_read_back_with_its_manifest(tmp_path):
    path = tmp_path / "reference.parquet"
    module.write(path, REAL, Manifest("judge", {}, {}))
    found = module.read(path)
    assert found.attributes == ROWS
    assert (found.features == REAL.features).all()
    assert manifests.read(path).stage == "judge"


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "reference.parquet"
    path.write_bytes(b"no Parquet")
    with pytest.raises(UserError, match="not a readable file of reference features"):
        module.read(path)
